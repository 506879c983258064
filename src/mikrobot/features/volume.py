"""Volume within the trading day and against its habit: VWAP, on-balance volume, flows, relative volume.

A bar without trades, of volume 0, is an observation like any other. Where the source knows no
volume (NaN), a step does not run and its values are missing. What counts from the opening of
the trading day (FX 17:00 New York, else 00:00 UTC) is missing on a day joined midway. The
volume profile is in `profile`.
"""

from math import nan, sqrt

import numpy as np

from mikrobot.features.calendar import HOUR, MINUTE, MINUTES_A_DAY, day_minute, new_york, session_day, session_minute
from mikrobot.features.feature import ATRS, Output, Quantity, Tail, feature
from mikrobot.features.parts import (
    F8,
    I8,
    ROUNDING,
    SUM,
    Layout,
    State,
    add,
    compiled,
    full,
    mean,
    push,
    read,
    record,
    window,
)

VOLUME = Quantity("volume")
BALANCE = Quantity("ratio", -1, 1)

UNKNOWN = "the source knows no volume"
NO_ATR = "the ATR is unknown or zero"
_JOINED = "the stream joined in the middle of the trading day"
_NONE_TODAY = "nothing has been traded since it opened"
_NONE_HELD = "nothing was traded in these bars"

TRADING_DAY = record(hour=I8, day=I8, whole=I8)
"""The hour and the trading day of the last bar, and whether the opening of that day was seen."""

THIS_DAY = Tail(MINUTES_A_DAY, "a trading day joined midway is left out")

QUARTER = 15 * 60
"""Seconds of a quarter-hour, in which relative volume takes the time of day."""

QUARTERS = 96
"""Quarter-hours in a day."""

DAYS = 5
"""Trading days that make the habit of a time of day: a week of FX."""

HABIT = record(
    quarter=I8,
    whole=I8,
    slot=I8,
    amount=F8,
    bars=I8,
    usual=F8,
    level=window(QUARTERS),
    shares=np.dtype((np.float64, (QUARTERS * DAYS,))),
    visits=np.dtype((np.int64, (QUARTERS,))),
)
"""The quarter-hour under way, the means of the last 96, and the shares of each on its last days."""

HABITUAL = Tail(8 * MINUTES_A_DAY, "a time of day is known by its last five days")


@compiled
def enter(trading: State, time: int, fx: int) -> bool:
    """Follow the trading day: True on the first bar of each, and on that of the stream."""
    hour = time // HOUR
    if hour == trading.hour:  # a trading day begins on the hour, everywhere
        return False
    trading.hour = hour
    day = session_day(time, fx)
    if day == trading.day:
        return False
    trading.whole = 1 if trading.day > 0 or session_minute(time, fx) == 0 else 0
    trading.day = day
    return True


@feature(
    "vwap",
    {
        "": Output(
            Quantity("price", low=0),
            "Mean of (high + low + close)/3 since the trading day opened, weighted by volume",
            f"{UNKNOWN}, {_JOINED}, or {_NONE_TODAY}",
        ),
        "upper": Output(
            Quantity("price"),
            "VWAP plus `width` volume-weighted standard deviations",
            f"{UNKNOWN}, {_JOINED}, or {_NONE_TODAY}",
        ),
        "lower": Output(
            Quantity("price"),
            "VWAP less `width` volume-weighted standard deviations",
            f"{UNKNOWN}, {_JOINED}, or {_NONE_TODAY}",
        ),
        "distance": Output(
            ATRS, "From the VWAP to the close, positive above", f"{UNKNOWN}, {_JOINED}, {_NONE_TODAY}, or {NO_ATR}"
        ),
        "score": Output(
            Quantity("standard deviations"),
            "From the VWAP to the close in volume-weighted standard deviations, positive above",
            f"{UNKNOWN}, {_JOINED}, {_NONE_TODAY}, or all at one price",
        ),
    },
    state=lambda width: {"trading": TRADING_DAY, "volume": F8, "price": F8, "squares": F8},
    warmup=lambda width: 0,
    tail=lambda width: THIS_DAY,
    inputs={"atr": "atr_14"},
    optional=("atr",),
)
def vwap(
    state: State, time: int, fx: int, high: float, low: float, close: float, volume: float, atr: float, width: float
) -> tuple[float, float, float, float, float]:
    """Volume-weighted average price of the trading day, with bands.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    fx : int
        1 where the trading day is that of FX.
    high, low, close : price
    volume : base units or ticks
    atr : price difference
    width : float, standard deviations

    Returns
    -------
    vwap, upper, lower : price
    distance : ATR
    score : standard deviations
        Known from the first traded bar of the day; the deviation from the second price.

    References
    ----------
    D. H. D. West, "Updating mean and variance estimates", Communications of the ACM 22 (1979),
    532-535: the weighted mean and squares without cancellation.
    """
    if enter(state.trading, time, fx):
        state.volume, state.price, state.squares = 0.0, 0.0, 0.0
    if volume > 0.0:
        state.volume += volume
        typical = (high + low + close) / 3.0
        away = typical - state.price
        state.price += away * (volume / state.volume)
        state.squares += volume * away * (typical - state.price)
    if state.trading.whole == 0 or state.volume == 0.0:
        return nan, nan, nan, nan, nan
    price = state.price
    deviation = sqrt(max(state.squares / state.volume, 0.0))
    return (
        price,
        price + width * deviation,
        price - width * deviation,
        (close - price) / atr if atr > 0.0 else nan,
        (close - price) / deviation if deviation > ROUNDING * price else nan,
    )


