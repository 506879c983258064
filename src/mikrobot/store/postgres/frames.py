"""Convert bar frames to and from PostgreSQL's binary formats, without a Python loop over rows.

Every column has a fixed width and is never NULL (unknown is NaN), so a frame is one structured array. A frame is
written by COPY: for each row the number of fields, then each field after its length in bytes. It is read as one
value, the rows one after the other: COPY would send one message per row, which takes five times as long.

References
----------
PostgreSQL 18, COPY, "Binary Format"; timestamptz is int64 microseconds since 2000-01-01 UTC.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.errors import BarError
from mikrobot.domain.market import BAR_COLUMNS

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_EPOCH_US = 946_684_800_000_000
_FIELDS = ("ts", *BAR_COLUMNS[1:])
_PACKED_ROW = np.dtype([(name, ">i8" if name == "ts" else ">f8") for name in _FIELDS])
_KEY = ("source_id", "symbol_id", "timeframe")
_TYPES = dict.fromkeys(_KEY, ">i2") | {name: _PACKED_ROW[name] for name in _FIELDS}


def _row(names: tuple[str, ...]) -> np.dtype[np.void]:
    """Return the layout of a row of COPY: the number of fields, then each after its length."""
    fields = [part for name in names for part in ((f"{name}_bytes", ">i4"), (name, _TYPES[name]))]
    return np.dtype([("fields", ">i2"), *fields])


_ROW, _KEYED_ROW = _row(_FIELDS), _row((*_KEY, *_FIELDS))

_SENT = f"timestamptz_send(ts) || {' || '.join(f'float8send({name})' for name in BAR_COLUMNS[1:])}, ''::bytea"

PACKED = f"string_agg({_SENT} ORDER BY ts)"
"""SQL aggregate of the rows that `decode` reads; NULL without rows."""

NEWEST_FIRST = f"string_agg({_SENT} ORDER BY ts DESC)"
"""The same of rows that come in falling order, as the newest of a table do, which then need no sorting."""

_COLUMNS = pd.Index(BAR_COLUMNS[1:])
_TIMES = pd.DatetimeTZDtype("us", "UTC")


def encode(symbol: str, bars: pd.DataFrame, key: tuple[int, int, int] | None = None) -> bytes:
    """Return a bar frame in the COPY format, with the columns ``ts`` and the values of `BAR_COLUMNS`.

    Parameters
    ----------
    symbol : str
        For messages.
    bars : DataFrame
    key : (int, int, int) or None
        Source, symbol and timeframe, which come first in every row then.

    Raises
    ------
    BarError
        If columns are missing, or the times are not UTC or not strictly increasing: with the symbol, the row and
        its time.
    """
    times = _microseconds(symbol, bars)
    row = _empty_row(key)
    copied = bytearray(_HEADER + row.tobytes() * len(bars) + _TRAILER)
    rows = np.frombuffer(copied, row.dtype, len(bars), len(_HEADER))
    for name in _FIELDS:
        rows[name] = times - _EPOCH_US if name == "ts" else bars[name].to_numpy("float64")
    return bytes(copied)


def _empty_row(key: tuple[int, int, int] | None) -> NDArray[np.void]:
    """Return one row without values: what is the same in every row."""
    row = np.zeros(1, _ROW if key is None else _KEYED_ROW)
    row["fields"] = len(_FIELDS) if key is None else len(_KEY) + len(_FIELDS)
    for name, number in zip(_KEY, key or (), strict=False):
        row[f"{name}_bytes"] = 2
        row[name] = number
    for name in _FIELDS:
        row[f"{name}_bytes"] = 8
    return row


def decode(packed: bytes | None, *, newest_first: bool = False) -> pd.DataFrame:
    """Return the bar frame of the rows that `PACKED` has aggregated, or `NEWEST_FIRST`."""
    rows = np.frombuffer(packed or b"", ">f8").reshape(-1, len(_FIELDS))[:: -1 if newest_first else 1]
    times = (rows[:, 0].view(">i8").astype("int64") + _EPOCH_US).view("datetime64[us]")
    bars = pd.DataFrame(rows[:, 1:].astype("float64"), columns=_COLUMNS)
    bars.insert(0, "open_time", pd.Index(pd.array(times, dtype=_TIMES)))
    return bars


def _microseconds(symbol: str, bars: pd.DataFrame) -> NDArray[np.int64]:
    missing = [name for name in BAR_COLUMNS if name not in bars.columns]
    if missing:
        raise BarError(f"{symbol}: expected the columns {', '.join(BAR_COLUMNS)}; {', '.join(missing)} missing")
    if not isinstance(bars["open_time"].dtype, pd.DatetimeTZDtype):
        raise BarError(f"{symbol}: expected open_time in UTC, found {bars['open_time'].dtype}: tz_localize it first")
    opened = bars["open_time"].dt.tz_convert("UTC").dt.tz_localize(None)
    times: NDArray[np.int64] = opened.to_numpy("datetime64[us]").astype(np.int64)
    wrong = np.flatnonzero(opened.isna().to_numpy() | (np.diff(times, prepend=times[:1] - 1) <= 0))
    if len(wrong):
        row = int(wrong[0])
        opens_at = bars["open_time"].iloc[row]
        raise BarError(f"{symbol}: expected strictly increasing times, row {row} opens at {opens_at}")
    return times
