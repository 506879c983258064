"""The order book of one live stream: a bounded queue of changes, and the books at the closes of the bars.

Opens no connection and fetches no snapshot: its owner does both. Not thread-safe.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mikrobot.domain.market_events import BookSnapshot, BookUpdate, Level, Tick
from mikrobot.domain.order_books import BookState, ClosingBook
from mikrobot.market.order_book import OrderBook

MOST_WAITING = 32
"""Changes that wait to be applied, above which they are merged into one."""

MOST_MERGED = 2_000
"""Levels of a merged change above which it is applied at once, so that memory is bounded."""

CLOSING_LEVELS = 20
"""Levels of each side that are kept of the book at a close."""

KEPT_CLOSES = 10
"""Closes whose books are kept until they are asked for."""

SUSPECT_FOR = timedelta(seconds=5)
"""Time after which a book that ticks contradict is given up and fetched again."""

FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=60)
"""Waits from one snapshot of a symbol to the next: they double, and begin again once the book was live for long."""

_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class BookStatus:
    """The state of one order book.

    Attributes
    ----------
    symbol : str
    state : "syncing", "live", "suspect" or "lost"
    reason : str
        Why it is not live; empty if it is.
    changes, gaps, crossed, ticker_equal, ticker_compared : int
        As in `OrderBook`; `changes` are its events.
    coalesced : int
        Changes that were merged into the one before, since they arrived faster than they were applied.
    snapshots : int
        Snapshots that were fetched.
    """

    symbol: str
    state: BookState
    reason: str
    changes: int
    gaps: int
    crossed: int
    ticker_equal: int
    ticker_compared: int
    coalesced: int
    snapshots: int


class LiveBook:
    """One order book.

    Parameters
    ----------
    symbol : str
    chained : bool
        As in `OrderBook`.

    Attributes
    ----------
    coalesced, snapshots : int
        As in `BookStatus`.
    """

    def __init__(self, symbol: str, *, chained: bool) -> None:
        self.symbol = symbol
        self.coalesced = self.snapshots = 0
        self._book = OrderBook(symbol, chained=chained)
        self._waiting: deque[BookUpdate] = deque()
        self._arrives = False
        self._minute = 0
        self._closes: OrderedDict[int, ClosingBook] = OrderedDict()
        self._suspect_since: datetime | None = None
        self._wait = FIRST_WAIT
        self._asked: datetime | None = None
        self._live_since: datetime | None = None

    def status(self) -> BookStatus:
        """Return the state with its reason and the counts."""
        book = self._book
        return BookStatus(
            self.symbol, book.state, book.reason, book.events, book.gaps, book.crossed,
            book.ticker_equal, book.ticker_compared, self.coalesced, self.snapshots,
        )  # fmt: skip

    def put(self, update: BookUpdate) -> None:
        """Queue a change; of too many, each is merged into the one before."""
        self._arrives = True
        if len(self._waiting) >= MOST_WAITING:
            merged = merge(self._waiting[-1], update)
            if merged is not None:
                self._waiting[-1] = merged
                self.coalesced += 1
                return
            self.apply()
        self._waiting.append(update)

    def tick(self, tick: Tick) -> None:
        """Compare the book with the best prices of the venue."""
        self._book.tick(tick)

    def apply(self) -> None:
        """Apply the queued changes; before the first one of a minute, keep the book as it was at the close."""
        while self._waiting:
            update = self._waiting.popleft()
            minute = _minute(update)
            if minute > self._minute:
                if self._minute:
                    self._keep_close(minute)
                self._minute = minute
            self._book.change(update)

    def at_close(self, close_time: datetime) -> ClosingBook | None:
        """Return the book after the last change up to a close of the last minutes; None if it is not known any more.

        Parameters
        ----------
        close_time : datetime
            On a whole minute, UTC.
        """
        self.apply()
        minute = int(close_time.timestamp()) // 60
        if minute > self._minute:
            self._keep_close(minute)
        return self._closes.get(minute)

    def lose(self, reason: str) -> None:
        """Give the book up until changes arrive again and a snapshot has been taken."""
        self._waiting.clear()
        self._arrives = False
        self._book.lose(reason)

    def watch(self, now: datetime, trouble: str) -> None:
        """Look at the stream and the book, about once a second.

        Parameters
        ----------
        now : datetime
            UTC.
        trouble : str
            Why no changes arrive; empty if they do.
        """
        self._rest(now)
        if trouble and self._book.state == "live":
            self._book.suspect(trouble)
        elif trouble and self._book.state != "suspect":
            self._book.reason = trouble
        if trouble or self._book.state != "suspect":
            self._suspect_since = None
        elif self._suspect_since is None:
            self._suspect_since = now
        elif now - self._suspect_since >= SUSPECT_FOR:
            self._suspect_since = None
            self._book.lose(f"suspect for {SUSPECT_FOR.total_seconds():.0f} s: {self._book.reason}")

    def due(self, now: datetime) -> bool:
        """Return whether a snapshot is to be fetched now: the book needs one, changes arrive, and the wait is over."""
        if not self._arrives or not self._book.needs_snapshot:
            return False
        return self._asked is None or now - self._asked >= self._wait

    def asked(self, now: datetime) -> None:
        """Keep the changes from now on, since a snapshot is being fetched."""
        if self._asked is not None:
            self._wait = min(2 * self._wait, LONGEST_WAIT)
        self._asked = now
        self.apply()
        self._book.await_snapshot()

    def take(self, snapshot: BookSnapshot, *, asked_for: int) -> None:
        """Take a snapshot of at most so many levels, unless the connection was lost since it was asked for."""
        if not self._arrives:
            return
        self.apply()
        self._book.snapshot(snapshot, asked_for=asked_for)
        self.snapshots += 1

    def explain(self, reason: str) -> None:
        """State why a book that needs a snapshot has none."""
        if self._book.state in ("syncing", "lost"):
            self._book.reason = reason

    def _rest(self, now: datetime) -> None:
        """Let the wait between snapshots begin again once the book was live for long."""
        if self._book.state != "live":
            self._live_since = None
        elif self._live_since is None:
            self._live_since = now
        elif now - self._live_since >= LONGEST_WAIT:
            self._wait = FIRST_WAIT

    def _keep_close(self, minute: int) -> None:
        """Keep the book as it is as that of a close, unless there is one."""
        if minute in self._closes:
            return
        book = self._book
        bids: list[Level] = []
        asks: list[Level] = []
        state, reason = book.state, book.reason
        if state == "live":
            bids, asks = book.levels(CLOSING_LEVELS)
            if not bids or not asks:
                state, reason = "suspect", "the best price is outside the range of the snapshot"
        closed = datetime.fromtimestamp(60 * minute, UTC)
        self._closes[minute] = ClosingBook(self.symbol, closed, state, reason, tuple(bids), tuple(asks))
        while len(self._closes) > KEPT_CLOSES:
            self._closes.popitem(last=False)


def merge(first: BookUpdate, second: BookUpdate) -> BookUpdate | None:
    """Return one change that does what two in a row do; None if one is missing between them or they cannot be merged.

    >>> one = BookUpdate("A", 1, 1, 2, [(9.0, 1.0)], [])
    >>> merge(one, BookUpdate("A", 2, 3, 4, [(9.0, 0.0)], [])).bids
    [(9.0, 0.0)]
    >>> merge(one, BookUpdate("A", 2, 4, 4, [], [])) is None
    True
    """
    if second.last_id <= first.last_id:
        return first  # a message that arrived twice
    if second.previous_id is None:
        follows = second.first_id <= first.last_id + 1
    else:
        follows = second.previous_id == first.last_id
    size = len(first.bids) + len(first.asks) + len(second.bids) + len(second.asks)
    if not follows or size > MOST_MERGED or _minute(second) != _minute(first):
        return None
    bids = list({**dict(first.bids), **dict(second.bids)}.items())
    asks = list({**dict(first.asks), **dict(second.asks)}.items())
    return BookUpdate(first.symbol, second.time_ms, first.first_id, second.last_id, bids, asks, first.previous_id)


def _minute(update: BookUpdate) -> int:
    """Return the last minute, by number since 1970, that had closed before a change; one at a close belongs to it."""
    return (update.time_ms - 1) // _MINUTE_MS
