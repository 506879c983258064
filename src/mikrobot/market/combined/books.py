"""The live order books of a combined source: those of its members. Symbols of a venue without books have none."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib import import_module

from mikrobot.domain.order_books import ClosingBook
from mikrobot.domain.sources import kind_of
from mikrobot.market.combined.source import by_member
from mikrobot.market.combined.streams import numbered
from mikrobot.market.streams.bar_stream import Take
from mikrobot.market.streams.book_stream import BookStream, First
from mikrobot.market.streams.live_book import BookStatus
from mikrobot.runtime import Clock
from mikrobot.settings import Settings


def open_books(settings: Settings, symbols: Sequence[str], clock: Clock, first: First) -> "CombinedBooks | None":
    """Return the order books of the symbols; None if no member has any."""
    books: dict[str, BookStream] = {}
    routes = {symbol: settings.routes[symbol] for symbol in symbols}
    for member, own in by_member(settings.source or "", routes).items():
        module = kind_of(member).books
        if module is not None:
            chosen = settings.model_copy(update={"source": member, "symbols": own})
            opened: BookStream | None = import_module(module).open_books(chosen, own, clock, first)
            if opened is not None:
                books[member] = opened
    return CombinedBooks(books, routes) if books else None


class CombinedBooks:
    """The order books of several sources; see `BookStream`.

    Parameters
    ----------
    books : mapping of str to BookStream
        By member, of those that have books.
    routes : mapping of str to str
        The member of each symbol.
    """

    def __init__(self, books: Mapping[str, BookStream], routes: Mapping[str, str]) -> None:
        self._books, self._routes = dict(books), dict(routes)

    def record(self, take: Take) -> None:
        """Pass every raw message and every snapshot on from now; numbered as the streams of bars are."""
        for place, books in enumerate(self._books.values()):
            books.record(numbered(take, place))

    def at_close(self, close_time: datetime, symbols: Iterable[str]) -> dict[str, ClosingBook]:
        """Return the order book of each symbol at a close, with its state; without those not known any more."""
        wanted = list(symbols)
        closing: dict[str, ClosingBook] = {}
        for member, books in self._books.items():
            if own := [symbol for symbol in wanted if self._routes[symbol] == member]:
                closing |= books.at_close(close_time, own)
        return closing

    def status(self) -> list[BookStatus]:
        """Return the state of each order book."""
        return [status for books in self._books.values() for status in books.status()]

    def close(self) -> None:
        """End all connections."""
        for books in self._books.values():
            books.close()
