"""The bars of a recorded live session: the folder that `mikrobot run --record` has written.

The bars of each minute are those that the session published, whatever arrived later. A folder without them, as of
another recorder, has the closed klines of its streams, the first version of each. Bars of before the session are in
``history``, as Parquet in the shared schema. Writes nothing.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from mikrobot.domain.errors import BarError, FeedError, SettingsError
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.entries import Entry
from mikrobot.domain.market import Bar
from mikrobot.market.bar_files import HISTORY, MARK
from mikrobot.market.binance_messages import closed_bar_of
from mikrobot.market.border import bar_frame, epoch_us
from mikrobot.market.inference import provisional
from mikrobot.market.parquet import ParquetBars, joined
from mikrobot.market.recorded_funding import recorded_funding
from mikrobot.market.recorded_minutes import PUBLISHED, bar_of, minutes, row_of
from mikrobot.market.recorded_streams import files_of, messages

FETCHED = "fetched"
"""Channel of the bars that the session has read by REST."""


@dataclass(frozen=True, slots=True)
class RecordedHours:
    """The span of a recorded session.

    Attributes
    ----------
    history_from, trade_from : datetime
        UTC. Models were trained on bars that close in (history_from, trade_from]; later ones were traded.
    """

    history_from: datetime
    trade_from: datetime


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
        Bar frames by symbol, in the order of the session: the last one, if the folder has several.
    simulated : bool
        Its market was simulated.
    funding : mapping
        The funding that it charged.
    instruments : dict of str to Entry
        The instruments of its symbols, as it traded them; empty in a recording that has none.
    hours : RecordedHours or None
        None in a recording that does not name them.

    Raises
    ------
    BarError
        If the folder has no bar, a file of it cannot be read, or one of its instruments is wrong.
    """

    def __init__(self, folder: Path, latest: datetime) -> None:
        described = _described(folder)
        self.folder = folder
        self.simulated = bool(described.get("simulated"))
        self.funding = recorded_funding(folder)
        self.instruments = _instruments(folder, described)
        self.hours = _hours(folder, described)
        symbols = tuple(described.get("symbols", ()))
        bars: dict[str, dict[datetime, Bar]] = {symbol: {} for symbol in symbols}
        for bar in _bars(folder):
            if not symbols or bar.symbol in bars:
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


def _instruments(folder: Path, described: dict[str, Any]) -> dict[str, Entry]:
    try:
        return registry.recorded(described.get("instruments", {}))
    except SettingsError as error:
        raise BarError(f"{folder / MARK}: {error}") from error


def _hours(folder: Path, described: dict[str, Any]) -> RecordedHours | None:
    segment = described.get("segment")
    if segment is None:
        return None
    try:
        return RecordedHours(*(datetime.fromisoformat(segment[key]) for key in ("history_from", "trade_from")))
    except (KeyError, TypeError, ValueError) as error:
        raise BarError(f"{folder / MARK}: its segment {segment!r} has no times; correct it, or remove it") from error


def _bars(folder: Path) -> Iterator[Bar]:
    """Yield the bars of a session; of several with the same time, the last one counts."""
    try:
        if files_of(folder, PUBLISHED):
            for minute in minutes(folder):
                yield from map(bar_of, minute.bars)
        else:
            yield from reversed(list(_received(files_of(folder))))
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
