"""Replay recorded streams into order books, and count how often these agree with the venue."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mikrobot.domain.errors import FeedError, UsageError
from mikrobot.domain.market_events import BookSnapshot, BookUpdate, Tick, Trade
from mikrobot.domain.order_books import BookSample, BookState, ClosingBook
from mikrobot.market.binance_markets import SPOT
from mikrobot.market.binance_messages import Event, event, is_depth, stream_of
from mikrobot.market.border import instant
from mikrobot.market.order_book import OrderBook
from mikrobot.market.recorded_bars import is_recording
from mikrobot.market.recorded_minutes import book_of, books_of
from mikrobot.market.recorded_streams import DEPTH, files_of, is_of_session, messages
from mikrobot.market.streams.live_book import CLOSING_LEVELS
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
    published_equal, published_compared : int
        Live books that the session published at the closes of its bars, as far as its folder was given: those that
        equal the replayed book, and all. A book lacks the changes that came after it was published.
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
    published_equal: int
    published_compared: int
    messages_per_s: float


_COUNTERS = ("events", "applied", "gaps", "crossed", "ticker_equal", "ticker_compared")


def replay(paths: Sequence[Path], clock: Clock, symbol: str | None = None) -> list[ReplayedBook]:
    """Replay files in the given order; a file that continues the one before it continues its book.

    Parameters
    ----------
    paths : sequence of Path
        Files, or folders of recorded sessions, whose files with the symbol are taken.
    clock : Clock
    symbol : str, optional
        May be left out where there is one only.

    Raises
    ------
    FeedError
        If a file cannot be read, has a message that is none of Binance, or no change of the book.
    UsageError
        If there are several symbols, and none is chosen.
    """
    books: dict[tuple[str, bool], OrderBook] = {}
    replayed: list[ReplayedBook] = []
    for path in paths:
        files = files_of(path, DEPTH) if path.is_dir() else [path]
        published = _Published(path)
        entries = [_Recording(file, books, published, symbol).replayed(clock) for file in files]
        of_path = [entry for entry in entries if entry is not None]
        if not of_path:
            raise FeedError(_nothing_in(path, files, symbol))
        replayed += of_path
    return replayed


def _nothing_in(path: Path, files: Sequence[Path], symbol: str | None) -> str:
    """Return why there is no book in a path."""
    recorded = sorted({name for file in files for name in _symbols(file)})
    if symbol is not None and recorded:
        return f"{path}: no change of the order book of {symbol}; it has {', '.join(recorded)}"
    number = sum(1 for file in files for _ in messages(file, broken_off=is_of_session(file)))
    return f"{path}: no change of an order book in {number} messages; record the depth stream too"


def _symbols(file: Path) -> set[str]:
    """Return the symbols of which a file has changes of the order book."""
    streams = {stream_of(message) for _, message in messages(file, broken_off=is_of_session(file))}
    return {symbol.upper() for symbol, _, kind in (name.partition("@") for name in streams) if is_depth(kind)}


class _Recording:
    """One file, while it is replayed."""

    def __init__(
        self, path: Path, books: dict[tuple[str, bool], OrderBook], published: "_Published", symbol: str | None
    ) -> None:
        self._path, self._books, self._published, self._symbol = path, books, published, symbol
        self._is_chosen = symbol is not None
        self._book: OrderBook | None = None
        self._counted_before: dict[str, int] = {}
        self._waiting: list[Tick | BookSnapshot] = []
        self._first_ms = self._last_ms = 0
        self._equal = self._compared = 0

    def replayed(self, clock: Clock) -> ReplayedBook | None:
        """Return the book at the end of the file; None if the file has no change of it."""
        began, number = clock.now(), 0
        for number, (_, message) in enumerate(messages(self._path, broken_off=is_of_session(self._path)), start=1):
            try:
                self._take(event(message))
            except FeedError as error:
                raise FeedError(f"{self._path}, line {number}: {error}") from error
        book = self._book
        if book is None:
            return None
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
            published_equal=self._equal,
            published_compared=self._compared,
            messages_per_s=round(number / max(seconds, 1e-6), 1),
        )

    def _take(self, market_event: Event | None) -> None:
        if market_event is None or isinstance(market_event, Trade) or not self._is_wanted(market_event.symbol):
            return
        if isinstance(market_event, BookUpdate):
            book = self._book or self._begun(market_event)
            self._last_ms = market_event.time_ms
            for closing in self._published.before(market_event):
                self._compared += 1
                self._equal += book.state == "live" and tuple(map(tuple, book.levels(CLOSING_LEVELS))) == (
                    closing.bids, closing.asks,
                )  # fmt: skip
            book.change(market_event)
        elif self._book is None:
            self._waiting.append(market_event)
        else:
            _join(self._book, market_event)

    def _is_wanted(self, symbol: str) -> bool:
        """Return whether a message is of the book; a snapshot that names no symbol is."""
        if self._symbol is None and symbol:
            self._symbol = symbol
        elif symbol not in ("", self._symbol) and not self._is_chosen:
            listed = ", ".join(sorted(_symbols(self._path) | {symbol}))
            raise UsageError(f"{self._path} has the order books of {listed}; choose one with --symbol")
        return symbol in ("", self._symbol)

    def _begun(self, first: BookUpdate) -> OrderBook:
        """Return the book that this file continues, or a new one; only now is it clear of which market it is."""
        self._first_ms, chained = first.time_ms, first.previous_id is not None
        book = self._book = self._books.setdefault((first.symbol, chained), OrderBook(first.symbol, chained=chained))
        self._counted_before = {name: getattr(book, name) for name in _COUNTERS}
        for waiting in self._waiting:
            _join(book, waiting)
        return book


class _Published:
    """The live order books that a session has published, which are compared with the replayed ones."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: dict[str, deque[ClosingBook]] = {}

    def before(self, update: BookUpdate) -> Iterator[ClosingBook]:
        """Yield the books at the closes before a change, each once."""
        if update.symbol not in self._waiting:
            self._waiting[update.symbol] = deque(_live_books(self._path, update.symbol))
        waiting = self._waiting[update.symbol]
        while waiting and waiting[0].close_time < instant(update.time_ms * 1000):
            yield waiting.popleft()


def _live_books(path: Path, symbol: str) -> list[ClosingBook]:
    """Return the live books of a session in order of time; none of a file."""
    if not is_recording(path):
        return []
    recorded = [book_of(close, book) for (_, close), book in books_of(path, [symbol]).items()]
    return sorted((book for book in recorded if book.state == "live"), key=lambda book: book.close_time)


def _join(book: OrderBook, received: Tick | BookSnapshot) -> None:
    if isinstance(received, Tick):
        book.tick(received)
        return
    book.snapshot(received, asked_for=SPOT.depth_levels if received.symbol else 0)  # a session asks for as many
    book.await_snapshot()  # a later one in the file may be older than the changes before it
