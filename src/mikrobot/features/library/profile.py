"""Volume profile: the volume of the last bars by price.

Prices are grouped in rows of equal width. Volume is stored as an integer number of small units, so
that removing a bar exactly reverses adding it. Covers no other windows than the last bars.
"""

from math import frexp, ldexp, nan

import numpy as np

from mikrobot.features.kernel.calendar import MINUTES_A_DAY
from mikrobot.features.kernel.feature import ATRS, RATIO, Output, Tail, feature
from mikrobot.features.kernel.parts import F8, I8, State, compiled, full, highest, lowest, push, window
from mikrobot.features.kernel.scale import NO_ATR, per_unit
from mikrobot.features.library.volume import TRADING_DAY, UNKNOWN, enter

ROWS = 24
"""Number of rows of the window's range when a trading day opens (TradingView's default)."""

ROOM = 128
"""Number of stored rows; the row width doubles if a window spans more."""

FINEST = 1e-6
"""Minimum row width as a share of the price, for a market that has not moved."""

VALUE_PERCENT = 70
"""Share of the volume in the value area."""

SHARP, COARSE = 36, 20
"""Bits of the largest volume when the unit is set, and of the window's total below which the unit is too large."""

LARGEST = 1 << 48
"""Maximum units in a bar, so that a hundred times the sum of a window fits in int64."""

_NOTHING = "nothing was traded in these bars"


@feature(
    "profile_{length}",
    {
        "poc_distance": Output(
            ATRS,
            "From the price with the most volume of `length` bars (point of control) to the close, positive above",
            f"{UNKNOWN}, {_NOTHING}, or {NO_ATR}",
        ),
        "high_distance": Output(
            ATRS,
            "From the close up to the top of the value area of `length` bars, negative above it",
            f"{UNKNOWN}, {_NOTHING}, or {NO_ATR}",
        ),
        "low_distance": Output(
            ATRS,
            "From the bottom of the value area of `length` bars up to the close, negative below it",
            f"{UNKNOWN}, {_NOTHING}, or {NO_ATR}",
        ),
        "place": Output(
            RATIO,
            "Position of the close from the bottom (0) to the top (1) of the value area of `length` bars",
            f"{UNKNOWN}, or {_NOTHING}",
        ),
    },
    state=lambda length: {
        "trading": TRADING_DAY,
        "lows": window(length),
        "highs": window(length),
        "volumes": window(length),
        "rows": np.dtype((np.int64, (ROOM,))),
        "width": F8,
        "per_price": F8,
        "per_volume": F8,
        "origin": I8,
        "bottom": I8,
        "top": I8,
        "peak": I8,
        "total": I8,
    },
    warmup=lambda length: length - 1,
    tail=lambda length: Tail(MINUTES_A_DAY, "the rows of the volume profile are set when a trading day opens"),
    inputs={"atr": "atr_14"},
    optional=("atr",),
)
def profile(
    state: State, time: int, fx: int, high: float, low: float, close: float, volume: float, atr: float, length: int
) -> tuple[float, float, float, float]:
    """Volume profile of the last `length` bars: point of control and value area.

    The volume of a bar is spread evenly over its range. The row width is set on the first bar of a
    trading day, to 1/24 of the range of the window, and doubles if the window exceeds 128 rows. The
    point of control is the middle of the row with the most volume, the lowest of equal rows. The
    value area grows from it one row at a time, the larger neighbour first, the lower of equal
    neighbours, until it contains 70 % of the volume.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    fx : int
        1 for the FX trading day, 0 for the UTC day.
    high, low, close : price
    volume : base units or ticks
    atr : price difference
    length : int, bars

    Returns
    -------
    poc_distance, high_distance, low_distance : ATR
    place : ratio
        Known from bar ``length - 1``.

    References
    ----------
    J. P. Steidlmayer, K. Koy, Markets and Market Logic (1986).
    """
    opens, filled = enter(state.trading, time, fx), full(state.volumes)
    gone_low, gone_high, gone = push(state.lows, low), push(state.highs, high), push(state.volumes, volume)
    if not full(state.volumes):
        return nan, nan, nan, nan
    if filled and not opens and fits(state, low, high, volume):
        take_away(state, gone_low, gone_high, gone)
        put_in(state, low, high, volume)
    else:
        build(state, opens or not filled)
    if state.total >> COARSE == 0 and highest(state.volumes) > 0.0:
        build(state, False)
    if state.total == 0:
        return nan, nan, nan, nan
    bottom, top = value_area(state)
    value_low, value_high = bottom * state.width, (top + 1) * state.width
    poc = (state.origin + state.peak + 0.5) * state.width
    place = (close - value_low) / (value_high - value_low)
    per = per_unit(atr, close)
    return (close - poc) * per, (value_high - close) * per, (close - value_low) * per, place


