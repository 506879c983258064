"""Market structure: confirmed swings, their sequence, and their breaks.

A swing is known `side` bars after its pivot, never before. Levels are the most recent confirmed
swings; a close (or a wick) beyond a level breaks and removes it. Price action at levels is in
`levels`, zones are in `zones`.
"""

from dataclasses import replace
from math import nan

from mikrobot.features.kernel.feature import BARS, HELD, PRICE, SIGN, Output, Quantity, feature
from mikrobot.features.kernel.parts import F8, I8, State, compiled, full, held, inlined, push, record, window
from mikrobot.features.kernel.scale import NO_ATR, per_unit

LEVEL = record(price=F8, stands=I8)
"""The price of a swing, and 1 while it is unbroken."""

POOL = 8
"""Number of earlier swings that a new one is compared with."""

SEQUENCE = record(earlier=window(POOL), newest=F8, order=F8, equals=F8)
"""The swings of one side: the earlier ones, the newest, and its comparison with them."""

EQUAL_ATR = 0.1
"""Maximum distance of equal swings, in ATR."""

STRUCTURE_SWINGS = 3
"""Swing highs, and as many lows, from which on they make a structure."""

REACH = Quantity("ATR", low=0)

SWING_INPUTS = {
    "swing_high": "swing_{side}_high",
    "high_age": "swing_{side}_high_age",
    "swing_low": "swing_{side}_low",
    "low_age": "swing_{side}_low_age",
    "atr": "atr_14",
}
"""The inputs of a step that keeps levels at swings; each may be NaN."""

_NO_SWING = "no swing of this kind has been confirmed yet"
_NO_PAIR = "fewer than two swings of this kind have been confirmed"
_NO_LEVEL = "there is no unbroken level on this side"
NO_BREAK = "none of these levels has been broken yet"


@compiled
def is_peak(window: State, side: int) -> bool:
    """Return True if the middle of a full window is a peak.

    It must be ``>=`` the values on the left and ``>`` those on the right, so the last bar of a plateau is the peak.
    """
    values = held(window)
    middle = values[side]
    step = 1
    while step <= side and values[side - step] <= middle and values[side + step] < middle:
        step += 1  # from the middle outwards, because most bars fail at a neighbour
    return step > side


@inlined
def renew(level: State, swing: float, age: float, side: int) -> None:
    """Replace the level by a swing confirmed on this bar."""
    if age == side:
        level.price = swing
        level.stands = 1


@feature(
    "swing_{side}",
    {
        "high": Output(PRICE, "Most recent swing high, above `side` bars on each side", _NO_SWING),
        "high_age": Output(BARS, "Bars since the pivot of the swing high; `side` when it is confirmed", _NO_SWING),
        "low": Output(PRICE, "Most recent swing low, below `side` bars on each side", _NO_SWING),
        "low_age": Output(BARS, "Bars since the pivot of the swing low; `side` when it is confirmed", _NO_SWING),
    },
    state=lambda side: {
        "highs": window(2 * side + 1),
        "lows": window(2 * side + 1),
        "high": F8,
        "low": F8,
        "high_bar": I8,
        "low_bar": I8,
    },
    warmup=lambda side: 2 * side,
    tail=lambda side: HELD,
    lag=lambda side: side,
)
def swing(state: State, high: float, low: float, side: int) -> tuple[float, float, float, float]:
    """Most recent confirmed swing high and swing low.

    Parameters
    ----------
    high, low : price
    side : int, bars
        The pivot is at least as extreme as the `side` bars to its left and more extreme than the
        `side` bars to its right.

    Returns
    -------
    high, high_age, low, low_age : price and bars since the pivot
        NaN until the first swing of its kind, at bar ``2 * side`` at the earliest.
    """
    push(state.highs, high)
    push(state.lows, -low)
    bar = state.highs.count
    if full(state.highs):
        if is_peak(state.highs, side):
            state.high, state.high_bar = held(state.highs)[side], bar - side
        if is_peak(state.lows, side):
            state.low, state.low_bar = -held(state.lows)[side], bar - side
    return (
        state.high if state.high_bar else nan,
        float(bar - state.high_bar) if state.high_bar else nan,
        state.low if state.low_bar else nan,
        float(bar - state.low_bar) if state.low_bar else nan,
    )


