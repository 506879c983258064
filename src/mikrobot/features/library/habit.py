"""Amounts against what is usual at their time of day.

What is habitual is learnt by quarter-hours of New York's wall clock. Whose amount it is, of volume
or of trades, is the business of who asks.
"""

from math import nan

import numpy as np

from mikrobot.features.kernel.calendar import MINUTE, MINUTES_A_DAY, day_minute, new_york
from mikrobot.features.kernel.feature import Output, Quantity, Tail, feature
from mikrobot.features.kernel.parts import F8, I8, State, compiled, full, mean, push, record, window
from mikrobot.features.library.volume import UNKNOWN

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
