"""The order book of a symbol at an instant, as it is sampled at the close of a bar and stored with it.

Keeps no book up to date: see `mikrobot.market.order_book`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from math import nan
from typing import Literal, TypeAlias

from mikrobot.domain.market_events import Level

BookState = Literal["syncing", "live", "suspect", "lost"]

DEPTHS = (1, 5, 10)
"""Numbers of levels whose sizes a sample sums up."""

BOOK_FIELDS = (
    "bid",
    "ask",
    "spread",
    *(f"bid_{count}" for count in DEPTHS),
    *(f"ask_{count}" for count in DEPTHS),
    "imbalance",
    "micro_price",
)
"""Names of the values of a sample, in order; ``bid_5`` is the sum of the sizes of the five best bids."""


@dataclass(frozen=True, slots=True)
class BookSample:
    """The order book at one instant.

    Attributes
    ----------
    bid, ask : float
        Best prices.
    spread : float
    depth_bid, depth_ask : tuple of float
        Sum of the sizes of the best 1, 5 and 10 levels; NaN where fewer levels are trusted.
    imbalance : float
        (bid size - ask size) / (bid size + ask size) of the best levels, -1 to 1.
    micro_price : float
        Best prices weighted by the size of the other side.
    """

    bid: float
    ask: float
    spread: float
    depth_bid: tuple[float, ...]
    depth_ask: tuple[float, ...]
    imbalance: float
    micro_price: float

    @property
    def values(self) -> tuple[float, ...]:
        """The values in the order of `BOOK_FIELDS`."""
        return (self.bid, self.ask, self.spread, *self.depth_bid, *self.depth_ask, self.imbalance, self.micro_price)


@dataclass(frozen=True, slots=True)
class ClosingBook:
    """The order book of a symbol at the close of a bar.

    Attributes
    ----------
    symbol : str
    close_time : datetime
        UTC. The book is the one after the last change up to it, by the clock of the venue.
    state : "syncing", "live", "suspect" or "lost"
    reason : str
        Why it is not live; empty if it is.
    bids, asks : tuple of Level
        The best levels of each side, the best first; empty unless the book is live.
    """

    symbol: str
    close_time: datetime
    state: BookState
    reason: str = ""
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()

    @property
    def values(self) -> tuple[float, ...]:
        """The sample in the order of `BOOK_FIELDS`; all NaN unless the book is live."""
        sample = sample_of(self.bids, self.asks)
        return (nan,) * len(BOOK_FIELDS) if sample is None else sample.values


BooksAtOpen: TypeAlias = Mapping[tuple[str, datetime], ClosingBook]
"""Order books by symbol and open time of the bar at whose open they were in force."""

NO_BOOKS: BooksAtOpen = {}


def sample_of(bids: Sequence[Level], asks: Sequence[Level]) -> BookSample | None:
    """Return the sample of the best levels of a book, the best first; None if a side has no level.

    >>> sample_of([(99.0, 3.0)], [(101.0, 1.0)]).micro_price
    100.5
    """
    if not bids or not asks:
        return None
    (bid, bid_size), (ask, ask_size) = bids[0], asks[0]
    both = bid_size + ask_size
    return BookSample(
        bid,
        ask,
        ask - bid,
        _depths(bids),
        _depths(asks),
        (bid_size - ask_size) / both,
        (bid * ask_size + ask * bid_size) / both,
    )


def _depths(levels: Sequence[Level]) -> tuple[float, ...]:
    return tuple(sum(size for _, size in islice(levels, count)) if len(levels) >= count else nan for count in DEPTHS)