@compiled
def follow(sequence: State, swing: float, atr: float) -> None:
    """Compare a swing confirmed on this bar with the earlier ones, and store it."""
    equals = 0
    for i in range(min(sequence.earlier.count, POOL)):
        equals += abs(swing - sequence.earlier.values[i]) <= EQUAL_ATR * atr
    sequence.equals = float(equals) if atr == atr else nan
    sequence.order = 1.0 if swing > sequence.newest else -1.0 if swing < sequence.newest else 0.0
    sequence.newest = swing
    push(sequence.earlier, swing)


@feature(
    "sequence_{side}",
    {
        "highs": Output(
            SIGN, "Last swing `side` high compared with the one before: 1 higher (HH), -1 lower (LH)", _NO_PAIR
        ),
        "lows": Output(
            SIGN, "Last swing `side` low compared with the one before: 1 higher (HL), -1 lower (LL)", _NO_PAIR
        ),
        "equal_highs": Output(
            Quantity("swings", 0, POOL),
            f"Number of the {POOL} swing `side` highs before the last that are within {EQUAL_ATR} ATR of it",
            f"{_NO_PAIR}, or the ATR was unknown",
        ),
        "equal_lows": Output(
            Quantity("swings", 0, POOL),
            f"Number of the {POOL} swing `side` lows before the last that are within {EQUAL_ATR} ATR of it",
            f"{_NO_PAIR}, or the ATR was unknown",
        ),
        "structure": Output(
            SIGN,
            f"1 if the last swing `side` high and low are both higher than those before, -1 if both are lower, else 0; "
            f"0 before {STRUCTURE_SWINGS} of each",
        ),
    },
    state=lambda side: {"highs": SEQUENCE, "lows": SEQUENCE},
    warmup=lambda side: 0,
    tail=lambda side: HELD,
    inputs=SWING_INPUTS,
    optional=tuple(SWING_INPUTS),
)
def sequence(
    state: State, swing_high: float, high_age: float, swing_low: float, low_age: float, atr: float, side: int
) -> tuple[float, float, float, float, float]:
    """Higher and lower highs and lows, equal ones, and the structure that both make.

    The values are computed on the bar that confirms the later swing, in the ATR of that bar. They
    stay unchanged until the next swing of its kind.

    Parameters
    ----------
    swing_high, swing_low : price
        Most recent confirmed swings of the same `side`.
    high_age, low_age : bars
        Since their pivots.
    atr : price difference
    side : int, bars

    Returns
    -------
    highs, lows : sign
        0 for exactly equal prices.
    equal_highs, equal_lows : swings
    structure : sign
        Of at least `STRUCTURE_SWINGS` highs and as many lows.
    """
    if high_age == side:
        follow(state.highs, swing_high, atr)
    if low_age == side:
        follow(state.lows, swing_low, atr)
    enough = min(state.highs.earlier.count, state.lows.earlier.count) >= STRUCTURE_SWINGS
    two_highs, two_lows = state.highs.earlier.count >= 2, state.lows.earlier.count >= 2
    return (
        state.highs.order if two_highs else nan,
        state.lows.order if two_lows else nan,
        state.highs.equals if two_highs else nan,
        state.lows.equals if two_lows else nan,
        state.highs.order if enough and state.highs.order == state.lows.order else 0.0,
    )


