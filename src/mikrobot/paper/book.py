"""Market data of one symbol: best quotes, displayed depth, and the depth an account has consumed.

Prices are in ticks and sizes in size steps. Does not match orders.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from mikrobot.domain.errors import BarError
from mikrobot.paper.contracts import Contract

Level: TypeAlias = tuple[int, int | None]
"""Price in ticks and displayed size in steps; None if the size is unknown."""


class Depth(NamedTuple):
    """The displayed levels of an order book at an instant, each side best first."""

    bids: Sequence[Level]
    asks: Sequence[Level]


class Market:
    """The newest quote or book of one symbol.

    Attributes
    ----------
    contract : Contract
    bid, ask : int or None
        Best prices in ticks; None while that side is empty.
    mark_bid, mark_ask : int
        Most recent best prices, 0 before the first quote.
    ts : int
        Time of the newest event, milliseconds.
    version : int
        Number of the snapshot; each new snapshot restores the displayed liquidity.
    quoting : bool
        False between bars, when there is no price to trade at.
    spread : int
        Ticks between bid and ask of the current bar.
    sigma : float
        One-minute volatility, 0 if unknown.
    converts_only : bool
        True if the newest price is a conversion rate, at which nothing trades.
    partial : bool
        True if the levels are the best part of a deeper book, so that more size follows beyond the last one.
    open_from, open_until : int
        Span in which the contract is known to trade, milliseconds; `trades_at` checks any other time.
    """

    __slots__ = (
        "_asks", "_bids", "ask", "bid", "contract", "converts_only", "mark_ask", "mark_bid",
        "open_from", "open_until", "partial", "quoting", "sigma", "spread", "ts", "version",
    )  # fmt: skip

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.bid: int | None = None
        self.ask: int | None = None
        self.mark_bid = self.mark_ask = 0
        self.ts = 0
        self.version = 0
        self.quoting = self.converts_only = self.partial = False
        self.spread = 0
        self.sigma = 0.0
        self.open_from = self.open_until = 0
        self._bids: Sequence[Level] | None = ()
        self._asks: Sequence[Level] | None = ()

    def trades_at(self, ts: int) -> bool:
        """Return whether the contract trades at an instant."""
        if self.open_from <= ts < self.open_until:
            return True
        if not self.contract.is_open(ts):
            return False
        self.open_from, self.open_until = self.contract.open_span(ts)
        return True

    def show(self, ts: int, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Replace the book, best levels first.

        Raises
        ------
        BarError
            If a side is not sorted, a price is not positive, a size is negative, or the book is crossed.
        """
        self._check(bids, asks)
        self.ts, self._bids, self._asks = ts, bids, asks
        self.version += 1
        self.quoting = True
        self.converts_only = False
        self.bid = bids[0][0] if bids else None
        self.ask = asks[0][0] if asks else None
        self.mark_bid = self.bid or self.mark_bid
        self.mark_ask = self.ask or self.mark_ask

    def point(self, ts: int, bid: int, ask: int) -> None:
        """Set one price of unknown size per side: a quote without sizes, or a point of a bar."""
        self.ts = ts
        self.version += 1
        self.quoting = True
        self.converts_only = False
        self.bid = self.mark_bid = bid
        self.ask = self.mark_ask = ask
        self._bids = self._asks = None

    def convert(self, ts: int, bid: int, ask: int) -> None:
        """Set a rate that only converts currencies; nothing trades at it.

        Raises
        ------
        BarError
            If the bid is above the ask.
        """
        self._check(((bid, None),), ((ask, None),))
        self.ts = ts
        self.version += 1
        self.quoting = False
        self.converts_only = True
        self.bid = self.ask = None
        self.mark_bid = bid
        self.mark_ask = ask
        self._bids = self._asks = ()

    def opened_by(self, ts: int, depth: Depth) -> "Market":
        """Return the market of the contract at the open of a bar, by the best levels of its order book.

        This market itself, which follows the prices of the bar, does not change. `Taken` counts the
        displayed size once for all orders that take it at this open.

        Parameters
        ----------
        ts : int
            Open time of the bar, ms.
        depth : Depth
            The book at that instant.

        Raises
        ------
        BarError
            As `show`.
        """
        opening = Market(self.contract)
        opening.show(ts, *depth)
        opening.partial, opening.sigma, opening.version = True, self.sigma, -ts
        return opening

    def continued(self, sign: int, steps: int) -> int:
        """Return by how many ticks size beyond the last level of a partial book is worse than that level; else 0.

        Assumes that the book continues as thinly as its displayed levels are spread, and that all of the
        size trades at the price that its last unit reaches.
        """
        levels = self.depth(sign)
        displayed = sum(size or 0 for _, size in levels)
        if not self.partial or not displayed:
            return 0
        span = abs(levels[-1][0] - levels[0][0]) + 1
        return -(-span * steps // displayed)

    def depth(self, sign: int) -> Sequence[Level]:
        """Return the levels that an order of this sign trades at, best first."""
        levels, best = (self._asks, self.ask) if sign > 0 else (self._bids, self.bid)
        if levels is None:
            return () if best is None else ((best, None),)
        return levels

    def best(self, sign: int) -> int | None:
        """Return the price that an order of this sign trades at first."""
        return self.ask if sign > 0 else self.bid

    def mark(self, sign: int) -> int:
        """Return the price at which a position of this sign is valued: the side it closes at."""
        return self.mark_bid if sign > 0 else self.mark_ask

    def _check(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        symbol = self.contract.symbol
        if bids and asks and bids[0][0] > asks[0][0]:
            raise BarError(f"{symbol}: the bid {bids[0][0]} is above the ask {asks[0][0]} (in ticks); correct the feed")
        for name, levels, sign in (("bids", bids, -1), ("asks", asks, 1)):
            prices = [sign * price for price, _ in levels]
            if any(later <= earlier for earlier, later in pairwise(prices)):
                raise BarError(
                    f"{symbol}: the {name} must be sorted best first without repeated prices; correct the feed"
                )
            if any(price <= 0 or (size is not None and size < 0) for price, size in levels):
                raise BarError(
                    f"{symbol}: the {name} contain a price that is not positive or a negative size; correct the feed"
                )


class Taken:
    """Displayed size of one symbol that one account consumed within the current snapshot."""

    __slots__ = ("_taken", "_version")

    def __init__(self) -> None:
        self._version = -1
        self._taken: dict[tuple[int, int], int] = {}

    def left(self, market: Market, sign: int, level: Level) -> int | None:
        """Return the size still available to an order of this sign at a level; None if unlimited."""
        price, size = level
        if size is None:
            return None
        if self._version != market.version:
            self._version = market.version
            self._taken.clear()
        return size - self._taken.get((sign, price), 0)

    def take(self, sign: int, level: Level, steps: int) -> None:
        """Consume displayed size."""
        price, size = level
        if size is not None:
            self._taken[sign, price] = self._taken.get((sign, price), 0) + steps

    def within(self, market: Market, sign: int, limit: int | None) -> int | None:
        """Return the size still available to an order of this sign at its limit or better; None if unlimited."""
        total = 0
        for level in market.depth(sign):
            if limit is not None and sign * (level[0] - limit) > 0:
                break
            left = self.left(market, sign, level)
            if left is None:
                return None
            total += left
        return total
