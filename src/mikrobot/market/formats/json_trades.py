"""Trades as JSON: the objects that ccxt returns, and the lists that freqtrade keeps of them."""

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mikrobot.domain.errors import BarError
from mikrobot.market.border import Floats
from mikrobot.market.clocks import UTC_CLOCK
from mikrobot.market.formats import stamps, tick_bars
from mikrobot.market.formats.files import BarFile
from mikrobot.market.formats.raw import Format, RawBars
from mikrobot.market.row_origin import RowOrigin, refuse_rows

_NAMES = ("timestamp", "id", "type", "side", "price", "amount", "cost")
"""Places of a trade in freqtrade's lists."""

_OBJECTS = re.compile(rb'\s*\[\s*\{[^[]*"price"')
_LISTS = re.compile(rb'\s*\[\s*\[\s*\d{10,19}(?:\.0)?\s*,\s*(?:"[^"]*"|null)\s*,\s*(?:"[A-Za-z_]*"|null)')
"""A time, an identity and a type; klines of Binance's interface have prices as text there."""

_REMEDY = (
    'expected [{"timestamp": milliseconds, "side": "buy", "price": number, "amount": number}, ...], or lists of '
    + ", ".join(_NAMES)
)


def recognises(file: BarFile) -> bool:
    """Return whether a file begins as JSON of trades."""
    head = file.content[:4096]
    return file.kind == "json" and bool(_OBJECTS.match(head) or _LISTS.match(head))


def _read(file: BarFile) -> RawBars:
    trades = _trades(file)
    origin = RowOrigin(file.name, range(len(trades)))
    sides = np.array([trade.get("side") or "" for trade in trades])
    bought, sold = sides == "buy", sides == "sell"
    refuse_rows(~(bought | sold), origin, lambda row: f"side {str(sides[row])!r}; expected buy or sell")
    return tick_bars.of_trades(
        stamps.of_epoch(_numbers(file, trades, "timestamp"), origin),
        _numbers(file, trades, "price"),
        _numbers(file, trades, "amount"),
        bought=bought,
        origin=origin,
        clock=UTC_CLOCK,
        symbol=_symbol(file, trades),
    )


def _trades(file: BarFile) -> list[dict[str, Any]]:
    try:
        content = json.loads(file.content)
    except (ValueError, RecursionError) as error:
        raise BarError(f"{file.path}: not JSON to its end; {_REMEDY}") from error
    rows = [
        dict(zip(_NAMES, row, strict=True)) if isinstance(row, list) and len(row) == len(_NAMES) else row
        for row in (content if isinstance(content, list) else [])
    ]
    odd = next((place for place, row in enumerate(rows) if not isinstance(row, dict)), None)
    if not rows or odd is not None:
        where = "no list of trades" if odd is None else f"row {odd}: no trade"
        raise BarError(f"{file.path}: {where}; {_REMEDY}")
    return rows


def _numbers(file: BarFile, trades: Sequence[dict[str, Any]], name: str) -> Floats:
    try:
        return np.array([trade[name] for trade in trades], dtype=np.float64)
    except (KeyError, TypeError, ValueError, OverflowError):
        row = next(place for place, trade in enumerate(trades) if not isinstance(trade.get(name), int | float))
        value = trades[row].get(name)
        raise BarError(f"{file.name}: row {row}: {name} is {str(value)[:40]!r}; expected a number") from None


def _symbol(file: BarFile, trades: Sequence[dict[str, Any]]) -> str | None:
    symbols = sorted({str(trade["symbol"]) for trade in trades if trade.get("symbol")})
    if len(symbols) > 1:
        raise BarError(f"{file.path}: trades of {symbols[0]} and {symbols[1]}; write one file for each symbol")
    return symbols[0] if symbols else None


FORMAT = Format("json_trades", "trades of ccxt or freqtrade as JSON", "UTC epoch", recognises, _read, ticks=True)
