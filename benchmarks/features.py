"""Benchmarks of the feature kernel, compared with TA-Lib, with reading memory and with an empty call."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from benchmarks import patterns
from benchmarks.timing import Measurement, Timed, compared, scaled
from mikrobot.domain.market import bars_of
from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.bars import BAR
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.features.row_check import RowCheck
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import SystemClock

BARS = 100_000
FEWEST = 5_000
"""Bars on the smallest scale: more than are streamed there."""

PIECE = 10_000
"""Bars a call, as who has years of bars and bounded memory feeds them."""

BURST = 100
"""Bars of one timed call when they are streamed, and symbols of one minute."""

WINDOW = 300
"""Bars on which TA-Lib's handles are opened, and which it needs to compute a newest value again."""

STARTS = 1
"""Processes started of each kind that count: to compile the catalog takes long."""

_SYMBOL = "EURUSD"


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time the whole catalog in batch, streamed, for a hundred symbols at once, and its start; weigh its state.

    The start is left out on a smaller scale, since the catalog is compiled for it.
    """
    frame = simulated_bars(_SYMBOL, scaled(BARS, scale, least=FEWEST))
    yield from _batch(frame, scale)
    yield from _streamed(frame, scale)
    yield from patterns.measure(frame, scale)
    yield from _checked(frame, scale)
    yield from _state(frame, scale)
    if scaled(1, scale, least=0):
        yield start(scale)


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


def talib_handles(frame: pd.DataFrame) -> Callable[[float, float, float], None]:
    """Return a call that carries the same indicators one bar forward, by TA-Lib's handles opened on a frame."""
    from talib import stream

    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    of_close: list[Any] = [handle(close, length) for length in (9, 21, 50, 200) for handle in (stream.SMA, stream.EMA)]
    of_close += [stream.STDDEV(close, length) for length in (15, 60, 240)]
    of_close += [stream.RSI(close, 14), stream.BBANDS(close, 20, 2, 2), stream.MACD(close, 12, 26, 9)]
    of_bar: list[Any] = [stream.ATR(high, low, close, 14), stream.STOCH(high, low, close, 14, 3, slowd_period=3)]
    close_updates = [handle.update for handle in of_close]
    bar_updates = [handle.update for handle in of_bar]

    def call(high: float, low: float, close: float) -> None:
        for update in close_updates:
            update(close)
        for update in bar_updates:
            update(high, low, close)

    return call


def _talib_carried_on(frame: pd.DataFrame, symbols: int, bars: int) -> Callable[[], None]:
    """Return a call that takes some symbols some bars further, each by handles of its own."""
    opened = [talib_handles(frame.head(WINDOW)) for _ in range(symbols)]
    ahead = zip(*(frame[name].iloc[WINDOW:].tolist() for name in ("high", "low", "close")), strict=True)

    def call() -> None:
        for bar in islice(ahead, bars):
            for carry_on in opened:
                carry_on(*bar)

    return call


def _batch(frame: pd.DataFrame, scale: float) -> Iterator[Measurement]:
    count, rounds = len(frame), scaled(15, scale)
    pieces = [frame.iloc[at : at + PIECE] for at in range(0, count, PIECE)]
    talib = Timed("TA-Lib, 16 indicators of M1", talib_on(frame))
    used = np.empty((len(pieces[0]), len(CATALOG.columns)))

    def write_again() -> None:
        for _ in pieces:
            used.fill(0.0)

    again = Timed("writing the rows to used memory", write_again)
    fresh = Timed("writing the rows to fresh memory", lambda: np.full((count, len(CATALOG.columns)), 0.0))

    def in_pieces() -> None:
        pipeline = FeaturePipeline([_SYMBOL])
        for piece in pieces:
            pipeline.compute(_SYMBOL, piece)

    def whole() -> None:
        FeaturePipeline([_SYMBOL]).compute(_SYMBOL, frame)

    named = f"{len(CATALOG.columns)} columns, a bar"
    yield compared(f"features, batch in pieces, {named}", "us", in_pieces, talib, limit=again, rounds=rounds, per=count)
    yield compared(f"features, batch in one call, {named}", "us", whole, talib, limit=fresh, rounds=rounds, per=count)


