"""The order books of recorded sessions, as these published them; they take the place of live ones in a replay."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from mikrobot.domain.order_books import ClosingBook
from mikrobot.market.recorded_bars import is_recording
from mikrobot.market.recorded_minutes import Close, book_of, books_of
from mikrobot.market.streams.bar_stream import Take
from mikrobot.market.streams.book_stream import First
from mikrobot.market.streams.live_book import BookStatus
from mikrobot.runtime import Clock
from mikrobot.settings import Settings


def open_books(settings: Settings, symbols: Sequence[str], clock: Clock, first: First) -> "RecordedBooks | None":
    """Return the order books of the recordings among the data; None if they have none, or the settings turn them off.

    Raises
    ------
    BarError
        If a recording cannot be read.
    """
    if not settings.books:
        return None
    books: dict[Close, msgspec.Raw] = {}
    for folder in filter(is_recording, settings.data):
        books |= books_of(folder, symbols)
    return RecordedBooks(books) if books else None


class RecordedBooks:
    """Order books by symbol and close; see `BookStream`.

    Parameters
    ----------
    books : dict of (symbol, close time) to Raw
    """

    def __init__(self, books: dict[Close, msgspec.Raw]) -> None:
        self._books = books

    def record(self, take: Take) -> None:
        """Do nothing: a replay receives no messages."""

    def at_close(self, close_time: datetime, symbols: Iterable[str]) -> dict[str, ClosingBook]:
        """Return the order book that the session had of each symbol at a close; without those that had none."""
        recorded = ((symbol, self._books.get((symbol, close_time))) for symbol in symbols)
        return {symbol: book_of(close_time, book) for symbol, book in recorded if book is not None}

    def between(self, symbol: str, after: datetime, until: datetime) -> list[ClosingBook]:
        """Return the order books of a symbol at closes in (after, until], in order of time."""
        closes = sorted(at for name, at in self._books if name == symbol and after < at <= until)
        return [book_of(at, self._books[symbol, at]) for at in closes]

    def status(self) -> list[BookStatus]:
        """Return nothing: the books are of the past."""
        return []

    def close(self) -> None:
        """Do nothing: there is no connection."""
