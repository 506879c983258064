"""Asset class, base and quote of a symbol that is in no table, from the shape of its name.

Recognises currency pairs, metals and coins. An index has no shape: its name does not show its currency.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from mikrobot.domain.instruments.instrument import AssetClass

CURRENCIES = frozenset(
    (
        *("USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "SEK", "NOK", "DKK", "PLN", "HUF", "CZK", "RON"),
        *("TRY", "ZAR", "MXN", "SGD", "HKD", "CNH", "CNY", "THB", "ILS", "INR", "KRW", "TWD", "BRL", "RUB"),
    )
)
"""ISO 4217 codes of currencies that retail brokers quote; CNH is the offshore renminbi."""

METALS = frozenset(("XAU", "XAG", "XPT", "XPD"))

AT_PAR = ("USD", "USDT", "USDC", "FDUSD", "BUSD", "TUSD")
"""Currencies that count as one dollar: the account's own, and the stablecoins that exchanges quote pairs in."""

_COIN_QUOTES = ("USDT", "USDC", "FDUSD", "USD", "BUSD", "TUSD")
_OTHER_QUOTES = ("BTC", "ETH", "BNB", *sorted(CURRENCIES - {"USD"}))
_COIN = re.compile("(?=.*[A-Z])[A-Z0-9]{2,12}")
_NO_COINS = frozenset(("IDX", "CMD"))
"""Dukascopy's marks of indices and commodities, as in USSC2000.IDX/USD."""

_DOLLAR_COIN = re.compile("[A-Z]{3,6}")


@dataclass(frozen=True, slots=True)
class Shape:
    """Asset class, base and quote of a symbol."""

    asset: AssetClass
    base: str
    quote: str


def shape_of(symbol: str, coins: Collection[str] = ()) -> Shape | None:
    """Return the shape of a symbol in capitals without marks; None if its name shows none.

    Parameters
    ----------
    symbol : str
    coins : collection of str
        Names of coins, which decide where one name ends and the other begins.

    >>> shape_of("NOKSEK"), shape_of("SUIUSDT")
    (Shape(asset='fx', base='NOK', quote='SEK'), Shape(asset='crypto', base='SUI', quote='USDT'))
    >>> shape_of("BNBUSD", ["BNB"]), shape_of("SPAIN35")
    (Shape(asset='crypto', base='BNB', quote='USD'), None)
    """
    base, quote = symbol[:3], symbol[3:]
    if quote in CURRENCIES and base in CURRENCIES and base != quote:
        return Shape("fx", base, quote)
    if quote in CURRENCIES and base in METALS:
        return Shape("metal", base, quote)
    splits = [
        Shape("crypto", symbol.removesuffix(quote), quote)
        for quote in (*_COIN_QUOTES, *_OTHER_QUOTES)
        if symbol.endswith(quote)
    ]
    for split in splits:
        if split.base in coins:
            return split
    return next((split for split in splits if _plausible(split)), None)


def _plausible(split: Shape) -> bool:
    """Return whether the base may be a coin of no table: with a dollar or another coin behind it, words are alike."""
    if split.quote not in _COIN_QUOTES or split.base == split.quote:
        return False
    if split.quote == "USD" and split.base in CURRENCIES | METALS | _NO_COINS:
        return False
    pattern = _DOLLAR_COIN if split.quote == "USD" else _COIN
    return pattern.fullmatch(split.base) is not None
