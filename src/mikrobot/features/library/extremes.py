"""Distances to recent extremes: highs and lows of windows and trading days, and round numbers.

Distances from the close, in ATRs, on both sides. Does not predict breaks; the models do.
"""

from math import floor, log10, nan

from mikrobot.features.kernel.calendar import MINUTE, session_day
from mikrobot.features.kernel.feature import ATRS, Output, Quantity, Tail, feature
from mikrobot.features.kernel.parts import F8, I8, State, compiled, extreme, largest, record
from mikrobot.features.kernel.scale import NO_ATR, per_unit

DISTANCE = Quantity("ATR", low=0)

BLOCKS = 60
"""Number of blocks of minutes in a window, including the current block."""

FX_SHARE, OTHER_SHARE = 1e-3, 1e-2
"""Smallest round step as a share of the price's power of ten: 0.001 for 1.1 on FX, 100 for 60,000 elsewhere."""

DECADE_EDGE = 1e-12
"""Relative tolerance at which a float counts as having reached a power of ten."""

ON_GRID = 1e-9
"""Tolerance, as a share of a step, at which a float counts as a round price. One tick is at least 1e-7 of
a step, the rounding error of a float at most 1e-11."""

_JOINED_BLOCK = "the stream has seen too few complete blocks"
_JOINED_DAY = "the stream started in the middle of that day"

SIDE = record(now=F8, before=F8, blocks=extreme(BLOCKS - 1))
"""The largest value of the current block, and of the complete blocks before it."""


@feature(
    "extreme_{length}",
    {
        "above": Output(
            DISTANCE, "From the close up to the high of the last `length` minutes", f"{_JOINED_BLOCK}, or {NO_ATR}"
        ),
        "below": Output(
            DISTANCE, "From the close down to the low of the last `length` minutes", f"{_JOINED_BLOCK}, or {NO_ATR}"
        ),
    },
    state=lambda length: {"block": I8, "whole": I8, "high": SIDE, "low": SIDE},
    warmup=lambda length: BLOCKS - 1,
    tail=lambda length: Tail(length, "a window in clock time contains fewer bars if minutes are missing"),
    inputs={"atr": "atr_14"},
    optional=("atr",),
)
def extremes(
    state: State, time: int, high: float, low: float, close: float, atr: float, length: int
) -> tuple[float, float]:
    """Distances to the highest high and the lowest low of a window.

    The window consists of the last 60 blocks of ``length / 60`` minutes that contain a bar, including
    the current block. So it moves in steps of a block and skips closed hours.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    high, low, close : price
    atr : price difference
    length : int, minutes
        A multiple of 60.

    Returns
    -------
    above, below : ATR
        Known after 60 blocks, the first of them complete; NaN before, and where the ATR is zero.
    """
    seconds = length // BLOCKS * MINUTE
    block = time // seconds + 1
    if state.block == 0:
        state.whole = 1 if time % seconds == 0 else 0
        state.high.before = state.low.before = nan
        _begin(state, block, high, low)
    elif state.block != block:
        if state.whole == 1:
            state.high.before = largest(state.high.blocks, state.high.now)
            state.low.before = largest(state.low.blocks, state.low.now)
        state.whole = 1
        _begin(state, block, high, low)
    state.high.now = max(state.high.now, high)
    state.low.now = max(state.low.now, -low)
    if state.high.before != state.high.before:
        return nan, nan
    per = per_unit(atr, close)
    above = max(state.high.before, state.high.now) - close
    return above * per, (close + max(state.low.before, state.low.now)) * per


@compiled
def _begin(state: State, block: int, high: float, low: float) -> None:
    state.block = block
    state.high.now, state.low.now = high, -low


@feature(
    "day",
    {
        "above": Output(
            DISTANCE, "From the close up to the high of the trading day so far", f"{_JOINED_DAY}, or {NO_ATR}"
        ),
        "below": Output(
            DISTANCE, "From the close down to the low of the trading day so far", f"{_JOINED_DAY}, or {NO_ATR}"
        ),
        "previous_above": Output(
            ATRS,
            "From the close up to the high of the previous trading day; negative beyond it",
            f"{_JOINED_DAY}, or {NO_ATR}",
        ),
        "previous_below": Output(
            ATRS,
            "From the close down to the low of the previous trading day; negative beyond it",
            f"{_JOINED_DAY}, or {NO_ATR}",
        ),
    },
    state=lambda: {"day": I8, "joined": I8, "high": F8, "low": F8, "previous_high": F8, "previous_low": F8},
    warmup=lambda: 0,
    tail=lambda: Tail(2 * 1440, "a trading day in which the stream started is not used"),
    inputs={"atr": "atr_14"},
    optional=("atr",),
)
def day(
    state: State, time: int, high: float, low: float, close: float, atr: float, fx: int
) -> tuple[float, float, float, float]:
    """Distances to the extremes of the current and the previous trading day.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    high, low, close : price
    atr : price difference
    fx : int
        1 if the trading day begins at 17:00 New York, 0 if at 00:00 UTC.

    Returns
    -------
    above, below, previous_above, previous_below : ATR
        The first two are known from the first change of day, the others from the second.
    """
    today = session_day(time, fx)
    if state.joined == 0 or state.day != today:
        whole = state.joined >= 2
        state.previous_high, state.previous_low = (state.high, state.low) if whole else (nan, nan)
        state.joined += 1
        state.day, state.high, state.low = today, high, low
    state.high, state.low = max(state.high, high), min(state.low, low)
    if state.joined < 2:
        return nan, nan, nan, nan
    per = per_unit(atr, close)
    return (
        (state.high - close) * per,
        (close - state.low) * per,
        (state.previous_high - close) * per,
        (close - state.previous_low) * per,
    )


@feature(
    "round_{multiple}",
    {
        "above": Output(
            DISTANCE, "From the close up to the next round price; the step is `multiple` times the smallest", NO_ATR
        ),
        "below": Output(
            DISTANCE, "From the close down to the next round price; the step is `multiple` times the smallest", NO_ATR
        ),
    },
    state=lambda multiple: {"decade": F8},
    warmup=lambda multiple: 0,
    inputs={"atr": "atr_14"},
    optional=("atr",),
)
def round_number(state: State, close: float, atr: float, fx: int, multiple: int) -> tuple[float, float]:
    """Distances to the round prices on both sides.

    Parameters
    ----------
    close : price
    atr : price difference
    fx : int
        1 for FX, where the smallest step is a thousandth of the price's power of ten, else a hundredth.
    multiple : int
        Step, in smallest steps.

    Returns
    -------
    above, below : ATR
        Their sum is the step; ``below`` is 0 at a round price.
    """
    price = close * (1.0 + DECADE_EDGE)
    if not state.decade <= price < 10.0 * state.decade:
        state.decade = 10.0 ** float(floor(log10(price)))
    step = state.decade * (FX_SHARE if fx == 1 else OTHER_SHARE) * multiple
    steps = close / step
    share = max(steps - floor(steps + ON_GRID), 0.0)
    unit = step * per_unit(atr, close)
    return (1.0 - share) * unit, share * unit
