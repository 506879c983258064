"""The live order books of a venue, as the streamer uses them."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Protocol

from mikrobot.domain.order_books import ClosingBook
from mikrobot.market.streams.bar_stream import Take
from mikrobot.market.streams.live_book import BookStatus

First = Callable[[], Collection[str]]
"""Returns the symbols whose books are fetched first, those of open positions; called in a thread of its own."""


class BookStream(Protocol):
    """Order books that a venue keeps sending changes of."""

    def record(self, take: Take) -> None:
        """Pass every raw message and every snapshot on from now, with their channel and the time of receipt."""

    def at_close(self, close_time: datetime, symbols: Iterable[str]) -> dict[str, ClosingBook]:
        """Return the order book of each symbol at a close, with its state; without those not known any more."""

    def status(self) -> list[BookStatus]:
        """Return the state of each order book."""

    def close(self) -> None:
        """End all connections."""
