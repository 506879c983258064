"""Entries of instruments from `symbol_info` of MetaTrader 5.

Takes the grid of prices and sizes, the contract size, the currencies and the swap. Leverage, commission and the typical
spread are not in it, and stay those of the tables or of the asset class. Sends no request.

References
----------
https://www.mql5.com/en/docs/constants/environment_state/marketinfoconstants
"""

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

from mikrobot.domain.errors import FeedError
from mikrobot.domain.instruments import entries, registry
from mikrobot.domain.instruments.entries import Entry
from mikrobot.market.mt5.terminal import Plain

PLACE = "symbol_info of MetaTrader 5"
"""Source of the values, as an entry names it."""

FIELDS: dict[str, type] = {
    "name": str,
    "digits": int,
    "point": float,
    "spread": int,
    "trade_tick_size": float,
    "trade_contract_size": float,
    "trade_mode": int,
    "volume_min": float,
    "volume_step": float,
    "currency_base": str,
    "currency_profit": str,
    "swap_mode": int,
    "swap_long": float,
    "swap_short": float,
    "swap_rollover3days": int,
}
"""Fields that are read, with their types."""

_NOT_OPENED = {0: "disabled", 3: "close only"}
"""SYMBOL_TRADE_MODE_DISABLED and SYMBOL_TRADE_MODE_CLOSEONLY."""

_SWAP_DISABLED, _SWAP_POINTS = 0, 1


def entry_of(symbol: str, info: Mapping[str, Plain]) -> Entry:
    """Return the entry of a symbol with the values of its broker.

    Parameters
    ----------
    symbol : str
    info : mapping of str to object
        The `FIELDS`.

    Raises
    ------
    FeedError
        If the broker opens no positions in it at present, or a value is not possible.
    SettingsError
        If the values do not make an instrument.
    """
    mode = info["trade_mode"]
    if mode in _NOT_OPENED:
        raise FeedError(f"{symbol}: the broker opens no positions in it at present ({_NOT_OPENED[int(mode)]})")
    before = registry.entry(symbol) if registry.is_known(symbol) else None
    point = _amount(symbol, info, "point")
    tick = _amount(symbol, info, "trade_tick_size") if info["trade_tick_size"] else point
    listed = _currencies(symbol, info, before) | {
        "tick": tick,
        "lot": _amount(symbol, info, "trade_contract_size"),
        "size_step": _amount(symbol, info, "volume_step"),
        "min_size": _amount(symbol, info, "volume_min"),
        "source": PLACE,
    }
    shape = registry.guess(symbol)
    asset = before.instrument.asset if before else shape.asset if shape else "index"
    usual = registry.by_class(asset, tick, str(listed["base"]))
    pip = usual["pip"] if before is None or before.instrument.pip % tick else before.instrument.pip
    spread = Decimal(int(info["spread"])) * point if before is None else before.instrument.spread
    listed |= {"pip": pip, "spread": max(_whole(spread, tick), tick)} | _swap(symbol, info, point, pip)
    if before is None:
        assumed = ["spread", *(name for name in registry.ASSUMABLE if name in usual and name not in listed)]
        listed = usual | {"asset": asset, "assumed": assumed} | listed
    return entries.of(symbol, listed, PLACE, before, origin="venue")


def _currencies(symbol: str, info: Mapping[str, Plain], before: Entry | None) -> dict[str, Any]:
    """Return base and quote: the base of an index is its own symbol, though brokers name its currency."""
    shape = registry.guess(symbol)
    base = before.instrument.base if before else shape.base if shape else symbol
    return {"base": base, "quote": shape.quote if shape and before is None else info["currency_profit"]}


def _swap(symbol: str, info: Mapping[str, Plain], point: Decimal, pip: Decimal) -> dict[str, Any]:
    """Return the swap in tenths of a pip; that of another kind than points is not known here."""
    if info["swap_mode"] == _SWAP_DISABLED:
        return {"swap_long": Decimal(0), "swap_short": Decimal(0)}
    if info["swap_mode"] != _SWAP_POINTS:
        return {}
    sides = {name: _number(symbol, info, name) * point * 10 / pip for name in ("swap_long", "swap_short")}
    day = int(info["swap_rollover3days"]) - 1  # Sunday is 0 there, Monday here
    return sides | ({"swap_triple_day": day} if 0 <= day <= 4 else {})


def _whole(amount: Decimal, step: Decimal) -> Decimal:
    """Round an amount up to whole steps."""
    return (amount / step).to_integral_value(ROUND_CEILING) * step


def _amount(symbol: str, info: Mapping[str, Plain], name: str) -> Decimal:
    amount = _number(symbol, info, name)
    if amount <= 0:
        raise FeedError(f"{symbol}: the broker lists {name} as {info[name]!r}; expected a number above 0")
    return amount


def _number(symbol: str, info: Mapping[str, Plain], name: str) -> Decimal:
    """Return a float as the decimal number that it was written as: 1e-05, not 1.0000000000000001e-05."""
    value = float(info[name])
    if not math.isfinite(value):
        raise FeedError(f"{symbol}: the broker lists {name} as {value}; expected a number")
    return Decimal(f"{value:.12g}").normalize()
