"""Price action at swing levels: retests, liquidity grabs, support and resistance.

Uses the swings and breaks of `structure`; finds no levels itself.
"""

from math import nan

import numpy as np

from mikrobot.features.kernel.feature import ATRS, FLAG, HELD, SIGN, Output, Quantity, feature
from mikrobot.features.kernel.parts import F8, I8, State, compiled, full, inlined, push, record, window
from mikrobot.features.kernel.scale import NO_ATR, per_unit, unit
from mikrobot.features.library.structure import NO_BREAK, REACH, SWING_INPUTS

NEAR_ATR = 0.2
"""Maximum distance of a retest from the broken level, in ATR of the breaking bar."""

PATIENCE = 20
"""Bars after a break within which a return to the level counts as a retest."""

NONE, WAITING, RETESTED, INVALID = range(4)
"""Stages of a retest."""

SWINGS = 32
"""Number of confirmed swings from which support and resistance are computed."""

TOUCHES = Quantity("swings", 0, SWINGS)

MERGED_ATR = 0.25
"""Maximum distance between swings of one level, in ATR."""

BOOK = record(swings=window(SWINGS), ordered=np.dtype((np.float64, (SWINGS,))), under=I8)
"""The last swings in order of time and of price, and how many of them are at or below the close."""


@feature(
    "grab_{side}",
    {
        "above": Output(FLAG, "Liquidity grab: a wick above the unbroken swing `side` high without a close beyond it"),
        "below": Output(FLAG, "Liquidity grab: a wick below the unbroken swing `side` low without a close beyond it"),
    },
    state=lambda side: {"above": F8, "below": F8},
    warmup=lambda side: 0,
    tail=lambda side: HELD,
    inputs={"above": "break_{side}_above", "below": "break_{side}_below"},
    optional=("above", "below"),
)
def grab(
    state: State, high: float, low: float, close: float, above: float, below: float, side: int
) -> tuple[float, float]:
    """Liquidity grab (sweep) of a level that was unbroken before this bar.

    The level remains, so it can be swept again.

    Parameters
    ----------
    high, low, close : price
    above, below : price
        Unbroken levels after this bar, which the next bar can sweep.
    side : int, bars

    Returns
    -------
    above, below : flag
    """
    over = high > state.above and close <= state.above
    under = low < state.below and close >= state.below
    state.above, state.below = above, below
    return 1.0 if over else 0.0, 1.0 if under else 0.0


@compiled
def come_back(state: State, high: float, low: float, close: float) -> None:
    """Update a pending retest by one bar."""
    state.age += 1
    extreme = low if state.direction == 1 else high
    if state.direction * (extreme - state.level) <= NEAR_ATR * state.unit:
        state.stage = RETESTED if state.direction * (close - state.level) > 0.0 else INVALID
    elif state.age == PATIENCE:
        state.stage = NONE


@feature(
    "retest_{side}",
    {
        "stage": Output(
            Quantity("code", NONE, INVALID),
            f"Retest of the last broken swing `side` level: {NONE} none in {PATIENCE} bars, {WAITING} pending, "
            f"{RETESTED} held, {INVALID} failed with a close back inside",
        ),
        "here": Output(
            SIGN, "Direction of the break if a retest of the broken swing `side` level held on this bar, else 0"
        ),
        "distance": Output(
            ATRS, "From the last broken swing `side` level to the close, positive beyond it", f"{NO_BREAK}, or {NO_ATR}"
        ),
    },
    state=lambda side: {"direction": I8, "level": F8, "unit": F8, "age": I8, "stage": I8},
    warmup=lambda side: 0,
    tail=lambda side: HELD,
    inputs={
        "bos": "break_{side}_bos",
        "choch": "break_{side}_choch",
        "broken": "break_{side}_broken",
        "atr": "atr_14",
    },
    optional=("broken", "atr"),
)
def retest(
    state: State,
    high: float,
    low: float,
    close: float,
    bos: float,
    choch: float,
    broken: float,
    atr: float,
    side: int,
) -> tuple[float, float, float]:
    """Retest of the last broken level.

    The retest is the first of the `PATIENCE` bars after the break b whose extreme comes within
    `NEAR_ATR` ATR[b] of the level. It is decided at the close of that bar: the level held, or the
    close is back inside. The next break starts a new retest. If the ATR is unknown at the break,
    there is no retest.

    Parameters
    ----------
    high, low, close : price
    bos, choch : sign
    broken : price
    atr : price difference
    side : int, bars

    Returns
    -------
    stage : code
    here : sign
    distance : ATR
        In the ATR of this bar.
    """
    waited = state.stage == WAITING
    direction = int(bos + choch)
    if direction != 0:
        state.direction, state.level, state.unit = direction, broken, unit(atr, close)
        state.age, state.stage, waited = 0, WAITING, False
    elif waited:
        come_back(state, high, low, close)
    return (
        float(state.stage),
        float(state.direction if waited and state.stage == RETESTED else 0),
        state.direction * (close - state.level) * per_unit(atr, close) if state.direction != 0 else nan,
    )


