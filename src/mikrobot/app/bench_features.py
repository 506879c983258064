"""Benchmarks of the feature kernel, beside TA-Lib and beside what memory and a call cost."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from mikrobot.app.timing import Measurement, Timed, compared
from mikrobot.domain.market import bars_of
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import SystemClock

BARS = 100_000
PIECE = 10_000
"""Bars a call, as who has years of bars and bounded memory feeds them."""

BURST = 100
"""Bars of one timed call when they are streamed, and symbols of one minute."""

WINDOW = 300
"""Bars that TA-Lib computes again at each new one: as many as its slowest indicator needs."""

_SYMBOL = "EURUSD"


def measure() -> Iterator[Measurement]:
    """Time the whole catalog in batch, streamed, and for a hundred symbols at once."""
    frame = simulated_bars(_SYMBOL, BARS)
    yield from _batch(frame)
    yield from _streamed(frame)


def simulated_bars(symbol: str, count: int) -> pd.DataFrame:
    """Return the first bars of 2025 of the simulated market, a bar frame."""
    start = datetime(2025, 1, 6, tzinfo=UTC)
    return SimulatedSource((symbol,), 7, SystemClock()).history(symbol, start, start + timedelta(days=120)).head(count)


def talib_on(frame: pd.DataFrame) -> Callable[[], None]:
    """Return a call that computes the classic indicators that the catalog has on M1."""
    import talib

    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))

    def call() -> None:
        for length in (9, 21, 50, 200):
            talib.SMA(close, length)
            talib.EMA(close, length)
        for length in (15, 60, 240):
            talib.STDDEV(close, length)
        talib.RSI(close, 14)
        talib.ATR(high, low, close, 14)
        talib.BBANDS(close, 20, 2, 2)
        talib.MACD(close, 12, 26, 9)
        talib.STOCH(high, low, close, 14, 3, slowd_period=3)

    return call


def _batch(frame: pd.DataFrame) -> Iterator[Measurement]:
    pieces = [frame.iloc[at : at + PIECE] for at in range(0, BARS, PIECE)]
    talib = Timed("TA-Lib, 16 indicators of M1", talib_on(frame))
    used = np.empty((PIECE, len(CATALOG.columns)))

    def write_again() -> None:
        for _ in pieces:
            used.fill(0.0)

    again = Timed("writing the rows to used memory", write_again)
    fresh = Timed("writing the rows to fresh memory", lambda: np.full((BARS, len(CATALOG.columns)), 0.0))

    def in_pieces() -> None:
        pipeline = FeaturePipeline([_SYMBOL])
        for piece in pieces:
            pipeline.compute(_SYMBOL, piece)

    def whole() -> None:
        FeaturePipeline([_SYMBOL]).compute(_SYMBOL, frame)

    named = f"{len(CATALOG.columns)} columns, a bar"
    yield compared(f"features, batch in pieces, {named}", "us", in_pieces, talib, again, rounds=15, per=BARS)
    yield compared(f"features, batch in one call, {named}", "us", whole, talib, fresh, rounds=15, per=BARS)


def _streamed(frame: pd.DataFrame) -> Iterator[Measurement]:
    bars = bars_of(_SYMBOL, frame)
    opened = frame["open_time"].astype("int64").to_numpy() // 1_000_000
    raw = list(zip(opened.tolist(), *(frame[name].tolist() for name in frame.columns[1:]), strict=True))
    recompute = talib_on(frame.head(WINDOW))
    talib = Timed(f"TA-Lib, 16 indicators on {WINDOW} bars", lambda: [recompute() for _ in range(BURST)])
    one, many = FeaturePipeline([_SYMBOL]), FeaturePipeline([f"symbol {number}" for number in range(BURST)])
    empty = Timed("an empty compiled call", _empty_calls(one, raw[0]))
    other = FeaturePipeline([_SYMBOL])
    bar, values, minute = iter(bars), iter(raw), iter(raw)

    def as_bars() -> None:
        for _ in range(BURST):
            one.update(next(bar))

    def as_numbers() -> None:
        for _ in range(BURST):
            other.update_raw(0, *next(values))

    def one_minute() -> None:
        row = next(minute)
        for index in range(BURST):
            many.update_raw(index, *row)

    named = f"{len(CATALOG.columns)} columns, a bar"
    yield compared(f"features, streamed as Bar, {named}", "us", as_bars, talib, empty, rounds=300, per=BURST)
    yield compared(f"features, streamed as numbers, {named}", "us", as_numbers, talib, empty, rounds=300, per=BURST)
    yield compared(f"features, one minute of {BURST} symbols", "us", one_minute, talib, empty, rounds=300)


def _empty_calls(pipeline: FeaturePipeline, row: tuple[float, ...]) -> Callable[[], None]:
    nothing: Any = njit(lambda states, symbol, time, open, high, low, close, volume, spread: 0)

    def call() -> None:
        for _ in range(BURST):
            nothing(pipeline.states, 0, *row)

    return call
