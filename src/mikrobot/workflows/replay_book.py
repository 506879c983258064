"""Replay recorded streams into order books, and count how often these agree with the venue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mikrobot.domain.errors import FeedError
from mikrobot.domain.market_events import BookSnapshot, BookUpdate, Tick
from mikrobot.domain.order_books import BookSample, BookState
from mikrobot.market.binance_messages import Event, event
from mikrobot.market.border import instant
from mikrobot.market.order_book import OrderBook
from mikrobot.market.recorded_streams import messages
from mikrobot.runtime import Clock


@dataclass(frozen=True, slots=True)
class ReplayedBook:
    """An order book at the end of a file.

    Attributes
    ----------
    file, symbol : str
    messages : int
    events, applied, gaps, crossed, ticker_equal, ticker_compared : int
        As in `OrderBook`, of this file.
    state : "syncing", "live", "suspect" or "lost"
    reason : str
        Why it is not live; empty if it is.
    first, last : datetime
        Times of the first and of the last change by the clock of the venue, UTC.
    trusted_range : (float, float)
        Lowest and highest price between which the book has all levels.
    needs_snapshot : bool
        The best price nears the edge of that range, or there is no book.
    sample : BookSample or None
        The book after the last message; None if it is not live, or its best price is outside the range.
    messages_per_s : float
        Of the whole file, reading and unpacking included.
    """

    file: str
    symbol: str
    messages: int
    events: int
    applied: int
    gaps: int
    crossed: int
    ticker_equal: int
    ticker_compared: int
    state: BookState
    reason: str
    first: datetime
    last: datetime
    trusted_range: tuple[float, float]
    needs_snapshot: bool
    sample: BookSample | None
    messages_per_s: float


_COUNTERS = ("events", "applied", "gaps", "crossed", "ticker_equal", "ticker_compared")


def replay(files: Sequence[Path], clock: Clock) -> list[ReplayedBook]:
    """Replay files in the given order; a file that continues the one before it continues its book.

    Raises
    ------
    FeedError
        If a file cannot be read, has a message that is none of Binance, has several symbols or no change of a book.
    """
    books: dict[tuple[str, bool], OrderBook] = {}
    return [_Recording(path, books).replayed(clock) for path in files]


class _Recording:
    """One file, while it is replayed."""

    def __init__(self, path: Path, books: dict[tuple[str, bool], OrderBook]) -> None:
        self._path, self._books = path, books
        self._book: OrderBook | None = None
        self._counted_before: dict[str, int] = {}
        self._waiting: list[Tick | BookSnapshot] = []
        self._first_ms = self._last_ms = 0

    def replayed(self, clock: Clock) -> ReplayedBook:
        began, number = clock.now(), 0
        for number, (_, message) in enumerate(messages(self._path), start=1):
            try:
                self._take(event(message))
            except FeedError as error:
                raise FeedError(f"{self._path}, line {number}: {error}") from error
        book = self._book
        if book is None:
            raise FeedError(
                f"{self._path}: no change of an order book in {number} messages; record the depth stream too"
            )
        book.end_of_ticks()
        seconds = (clock.now() - began).total_seconds()
        return ReplayedBook(
            file=str(self._path),
            symbol=book.symbol,
            messages=number,
            **{name: getattr(book, name) - self._counted_before[name] for name in _COUNTERS},
            state=book.state,
            reason=book.reason,
            first=instant(self._first_ms * 1000),
            last=instant(self._last_ms * 1000),
            trusted_range=book.trusted_range,
            needs_snapshot=book.needs_snapshot,
            sample=book.sample(),
            messages_per_s=round(number / max(seconds, 1e-6), 1),
        )

    def _take(self, market_event: Event | None) -> None:
        if isinstance(market_event, BookUpdate):
            if self._book is None:
                self._begin(market_event)
            self._last_ms = market_event.time_ms
            self._of(market_event.symbol).change(market_event)
        elif isinstance(market_event, Tick | BookSnapshot) and self._book is None:
            self._waiting.append(market_event)
        elif isinstance(market_event, Tick):
            self._of(market_event.symbol).tick(market_event)
        elif isinstance(market_event, BookSnapshot):
            assert self._book is not None
            self._join(self._book, market_event)

    def _begin(self, first: BookUpdate) -> None:
        """Take the book that this file continues, or a new one; only now is it clear of which market it is."""
        self._first_ms, chained = first.time_ms, first.previous_id is not None
        self._book = self._books.setdefault((first.symbol, chained), OrderBook(first.symbol, chained=chained))
        self._counted_before = {name: getattr(self._book, name) for name in _COUNTERS}
        for waiting in self._waiting:
            if isinstance(waiting, Tick):
                self._of(waiting.symbol).tick(waiting)
            else:
                self._join(self._book, waiting)

    def _join(self, book: OrderBook, snapshot: BookSnapshot) -> None:
        book.snapshot(snapshot)
        book.await_snapshot()  # a later one in the file may be older than the changes before it

    def _of(self, symbol: str) -> OrderBook:
        assert self._book is not None
        if symbol != self._book.symbol:
            raise FeedError(f"{symbol} after {self._book.symbol}; record one symbol into a file")
        return self._book
