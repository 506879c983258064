"""Export the feature rows of a bar file to a Parquet file, with one week of bars in memory at a time.

Needs no database: bars are read, computed and written piece by piece. Does not check the quality of rows.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mikrobot.domain.errors import StoreError, UsageError
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import Timeframe
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.market.feed import chunks
from mikrobot.market.reading import Reading
from mikrobot.market.replay import ReplaySource

PIECE = timedelta(days=7)
"""Span of the bars in memory at once; a row has some hundred columns."""

SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("close_time", pa.timestamp("us", "UTC")),
        *((name, pa.float64()) for name in CATALOG.columns),
    ]
)
"""Columns of the file: one row per closed bar, known at ``close_time``."""

Progress = Callable[[str, float], None]
"""Called with the current step and the completed share of the bars, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Written:
    """Result of an export: the symbol, its lead if there was one, and the number of rows."""

    symbol: str
    lead: str | None
    rows: int


def write_rows(
    file: Path,
    out: Path,
    timeframe: Timeframe,
    lead_file: Path | None,
    *,
    reading: Reading | None = None,
    progress: Progress = lambda text, share: None,
) -> Written:
    """Compute the feature rows of a file of M1 bars, and write them to a Parquet file.

    Parameters
    ----------
    file : Path
        M1 bars, as `ReplaySource` reads them; the file name contains the symbol.
    out : Path
        Parquet file; written completely or not at all.
    timeframe : Timeframe
        Rows are written at the closes of this timeframe.
    reading : Reading or None
    lead_file : Path or None
        M1 bars of the symbol's lead; None: the features that read the lead are missing.

    Raises
    ------
    BarError, UnknownSymbol
        As `ReplaySource`.
    UsageError
        If a file has several symbols, `lead_file` is not the symbol's lead, or `out` is one of the inputs.
    StoreError
        If `out` cannot be written.
    """
    if out.resolve() in {file.resolve(), lead_file and lead_file.resolve()}:
        raise UsageError(f"{out} holds the bars to read; give --out another file")
    reading = reading or Reading()
    source = _single(file, reading)
    (symbol,) = source.symbols()
    leading = None if lead_file is None else _Lead(symbol, _single(lead_file, replace(reading, symbol=None)))
    rows = 0
    with _writer(out) as writer:
        for piece in _pieces(source, symbol, leading, timeframe, progress=progress):
            writer.write_table(pa.Table.from_pandas(piece, SCHEMA, preserve_index=False))
            rows += len(piece)
    return Written(symbol, leading.symbol if leading else None, rows)


class _Lead:
    """The rows of a lead, read along with the bars of its follower."""

    def __init__(self, follower: str, source: ReplaySource) -> None:
        (self.symbol,) = source.symbols()
        expected = instrument(follower).lead
        if self.symbol != expected:
            raise UsageError(f"--lead holds {self.symbol}, but {follower} is led by {expected or 'no other symbol'}")
        self._source = source
        self._pipeline = FeaturePipeline([self.symbol])
        self._reached = source.span(self.symbol)[0]
        self._newest: list[pd.DataFrame] = []

    def rows(self, start: datetime, end: datetime) -> pd.DataFrame | None:
        """Return the rows of bars that open in [start, end), and the newest row before; call in order of time."""
        for since, until in chunks(self._reached, start, PIECE):
            self._fold(since, until)
        parts = [*self._newest, *self._fold(self._reached, end)]
        return pd.concat(parts) if parts else None

    def _fold(self, since: datetime, until: datetime) -> list[pd.DataFrame]:
        bars = self._source.history(self.symbol, since, until)
        self._reached = max(since, until)
        if bars.empty:
            return []
        rows = self._pipeline.lead_rows(self.symbol, bars)
        self._newest = [rows.tail(1)]
        return [rows]


def _single(file: Path, reading: Reading) -> ReplaySource:
    source = ReplaySource([file], reading)
    if len(source.symbols()) != 1:
        raise UsageError(f"{file}: expected bars of one symbol, found {', '.join(source.symbols())}; give one file")
    return source


def _pieces(
    source: ReplaySource, symbol: str, leading: _Lead | None, timeframe: Timeframe, *, progress: Progress
) -> Iterator[pd.DataFrame]:
    pipeline = FeaturePipeline([symbol])
    first, last = source.span(symbol)
    for start, end in chunks(first, last, PIECE):
        progress(f"{symbol} {start:%Y-%m-%d}", (start - first) / (last - first))
        bars = source.history(symbol, start, end)
        lead = None if leading is None else leading.rows(start, end)
        yield pipeline.frame(symbol, bars, lead, timeframe)


@contextmanager
def _writer(out: Path) -> Iterator[pq.ParquetWriter]:
    """Write to a temporary file in the folder of `out`, and rename it to `out` at the end."""
    unfinished = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{out} cannot be written ({error.strerror}); give --out a writable path") from error
    try:
        with unfinished.open("wb") as stream, pq.ParquetWriter(stream, SCHEMA, compression="zstd") as writer:
            yield writer
        unfinished.replace(out)
    except OSError as error:
        raise StoreError(f"{out} cannot be written ({error.strerror}); give --out a writable path") from error
    finally:
        unfinished.unlink(missing_ok=True)