@feature(
    "obv",
    {"": Output(VOLUME, "On-balance volume since the trading day opened", f"{UNKNOWN}, or {_JOINED}")},
    state=lambda: {"trading": TRADING_DAY, "previous": F8, "total": F8},
    warmup=lambda: 0,
    tail=lambda: THIS_DAY,
)
def obv(state: State, time: int, fx: int, close: float, volume: float) -> float:
    """On-balance volume since the trading day opened.

    It begins at the opening, since a level that depends on where a stream began differs
    between training and trading. Within a day it moves as TA-Lib's does.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    fx : int
        1 where the trading day is that of FX.
    close : price
    volume : base units or ticks

    Returns
    -------
    volume
        Added when the close is above the one before, taken off below it.

    References
    ----------
    J. Granville, New Key to Stock Market Profits (1963).
    """
    if enter(state.trading, time, fx):
        state.total = 0.0
    state.total += direction(close, state.previous) * volume
    state.previous = close
    return float(state.total) if state.trading.whole == 1 else nan


@feature(
    "accumulation",
    {"": Output(VOLUME, "Accumulation/distribution since the trading day opened", f"{UNKNOWN}, or {_JOINED}")},
    state=lambda: {"trading": TRADING_DAY, "total": F8},
    warmup=lambda: 0,
    tail=lambda: THIS_DAY,
)
def accumulation(state: State, time: int, fx: int, high: float, low: float, close: float, volume: float) -> float:
    """Accumulation/distribution line (Chaikin) since the trading day opened.

    It begins at the opening as `obv` does, and moves as TA-Lib's within a day.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    fx : int
        1 where the trading day is that of FX.
    high, low, close : price
    volume : base units or ticks

    Returns
    -------
    volume
        Weighted by where in its range each bar closed, -1 at the low to 1 at the high.
    """
    if enter(state.trading, time, fx):
        state.total = 0.0
    state.total += closing_place(high, low, close) * volume
    return float(state.total) if state.trading.whole == 1 else nan


@feature(
    "obv_balance_{length}",
    {
        "": Output(
            BALANCE,
            "Volume of rising less that of falling closes over all volume, `length` bars",
            f"{UNKNOWN}, or {_NONE_HELD}",
        )
    },
    state=lambda length: {"previous": F8, "flow": flow(length)},
    warmup=lambda length: length,
)
def obv_balance(state: State, close: float, volume: float, length: int) -> float:
    """Change of the on-balance volume over `length` bars as a share of what was traded.

    Parameters
    ----------
    close : price
    volume : base units or ticks
    length : int, bars

    Returns
    -------
    ratio, -1 to 1
        Known from bar ``length``: the first bar has no direction.
    """
    previous = state.previous
    state.previous = close
    return balance(state.flow, direction(close, previous) * volume, volume) if previous > 0.0 else nan


@feature(
    "money_flow_{length}",
    {
        "": Output(
            BALANCE,
            "Chaikin money flow: accumulation/distribution over all volume, `length` bars",
            f"{UNKNOWN}, or {_NONE_HELD}",
        )
    },
    state=lambda length: {"flow": flow(length)},
    warmup=lambda length: length - 1,
)
def money_flow(state: State, high: float, low: float, close: float, volume: float, length: int) -> float:
    """Chaikin money flow: change of accumulation/distribution as a share of what was traded.

    Parameters
    ----------
    high, low, close : price
    volume : base units or ticks
    length : int, bars

    Returns
    -------
    ratio, -1 to 1
        Known from bar ``length - 1``.

    References
    ----------
    M. Chaikin's money flow, https://chartschool.stockcharts.com (Chaikin Money Flow).
    """
    return balance(state.flow, closing_place(high, low, close) * volume, volume)