def _break_outputs(what: str, reached: str) -> dict[str, Output]:
    """Return the outputs of a break by `what` (the close, a wick) that extends to `reached`."""
    return {
        "bos": Output(SIGN, f"Break of structure on this bar: {what} beyond a swing `side` level with the trend"),
        "choch": Output(SIGN, f"Change of character on this bar: {what} beyond a swing `side` level against the trend"),
        "trend": Output(SIGN, f"Direction of the last break by {what} of a swing `side` level; 0 before the first"),
        "penetration": Output(
            REACH, f"From the swing `side` level broken on this bar to the {reached}; 0 without a break", NO_ATR
        ),
        "above": Output(PRICE, f"Swing `side` high still unbroken by {what} after this bar", _NO_LEVEL),
        "below": Output(PRICE, f"Swing `side` low still unbroken by {what} after this bar", _NO_LEVEL),
        "above_distance": Output(
            REACH, f"From the close up to the swing `side` high unbroken by {what}", f"{_NO_LEVEL}, or {NO_ATR}"
        ),
        "below_distance": Output(
            REACH, f"From the close down to the swing `side` low unbroken by {what}", f"{_NO_LEVEL}, or {NO_ATR}"
        ),
        "age": Output(BARS, f"Bars since the last break by {what} of a swing `side` level", NO_BREAK),
        "broken": Output(PRICE, f"Swing `side` level last broken by {what}", NO_BREAK),
    }


@feature(
    "break_{side}",
    _break_outputs("the close", "close"),
    state=lambda side: {"above": LEVEL, "below": LEVEL, "trend": I8, "age": I8, "broken": F8},
    warmup=lambda side: 0,
    tail=lambda side: HELD,
    inputs={"top": "close", "bottom": "close", **SWING_INPUTS},
    optional=tuple(SWING_INPUTS),
)
def breaks(
    state: State,
    top: float,
    bottom: float,
    close: float,
    swing_high: float,
    high_age: float,
    swing_low: float,
    low_age: float,
    atr: float,
    side: int,
) -> tuple[float, float, float, float, float, float, float, float, float, float]:
    """Break of structure (with the trend) and change of character (against it).

    Breaks are tested before swings confirmed on the same bar become levels. After a break there is no
    level until the next swing. A bar whose wicks go beyond both levels breaks both; it counts for the
    side with the larger excess, upwards if equal.

    Parameters
    ----------
    top, bottom : price
        Price compared with a swing high and with a swing low: the close, or the bar's high and low.
    close : price
    swing_high, swing_low : price
        Most recent confirmed swings of the same `side`.
    high_age, low_age : bars
        Since their pivots.
    atr : price difference
    side : int, bars

    Returns
    -------
    bos, choch, trend : sign
    penetration : ATR
    above, below : price
    above_distance, below_distance : ATR
    age : bars
        0 on the breaking bar.
    broken : price
    """
    over = top - state.above.price if state.above.stands == 1 else 0.0
    under = state.below.price - bottom if state.below.stands == 1 else 0.0
    direction = 0 if over <= 0.0 and under <= 0.0 else 1 if over >= under else -1
    turned = direction * state.trend < 0
    state.age += 1
    if direction != 0:
        state.trend, state.age = direction, 0
        state.broken = state.above.price if direction == 1 else state.below.price
    if over > 0.0:
        state.above.stands = 0
    if under > 0.0:
        state.below.stands = 0
    renew(state.above, swing_high, high_age, side)
    renew(state.below, swing_low, low_age, side)
    measure = per_unit(atr, close)
    above = state.above.price if state.above.stands == 1 else nan
    below = state.below.price if state.below.stands == 1 else nan
    return (
        float(0 if turned else direction),
        float(direction if turned else 0),
        float(state.trend),
        max(over, under) * measure if direction != 0 else 0.0,
        above,
        below,
        (above - close) * measure,
        (close - below) * measure,
        float(state.age) if state.trend != 0 else nan,
        state.broken if state.trend != 0 else nan,
    )


wick_breaks = replace(
    breaks,
    template="wick_{side}",
    outputs=_break_outputs("a wick", "end of the wick"),
    inputs={**breaks.inputs, "top": "high", "bottom": "low"},
)
"""The same breaks, but by the bar's high and low."""