@compiled
def enter(book: State, swing: float) -> None:
    """Insert a swing in order of price; it replaces the oldest one if there are `SWINGS`."""
    at = last = book.swings.count
    replaces = full(book.swings)
    oldest = push(book.swings, swing)
    if replaces:
        at, last = find(book, oldest), SWINGS - 1
    while at > 0 and book.ordered[at - 1] > swing:
        book.ordered[at] = book.ordered[at - 1]
        at -= 1
    while at < last and book.ordered[at + 1] < swing:
        book.ordered[at] = book.ordered[at + 1]
        at += 1
    book.ordered[at] = swing


@compiled
def find(book: State, swing: float) -> int:
    """Return the index of a swing in the price order of a full book."""
    at, end = 0, SWINGS - 1
    while at < end:
        middle = (at + end) >> 1
        if book.ordered[middle] < swing:
            at = middle + 1
        else:
            end = middle
    return at


@inlined
def look_up(book: State, close: float) -> None:
    """Update the number of swings at or below the close, starting from the last one."""
    while book.under < min(book.swings.count, SWINGS) and book.ordered[book.under] <= close:
        book.under += 1
    while book.under > 0 and book.ordered[book.under - 1] > close:
        book.under -= 1


@inlined
def touches(book: State, first: int, step: int, width: float) -> int:
    """Count the swings within `width` of `first`, upwards or downwards, including it."""
    at = first
    while 0 <= at < min(book.swings.count, SWINGS) and abs(book.ordered[at] - book.ordered[first]) <= width:
        at += step
    return abs(at - first)


@feature(
    "levels_{side}",
    {
        "above_distance": Output(
            REACH,
            f"From the close up to the nearest of the last {SWINGS} swing `side` highs and lows, the resistance",
            f"no swing is above the close, or {NO_ATR}",
        ),
        "above_touches": Output(
            TOUCHES,
            f"Number of swing `side` levels up to {MERGED_ATR} ATR above the resistance, including it; 0 without one",
        ),
        "below_distance": Output(
            REACH,
            f"From the close down to the nearest of the last {SWINGS} swing `side` highs and lows, the support",
            f"no swing is at or below the close, or {NO_ATR}",
        ),
        "below_touches": Output(
            TOUCHES,
            f"Number of swing `side` levels up to {MERGED_ATR} ATR below the support, including it; 0 without one",
        ),
    },
    state=lambda side: {"book": BOOK},
    warmup=lambda side: 0,
    tail=lambda side: HELD,
    inputs=SWING_INPUTS,
    optional=tuple(SWING_INPUTS),
)
def levels(
    state: State,
    close: float,
    swing_high: float,
    high_age: float,
    swing_low: float,
    low_age: float,
    atr: float,
    side: int,
) -> tuple[float, float, float, float]:
    """Support and resistance: the nearest of the last swings, high or low, on each side of the close.

    Swings up to `MERGED_ATR` beyond the nearest one belong to the same level; if the ATR is unknown,
    only swings of equal price do. A swing exactly at the close is a support.

    Parameters
    ----------
    close : price
    swing_high, swing_low : price
        Most recent confirmed swings of the same `side`.
    high_age, low_age : bars
        Since their pivots.
    atr : price difference
    side : int, bars

    Returns
    -------
    above_distance : ATR
    above_touches : swings
    below_distance : ATR
    below_touches : swings
    """
    book = state.book
    if high_age == side:
        enter(book, swing_high)
    if low_age == side:
        enter(book, swing_low)
    look_up(book, close)
    under, measure = book.under, unit(atr, close)
    per = per_unit(atr, close)
    above, below = under < min(book.swings.count, SWINGS), under > 0
    width = MERGED_ATR * measure if measure == measure else 0.0
    return (
        (book.ordered[under] - close) * per if above else nan,
        float(touches(book, under, 1, width) if above else 0),
        (close - book.ordered[under - 1]) * per if below else nan,
        float(touches(book, under - 1, -1, width) if below else 0),
    )
