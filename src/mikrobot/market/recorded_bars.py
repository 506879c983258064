"""The bars of a recorded live session: the folder that `mikrobot run --record` has written.

The bars of each minute are those that the session published, whatever arrived later. A folder without them, as of
another recorder, has the closed klines of its streams, the first version of each. Bars of before the session are in
``history``, as Parquet in the shared schema. Writes nothing.
"""

import json
import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from mikrobot.domain.errors import BarError, FeedError
from mikrobot.domain.instruments import registry
from mikrobot.domain.market import Bar
from mikrobot.market.bar_files import HISTORY, MARK
from mikrobot.market.binance_messages import closed_bar_of
from mikrobot.market.border import bar_frame, epoch_us, instant
from mikrobot.market.inference import provisional
from mikrobot.market.parquet import ParquetBars, joined
from mikrobot.market.recorded_streams import messages
from mikrobot.market.streams.recorder import FILES

PUBLISHED, FETCHED = "published", "fetched"
"""Channels of the minutes as the session traded them, and of the bars that it has read by REST."""

Row = list[Any]
"""A bar as JSON: symbol, open time in microseconds since the epoch, and the numbers of a bar; None if unknown."""


def row_of(bar: Bar) -> Row:
    """Return a bar as plain JSON values.

    >>> from datetime import UTC
    >>> bar = Bar("BTCUSDT", datetime(2025, 1, 1, tzinfo=UTC), 1.0, 2.0, 0.5, 1.5, volume=3.0)
    >>> row_of(bar)
    ['BTCUSDT', 1735689600000000, 1.0, 2.0, 0.5, 1.5, 3.0, None, None, None]
    >>> row_of(bar_of(row_of(bar))) == row_of(bar)
    True
    """
    numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.spread, bar.trades, bar.taker_volume)
    return [bar.symbol, epoch_us(bar.open_time), *(None if math.isnan(value) else value for value in numbers)]


def bar_of(row: Row) -> Bar:
    """Return the bar of a row."""
    symbol, opened, *numbers = row
    open_, high, low, close, *more = (math.nan if value is None else float(value) for value in numbers)
    volume, spread, trades, taker = more
    return Bar(symbol, instant(opened), open_, high, low, close, volume, spread, trades, taker)


class RecordedSession:
    """A recorded live session.

    Parameters
    ----------
    folder : Path
    latest : datetime
        Time after which no bar of its history can open, UTC.

    Attributes
    ----------
    folder : Path
    frames : dict of str to DataFrame
        Bar frames by symbol, in the order of the session.
    simulated : bool
        Its market was simulated.

    Raises
    ------
    BarError
        If the folder has no bar, or a file of it cannot be read.
    """

    def __init__(self, folder: Path, latest: datetime) -> None:
        described = _described(folder)
        self.folder = folder
        self.simulated = bool(described.get("simulated"))
        bars: dict[str, dict[datetime, Bar]] = {symbol: {} for symbol in described.get("symbols", ())}
        for bar in _bars(folder):
            bars.setdefault(bar.symbol, {})[bar.open_time] = bar
        self.frames = {
            symbol: frame for symbol, own in bars.items() if len(frame := _frame(folder, symbol, own, latest))
        }
        if not self.frames:
            raise BarError(f"{folder}: the recording has no closed bar; record for more than a minute")


def is_recording(path: Path) -> bool:
    """Return whether a path is the folder of a recorded session."""
    return (path / MARK).is_file()


def _described(folder: Path) -> dict[str, Any]:
    try:
        described = json.loads((folder / MARK).read_text())
    except (OSError, ValueError) as error:
        raise BarError(f"{folder / MARK} cannot be read ({error}); give the folder of a recording") from error
    return described if isinstance(described, dict) else {}


def _bars(folder: Path) -> Iterator[Bar]:
    """Yield the bars of a session; of several with the same time, the last one counts."""
    files = _in_order(folder.glob(FILES))
    published = [path for path in files if f"-{PUBLISHED}-" in path.name]
    try:
        if published:
            for path in published:
                for _, message in messages(path, broken_off=True):
                    yield from map(bar_of, json.loads(message)["data"]["bars"])
        else:
            yield from reversed(list(_received(files)))
    except (FeedError, ValueError, KeyError, TypeError) as error:
        raise BarError(f"{folder}: a bar of the recording cannot be read ({error})") from error


def _received(files: Sequence[Path]) -> Iterator[Bar]:
    """Yield the closed bars of streams and REST in the order in which they were received."""
    received: list[tuple[int, Bar]] = []
    for path in files:
        for received_ns, message in messages(path, broken_off=True):
            envelope = json.loads(message)
            stream, data = envelope.get("stream", ""), envelope.get("data", {})
            if stream.endswith("@kline_1m"):
                bar = closed_bar_of(msgspec.json.encode(data))
                received += [] if bar is None else [(received_ns, bar)]
            elif stream == FETCHED:
                received += [(received_ns, bar_of(row)) for row in data["bars"]]
    received.sort(key=lambda entry: entry[0])
    yield from (bar for _, bar in received)


def _in_order(paths: Iterator[Path]) -> list[Path]:
    """Return files by the recorder that wrote them, then by their hour."""
    return sorted(paths, key=lambda path: (path.stem.rpartition("-")[2], path.name))


def _frame(folder: Path, symbol: str, bars: dict[datetime, Bar], latest: datetime) -> pd.DataFrame:
    """Return the history of a symbol and its recorded bars as one frame; a recorded bar counts more."""
    path = folder / HISTORY / f"{symbol}_M1.parquet"
    parts = [_frame_of([bars[time] for time in sorted(bars)])] if bars else []
    if path.is_file():
        traded = registry.instrument(symbol) if registry.is_known(symbol) else provisional(symbol)
        history = ParquetBars(path, traded, latest)
        parts.insert(0, history.bars(history.first, history.last + 1))
    together = joined(parts).drop_duplicates("open_time", keep="last").sort_values("open_time", kind="stable")
    return together.reset_index(drop=True)


def _frame_of(bars: Sequence[Bar]) -> pd.DataFrame:
    columns = np.array([[math.nan if value is None else value for value in row_of(bar)[2:]] for bar in bars]).T
    times = np.array([epoch_us(bar.open_time) for bar in bars], dtype=np.int64)
    prices, (volume, spread, trades, taker) = columns[:4], columns[4:]
    return bar_frame(times, prices.astype(float), volume, spread, trades=trades, taker_volume=taker)