@feature(
    "volume_roc_{length}",
    {"": Output(Quantity("percent", low=-100), "Change of the volume since `length` bars ago", UNKNOWN)},
    state=lambda length: {"volumes": window(length)},
    warmup=lambda length: length,
)
def volume_roc(state: State, volume: float, length: int) -> float:
    """Rate of change of the volume since `length` bars ago.

    Parameters
    ----------
    volume : base units or ticks
    length : int, bars

    Returns
    -------
    percent, from -100
        Known from bar ``length``; 0, as in TA-Lib, where nothing was traded then.
    """
    known = full(state.volumes)
    before = push(state.volumes, volume)
    if not known:
        return nan
    return 100.0 * (volume / before - 1.0) if before > 0.0 else 0.0


@feature(
    "relative_volume",
    {
        "": Output(
            Quantity("ratio", low=0),
            "Volume over what is usual at this time of day (New York) at the level of the last day",
            f"{UNKNOWN}, fewer than five days have been seen at this time of day, or nothing was traded then",
        )
    },
    state=lambda: {"habit": HABIT},
    warmup=lambda: QUARTERS * (DAYS + 1),
    tail=lambda: HABITUAL,
)
def relative_volume(state: State, time: int, volume: float) -> float:
    """Volume relative to its habit at this time of day, at the level of the last day.

    Usual is the mean of the last 96 quarter-hours times the share of that mean which this
    quarter-hour had on its last five days. Neither holds the quarter-hour that is under way. So
    a market that trades a fifth from one day to the next is back at 1 a day later.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    volume : base units or ticks

    Returns
    -------
    ratio, from 0
        Of the volume a bar; known after six whole days, quarter-hours without a bar not counted.
    """
    return relative(state.habit, time, volume)


@compiled
def direction(close: float, previous: float) -> float:
    """Sign of the move from the close before, 0 where there is none."""
    if previous == 0.0 or close == previous:
        return 0.0
    return 1.0 if close > previous else -1.0


@compiled
def closing_place(high: float, low: float, close: float) -> float:
    """Place of the close in the range of its bar, -1 at the low to 1 at the high; 0 without a range."""
    return ((close - low) - (high - close)) / (high - low) if high > low else 0.0


def flow(length: int) -> Layout:
    """Lay out the last `length` signed and plain volumes, their sums, and how many are not zero."""
    return record(signed=window(length), volumes=window(length), balance=SUM, total=SUM, traded=I8)


@compiled
def balance(flow: State, signed: float, volume: float) -> float:
    """Put a volume in the window and return the signed share of all, NaN while filling or without any."""
    before = push(flow.volumes, volume)
    add(flow.total, volume)
    add(flow.total, -before)
    add(flow.balance, signed)
    add(flow.balance, -push(flow.signed, signed))
    flow.traded += int(volume > 0.0) - int(before > 0.0)
    if flow.traded == 0:  # what rounding left of the sums is no volume
        flow.total.value, flow.total.lost, flow.balance.value, flow.balance.lost = 0.0, 0.0, 0.0, 0.0
        return nan
    return min(max(read(flow.balance) / read(flow.total), -1.0), 1.0) if full(flow.volumes) else nan


@compiled
def relative(habit: State, time: int, amount: float) -> float:
    """Count an amount to its quarter-hour and return it over what is usual there, NaN while unknown."""
    if time // QUARTER != habit.quarter:
        if habit.whole == 1:
            keep(habit)
        habit.whole = 1 if habit.quarter > 0 or time % QUARTER == 0 else 0
        habit.quarter = time // QUARTER
        habit.slot = day_minute(new_york(time)) * MINUTE // QUARTER
        habit.usual = usual(habit)
        habit.amount, habit.bars = 0.0, 0
    habit.amount += amount
    habit.bars += 1
    return amount / habit.usual if habit.usual > 0.0 else nan


@compiled
def keep(habit: State) -> None:
    """Remember a quarter-hour that is over: its mean, and that over the mean of the day before it."""
    average = habit.amount / habit.bars
    level = mean(habit.level) if full(habit.level) else 0.0
    if level > 0.0:
        habit.shares[habit.slot * DAYS + habit.visits[habit.slot] % DAYS] = average / level
        habit.visits[habit.slot] += 1
    push(habit.level, average)


@compiled
def usual(habit: State) -> float:
    """Return the amount a bar that is usual in the quarter-hour that begins; NaN before five days."""
    if habit.visits[habit.slot] < DAYS:
        return nan
    shares = 0.0
    for share in habit.shares[habit.slot * DAYS : (habit.slot + 1) * DAYS]:
        shares += share
    return mean(habit.level) * shares / DAYS
