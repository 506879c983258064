"""Bars of one Parquet file in the shared schema, read row group by row group.

The schema: ``ts``, the open time as a UTC timestamp; ``open``, ``high``, ``low``, ``close``;
optional ``volume``, ``spread`` or ``ask_close``, ``trades`` and ``taker_buy_volume``. Other
columns are ignored. Opening a file reads its metadata and its first rows; bars are read and
validated on request.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mikrobot.domain.errors import BarError
from mikrobot.domain.market import empty_bars
from mikrobot.market.border import (
    Floats,
    RowOrigin,
    Times,
    bar_frame,
    check_prices,
    check_timeframe,
    check_times,
    check_trades,
    check_volume,
    epoch_us,
    spread_of,
    taker_volume_of,
)

_PRICES = ["open", "high", "low", "close"]
_OPTIONAL = ["volume", "spread", "ask_close", "trades", "taker_buy_volume"]
_HEAD = 1000


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group: its number, its first row, and the first and last open time (microseconds)."""

    number: int
    row: int
    rows: int
    first: int
    last: int


class ParquetBars:
    """The bars of one file.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    path : Path
    first, last : int
        Open times of the first and the last bar, microseconds since the epoch.

    Raises
    ------
    BarError
        If the file is not Parquet, is empty, lacks a column, is not in UTC or not of one-minute
        bars, or if its row groups are not in time order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._opened() as file:
            self._columns = _checked_columns(path, file.schema_arrow)
            self._groups = self._read_groups(file)
            self._volume_known = _any_volume(file.metadata)
            head = next(file.iter_batches(batch_size=_HEAD, columns=["ts"]))
            check_timeframe(_times(pa.chunked_array([head["ts"]]), path, 0), RowOrigin(path.name, range(_HEAD)))
        self._held: tuple[_Group, pa.Table, Times] | None = None
        self.first, self.last = self._groups[0].first, self._groups[-1].last

    def bars(self, start: int, end: int) -> pd.DataFrame:
        """Return the bars that open in [start, end), microseconds since the epoch.

        Raises
        ------
        BarError
            If one of them breaks the schema, or the times around them are not in order.
        """
        parts = [self._part(group, start, end) for group in self._groups if group.first < end and group.last >= start]
        return pd.concat(parts, ignore_index=True) if parts else empty_bars()

    def _part(self, group: _Group, start: int, end: int) -> pd.DataFrame:
        table, times = self._read(group)
        used = slice(*np.searchsorted(times, [start, end]))
        origin = RowOrigin(self.path.name, range(group.row, group.row + group.rows)).part(used)
        column = {name: _floats(table[name].slice(used.start, used.stop - used.start)) for name in self._columns}
        times, prices = times[used], np.stack([column[name] for name in _PRICES])
        unknown = np.full(len(times), np.nan)
        volume = column["volume"] if self._volume_known else unknown
        check_prices(prices, times, origin)
        check_volume(volume, times, origin)
        spread = column["spread"] if "spread" in column else column.get("ask_close", unknown) - column["close"]
        trades = column.get("trades", unknown)
        check_trades(trades, times, origin)
        taker_volume = taker_volume_of(column.get("taker_buy_volume", unknown), volume, times, origin)
        return bar_frame(times, prices, volume, spread_of(spread), trades=trades, taker_volume=taker_volume)

    def _read(self, group: _Group) -> tuple[pa.Table, Times]:
        """Read a row group; the last one is cached for the next call."""
        if self._held is None or self._held[0] != group:
            with self._opened() as file:
                table = file.read_row_group(group.number, columns=["ts", *self._columns])
            times = _times(table["ts"], self.path, group.row)
            check_times(times, RowOrigin(self.path.name, range(group.row, group.row + group.rows)))
            self._held = group, table, times
        return self._held[1], self._held[2]

    def _read_groups(self, file: pq.ParquetFile) -> list[_Group]:
        groups: list[_Group] = []
        row = 0
        for number in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(number).num_rows
            if rows:
                groups.append(_Group(number, row, rows, *self._bounds(file, number, row)))
            row += rows
        if not groups:
            raise BarError(f"{self.path}: the file is empty; expected at least one bar")
        for before, after in pairwise(groups):
            if after.first <= before.last:
                table = file.read_row_groups([before.number, after.number], columns=["ts"])
                rows = range(before.row, after.row + after.rows)
                check_times(_times(table["ts"], self.path, before.row), RowOrigin(self.path.name, rows))
        return groups

    def _bounds(self, file: pq.ParquetFile, number: int, row: int) -> tuple[int, int]:
        """Return the earliest and latest time of a row group, from its statistics if it has any."""
        statistics = file.metadata.row_group(number).column(file.schema_arrow.get_field_index("ts")).statistics
        if statistics is not None and statistics.has_min_max:
            return epoch_us(statistics.min), epoch_us(statistics.max)
        times = _times(file.read_row_group(number, columns=["ts"])["ts"], self.path, row)
        return int(times.min()), int(times.max())

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        try:
            with pq.ParquetFile(self.path) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise BarError(f"{self.path}: not a readable Parquet file ({reason}); export it again") from error


def _checked_columns(path: Path, schema: pa.Schema) -> list[str]:
    missing = [name for name in ("ts", *_PRICES) if name not in schema.names]
    if missing:
        raise BarError(
            f"{path}: missing columns {', '.join(missing)}; expected ts, open, high, low, close and found "
            f"{', '.join(schema.names) or 'none'}"
        )
    _check_zone(path, schema.field("ts").type)
    columns = [*_PRICES, *(name for name in _OPTIONAL if name in schema.names)]
    for name in columns:
        kind = schema.field(name).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise BarError(f"{path}: column {name} is {kind}; expected float64")
    return columns


def _check_zone(path: Path, kind: pa.DataType) -> None:
    if not pa.types.is_timestamp(kind):
        raise BarError(f"{path}: column ts is {kind}; expected the open time as a timestamp in UTC")
    if kind.tz is None:
        remedy = 'if it is local time, convert it: ts.dt.tz_localize("<its zone>").dt.tz_convert("UTC")'
        raise BarError(f"{path}: column ts has no timezone, so it may be local time; expected UTC; {remedy}")
    if kind.tz.upper() not in ("UTC", "+00:00", "Z", "ETC/UTC"):
        remedy = 'convert it: ts.dt.tz_convert("UTC")'
        raise BarError(f"{path}: column ts is in local time, {kind.tz}; expected UTC; {remedy}")


def _times(column: pa.ChunkedArray, path: Path, row: int) -> Times:
    if column.null_count:
        missing = row + int(column.is_null().to_numpy().argmax())
        raise BarError(f"{path}, row {missing}: the time is missing; remove the row")
    times: Times = column.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64()).to_numpy()
    return times


def _floats(column: pa.ChunkedArray) -> Floats:
    values: Floats = column.cast(pa.float64(), safe=False).to_numpy()
    return values


def _any_volume(metadata: pq.FileMetaData) -> bool:
    """Return True if volumes are known; in a file without volumes every one is 0 (HistData)."""
    index = metadata.schema.names.index("volume") if "volume" in metadata.schema.names else None
    if index is None:
        return False
    statistics = [metadata.row_group(n).column(index).statistics for n in range(metadata.num_row_groups)]
    return any(part is None or not part.has_min_max or part.max > 0 for part in statistics)
