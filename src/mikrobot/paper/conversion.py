"""Conversion rates between currencies, from the current quotes of the exchange.

An account that receives a currency sells it at the bid; an account that owes it buys it at the ask.
Does not book anything.
"""

from collections.abc import Iterable
from typing import NamedTuple

from mikrobot.paper.book import Market
from mikrobot.paper.money import Ratio

STALE_MS = 60_000
"""Maximum age of a rate, in milliseconds, for opening a position."""

VIA = "USD"
"""Intermediate currency for two currencies without a market of their own."""


class Rate(NamedTuple):
    """Value of one unit of a currency in another.

    Attributes
    ----------
    value : (int, int)
        Numerator and denominator.
    stale : bool
        True if one of its quotes is more than a minute old.
    """

    value: Ratio
    stale: bool


PAR = Rate((1, 1), False)


class Rates:
    """Look up conversion rates in the markets of an exchange, ignoring perpetuals that do not convert."""

    def __init__(self, markets: Iterable[Market]) -> None:
        self._pairs = {
            (market.contract.base, market.contract.quote): market
            for market in markets
            if market.contract.kind.value != "perp" or market.contract.converts
        }

    def rate(self, source: str, target: str, ts: int, *, receives: bool) -> Rate | None:
        """Return the rate from one currency to another, or None if no quotes connect them.

        Parameters
        ----------
        source, target : str
        ts : int
            Milliseconds.
        receives : bool
            True if the account receives the amount, false if it owes it.
        """
        if source == target:
            return PAR
        direct = self._direct(source, target, ts, receives=receives)
        if direct is not None or VIA in (source, target):
            return direct
        first = self._direct(source, VIA, ts, receives=receives)
        second = self._direct(VIA, target, ts, receives=receives)
        if first is None or second is None:
            return None
        (a, b), (c, d) = first.value, second.value
        return Rate((a * c, b * d), first.stale or second.stale)

    def _direct(self, source: str, target: str, ts: int, *, receives: bool) -> Rate | None:
        market = self._pairs.get((source, target))
        if market is not None and market.mark_bid:
            price = market.mark_bid if receives else market.mark_ask
            num, den = market.contract.tick.as_integer_ratio()
            return Rate((price * num, den), ts - market.ts > STALE_MS)
        market = self._pairs.get((target, source))
        if market is not None and market.mark_bid:
            price = market.mark_ask if receives else market.mark_bid
            num, den = market.contract.tick.as_integer_ratio()
            return Rate((den, price * num), ts - market.ts > STALE_MS)
        return None
