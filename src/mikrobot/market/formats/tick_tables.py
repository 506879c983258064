"""Quotes and trades as tables: ``ts, bid, ask`` or ``ts, price, amount`` and ``side``, as Parquet, Feather or CSV."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mikrobot.domain.errors import BarError
from mikrobot.market.border import Times
from mikrobot.market.clocks import FileClock
from mikrobot.market.formats import stamps, tick_bars
from mikrobot.market.formats.dated_tables import clock_of_times, times_of
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import Rows, read_rows, table_rows
from mikrobot.market.row_origin import refuse_rows

_TIMES = ("ts", "timestamp", "time", "datetime", "date")
_AMOUNTS = ("homenotional", "amount", "quantity", "qty", "size", "volume")
"""BitMEX and Bybit have the base units in homeNotional, and contracts as the size of inverse ones."""


def _recognises(file: BarFile) -> bool:
    names = set(file.columns)
    quotes, trades = {"bid", "ask"} <= names, "price" in names and _first_of(_AMOUNTS, names) is not None
    return _first_of(_TIMES, names) is not None and "open" not in names and (quotes or trades)


def _first_of(wanted: Iterable[str], names: Iterable[str]) -> str | None:
    return next((name for name in wanted if name in names), None)


def _read(file: BarFile) -> RawBars:
    stamp, amount = _first_of(_TIMES, file.columns), _first_of(_AMOUNTS, file.columns)
    quotes = {"bid", "ask"} <= set(file.columns)
    if stamp is None or not (quotes or ("price" in file.columns and amount is not None)):
        raise BarError(f"{file.path}: expected the columns ts, bid, ask, or ts, price, amount")
    numbers = ("bid", "ask") if quotes else ("price", str(amount))
    rows = _rows(file, stamp, numbers)
    times, clock = _times(file, rows, stamp)
    if quotes:
        bid, ask = rows.numbers("bid"), rows.numbers("ask")
        return tick_bars.of_quotes(times, bid, ask, origin=rows.origin, clock=clock, symbol=rows.symbol)
    return tick_bars.of_trades(
        times,
        rows.numbers("price"),
        rows.numbers(str(amount)),
        bought=_bought(rows) if "side" in file.columns else None,
        origin=rows.origin,
        clock=clock,
        symbol=rows.symbol,
    )


def _rows(file: BarFile, stamp: str, numbers: tuple[str, ...]) -> Rows:
    if file.kind != "text":
        return table_rows(file, numbers)
    used = (stamp, *numbers, "side")
    names = [name or f"column {place}" for place, name in enumerate(file.columns)]
    ignored = [name for name in names if name not in used]
    return read_rows(file, names, headers=1, texts=(stamp, "side"), ignored=ignored)


def _times(file: BarFile, rows: Rows, stamp: str) -> tuple[Times, FileClock | None]:
    if file.kind == "text":
        return stamps.of_any(rows.text(stamp), rows.origin)
    return times_of(rows, stamp), clock_of_times(rows, stamp)


def _bought(rows: Rows) -> NDArray[np.bool_]:
    try:
        side = pc.fill_null(pc.utf8_lower(rows.table["side"].cast(pa.string())), "")
    except pa.ArrowException as error:
        raise BarError(f"{rows.origin.name}: column side is {rows.table['side'].type}; expected buy or sell") from error
    bought, sold = (pc.is_in(side, pa.array(names)).to_numpy() for names in (("buy", "b"), ("sell", "s")))
    refuse_rows(~(bought | sold), rows.origin, lambda row: f"side {side[row].as_py()!r}; expected buy or sell")
    return np.asarray(bought)


FORMAT = Format(
    "ticks", "quotes or trades as a table", "UTC, or the offset of each time", _recognises, _read, ticks=True
)
