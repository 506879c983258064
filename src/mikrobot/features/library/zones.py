"""Price zones: fair value gaps, order blocks, and the displacement that creates them.

An up zone is below the price, which may return to it. A down zone is stored as an up zone with
negated prices. Levels are in `structure` and `levels`.
"""

from math import inf, nan

import numpy as np

from mikrobot.features.kernel.feature import ATRS, FLAG, HELD, SIGN, Output, Quantity, feature
from mikrobot.features.kernel.parts import F8, I8, State, compiled, inlined, record
from mikrobot.features.kernel.scale import NO_ATR, per_unit, unit
from mikrobot.features.library.structure import REACH

DISPLACED_ATR, DISPLACED_SHARE = 1.5, 0.6
"""Minimum body of a displacement, in ATR of the previous bar and as a share of its own range."""

GAP_ATR = 0.1
"""Minimum size of a gap, in ATR."""

KEPT = 16
"""Number of zones stored on each side, the newest ones."""

ZONES = record(
    tops=np.dtype((np.float64, (KEPT,))),
    bottoms=np.dtype((np.float64, (KEPT,))),
    touched=np.dtype((np.int64, (KEPT,))),
    numbers=np.dtype((np.int64, (KEPT,))),
    made=I8,
    open=I8,
    top=F8,
    top_touched=I8,
    untouched_top=F8,
    bottom=F8,
)
"""The open zones of one side, oldest first, the number of zones ever made, and the prices at which a bar
changes a zone: the highest top (and 1 if it is touched), the highest untouched top, and the highest bottom."""

CANDLE = record(bottom=F8, top=F8, bar=I8)
"""The range of a bar and the number of the bar."""

COUNT = Quantity("zones", 0, KEPT)


@compiled
def keep(zones: State, at: int, zone: int) -> None:
    """Move an open zone to the index `at`, and update the highest prices with it."""
    top, bottom, touched = zones.tops[zone], zones.bottoms[zone], zones.touched[zone]
    zones.tops[at], zones.bottoms[at], zones.touched[at] = top, bottom, touched
    zones.numbers[at] = zones.numbers[zone]
    if at == 0:
        zones.top, zones.untouched_top, zones.bottom = -inf, -inf, -inf
    if top >= zones.top:
        zones.top, zones.top_touched = top, touched
    if touched == 0:
        zones.untouched_top = max(zones.untouched_top, top)
    zones.bottom = max(zones.bottom, bottom)


@compiled
def leave(zones: State, bottom: float, top: float) -> None:
    """Add a zone; remove the oldest one if it is not among the last `KEPT`."""
    zones.made += 1
    if zones.open > 0 and zones.numbers[0] <= zones.made - KEPT:
        for zone in range(1, zones.open):
            keep(zones, zone - 1, zone)
        zones.open -= 1
    last = zones.open
    zones.tops[last], zones.bottoms[last], zones.touched[last] = top, bottom, 0
    zones.numbers[last] = zones.made
    keep(zones, last, last)
    zones.open += 1


@inlined
def visit(zones: State, low: float, end: float, passes: bool) -> tuple[int, int]:
    """Update the zones with a bar that falls to `low`: touch zones it reaches, close zones with a bottom >= `end`.

    If `passes` is true, the price must pass the bottom, so a zone with its bottom at `end` remains open.

    Returns
    -------
    touched, closed : int
        Number of zones first touched by this bar, and number of zones it closes.
    """
    if zones.open == 0 or (low > zones.untouched_top and (end > zones.bottom or (passes and end == zones.bottom))):
        return 0, 0
    return change(zones, low, end, passes)


@compiled
def change(zones: State, low: float, end: float, passes: bool) -> tuple[int, int]:
    """Touch and close zones; called by `visit` only if some change."""
    touched = closed = kept = 0
    for zone in range(zones.open):
        if zones.touched[zone] == 0 and low <= zones.tops[zone]:
            zones.touched[zone] = 1
            touched += 1
        if end < zones.bottoms[zone] or (end == zones.bottoms[zone] and not passes):
            closed += 1
        else:
            keep(zones, kept, zone)
            kept += 1
    zones.open = kept
    return touched, closed


