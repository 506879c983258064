"""Zones that price left behind: fair value gaps, order blocks, and the displacement that makes them.

A zone up lies below the price and waits for it to come back; a zone down is the same with
every price negated, which is how it is kept. Levels are not in here.
"""

from math import inf, nan

import numpy as np

from mikrobot.features.kernel.feature import ATRS, FLAG, HELD, SIGN, Output, Quantity, feature
from mikrobot.features.kernel.parts import F8, I8, State, compiled, inlined, record
from mikrobot.features.kernel.scale import NO_ATR, per_unit, unit
from mikrobot.features.library.structure import REACH

DISPLACED_ATR, DISPLACED_SHARE = 1.5, 0.6
"""A displacement's body is longer than these shares of the ATR before it and of its own range."""

GAP_ATR = 0.1
"""Smaller gaps do not count."""

KEPT = 16
"""Zones of each side that are remembered: the last ones made."""

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
"""The open zones of one side from the oldest on, how many were ever made, and the heights at which a
bar changes anything: the highest top (and whether it is touched), untouched top, and bottom."""

CANDLE = record(bottom=F8, top=F8, bar=I8)
"""The range of a bar, and its number."""

COUNT = Quantity("zones", 0, KEPT)


@compiled
def keep(zones: State, at: int, zone: int) -> None:
    """Move an open zone to the place `at`, and raise the heights to it."""
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
    """Leave a zone behind; one that is no more of the last `KEPT` is forgotten."""
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
    """Let a bar come down to `low`: touch the zones it reaches, close those whose bottom is at `end` or above.

    Where the bar has to pass the bottom, one at `end` stays open.

    Returns
    -------
    touched, closed : int
        Zones that this bar is the first to touch, and zones it closes.
    """
    if zones.open == 0 or (low > zones.untouched_top and (end > zones.bottom or (passes and end == zones.bottom))):
        return 0, 0
    return change(zones, low, end, passes)


@compiled
def change(zones: State, low: float, end: float, passes: bool) -> tuple[int, int]:
    """Touch and close zones, as `visit` has found that there are some."""
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
    """Return how far down the nearest open zone begins; 0 inside one, NaN without."""
    return max(close - zones.top, 0.0) if zones.open > 0 else nan


@inlined
def mitigated(zones: State) -> float:
    """Tell (1 or 0) whether the nearest open zone has been touched; NaN without one."""
    return float(zones.top_touched) if zones.open > 0 else nan


@feature(
    "displacement",
    {"": Output(SIGN, f"Direction of a body longer than {DISPLACED_ATR} ATR of the bar before it; 0 without")},
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
        Of this bar. It judges the next one: no bar judges itself.

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
        "size": Output(ATRS, f"Fair value gap that this bar leaves, of {GAP_ATR} ATR or more: up > 0, down < 0"),
        "up_open": Output(COUNT, f"Gaps up not filled, of the last {KEPT}"),
        "down_open": Output(COUNT, f"Gaps down not filled, of the last {KEPT}"),
        "up_distance": Output(
            REACH, "From the close down to the nearest open gap up; 0 inside one", f"no gap up is open, or {NO_ATR}"
        ),
        "down_distance": Output(
            REACH, "From the close up to the nearest open gap down; 0 inside one", f"no gap down is open, or {NO_ATR}"
        ),
        "up_touched": Output(COUNT, "Gaps up that this bar is the first to come back to"),
        "down_touched": Output(COUNT, "Gaps down that this bar is the first to come back to"),
        "up_filled": Output(COUNT, "Gaps up that this bar fills"),
        "down_filled": Output(COUNT, "Gaps down that this bar fills"),
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
    """Fair value gap: the room that three bars leave between the first and the third.

    Up: the low above the high of two bars before, with a rising bar between. It is touched
    when a later low comes down to its top, and filled at its bottom. Counted in bars: minutes
    without one are stepped over. While the ATR is unknown no gap counts.

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
    """Keep this bar as the last one against a direction, if it is; without a branch, which would be a guess."""
    candle.bottom = bottom if against else candle.bottom
    candle.top = top if against else candle.top
    candle.bar = bar if against else candle.bar


@feature(
    "order_block_{side}",
    {
        "up_distance": Output(
            REACH,
            "From the close down to the nearest order block up of swings of `side`; 0 inside one",
            f"no block up stands, or {NO_ATR}",
        ),
        "down_distance": Output(
            REACH,
            "From the close up to the nearest order block down of swings of `side`; 0 inside one",
            f"no block down stands, or {NO_ATR}",
        ),
        "up_mitigated": Output(
            FLAG, "Whether price has come back to the nearest order block up of swings of `side`", "no block up stands"
        ),
        "down_mitigated": Output(
            FLAG,
            "Whether price has come back to the nearest order block down of swings of `side`",
            "no block down stands",
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
    """Order block: the last bar against a break that led to it, as a zone from its low to its high.

    Up: the last falling bar from the pivot of the broken high to the bar before the break; none
    when no bar fell. Void when a bar closes below it, mitigated when a low comes down to it. The last
    `KEPT` of each side are kept.

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
