"""Bars of one Parquet file in the shared schema, read row group by row group.

The schema: ``ts``, the open time as a UTC timestamp; ``open``, ``high``, ``low``, ``close``;
optional ``volume``, ``spread`` or ``ask_close``, ``trades``, ``taker_buy_volume`` and ``symbol``. Other
columns are ignored. Opening a file reads and validates its times; the other columns are read and
validated on request.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mikrobot.domain.errors import BarError
from mikrobot.domain.instruments.instrument import Instrument
from mikrobot.domain.market import empty_bars
from mikrobot.market.border import (
    SYMBOL_COLUMNS,
    Floats,
    Times,
    bar_frame,
    check_hours,
    check_plausible,
    check_prices,
    check_timeframe,
    check_times,
    check_trades,
    check_volume,
    sole_value,
    spread_of,
    taker_volume_of,
)
from mikrobot.market.row_origin import RowOrigin
from mikrobot.market.spreads import check_sides, check_spread, usual_spread_of

_PRICES = ["open", "high", "low", "close"]
_ENOUGH = 1000
"""Bars of which the median spread is compared with the usual one: a few may be those of the hour before the open."""

_OPTIONAL = ["volume", "spread", "ask_close", "trades", "taker_buy_volume"]


class ParquetBars:
    """The bars of one file.

    Parameters
    ----------
    path : Path
    instrument : Instrument
    latest : datetime
        Time after which no bar can open, UTC.

    Attributes
    ----------
    path : Path
    first, last : int
        Open times of the first and the last bar, microseconds since the epoch.
    notes : tuple of str
        What its user should know, a line each.

    Raises
    ------
    BarError
        If the file is not Parquet, is empty, lacks a column, is not in UTC or not of one-minute
        bars, or if a time is out of order or not plausible.
    """

    def __init__(self, path: Path, instrument: Instrument, latest: datetime) -> None:
        self.path = path
        with self._opened() as file:
            self._columns, self._layout = _checked_columns(path, file.schema_arrow), _layout(file)
            self._starts = np.concatenate(([0], np.cumsum(self._layout[1]))).astype(int)
            if not self._starts[-1]:
                raise BarError(f"{path}: the file is empty; expected at least one bar")
            self._times = _times(file.read(columns=["ts"])["ts"], path)
            self._volume_known = _any_volume(file)
            self._origin = RowOrigin(path.name, range(len(self._times)))
            check_plausible(self._times, self._origin, latest)
            check_times(self._times, self._origin)
            check_timeframe(self._times, self._origin)
            stray = check_hours(instrument.session, self._times, self._origin)
        self.notes = (stray,) if stray else ()
        self._usual_spread = usual_spread_of(instrument)
        self.first, self.last = int(self._times[0]), int(self._times[-1])
        self._held: tuple[int, pa.Table] | None = None

    def bars(self, start: int, end: int) -> pd.DataFrame:
        """Return the bars that open in [start, end), microseconds since the epoch.

        Raises
        ------
        BarError
            If one of them breaks the schema.
        """
        since, until = (int(place) for place in np.searchsorted(self._times, [start, end]))
        groups = [
            number
            for number in range(len(self._starts) - 1)
            if self._starts[number] < until and self._starts[number + 1] > since
        ]
        parts = [self._part(number, since, until) for number in groups]
        return joined(parts)

    def _part(self, group: int, since: int, until: int) -> pd.DataFrame:
        table, first = self._read(group), int(self._starts[group])
        rows = slice(max(since, first), min(until, int(self._starts[group + 1])))
        column = {
            name: _floats(table[name].slice(rows.start - first, rows.stop - rows.start)) for name in self._columns
        }
        times, origin = self._times[rows], self._origin.part(rows)
        prices, unknown = np.stack([column[name] for name in _PRICES]), np.full(len(times), np.nan)
        volume = column["volume"] if self._volume_known else unknown
        check_prices(prices, times, origin)
        check_volume(volume, times, origin)
        spread = column["spread"] if "spread" in column else column.get("ask_close", unknown) - column["close"]
        enough = len(times) >= min(_ENOUGH, len(self._times))
        check_spread(spread, prices, origin, self._usual_spread if enough else None)
        if enough:
            check_sides(spread, origin)
        trades = column.get("trades", unknown)
        check_trades(trades, times, origin)
        taker_volume = taker_volume_of(column.get("taker_buy_volume", unknown), volume, times, origin)
        return bar_frame(times, prices, volume, spread_of(spread), trades=trades, taker_volume=taker_volume)

    def _read(self, group: int) -> pa.Table:
        """Read a row group; the last one is cached for the next call."""
        if self._held is None or self._held[0] != group:
            with self._opened() as file:
                if _layout(file) != self._layout:
                    raise BarError(f"{self.path}: was changed while it was read; run the command again")
                self._held = group, file.read_row_group(group, columns=self._columns)
        return self._held[1]

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        try:
            with pq.ParquetFile(self.path) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise BarError(f"{self.path}: not a readable Parquet file ({reason}); export it again") from error


def _layout(file: pq.ParquetFile) -> tuple[pa.Schema, tuple[int, ...]]:
    """Return the columns of a file and the number of rows in each of its groups."""
    groups = range(file.metadata.num_row_groups)
    return file.schema_arrow, tuple(file.metadata.row_group(number).num_rows for number in groups)


def _checked_columns(path: Path, schema: pa.Schema) -> list[str]:
    repeated = sorted({name for name in ("ts", *_PRICES, *_OPTIONAL) if schema.names.count(name) > 1})
    if repeated:
        raise BarError(f"{path}: several columns are named {repeated[0]}; keep one of them")
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


def _times(column: pa.ChunkedArray, path: Path) -> Times:
    if column.null_count:
        missing = int(column.is_null().to_numpy().argmax())
        raise BarError(f"{path}, row {missing}: the time is missing; remove the row")
    times: Times = column.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64()).to_numpy()
    return times


def _floats(column: pa.ChunkedArray) -> Floats:
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())  # Arrow converts float16 in no other way
    values: Floats = column.cast(pa.float64(), safe=False).to_numpy()
    return values


def _any_volume(file: pq.ParquetFile) -> bool:
    """Return True if volumes are known; in a file without volumes every one is 0 (HistData)."""
    metadata = file.metadata
    paths = [metadata.schema.column(leaf).path for leaf in range(metadata.num_columns)]
    if "volume" not in paths:
        return False
    statistics = [
        metadata.row_group(n).column(paths.index("volume")).statistics for n in range(metadata.num_row_groups)
    ]
    return any(
        part is None or not part.has_min_max or isinstance(part.max, bytes) or part.max > 0  # bytes of half floats
        for part in statistics
    )


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join bar frames in order; one alone is not copied."""
    if len(parts) == 1:
        return parts[0]
    return pd.concat(parts, ignore_index=True) if parts else empty_bars()


def symbol_column(path: Path) -> str | None:
    """Return the one value of the column that names the symbol, None if the file has none.

    Raises
    ------
    BarError
        If the column has several values, with the first row of another.
    """
    try:
        with pq.ParquetFile(path) as file:
            name = next((name for name in SYMBOL_COLUMNS if name in file.schema_arrow.names), None)
            if name is None or not file.metadata.num_rows:
                return None
            column = file.read(columns=[name])[name]
    except (pa.ArrowException, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BarError(f"{path}: not a readable Parquet file ({reason}); export it again") from error
    return sole_value(column, RowOrigin(path.name, range(len(column))), name)