@inlined
def distance(zones: State, close: float) -> float:
    """Return the distance down to the nearest open zone; 0 inside one, NaN without one."""
    return max(close - zones.top, 0.0) if zones.open > 0 else nan


@inlined
def mitigated(zones: State) -> float:
    """Return 1 if the nearest open zone has been touched, else 0; NaN without one."""
    return float(zones.top_touched) if zones.open > 0 else nan


@feature(
    "displacement",
    {
        "": Output(
            SIGN, f"Direction of a bar whose body is longer than {DISPLACED_ATR} ATR of the bar before it; else 0"
        )
    },
    state=lambda: {"atr": F8, "known": I8},
    warmup=lambda: 1,
    inputs={"atr": "atr_14"},
)
def displacement(state: State, open: float, high: float, low: float, close: float, atr: float) -> float:
    """Displacement: a long body that fills most of its bar.

    Parameters
    ----------
    open, high, low, close : price
    atr : price difference
        Of this bar. It is used for the next bar, so that no bar affects its own threshold.

    Returns
    -------
    sign
    """
    body = abs(close - open)
    known, long = state.known == 1, body > DISPLACED_ATR * state.atr and body > DISPLACED_SHARE * (high - low)
    state.atr, state.known = atr, 1
    if not known:
        return nan
    return 0.0 if not long else 1.0 if close > open else -1.0


@feature(
    "gap",
    {
        "size": Output(
            ATRS, f"Size of a fair value gap completed by this bar, at least {GAP_ATR} ATR: up > 0, down < 0, none 0"
        ),
        "up_open": Output(COUNT, f"Number of unfilled up gaps among the last {KEPT}"),
        "down_open": Output(COUNT, f"Number of unfilled down gaps among the last {KEPT}"),
        "up_distance": Output(
            REACH, "From the close down to the nearest open up gap; 0 inside one", f"no up gap is open, or {NO_ATR}"
        ),
        "down_distance": Output(
            REACH, "From the close up to the nearest open down gap; 0 inside one", f"no down gap is open, or {NO_ATR}"
        ),
        "up_touched": Output(COUNT, "Number of up gaps first touched by this bar"),
        "down_touched": Output(COUNT, "Number of down gaps first touched by this bar"),
        "up_filled": Output(COUNT, "Number of up gaps filled by this bar"),
        "down_filled": Output(COUNT, "Number of down gaps filled by this bar"),
    },
    state=lambda: {
        "up": ZONES,
        "down": ZONES,
        "bars": I8,
        "high": F8,
        "low": F8,
        "body": F8,
        "high_before": F8,
        "low_before": F8,
    },
    warmup=lambda: 0,
    tail=lambda: HELD,
    inputs={"atr": "atr_14"},
    optional=("atr",),
)
def gap(
    state: State, open: float, high: float, low: float, close: float, atr: float
) -> tuple[float, float, float, float, float, float, float, float, float]:
    """Fair value gap: the price gap between the first and the third of three bars.

    Up gap: the low is above the high of two bars before, with a rising bar between. It is touched
    when a later low reaches its top, and filled when a later low reaches its bottom. Minutes without
    a bar are skipped. There is no gap while the ATR is unknown.

    Parameters
    ----------
    open, high, low, close : price
    atr : price difference

    Returns
    -------
    size : ATR
    up_open, down_open : zones
    up_distance, down_distance : ATR
    up_touched, down_touched, up_filled, down_filled : zones
    """
    measure, per = unit(atr, close), per_unit(atr, close)
    up_touched, up_filled = visit(state.up, low, low, False)
    down_touched, down_filled = visit(state.down, -high, -high, False)
    size = 0.0
    if state.bars >= 2:
        if low - state.high_before >= GAP_ATR * measure and state.body > 0.0:
            size = (low - state.high_before) * per
            leave(state.up, state.high_before, low)
        elif state.low_before - high >= GAP_ATR * measure and state.body < 0.0:
            size = (high - state.low_before) * per
            leave(state.down, -state.low_before, -high)
    state.bars += 1
    state.high_before, state.low_before = state.high, state.low
    state.high, state.low, state.body = high, low, close - open
    return (
        size,
        float(state.up.open),
        float(state.down.open),
        distance(state.up, close) * per,
        distance(state.down, -close) * per,
        float(up_touched),
        float(down_touched),
        float(up_filled),
        float(down_filled),
    )


