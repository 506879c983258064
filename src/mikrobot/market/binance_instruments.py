"""Entries of instruments from the metadata of Binance, `exchangeInfo` of spot and of USD-M futures.

Takes the grid of prices and sizes, the smallest order, base and quote; fees, margin and the typical spread are not in
it, and stay those of the tables or of the asset class. Sends no request.
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from mikrobot.domain.errors import FeedError
from mikrobot.domain.instruments import entries, registry
from mikrobot.domain.instruments.entries import Entry

PLACE = "exchangeInfo of Binance"
"""Source of the values, as an entry names it."""

TRADED = "TRADING"
"""Status of a symbol that is traded."""

PERPETUAL = "PERPETUAL"
"""Type of a contract of USD-M futures that does not expire; spot lists no type."""

SMALLEST = Decimal("1e-12")

Filters = Mapping[Any, Mapping[str, Any]]
"""Filters of a symbol by their type."""


def entry_of(symbol: str, listing: Mapping[str, Any]) -> Entry:
    """Return the entry of a symbol with the values of its listing.

    Parameters
    ----------
    symbol : str
    listing : mapping of str to object
        One of the `symbols` of the answer.

    Raises
    ------
    FeedError
        If the symbol is not traded at present or expires, or a value is missing or is not possible.
    SettingsError
        If the values do not make an instrument.
    """
    if listing.get("status") != TRADED:
        raise FeedError(f"{symbol}: Binance does not trade it at present (status {listing.get('status')!r})")
    if listing.get("contractType", PERPETUAL) != PERPETUAL:
        raise FeedError(f"{symbol}: a contract of type {listing['contractType']} expires; trade the perpetual instead")
    given = listing.get("filters")
    filters = (
        {item.get("filterType"): item for item in given if isinstance(item, dict)} if isinstance(given, list) else {}
    )
    tick = _amount(symbol, filters, "PRICE_FILTER", "tickSize")
    before = registry.entry(symbol) if registry.is_known(symbol) else None
    listed = {
        "base": listing.get("baseAsset"),
        "quote": listing.get("quoteAsset"),
        "tick": tick,
        "pip": tick,
        "spread": tick if before is None else _whole_ticks(before.instrument.spread, tick),
        "size_step": _amount(symbol, filters, "LOT_SIZE", "stepSize"),
        "min_size": _amount(symbol, filters, "LOT_SIZE", "minQty"),
        "min_notional": _smallest_value(symbol, filters),
        "source": PLACE,
    }
    if before is None:
        shared = registry.by_class("crypto", tick)
        assumed = [name for name in registry.ASSUMABLE if name in shared and name not in listed]
        listed = shared | {"assumed": ["spread", *assumed]} | listed
    return entries.of(symbol, listed, PLACE, before, origin="venue")


def _whole_ticks(amount: Decimal, tick: Decimal) -> Decimal:
    """Round an amount up to whole ticks."""
    return (amount / tick).to_integral_value(ROUND_CEILING) * tick


def _smallest_value(symbol: str, filters: Filters) -> Decimal:
    """Return the smallest value of an order: spot lists it in NOTIONAL or MIN_NOTIONAL, futures by another key."""
    for name, key in (("NOTIONAL", "minNotional"), ("MIN_NOTIONAL", "minNotional"), ("MIN_NOTIONAL", "notional")):
        if key in filters.get(name, {}):
            return _amount(symbol, filters, name, key, least=Decimal(0))
    return Decimal(0)


def _amount(symbol: str, filters: Filters, name: str, key: str, *, least: Decimal = SMALLEST) -> Decimal:
    value = filters.get(name, {}).get(key)
    try:
        amount = Decimal(value) if isinstance(value, str) else Decimal("nan")
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount < least:
        raise FeedError(f"{symbol}: Binance lists {key} as {value!r}; expected a number of at least {least} as text")
    return amount.normalize()
