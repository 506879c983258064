"""Timed rows as Parquet files, one per month and entity, and the as-of join over them.

The layout is ``<folder>/<key>/<key>/<YYYY-MM>.parquet``: rows in time order, one per instant, zstd. A change
replaces a whole file by a rename, so a reader never sees a partial change; an entity has one writer. Independent
of Feast and of the meaning of the rows.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mikrobot.domain.errors import DataError, StoreError

INSTANT = pa.timestamp("us", tz="UTC")

Microseconds = NDArray[np.int64]
"""Instants since 1970 UTC."""


@dataclass(frozen=True, slots=True)
class MonthlyRows:
    """The rows of one folder.

    Attributes
    ----------
    folder : Path
    keys : tuple of str
        Columns that identify an entity; each is a level of folders.
    time : str
        Column of the instant at which a row is known: unique within an entity, microseconds, UTC.
    """

    folder: Path
    keys: tuple[str, ...]
    time: str

    def entities(self) -> list[Path]:
        """Return the folder of every entity that has rows, sorted by name."""
        files = self.folder.glob("/".join([*("*" for _ in self.keys), "*.parquet"]))
        return sorted({path.parent for path in files})

    def entity(self, values: Sequence[object]) -> Path:
        """Return the folder of one entity, by the values of its keys."""
        return self.folder.joinpath(*(quote(str(value), safe="").replace(".", "%2E") for value in values))

    def replace_span(self, rows: pd.DataFrame) -> None:
        """Write rows, and replace all stored rows of their entities from the first to the last instant.

        Parameters
        ----------
        rows : DataFrame
            The keys, the time and the values of any number of entities, each in time order.

        Raises
        ------
        DataError
            If the times of an entity are not strictly increasing, or one is missing.
        StoreError
            If a file cannot be read or written, or has other columns.
        """
        for entity, part in self._by_entity(rows):
            months, (first, last) = _months(part[self.time]), part[self.time].iloc[[0, -1]]
            for month in sorted({*months, *(path.stem for path in _files(entity, first, last))}):
                path = entity / f"{month}.parquet"
                old = _read(path)
                outside = None if old is None else old[~old[self.time].between(first, last)]
                first_row, row_after = (np.searchsorted(months, month, side) for side in ("left", "right"))
                self._write(path, outside, part.iloc[first_row:row_after])

    def merge(self, rows: pd.DataFrame) -> None:
        """Add rows to the stored ones; a row replaces the stored row of its entity and instant.

        Parameters and errors are those of `replace_span`.
        """
        for entity, part in self._by_entity(rows):
            for month, new in part.groupby(_months(part[self.time])):
                path = entity / f"{month}.parquet"
                old = _read(path)
                others = None if old is None else old[~old[self.time].isin(new[self.time])]
                self._write(path, others, new)

    def scan(
        self, entity: Path, columns: Sequence[str], start: datetime | None = None, end: datetime | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Read the rows of an entity from `start` to `end`, both included, in time order.

        Yields
        ------
        RecordBatch
            The requested columns; at least one row, at most one month.

        Raises
        ------
        StoreError
            If a file cannot be read, or lacks a column.
        """
        for path in _files(entity, start, end):
            for batch in _batches(path, list(dict.fromkeys([*columns, self.time]))):
                times = microseconds(batch[self.time])
                low = 0 if start is None else int(np.searchsorted(times, _since_1970(start)))
                high = len(times) if end is None else int(np.searchsorted(times, _since_1970(end), "right"))
                if low < high:
                    yield batch.slice(low, high - low).select(list(columns))

    def as_of(
        self, entity: Path, columns: Sequence[str], instants: Microseconds, max_age: timedelta | None = None
    ) -> pa.Table | None:
        """Find for each instant the newest row known by then.

        Parameters
        ----------
        entity : Path
        columns : sequence of str
        instants : ndarray of int64, shape (n,)
            Ascending, at least one.
        max_age : timedelta, optional
            Maximum age of a valid row.

        Returns
        -------
        Table or None
            The columns, n rows in the order of the instants, null if there is no valid row; None if there is none
            for any instant.
        """
        first, last = _instant(instants[0]), _instant(instants[-1])
        parts: list[pa.Table] = []
        newest: pa.RecordBatch | None = None
        for batch in self.scan(entity, [self.time, *columns], first - max_age if max_age else None, last):
            candidates = pa.Table.from_batches([batch] if newest is None else [newest, batch])
            settled = int(np.searchsorted(instants, microseconds(batch[self.time])[-1]))
            parts.append(self._newest(candidates, instants[:settled], max_age))
            instants, newest = instants[settled:], batch.slice(len(batch) - 1)
        if newest is None:
            return None
        parts.append(self._newest(pa.Table.from_batches([newest]), instants, max_age))
        return pa.concat_tables(parts).select(list(columns))

    def _newest(self, candidates: pa.Table, instants: Microseconds, max_age: timedelta | None) -> pa.Table:
        """Return the newest candidate row for each instant."""
        times = microseconds(candidates[self.time])
        rows = np.searchsorted(times, instants, "right") - 1
        missing = rows < 0
        if max_age is not None:
            missing |= instants - times[rows] > max_age // timedelta(microseconds=1)
        return candidates.take(pa.array(rows, mask=missing))

    def _by_entity(self, rows: pd.DataFrame) -> Iterator[tuple[Path, pd.DataFrame]]:
        instants = rows.copy(deep=False)
        instants[self.time] = pd.to_datetime(rows[self.time], utc=True).dt.as_unit("us")
        for values, part in self._parts(instants):
            late = np.flatnonzero(~(part[self.time].diff().to_numpy()[1:] > np.timedelta64(0)))
            if part[self.time].isna().any() or len(late):
                row = part.iloc[late[0] + 1 if len(late) else 0]
                raise DataError(
                    f"{'/'.join(map(str, values))}: expected {self.time} known and strictly increasing, "
                    f"found {row[self.time]} in row {row.name}; sort the rows and drop the duplicates"
                )
            yield self.entity(values), part

    def _parts(self, rows: pd.DataFrame) -> Iterable[tuple[tuple[Any, ...], pd.DataFrame]]:
        """Split the rows by entity; a single entity's rows are not copied, since they may fill most of the memory."""
        keys = list(self.keys)
        entities = rows[keys].drop_duplicates()
        if len(entities) == 1:
            return [(tuple(entities.iloc[0]), rows)]
        return rows.groupby(keys, sort=False, dropna=False)

    def _write(self, path: Path, old: pd.DataFrame | None, new: pd.DataFrame) -> None:
        """Replace a file by its old rows and the new ones; remove it if there are none."""
        if old is not None and set(old.columns) != set(new.columns):
            raise StoreError(f"{path} has other columns than the rows to add; remove it and write all its rows again")
        rows = new if old is None else pd.concat([part for part in (old, new[old.columns]) if len(part)] or [new])
        if rows.empty:
            path.unlink(missing_ok=True)
            return
        ordered = rows if rows[self.time].is_monotonic_increasing else rows.sort_values(self.time)
        write_file(path, pa.Table.from_pandas(ordered, preserve_index=False))