def _streamed(frame: pd.DataFrame, scale: float) -> Iterator[Measurement]:
    bars = bars_of(_SYMBOL, frame)
    opened = frame["open_time"].astype("int64").to_numpy() // 1_000_000
    raw = list(zip(opened.tolist(), *(frame[name].tolist() for name in frame.columns[1:]), strict=True))
    handles, handles_of_all = _talib_carried_on(frame, 1, BURST), _talib_carried_on(frame, BURST, 1)
    talib = Timed("TA-Lib's handles, 16 indicators", handles)
    talib_of_all = Timed(f"TA-Lib's handles, 16 indicators of {BURST} symbols", handles_of_all)
    one, many = FeaturePipeline([_SYMBOL]), FeaturePipeline([f"symbol {number}" for number in range(BURST)])
    empty = Timed("an empty compiled call", _empty_calls(one, raw[0]))
    other = FeaturePipeline([_SYMBOL])
    bar, values, minute = iter(bars), iter(raw), iter(raw)

    def as_bars() -> None:
        for record in islice(bar, BURST):
            one.update(record)

    def as_numbers() -> None:
        for numbers in islice(values, BURST):
            other.update_raw(0, *numbers)

    def one_minute() -> None:
        row = next(minute)
        for index in range(BURST):
            many.update_raw(index, *row)

    named, rounds = f"{len(CATALOG.columns)} columns, a bar", scaled(300, scale)
    yield compared(f"features, streamed as Bar, {named}", "us", as_bars, talib, limit=empty, rounds=rounds, per=BURST)
    yield compared(
        f"features, streamed as numbers, {named}", "us", as_numbers, talib, limit=empty, rounds=rounds, per=BURST
    )
    yield compared(
        f"features, one minute of {BURST} symbols", "us", one_minute, talib_of_all, limit=empty, rounds=rounds
    )


def _empty_calls(pipeline: FeaturePipeline, row: tuple[float, ...]) -> Callable[[], None]:
    nothing: Any = njit(lambda states, symbol, time, *fields: 0)

    def call() -> None:
        for _ in range(BURST):
            nothing(pipeline.states, 0, *row)

    return call


def _checked(frame: pd.DataFrame, scale: float) -> Iterator[Measurement]:
    """Time the check of a live row, compared with a check of its values one by one in Python."""
    pipeline, check = FeaturePipeline([_SYMBOL]), RowCheck()
    row = pipeline.compute(_SYMBOL, frame)[-1]
    bounds = [(spec.low, spec.high) for spec in CATALOG.specs]
    values = row.tolist()

    def checked() -> None:
        for _ in range(BURST):
            check(row, pipeline.seen(_SYMBOL))

    def one_by_one() -> None:
        for _ in range(BURST):
            all(value != value or low <= value <= high for value, (low, high) in zip(values, bounds, strict=True))

    def copied() -> None:
        for _ in range(BURST):
            row.copy()

    yield compared(
        "features, check of a live row", "us", checked, Timed("ranges alone, in Python", one_by_one),
        limit=Timed("copying the row", copied), rounds=scaled(100, scale), per=BURST,
    )  # fmt: skip


def _state(frame: pd.DataFrame, scale: float) -> Iterator[Measurement]:
    """Time and weigh all that one symbol remembers."""
    from talib import stream

    pipeline = FeaturePipeline([_SYMBOL])
    pipeline.compute(_SYMBOL, frame)
    close = frame["close"].to_numpy()
    handles = [stream.EMA(close, 200) for _ in range(16)]
    size = len(pipeline.snapshot(_SYMBOL))
    held = bytearray(size)

    def kept_and_continued() -> None:
        pipeline.restore(_SYMBOL, pipeline.snapshot(_SYMBOL))

    yield compared(
        "features, snapshot and restore of a symbol", "us", kept_and_continued,
        Timed("TA-Lib, copies of 16 handles, in memory only", lambda: [handle.copy() for handle in handles]),
        limit=Timed("copying as many bytes", lambda: bytes(held)), rounds=scaled(300, scale),
    )  # fmt: skip
    slowest = max(spec.warmup for spec in CATALOG.specs)
    weights = [number / 1e6 for number in (size, slowest * BAR.itemsize, CATALOG.row.itemsize)]
    yield Measurement(
        "features, state of a symbol", "MB", weights[0], weights[0],
        f"the {slowest:,} bars of the longest warm-up", weights[1], "the newest row alone", weights[2],
    )  # fmt: skip


def start(scale: float = 1.0) -> Measurement:
    """Time a fresh process up to its first pipeline, with the compiled catalog at hand and without."""
    program = "from mikrobot.features.pipeline import FeaturePipeline; FeaturePipeline(['A'])"

    def afresh() -> None:
        with tempfile.TemporaryDirectory() as cache:
            _python(program, MIKROBOT_CACHE=cache)

    return compared(
        "features, start of a process", "s", partial(_python, program),
        Timed("compiling the catalog", afresh),
        limit=Timed("importing numba and pandas", partial(_python, "import numba, pandas")),
        rounds=STARTS, uncounted=scaled(1, scale, least=0),
    )  # fmt: skip


def _python(program: str, **variables: str) -> None:
    subprocess.run([sys.executable, "-c", program], env=os.environ | variables, check=True)
