"""Replay recorded streams into order books, and count how often these agree with the venue."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mikrobot.domain.errors import FeedError
from mikrobot.domain.market_events import BookSnapshot, BookUpdate, Tick
from mikrobot.market.binance_messages import Event, event
from mikrobot.market.order_book import BookState, OrderBook
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
    messages_per_s: float


_COUNTERS = ("events", "applied", "gaps", "crossed", "ticker_equal", "ticker_compared")


def replay(files: Sequence[Path], clock: Clock) -> list[ReplayedBook]:
    """Replay files in the given order; a file that continues the one before it continues its book.

    Raises
    ------
    FeedError
        If a file cannot be read, has another message than those of depth, bookTicker and trade streams with their
        snapshots, or has several symbols.
    """
    books: dict[tuple[str, bool], OrderBook] = {}
    return [_replayed(path, books, clock) for path in files]


def _replayed(path: Path, books: dict[tuple[str, bool], OrderBook], clock: Clock) -> ReplayedBook:
    began, count, book = clock.now(), 0, None
    waiting: list[Event] = []
    before: dict[str, int] = {}
    for number, (_, message) in enumerate(messages(path), start=1):
        count = number
        try:
            market_event = event(message)
        except FeedError as error:
            raise FeedError(f"{path}, line {number}: {error}") from error
        if book is None:
            if not isinstance(market_event, BookUpdate):
                if isinstance(market_event, Tick | BookSnapshot):
                    waiting.append(market_event)
                continue
            chained = market_event.previous_id is not None
            book = books.setdefault((market_event.symbol, chained), OrderBook(market_event.symbol, chained=chained))
            before = {name: getattr(book, name) for name in _COUNTERS}
            for earlier in waiting:
                _pass_on(earlier, book, path, number)
        if market_event is not None:
            _pass_on(market_event, book, path, number)
    if book is None:
        raise FeedError(f"{path}: no change of an order book in {count} messages; record the depth stream too")
    book.end_of_ticks()
    seconds = (clock.now() - began).total_seconds()
    counted = {name: getattr(book, name) - before[name] for name in _COUNTERS}
    return ReplayedBook(
        str(path), book.symbol, count, **counted, state=book.state, reason=book.reason,
        messages_per_s=round(count / max(seconds, 1e-6), 1),
    )  # fmt: skip


def _pass_on(market_event: Event, book: OrderBook, path: Path, number: int) -> None:
    if isinstance(market_event, BookSnapshot):
        book.snapshot(market_event)
        return
    if market_event.symbol != book.symbol:
        raise FeedError(
            f"{path}, line {number}: {market_event.symbol} after {book.symbol}; record one symbol into a file"
        )
    if isinstance(market_event, Tick):
        book.tick(market_event)
    elif isinstance(market_event, BookUpdate):
        book.change(market_event)