def write_file(path: Path, table: pa.Table) -> None:
    """Write a table to a file, completely or not at all; replace an existing file.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    encoding = {
        "use_dictionary": [name for name in table.column_names if name not in floats],
        "use_byte_stream_split": floats,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            pq.write_table(table, file, compression="zstd", compression_level=1, **encoding)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error.strerror}); free space, or choose another MIKROBOT_HOME"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _since_1970(instant: datetime) -> int:
    """Return an instant as microseconds since 1970; without a time zone, it is UTC."""
    stamp = pd.Timestamp(instant)
    return (stamp if stamp.tzinfo else stamp.tz_localize("UTC")).value // 1_000


def _instant(microseconds: np.int64) -> datetime:
    return pd.Timestamp(int(microseconds), unit="us", tz="UTC").to_pydatetime()


def _months(times: pd.Series) -> NDArray[np.str_]:
    """Return the month of each instant, as ``2024-03``."""
    months: NDArray[np.str_] = times.dt.tz_convert(None).to_numpy().astype("datetime64[M]").astype(np.str_)
    return months


def _files(entity: Path, start: datetime | None, end: datetime | None) -> list[Path]:
    """Return the files that may hold rows from `start` to `end`, in time order."""
    first, last = ("" if start is None else f"{start:%Y-%m}"), ("9999" if end is None else f"{end:%Y-%m}")
    return sorted(path for path in entity.glob("*.parquet") if first <= path.stem <= last)


def microseconds(times: pa.Array | pa.ChunkedArray) -> Microseconds:
    """Return a timestamp column as microseconds since 1970 UTC."""
    instants: Microseconds = pc.cast(times, INSTANT).cast(pa.int64()).to_numpy()
    return instants


def _batches(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path) as file:
            stored = set(file.schema_arrow.names)  # pyarrow builds the schema at each access
            absent = [name for name in columns if name not in stored]
            if absent:
                raise StoreError(f"{path} lacks {', '.join(absent)}; remove it and write all its rows again")
            yield from file.iter_batches(batch_size=1 << 16, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} cannot be read ({error}); remove it and write all its rows again") from error


def _read(path: Path) -> pd.DataFrame | None:
    if not path.exists():
        return None
    try:
        rows: pd.DataFrame = pq.read_table(path, partitioning=None).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} cannot be read ({error}); remove it and write all its rows again") from error
    return rows
