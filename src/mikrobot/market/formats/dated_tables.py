"""Tables with one column of times and the prices under their English names: freqtrade, TradingView, yfinance."""

import numpy as np
import pyarrow as pa

from mikrobot.domain.errors import BarError
from mikrobot.market.border import Times
from mikrobot.market.clocks import UTC_CLOCK, FileClock
from mikrobot.market.formats import stamps
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import PRICES, Rows, read_rows, table_rows


def _has(file: BarFile, *first: str) -> bool:
    return bool(file.columns) and file.columns[0] in first and set(PRICES) <= set(file.columns)


def _is_freqtrade(file: BarFile) -> bool:
    return file.kind in ("parquet", "feather") and "date" in file.columns and set(PRICES) <= set(file.columns)


def _is_tradingview(file: BarFile) -> bool:
    return file.kind == "text" and _has(file, "time") and "tick_volume" not in file.columns


def _is_yfinance(file: BarFile) -> bool:
    return file.kind == "text" and (_has(file, "datetime", "date") or _is_stacked(file))


def _is_stacked(file: BarFile) -> bool:
    """Return True for the three header lines that yfinance writes since 0.2.51."""
    return file.columns[:1] == ("price",) and file.fields(1)[:1] == ("ticker",) and file.fields(2)[:1] == ("datetime",)


def _read_freqtrade(file: BarFile) -> RawBars:
    rows = table_rows(file)
    return _bars(rows, times_of(rows, "date"), UTC_CLOCK)


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
    names = ("datetime", *file.columns[1:])
    rows = _rows(file, names, headers, [name for name in names if name not in ("datetime", *PRICES, "volume")])
    return _bars(rows, *stamps.of_any(rows.text("datetime"), rows.origin))


def _rows(file: BarFile, names: tuple[str, ...], headers: int, ignored: list[str]) -> Rows:
    unique = [name if name not in names[:place] else f"{name}_{place}" for place, name in enumerate(names)]
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
    )


FREQTRADE = Format("freqtrade", "freqtrade Feather or Parquet", "UTC", _is_freqtrade, _read_freqtrade)
TRADINGVIEW = Format(
    "tradingview", "TradingView, export chart data", "UTC epoch or offset", _is_tradingview, _read_tradingview
)
YFINANCE = Format("yfinance", "yfinance CSV", "the offset of each time", _is_yfinance, _read_yfinance)
