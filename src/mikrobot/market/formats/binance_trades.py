"""Trades and aggregate trades of data.binance.vision, spot and futures, with or without a header."""

import re

import numpy as np
import pyarrow.compute as pc

from mikrobot.domain.errors import BarError
from mikrobot.market.border import Floats
from mikrobot.market.clocks import UTC_CLOCK
from mikrobot.market.formats import stamps, tick_bars
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.formats.tables import Rows, read_rows

_SIDES = r"(?:,(?:true|false)){1,2}"
_AGGREGATE = re.compile(rf"\d+,[\d.]+,[\d.]+,\d+,\d+,\d{{13,19}}{_SIDES}", re.IGNORECASE)
_SINGLE = re.compile(rf"\d+,[\d.]+,[\d.]+,[\d.]+,\d{{13,19}}{_SIDES}", re.IGNORECASE)

_COIN_MARGINED = re.compile(r"[A-Z]USD_(?:PERP|\d{6})")
"""In the names of files of futures with a margin in coins."""

_AGGREGATE_NAMES = ("id", "price", "quantity", "first_trade_id", "last_trade_id", "time", "is_buyer_maker", "best")
_SINGLE_NAMES = ("id", "price", "quantity", "quote_quantity", "time", "is_buyer_maker", "best")

_NAMED = {
    "qty": "quantity", "base_qty": "base_quantity", "transact_time": "time", "timestamp": "time",
    "isbuyermaker": "is_buyer_maker", "first_id": "first_trade_id", "last_id": "last_trade_id",
}  # fmt: skip


def _recognises(file: BarFile) -> bool:
    return _names(file)[0] is not None


def _names(file: BarFile) -> tuple[tuple[str, ...] | None, int]:
    """Return the names of the columns, None if they are not of trades, and the number of headers."""
    named = tuple(_NAMED.get(name, name) for name in file.columns)
    if {"price", "quantity", "time", "is_buyer_maker"} <= set(named):
        return named, 1
    first = next(iter(file.head), "")
    for line, names in ((_AGGREGATE, _AGGREGATE_NAMES), (_SINGLE, _SINGLE_NAMES)):
        if line.fullmatch(first):
            return names[: len(file.columns)], 0
    return None, 0


def _read(file: BarFile) -> RawBars:
    names, headers = _names(file)
    if names is None:
        raise BarError(f"{file.path}: not the columns of trades; expected price, quantity, time and is_buyer_maker")
    if _COIN_MARGINED.search(file.name) and "base_quantity" not in names:
        raise BarError(
            f"{file.path}: amounts in contracts, as futures with a margin in coins have them; give the trades with "
            "base_qty, or the klines"
        )
    used = ("price", "quantity", "base_quantity", "first_trade_id", "last_trade_id", "time", "is_buyer_maker")
    rows = read_rows(
        file, names, headers=headers, texts=("is_buyer_maker",), ignored=[name for name in names if name not in used]
    )
    maker = pc.utf8_lower(rows.text("is_buyer_maker"))
    return tick_bars.of_trades(
        stamps.of_epoch(rows.numbers("time"), rows.origin),
        rows.numbers("price"),
        rows.numbers("base_quantity", "quantity"),
        bought=pc.equal(maker, "false").to_numpy(),
        count=_count(rows),
        origin=rows.origin,
        clock=UTC_CLOCK,
        symbol=rows.symbol,
    )


def _count(rows: Rows) -> Floats | None:
    if "first_trade_id" not in rows.table.column_names:
        return None
    return np.asarray(rows.numbers("last_trade_id") - rows.numbers("first_trade_id") + 1)


FORMAT = Format("binance_trades", "data.binance.vision, trades and aggTrades", "UTC", _recognises, _read, ticks=True)
