"""Bars exported as text: MetaTrader 5's "export bars" and HistData's M1 files.

Both have timestamps in an undocumented local time. Their time zones were determined by comparison
with independent quotes; this module converts them to UTC. Neither format has trades or taker volume.
A file is read whole.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
from numpy.typing import NDArray

from mikrobot.domain.errors import BarError
from mikrobot.domain.market import Instrument
from mikrobot.market.border import (
    MINUTE_US,
    Floats,
    RowOrigin,
    Times,
    bar_frame,
    check_prices,
    check_timeframe,
    check_times,
    check_volume,
    epoch_us,
    microseconds,
    spread_of,
)
from mikrobot.market.sessions import is_open

_MT5_NUMBERS = ("<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<TICKVOL>", "<VOL>", "<SPREAD>")
_HISTDATA_COLUMNS = ("time", "open", "high", "low", "close", "volume")
_HISTDATA_LINE = re.compile(r"\d{8} \d{6};")
_HOUR_US = 60 * MINUTE_US
_SLACK = pd.Timedelta(minutes=5)


class _Rows(NamedTuple):
    """Rows of a file, with times in its local time; `lines` are their line numbers."""

    local: Times
    prices: Floats
    volume: Floats
    spread: Floats
    lines: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TextBars:
    """The bars of one text file.

    Attributes
    ----------
    path : Path
    frame : DataFrame
        All bars, as a bar frame.
    """

    path: Path
    frame: pd.DataFrame

    @property
    def first(self) -> int:
        """Open time of the first bar, microseconds since the epoch."""
        return int(microseconds(self.frame["open_time"].iloc[:1])[0])

    @property
    def last(self) -> int:
        """Open time of the last bar, microseconds since the epoch."""
        return int(microseconds(self.frame["open_time"].iloc[-1:])[0])

    def bars(self, start: int, end: int) -> pd.DataFrame:
        """Return the bars that open in [start, end), microseconds since the epoch."""
        used = slice(*np.searchsorted(microseconds(self.frame["open_time"]), [start, end]))
        return self.frame.iloc[used].reset_index(drop=True)


def read_export(path: Path, instrument: Instrument) -> TextBars:
    """Read a text export.

    Parameters
    ----------
    path : Path
        MetaTrader 5 (tab separated, with its header line) or HistData (semicolons, no header).
    instrument : Instrument
        Instrument of the file; MetaTrader gives spreads in its ticks.

    Raises
    ------
    BarError
        If the file has neither format, is empty, or a line breaks the bar schema; with the line.
    """
    start = _first_line(path)
    if not start:
        raise BarError(f"{path}: the file is empty; expected at least one bar")
    if start.startswith("<DATE>"):
        rows = _read_mt5(path, instrument)
        times = _server_to_utc(rows.local, instrument, path)
    elif _HISTDATA_LINE.match(start):
        rows = _without_repeated_hour(_read_histdata(path))
        times = histdata_to_utc(rows.local)
    else:
        raise BarError(f"{path}: neither a MetaTrader 5 nor a HistData M1 export; it begins with {start[:40]!r}")
    return TextBars(path, _checked_frame(path, times, rows))


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return file.readline(200).strip()
    except OSError as error:
        raise BarError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def histdata_to_utc(local: Times) -> Times:
    """Convert the timestamps of HistData M1 files to UTC.

    The vendor documents "EST without summer time". Compared with Oanda, FXCM and a MetaTrader
    broker, the time is New York time until the end of 2018. From 2019 it is UTC-5, and UTC-4 from
    the last Sunday of March until the last Sunday of October.

    Parameters
    ----------
    local : ndarray of int64
        Timestamps in local time, in microseconds since the epoch.

    Returns
    -------
    ndarray of int64
        UTC; `_NO_TIME` for a timestamp that does not exist in New York time, or exists twice.
    """
    years = local.view("datetime64[us]").astype("datetime64[Y]").astype(int) + 1970
    utc = local + 5 * _HOUR_US
    for year in np.unique(years[years >= 2019]):
        summer = (local >= _last_sunday(int(year), 3)) & (local < _last_sunday(int(year), 10))
        utc[summer] -= _HOUR_US
    early = years < 2019
    utc[early] = _zone_to_utc(local[early], "America/New_York")
    return utc


_NO_TIME = np.iinfo(np.int64).min


def _zone_to_utc(local: Times, zone: str) -> Times:
    index = pd.DatetimeIndex(local.view("datetime64[us]"))
    aware = index.tz_localize(zone, ambiguous="NaT", nonexistent="NaT").tz_convert("UTC")
    utc: Times = aware.tz_localize(None).to_numpy("datetime64[us]").view(np.int64)
    return utc


def _server_to_utc(local: Times, instrument: Instrument, path: Path) -> Times:
    """Convert a broker's server time to UTC: Eastern European time with European or US summer time.

    The correct one of the two has no FX bar while the market is closed.
    """
    european = _zone_to_utc(local, "Europe/Athens")
    american = _zone_to_utc(local - 7 * _HOUR_US, "America/New_York")
    for utc in (european, american):
        times = pd.DatetimeIndex(utc[utc != _NO_TIME].view("datetime64[us]")).tz_localize("UTC")
        if (is_open(instrument.asset, times - _SLACK) | is_open(instrument.asset, times + _SLACK)).all():
            return utc
    raise BarError(
        f"{path}: its clock is not Eastern European server time (there would be bars in the closed weekend); "
        "convert it to Parquet with a column ts in UTC"
    )


def _read_mt5(path: Path, instrument: Instrument) -> _Rows:
    types = {"<DATE>": pa.string(), "<TIME>": pa.string(), **dict.fromkeys(_MT5_NUMBERS, pa.float64())}
    table = _read_table(path, types, csv.ReadOptions(), "\t")
    stamps = pc.binary_join_element_wise(table["<DATE>"], table["<TIME>"], " ")
    column = {name: table[name].to_numpy() for name in _MT5_NUMBERS}
    traded = column["<VOL>"] if instrument.asset == "crypto" else column["<TICKVOL>"]
    return _Rows(
        _stamps(stamps, "%Y.%m.%d %H:%M:%S", path, 2),
        np.stack([column[name] for name in _MT5_NUMBERS[:4]]),
        _known(traded),
        _known(column["<SPREAD>"]) * float(instrument.tick),
        np.arange(2, 2 + len(table)),
    )


def _read_histdata(path: Path) -> _Rows:
    types = {"time": pa.string(), **dict.fromkeys(_HISTDATA_COLUMNS[1:], pa.float64())}
    table = _read_table(path, types, csv.ReadOptions(column_names=list(_HISTDATA_COLUMNS)), ";")
    prices = np.stack([table[name].to_numpy() for name in _HISTDATA_COLUMNS[1:5]])
    unknown = np.full(len(table), np.nan)
    local = _stamps(table["time"], "%Y%m%d %H%M%S", path, 1)
    return _Rows(local, prices, _known(table["volume"].to_numpy()), unknown, np.arange(1, 1 + len(table)))


def _read_table(path: Path, types: dict[str, pa.DataType], read: csv.ReadOptions, delimiter: str) -> pa.Table:
    convert = csv.ConvertOptions(column_types=types, include_columns=list(types))
    try:
        table = csv.read_csv(path, read, csv.ParseOptions(delimiter=delimiter), convert)
    except (pa.ArrowException, KeyError) as error:
        raise BarError(f"{path}: {str(error).splitlines()[0]}; expected the columns {', '.join(types)}") from error
    if not len(table):
        raise BarError(f"{path}: the file is empty; expected at least one bar")
    return table


def _stamps(column: pa.ChunkedArray, layout: str, path: Path, first_line: int) -> Times:
    parsed = pc.strptime(column, format=layout, unit="us", error_is_null=True)
    if parsed.null_count:
        row = int(parsed.is_null().to_numpy().argmax())
        raise BarError(f"{path}, line {first_line + row}: time {column[row].as_py()!r}; expected the form {layout}")
    stamps: Times = parsed.cast(pa.int64()).to_numpy()
    return stamps


def _known(values: Floats) -> Floats:
    """Return the values, or all NaN if every value is 0, because then the source has none."""
    return values if values.any() else np.full(len(values), np.nan)


def _without_repeated_hour(rows: _Rows) -> _Rows:
    """Drop the duplicated hour that HistData files have on the last Sunday of October since 2019."""
    days = rows.local // (24 * _HOUR_US)
    years = np.unique(rows.local.view("datetime64[us]").astype("datetime64[Y]").astype(int) + 1970)
    changes = [_last_sunday(int(year), 10) // (24 * _HOUR_US) for year in years if year >= 2019]
    copied = pd.DataFrame(np.column_stack((rows.local, rows.prices.T))).duplicated().to_numpy()
    kept = ~(copied & np.isin(days, changes))
    return _Rows(rows.local[kept], rows.prices[:, kept], rows.volume[kept], rows.spread[kept], rows.lines[kept])


def _last_sunday(year: int, month: int) -> int:
    """Return midnight of the last Sunday of a month, UTC, in microseconds since the epoch."""
    last = datetime(year, month, 31, tzinfo=UTC)
    sunday = last - timedelta(days=(last.weekday() + 1) % 7)
    return epoch_us(sunday)


def _checked_frame(path: Path, times: Times, rows: _Rows) -> pd.DataFrame:
    origin = RowOrigin(path.name, rows.lines, "line")
    if (times == _NO_TIME).any():
        raise BarError(f"{origin(int((times == _NO_TIME).argmax()))}: the hour exists twice or not at all in its zone")
    check_times(times, origin)
    check_timeframe(times, origin)
    check_prices(rows.prices, times, origin)
    check_volume(rows.volume, times, origin)
    return bar_frame(times, rows.prices, rows.volume, spread_of(rows.spread))
