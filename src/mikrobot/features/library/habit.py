"""Amounts relative to their usual value at the time of day.

The usual value is learnt per quarter-hour of New York's wall clock. The amount is the caller's: a
volume or a number of trades.
"""

from math import nan

import numpy as np

from mikrobot.features.kernel.calendar import MINUTE, MINUTES_A_DAY, day_minute, new_york
from mikrobot.features.kernel.feature import Output, Quantity, Tail, feature
from mikrobot.features.kernel.parts import F8, I8, State, compiled, full, mean, push, record, window
from mikrobot.features.library.volume import UNKNOWN

QUARTER = 15 * 60
"""Seconds in a quarter-hour, the resolution of the time of day."""

QUARTERS = 96
"""Quarter-hours in a day."""

DAYS = 5
"""Trading days from which the usual value of a time of day is computed: a week of FX."""

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
"""The current quarter-hour, the means of the last 96, and the relative amounts of each on its last days."""

HABITUAL = Tail(8 * MINUTES_A_DAY, "the usual value of a time of day comes from its last five days")


@feature(
    "relative_volume",
    {
        "": Output(
            Quantity("ratio", low=0),
            "Volume relative to the usual volume at this time of day (New York), scaled to the last day",
            f"{UNKNOWN}, there are fewer than five earlier days with this time of day, or nothing was traded then",
        )
    },
    state=lambda: {"habit": HABIT},
    warmup=lambda: QUARTERS * (DAYS + 1),
    tail=lambda: HABITUAL,
)
def relative_volume(state: State, time: int, volume: float) -> float:
    """Volume relative to the usual volume at this time of day, scaled to the last day.

    The usual volume is the mean of the last 96 quarter-hours times the mean relative volume of this
    quarter-hour on its last five days. Both exclude the current quarter-hour. If the volume of a
    market falls to a fifth from one day to the next, the value returns to 1 a day later.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    volume : base units or ticks

    Returns
    -------
    ratio, from 0
        Of the volume per bar; known after six complete days of quarter-hours with a bar.
    """
    return relative(state.habit, time, volume)


@compiled
def relative(habit: State, time: int, amount: float) -> float:
    """Add an amount to its quarter-hour and return it relative to the usual amount, NaN while unknown."""
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
    """Store a finished quarter-hour: its mean, and the mean relative to the day before it."""
    average = habit.amount / habit.bars
    level = mean(habit.level) if full(habit.level) else 0.0
    if level > 0.0:
        habit.shares[habit.slot * DAYS + habit.visits[habit.slot] % DAYS] = average / level
        habit.visits[habit.slot] += 1
    push(habit.level, average)


@compiled
def usual(habit: State) -> float:
    """Return the usual amount per bar of the quarter-hour that begins; NaN before five days."""
    if habit.visits[habit.slot] < DAYS:
        return nan
    shares = 0.0
    for share in habit.shares[habit.slot * DAYS : (habit.slot + 1) * DAYS]:
        shares += share
    return mean(habit.level) * shares / DAYS
