"""Daily and weekly seasonality of volatility, learnt bar by bar in New York's wall clock.

The factor of a minute is its usual volatility relative to the last days. It uses only earlier bars of
the same minute of the day and hour of the week, so it is causal. The forecasts are in `volatility`.
"""

from math import log

import numpy as np

from mikrobot.features.kernel.calendar import (
    HOUR,
    MINUTE,
    MINUTES_A_DAY,
    MINUTES_A_WEEK,
    day_minute,
    new_york,
    week_minute,
)
from mikrobot.features.kernel.feature import Output, Quantity, Tail, fading, feature
from mikrobot.features.kernel.parts import AVERAGE, F8, I8, Layout, State, approach, compiled, record

LOG_RATIO = Quantity("log ratio")

HOURS_A_DAY, HOURS_A_WEEK = 24, 168
PREPARED = 120
"""Minutes prepared at the first bar of an hour: the hour and the next."""

FADING = 1.0 - 0.5 ** (1.0 / 60)
"""Weight of a new value of a minute of the day; the half-life is 60 values."""

HOUR_FADING = FADING / 60
"""Weight of one of its 60 bars in the factor of an hour of the day or of the week."""

LEVEL_FADING = 1.0 - 0.5 ** (1.0 / 7200)
"""Weight of a bar in the level of volatility; the half-life is five days."""

LARGEST = 6.0
"""Maximum volatility of a bar in multiples of the level, so that one shock does not dominate the season."""

MINUTE_PRIOR, HOUR_PRIOR = 3, 61
"""Divisor of the first value of a minute or of an hour; factors start at 1."""

BOUND = 10.0
"""Factors of minutes and of hours are limited to 1/10 to 10."""


def _table(of: Layout, length: int) -> Layout:
    return np.dtype((of, (length,)))


SEASON = record(
    level=AVERAGE,
    hour=I8,
    wall=I8,
    ahead=_table(F8, PREPARED + 1),
    minute=_table(F8, MINUTES_A_DAY),
    day_hour=_table(F8, HOURS_A_DAY),
    day_hour_bars=_table(I8, HOURS_A_DAY),
    week_hour=_table(F8, HOURS_A_WEEK),
    week_hour_bars=_table(I8, HOURS_A_WEEK),
    minute_visits=_table(np.dtype(np.uint8), MINUTES_A_DAY),
)
"""State of the season. Factors are stored minus 1. ``ahead`` contains running sums of log factors from the
start of ``hour`` (UTC). ``wall`` is the New York time at that start, in seconds; summer time changes on the hour."""


@feature(
    "season",
    {
        "": Output(LOG_RATIO, "Log of the usual volatility of this minute of the week relative to the last days"),
        **{
            f"{minutes}": Output(LOG_RATIO, f"Mean over the next {minutes} minutes of the log seasonal factor")
            for minutes in (5, 15, 60)
        },
    },
    state=lambda: {"season": SEASON},
    warmup=lambda: 0,
    tail=lambda: Tail(fading(FADING).bars * MINUTES_A_WEEK, "a season is learnt over months and decays as slowly"),
    inputs={"deviation": "bar_deviation", "move": "bar_move"},
)
def season(state: State, time: int, deviation: float, move: float) -> tuple[float, float, float, float]:
    """Seasonal factor of volatility, now and over the next minutes.

    The factor is the product of two: the factor of the minute of the day in New York, averaged with
    two neighbours on each side, and the ratio of the factors of the hour of the week and the hour of
    the day. The volatility of a bar is half the sum of its deviation and its absolute move. The
    factors of two hours are prepared at the first bar of an hour, from earlier bars.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    deviation, move : log return
        See `volatility.bar`.

    Returns
    -------
    now, next 5, next 15, next 60 minutes : log ratio
        0 before anything is learnt. The first value of a minute moves its factor by a third. The
        half-life is 60 values of the minute, so old bars lose weight over months, not days.
    """
    now = factor(state.season, time)
    learn(state.season, time, 0.5 * (deviation + abs(move)))
    return now, ahead(state.season, time, 5), ahead(state.season, time, 15), ahead(state.season, time, 60)


@compiled
def factor(season: State, time: int) -> float:
    """Return the log factor of the minute that opens at `time`; prepare its hour if it is new."""
    hour = time // HOUR
    if season.hour != hour:
        _prepare(season, hour)
    minute = time % HOUR // MINUTE
    return float(season.ahead[minute + 1] - season.ahead[minute])


@compiled
def ahead(season: State, time: int, minutes: int) -> float:
    """Return the mean log factor of the `minutes`, at most 60, after the one that opens at `time`."""
    start = time % HOUR // MINUTE + 1
    return float(season.ahead[start + minutes] - season.ahead[start]) / minutes


@compiled
def learn(season: State, time: int, volatility: float) -> None:
    """Update the factors of the minute that opens at `time` from its bar.

    Parameters
    ----------
    volatility : float
        Volatility of the bar; not negative.
    """
    level = season.level.value
    if level > 0.0:
        minute, week_hour = day_minute(season.wall) + time % HOUR // MINUTE, week_minute(season.wall) // 60
        surprise = min(volatility / level, LARGEST) - 1.0
        visits = season.minute_visits[minute]
        share = max(FADING, 1.0 / (visits + MINUTE_PRIOR))
        season.minute[minute] += share * (surprise - season.minute[minute])
        season.minute_visits[minute] = min(visits + 1, 255)
        _learn_hour(season.day_hour, season.day_hour_bars, week_hour % HOURS_A_DAY, surprise)
        _learn_hour(season.week_hour, season.week_hour_bars, week_hour, surprise)
    approach(season.level, volatility, LEVEL_FADING)


@compiled
def _learn_hour(factors: State, bars: State, hour: int, surprise: float) -> None:
    factors[hour] += max(HOUR_FADING, 1.0 / (bars[hour] + HOUR_PRIOR)) * (surprise - factors[hour])
    bars[hour] += 1


@compiled
def _prepare(season: State, hour: int) -> None:
    """Compute the running sums of log factors of an hour (since 1970 UTC) and the next, before its first bar."""
    season.hour, season.wall = hour, new_york(hour * HOUR)
    factors, total, slot = season.minute, 0.0, 1
    for block in range(2):
        wall = new_york((hour + block) * HOUR)
        first, week_hour = day_minute(wall), week_minute(wall) // 60
        usual = _bounded((1.0 + season.week_hour[week_hour]) / (1.0 + season.day_hour[week_hour % HOURS_A_DAY]))
        beyond, before, here, after = factors[first - 2], factors[first - 1], factors[first], factors[first + 1]
        for minute in range(first + 2, first + 62):
            last = factors[minute % MINUTES_A_DAY]
            smooth = 0.5 * here + 0.2 * (before + after) + 0.05 * (beyond + last)
            total += log(usual * _bounded(1.0 + smooth))
            season.ahead[slot] = total
            beyond, before, here, after = before, here, after, last
            slot += 1


@compiled
def _bounded(factor: float) -> float:
    return min(max(factor, 1.0 / BOUND), BOUND)
