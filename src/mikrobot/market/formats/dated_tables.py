"""Tables with one column of times and the prices under their English names: freqtrade, TradingView, yfinance."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from mikrobot.domain.errors import BarError
from mikrobot.market.border import Times
from mikrobot.market.clocks import UTC_CLOCK, FileClock
from mikrobot.market.formats import stamps
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import PRICES, Rows, read_rows, table_rows
from mikrobot.market.names import symbols_in


def _has(file: BarFile, *first: str) -> bool:
    return bool(file.columns) and file.columns[0] in first and set(PRICES) <= set(file.columns)


def _is_freqtrade(file: BarFile) -> bool:
    return file.kind in ("parquet", "feather") and "date" in file.columns and set(PRICES) <= set(file.columns)


def _is_tradingview(file: BarFile) -> bool:
    return file.kind == "text" and _has(file, "time") and "tick_volume" not in file.columns


def _is_yfinance(file: BarFile) -> bool:
    return file.kind == "text" and (_has(file, "datetime", "date", "timestamp") or _is_stacked(file))


def _is_stacked(file: BarFile) -> bool:
    """Return True for the three header lines that yfinance writes since 0.2.51."""
    return file.columns[:1] == ("price",) and file.fields(1)[:1] == ("ticker",) and file.fields(2)[:1] == ("datetime",)


def _read_freqtrade(file: BarFile) -> RawBars:
    rows = table_rows(file)
    return _bars(rows, times_of(rows, "date"), clock_of_times(rows, "date"))


def clock_of_times(rows: Rows, name: str) -> FileClock | None:
    """Return UTC for a column of times of a table, None for timestamps without a timezone, whose clock is unknown."""
    kind = rows.table.schema.field(name).type
    return None if pa.types.is_timestamp(kind) and kind.tz is None else UTC_CLOCK


def times_of(rows: Rows, name: str) -> Times:
    """Return a column of times of a table: a timestamp in UTC, or an epoch.

    Raises
    ------
    BarError
        If it is neither, or a row has none.
    """
    column, kind = rows.table[name], rows.table.schema.field(name).type
    if column.null_count:
        raise BarError(f"{rows.origin(int(column.is_null().to_numpy().argmax()))}: the time is missing; remove the row")
    if pa.types.is_timestamp(kind):
        times: Times = column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64()).to_numpy()
        return times
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return stamps.of_epoch(column.to_numpy(), rows.origin)
    raise BarError(f"{rows.origin.name}: column {name} is {kind}; expected times in UTC, or an epoch")


def _read_tradingview(file: BarFile) -> RawBars:
    others = [name for name in file.columns if name not in ("time", *PRICES, "volume")]
    rows = _rows(file, file.columns, 1, others)
    return _bars(rows, *stamps.of_any(rows.text("time"), rows.origin))


def _read_yfinance(file: BarFile) -> RawBars:
    headers = 3 if _is_stacked(file) else 1
    ticker = _ticker(file) if headers == 3 else None
    names = ("datetime", *file.columns[1:])
    rows = _rows(file, names, headers, [name for name in names if name not in ("datetime", *PRICES, "volume")])
    bars = _bars(rows, *stamps.of_any(rows.text("datetime"), rows.origin))
    return bars if ticker is None else replace(bars, symbol=ticker)


def _ticker(file: BarFile) -> str | None:
    """Return the one ticker of the second header line; None if it is no symbol, as that of a future."""
    tickers = list(dict.fromkeys(field.upper() for field in file.fields(1)[1:] if field))
    if len(tickers) > 1:
        raise BarError(f"{file.path}: has bars of {' and '.join(tickers[:2])}; give a file for each symbol")
    return tickers[0] if tickers and symbols_in(tickers[0]) else None


def _rows(file: BarFile, names: tuple[str, ...], headers: int, ignored: list[str]) -> Rows:
    """Read the rows; of plotted columns of one name only the first is read, a price must be there once."""
    unique = [
        f"{name}_{place}" if name in names[:place] and name not in PRICES else name for place, name in enumerate(names)
    ]
    extra = [name for name in unique if name not in names]
    return read_rows(file, unique, headers=headers, texts=(names[0],), ignored=[*ignored, *extra])


def _bars(rows: Rows, opened: Times, clock: FileClock | None) -> RawBars:
    volume = rows.numbers("volume")
    return RawBars(
        opened,
        rows.prices,
        volume=volume if np.nansum(volume) > 0 else np.full(len(rows), np.nan),
        decimals=rows.decimals,
        origin=rows.origin,
        clock=clock,
        symbol=rows.symbol,
    )


FREQTRADE = Format("freqtrade", "freqtrade Feather or Parquet", "UTC", _is_freqtrade, _read_freqtrade)
TRADINGVIEW = Format(
    "tradingview", "TradingView, export chart data", "UTC epoch or offset", _is_tradingview, _read_tradingview
)
YFINANCE = Format(
    "yfinance", "yfinance CSV and the like, as on Kaggle", "the offset of each time", _is_yfinance, _read_yfinance
)