@inlined
def note(candle: State, against: bool, bottom: float, top: float, bar: int) -> None:
    """Store this bar as the last one against a direction, if it is one, without a branch that could be mispredicted."""
    candle.bottom = bottom if against else candle.bottom
    candle.top = top if against else candle.top
    candle.bar = bar if against else candle.bar


@feature(
    "order_block_{side}",
    {
        "up_distance": Output(
            REACH,
            "From the close down to the nearest up order block of swing `side` breaks; 0 inside one",
            f"there is no valid up block, or {NO_ATR}",
        ),
        "down_distance": Output(
            REACH,
            "From the close up to the nearest down order block of swing `side` breaks; 0 inside one",
            f"there is no valid down block, or {NO_ATR}",
        ),
        "up_mitigated": Output(
            FLAG,
            "1 if price has returned to the nearest up order block of swing `side` breaks",
            "there is no valid up block",
        ),
        "down_mitigated": Output(
            FLAG,
            "1 if price has returned to the nearest down order block of swing `side` breaks",
            "there is no valid down block",
        ),
    },
    state=lambda side: {
        "up": ZONES,
        "down": ZONES,
        "falling": CANDLE,
        "rising": CANDLE,
        "bars": I8,
        "high_pivot": I8,
        "low_pivot": I8,
    },
    warmup=lambda side: 0,
    tail=lambda side: HELD,
    inputs={
        "bos": "break_{side}_bos",
        "choch": "break_{side}_choch",
        "high_age": "swing_{side}_high_age",
        "low_age": "swing_{side}_low_age",
        "atr": "atr_14",
    },
    optional=("high_age", "low_age", "atr"),
)
def order_block(
    state: State,
    open: float,
    high: float,
    low: float,
    close: float,
    bos: float,
    choch: float,
    high_age: float,
    low_age: float,
    atr: float,
    side: int,
) -> tuple[float, float, float, float]:
    """Order block: the low to high zone of the last opposite bar before a break of structure.

    Up block: the last falling bar from the pivot of the broken high to the bar before the break; none
    if no bar fell. It becomes invalid when a bar closes below it, and mitigated when a low reaches it.
    The last `KEPT` of each side are stored.

    Parameters
    ----------
    open, high, low, close : price
    bos, choch : sign
    high_age, low_age : bars
        Since the pivots of the most recent swings.
    atr : price difference
    side : int, bars

    Returns
    -------
    up_distance, down_distance : ATR
    up_mitigated, down_mitigated : flag
    """
    state.bars += 1
    visit(state.up, low, close, True)
    visit(state.down, -high, -close, True)
    direction = bos + choch
    if direction > 0.0 and state.falling.bar >= state.high_pivot:
        leave(state.up, state.falling.bottom, state.falling.top)
    elif direction < 0.0 and state.rising.bar >= state.low_pivot:
        leave(state.down, state.rising.bottom, state.rising.top)
    note(state.falling, close < open, low, high, state.bars)
    note(state.rising, close > open, -high, -low, state.bars)
    state.high_pivot = state.bars - int(high_age) if high_age == high_age else 0
    state.low_pivot = state.bars - int(low_age) if low_age == low_age else 0
    per = per_unit(atr, close)
    return (
        distance(state.up, close) * per,
        distance(state.down, -close) * per,
        mitigated(state.up),
        mitigated(state.down),
    )
