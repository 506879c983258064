"""Market structure: confirmed swings, and the breaks of them.

A swing is known `side` bars after its pivot, never before. Levels are the most recent
confirmed swings; a close beyond one breaks and consumes it. Zones are not in here.
"""

from math import nan

from mikrobot.features.feature import BARS, HELD, PRICE, SIGN, Output, Quantity, feature
from mikrobot.features.parts import F8, I8, State, compiled, full, held, push, record, window

LEVEL = record(price=F8, stands=I8)
"""A swing that may be broken, and whether it still stands."""

_NO_SWING = "no swing of this kind has been confirmed yet"
_NO_LEVEL = "no unbroken level stands on this side"
_NO_ATR = "the ATR is unknown or zero"
_REACH = Quantity("ATR", low=0)


@compiled
def is_peak(window: State, side: int) -> bool:
    """Tell whether the middle of a full window tops the left side and exceeds the right.

    ``>=`` to the left and ``>`` to the right: of a plateau the last bar wins.
    """
    values = held(window)
    middle = values[side]
    step = 1
    while step <= side and values[side - step] <= middle and values[side + step] < middle:
        step += 1  # from the middle outwards: most bars fail at a neighbour
    return step > side


@compiled
def renew(level: State, swing: float, age: float, side: int) -> None:
    """Take a swing confirmed on this bar as the level that stands."""
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
)
def swing(state: State, high: float, low: float, side: int) -> tuple[float, float, float, float]:
    """Most recent confirmed swing high and swing low.

    Parameters
    ----------
    high, low : price
    side : int, bars
        The pivot reaches at least as far as the `side` bars to its left and further than the
        `side` to its right.

    Returns
    -------
    high, high_age, low, low_age : price and bars since the pivot
        NaN until the first swing of its kind, at the earliest bar ``2 * side``.
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


@feature(
    "break_{side}",
    {
        "bos": Output(SIGN, "Break of structure on this bar: the close beyond a swing `side` level with the trend"),
        "choch": Output(
            SIGN, "Change of character on this bar: the close beyond a swing `side` level against the trend"
        ),
        "trend": Output(SIGN, "Direction of the last break of a swing `side` level; 0 before the first"),
        "penetration": Output(
            _REACH, "From the swing `side` level broken on this bar to the close; 0 without", _NO_ATR
        ),
        "above": Output(PRICE, "Swing `side` high that stands unbroken after this bar", _NO_LEVEL),
        "below": Output(PRICE, "Swing `side` low that stands unbroken after this bar", _NO_LEVEL),
        "above_distance": Output(
            _REACH, "From the close up to the swing `side` high that stands", f"{_NO_LEVEL}, or {_NO_ATR}"
        ),
        "below_distance": Output(
            _REACH, "From the close down to the swing `side` low that stands", f"{_NO_LEVEL}, or {_NO_ATR}"
        ),
    },
    state=lambda side: {"above": LEVEL, "below": LEVEL, "trend": I8},
    warmup=lambda side: 0,
    tail=lambda side: HELD,
    inputs={
        "swing_high": "swing_{side}_high",
        "high_age": "swing_{side}_high_age",
        "swing_low": "swing_{side}_low",
        "low_age": "swing_{side}_low_age",
        "atr": "atr_14",
    },
    optional=("swing_high", "high_age", "swing_low", "low_age", "atr"),
)
def breaks(
    state: State,
    close: float,
    swing_high: float,
    high_age: float,
    swing_low: float,
    low_age: float,
    atr: float,
    side: int,
) -> tuple[float, float, float, float, float, float, float, float]:
    """Break of structure (with the trend) and change of character (against it), by the close.

    The break test runs before the swings confirmed on the same bar become levels. A level
    that broke is gone until the next swing.

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
    bos, choch, trend : sign
    penetration : ATR
    above, below : price
    above_distance, below_distance : ATR
    """
    direction, level = 0, nan
    if state.above.stands == 1 and close > state.above.price:
        direction, level, state.above.stands = 1, state.above.price, 0
    elif state.below.stands == 1 and close < state.below.price:
        direction, level, state.below.stands = -1, state.below.price, 0
    turned = direction * state.trend < 0
    if direction != 0:
        state.trend = direction
    renew(state.above, swing_high, high_age, side)
    renew(state.below, swing_low, low_age, side)
    unit = atr if atr > 0.0 else nan
    above = state.above.price if state.above.stands == 1 else nan
    below = state.below.price if state.below.stands == 1 else nan
    return (
        float(0 if turned else direction),
        float(direction if turned else 0),
        float(state.trend),
        abs(close - level) / unit if direction != 0 else 0.0,
        above,
        below,
        (above - close) / unit,
        (close - below) / unit,
    )