@compiled
def fits(state: State, low: float, high: float, volume: float) -> bool:
    """Return True if a bar fits in the stored rows and its volume in their units."""
    below, above = int(low * state.per_price) - state.origin, int(high * state.per_price) - state.origin
    return bool(below >= 0 and above < ROOM and volume * state.per_volume < LARGEST)


@compiled
def build(state: State, anew: bool) -> None:
    """Rebuild the profile of the whole window, with its rows in the middle of the array.

    The second argument requests a new row width. The unit also changes if the volumes of the window
    are too large or too small for it.
    """
    low, high, most = lowest(state.lows), highest(state.highs), highest(state.volumes)
    if anew:
        state.width = max((high - low) / ROWS, FINEST * low)
        state.per_price = 1.0 / state.width
    while int(high * state.per_price) - int(low * state.per_price) >= ROOM:
        state.width, state.per_price = 2.0 * state.width, 0.5 * state.per_price
    if anew or most * state.per_volume >= LARGEST or state.total >> COARSE == 0:
        state.per_volume = ldexp(1.0, SHARP - frexp(most)[1])
    bottom, top = int(low * state.per_price), int(high * state.per_price)
    state.origin = bottom - (ROOM - 1 - (top - bottom)) // 2
    state.bottom, state.top, state.peak, state.total = (
        bottom - state.origin,
        top - state.origin,
        bottom - state.origin,
        0,
    )
    state.rows[:] = 0
    for i in range(len(state.volumes.values) // 2):
        put_in(state, state.lows.values[i], state.highs.values[i], state.volumes.values[i])


@compiled
def put_in(state: State, low: float, high: float, volume: float) -> None:
    """Add a bar, and move the peak if one of its rows has more volume, or equal volume at a lower price."""
    first, last = spread(state, low, high, volume, 1)
    state.bottom, state.top = min(state.bottom, first), max(state.top, last)
    for row in range(first, last + 1):
        lead = state.rows[row] - state.rows[state.peak]
        if lead > 0 or (lead == 0 and row < state.peak):
            state.peak = row


@compiled
def take_away(state: State, low: float, high: float, volume: float) -> None:
    """Remove a bar that has left the window, and find the peak again if the bar covered it."""
    first, last = spread(state, low, high, volume, -1)
    if first <= state.peak <= last:
        state.peak = state.bottom
        for row in range(state.bottom + 1, state.top + 1):
            if state.rows[row] > state.rows[state.peak]:
                state.peak = row


@compiled
def spread(state: State, low: float, high: float, volume: float, sign: int) -> tuple[int, int]:
    """Add or remove the units of a bar, evenly over its range; return its first and last row.

    All rows between the first and the last get the same number of units.
    """
    units = int(volume * state.per_volume)
    first, last = int(low * state.per_price), int(high * state.per_price)
    left, rows, origin = units, state.rows, state.origin
    if last > first:
        density = units / (high - low)
        lowest_row = min(max(int(((first + 1) * state.width - low) * density), 0), units)
        left -= lowest_row
        rows[first - origin] += sign * lowest_row
        between = last - first - 1
        if between > 0:
            each = min(int(state.width * density), left // between)
            left -= each * between
            for row in range(first + 1 - origin, last - origin):
                rows[row] += sign * each
    rows[last - origin] += sign * left
    state.total += sign * units
    return first - origin, last - origin


@compiled
def value_area(state: State) -> tuple[int, int]:
    """Return the lowest and highest row of the value area, counted from a price of zero.

    Requires some volume. The area is limited to the rows from the lowest to the highest with volume.
    """
    rows = state.rows
    while rows[state.bottom] == 0:  # rows without volume after a bar was removed
        state.bottom += 1
    while rows[state.top] == 0:
        state.top -= 1
    bottom, top = state.peak, state.peak
    inside, enough = rows[state.peak] * 100, state.total * VALUE_PERCENT
    while inside < enough:
        below = rows[bottom - 1] if bottom > state.bottom else -1
        above = rows[top + 1] if top < state.top else -1
        down = int(below >= above)
        bottom -= down
        top += 1 - down
        inside += 100 * max(below, above)
    return state.origin + bottom, state.origin + top
