"""Benchmarks of the feature kernel, beside TA-Lib and beside what memory allows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.app.timing import Measurement, compared
from mikrobot.domain.market import Bar
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import SystemClock

BARS = 100_000
STREAMED = 5_000
WINDOW = 300
"""Bars that TA-Lib computes again at each new one: as many as its slowest indicator needs."""


def measure() -> Iterator[Measurement]:
    """Time the whole catalog in batch, streamed, and for a hundred symbols at once."""
    frame = _frame()
    bars = [_bar(row) for row in frame.head(STREAMED).itertuples(index=False)]
    prices = {name: frame[name].to_numpy() for name in ("high", "low", "close")}
    matrix = np.empty((BARS, len(CATALOG.columns)))
    other = np.random.default_rng(0).random(matrix.shape)
    copied = ("copy of the rows", lambda: np.copyto(matrix, other))

    yield compared(
        f"features_batch, {len(CATALOG.columns)} columns, per bar", "us",
        lambda: FeaturePipeline(["EURUSD"]).compute("EURUSD", frame),
        ("TA-Lib, 16 indicators of M1", lambda: _talib(**prices)), copied, rounds=7, per=BARS,
    )  # fmt: skip

    window = {name: values[:WINDOW] for name, values in prices.items()}
    yield compared(
        f"features_streamed, {len(CATALOG.columns)} columns, per bar", "us",
        lambda: _stream(bars),
        (f"TA-Lib, 16 indicators on {WINDOW} bars", lambda: [_talib(**window) for _ in range(STREAMED)]),
        ("a call of an empty function", lambda: [_nothing(bar) for bar in bars]), rounds=7, per=STREAMED,
    )  # fmt: skip


def _frame() -> pd.DataFrame:
    source = SimulatedSource(("EURUSD",), 7, SystemClock())
    start = datetime(2025, 1, 6, tzinfo=UTC)
    return source.history("EURUSD", start, start + timedelta(days=120)).head(BARS)


def _bar(row: Any) -> Bar:
    opened = row.open_time.to_pydatetime()
    return Bar("EURUSD", opened, row.open, row.high, row.low, row.close, row.volume, row.spread)


def _stream(bars: list[Bar]) -> None:
    pipeline = FeaturePipeline(["EURUSD"])
    for bar in bars:
        pipeline.update(bar)


def _nothing(bar: Bar) -> Bar:
    return bar


def _talib(high: Any, low: Any, close: Any) -> Any:
    """Compute the classic indicators that the catalog has on M1."""
    import talib

    for length in (9, 21, 50, 200):
        talib.SMA(close, length)
        talib.EMA(close, length)
    talib.RSI(close, 14)
    talib.ATR(high, low, close, 14)
    talib.BBANDS(close, 20, 2, 2)
    talib.MACD(close, 12, 26, 9)
    talib.STDDEV(close, 15)
    talib.STDDEV(close, 60)
    talib.STDDEV(close, 240)
    return talib.STOCH(high, low, close, 14, 3, slowd_period=3)
