"""The order books at the opens of bars, from which paper orders take liquidity.

The book at the close of a bar is the book at the open of the next one, the same instant. They are read from the
store in live trading and in a backtest of a run alike, so that both fill by the same levels. Bars of sources without
order books have none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mikrobot.domain.order_books import NO_BOOKS, BooksAtOpen
from mikrobot.domain.sources import is_source, kind_of
from mikrobot.store.books import BookSamples

_MINUTE = timedelta(minutes=1)
_AT_ONCE = timedelta(hours=1)


@dataclass(slots=True)
class OpeningBooks:
    """The stored order books at the opens of the one-minute bars of some symbols.

    Every method raises `StoreError` if the database fails.

    Attributes
    ----------
    source : str
    symbols : sequence of str
    samples : BookSamples
    """

    source: str
    symbols: Sequence[str]
    samples: BookSamples
    _hour: BooksAtOpen = field(default_factory=dict)
    _read_until: datetime | None = None

    def between(self, after: datetime, until: datetime) -> BooksAtOpen:
        """Return the books at the opens of the bars that close in (after, until], by one query at most."""
        if not is_source(self.source) or kind_of(self.source).books is None:
            return NO_BOOKS
        return self.samples.closing(self.source, self.symbols, after - _MINUTE, until=until - _MINUTE)

    def opening(self, close_time: datetime) -> BooksAtOpen:
        """Return the books at the opens of the bars that close at a time; for times in order, an hour is read at once.

        The result may have books of other bars too.
        """
        if self._read_until is None or close_time > self._read_until:
            self._read_until = close_time - _MINUTE + _AT_ONCE
            self._hour = self.between(close_time - _MINUTE, self._read_until)
        return self._hour
