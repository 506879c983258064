"""An order book that is kept from a snapshot and the changes after it, and knows when it can be trusted.

The rules are those of Binance for spot and for USD-M futures; they are checked with every change. Fetches nothing:
its owner passes snapshots, changes and ticks on, and asks for a new snapshot where the book needs one.
"""

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush, nsmallest

from mikrobot.domain.errors import BookNotLive
from mikrobot.domain.market_events import BookSnapshot, BookUpdate, Level, Tick
from mikrobot.domain.order_books import DEPTHS, BookSample, BookState, sample_of

BUFFERED = 20_000
"""Changes that are kept while a snapshot is awaited; at 10 per second, those of half an hour."""

AWAITING_TICKS = 1_000
"""Best prices that are kept until a tick has passed them, with which they are compared."""

KEPT_TICKS = 10_000
"""Ticks that are kept until the book has passed them: those of some seconds of the busiest market."""

DIFFERENT_TICKS = 3
"""Ticks in a row that differ from the book, after which it is suspect."""

MOST_LEVELS = 20_000
"""Levels of a side above which the half that is farthest from the best price is dropped."""

LEAST_LEVELS = 4_000
"""Levels of a side, removed ones included, up to which nothing is forgotten."""

NEAR_EDGE = 0.25
"""Share of the range below or above the best price that is left when a new snapshot is due."""


class _Side:
    """The levels of one side; `sign` is -1 for bids and 1 for asks, so that the best has the smallest signed price.

    A level that was removed keeps its place with a size of 0 until it would be the best. `signed` is a heap of the
    signed prices of all levels, those included.
    """

    __slots__ = ("edge", "levels", "most", "sign", "signed")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[float, float] = {}
        self.signed: list[float] = []
        self.edge = 0.0
        self.most = LEAST_LEVELS

    def replace(self, levels: Sequence[Level], *, is_whole: bool) -> None:
        self.levels = dict(levels)
        self.edge = float("inf") if is_whole else self.sign * levels[-1][0] if levels else float("-inf")
        self._rebuild()

    def change(self, changes: Sequence[Level]) -> None:
        levels, signed, sign = self.levels, self.signed, self.sign
        for price in [price for price, _ in changes if price not in levels]:
            heappush(signed, sign * price)
        levels.update(changes)
        if len(levels) > self.most:
            self._rebuild()

    def best(self) -> Level | None:
        levels, signed, sign = self.levels, self.signed, self.sign
        while signed:
            price = sign * signed[0]
            size = levels.get(price, 0.0)
            if size > 0:
                return price, size
            heappop(signed)
            levels.pop(price, None)
        return None

    def signed_best(self) -> float:
        """Return the signed price of the best level; infinity if there is none."""
        best = self.best()
        return float("inf") if best is None else self.sign * best[0]

    def nearest(self, count: int) -> list[Level]:
        """Return the best levels, at most `count`, as far as they are trusted."""
        sign, edge = self.sign, self.edge
        trusted = [sign * price for price, size in self.levels.items() if size > 0 and sign * price <= edge]
        return [(sign * price, self.levels[sign * price]) for price in nsmallest(count, trusted)]

    def is_near_edge(self, opened: float) -> bool:
        """Return whether little is left of the trusted range since the best price was `opened`, a signed price."""
        best = self.best()
        return best is None or self.edge - self.sign * best[0] < NEAR_EDGE * (self.edge - opened)

    def _rebuild(self) -> None:
        """Forget the removed levels, and of too many the farthest half."""
        signed = sorted(self.sign * price for price, size in self.levels.items() if size > 0)
        if len(signed) > MOST_LEVELS:
            signed = signed[: MOST_LEVELS // 2]
            self.edge = min(self.edge, signed[-1])
        self.levels = {self.sign * price: self.levels[self.sign * price] for price in signed}
        self.signed = signed  # a sorted list is a heap
        self.most = max(2 * len(signed), LEAST_LEVELS)


class OrderBook:
    """The order book of a symbol.

    A book is *syncing* until a snapshot and the changes after it fit together, then *live*. It is *suspect* while
    ticks differ from it or its owner suspects it, and *lost* once a change is missing or the best bid is not below the
    best ask; then only a new snapshot helps. Only a live book is read.

    Parameters
    ----------
    symbol : str
    chained : bool
        Each change names the one before, as on USD-M futures; else the ids of changes follow each other, as on spot.

    Attributes
    ----------
    state : "syncing", "live", "suspect" or "lost"
    reason : str
        Why it is not live; empty if it is.
    events, applied, gaps, crossed : int
        Changes received, changes applied, changes before which one was missing, and changes after which the best bid
        was not below the best ask.
    ticker_equal, ticker_compared : int
        Changes after which the best prices and sizes equal the last tick with an id of at most that of the change,
        and changes that were compared.
    """

    def __init__(self, symbol: str, *, chained: bool) -> None:
        self.symbol = symbol
        self.chained = chained
        self.state: BookState = "syncing"
        self.reason = "no snapshot yet"
        self.events = self.applied = self.gaps = self.crossed = 0
        self.ticker_equal = self.ticker_compared = 0
        self._last_id: int | None = None
        self._joined = False
        self._bids, self._asks = _Side(-1), _Side(1)
        self._opened = (0.0, 0.0)
        self._buffer: deque[BookUpdate] | None = deque(maxlen=BUFFERED)
        self._ticks: deque[Tick] = deque(maxlen=KEPT_TICKS)
        self._awaiting: deque[tuple[int, Level | None, Level | None]] = deque(maxlen=AWAITING_TICKS)
        self._differing = 0

    def change(self, update: BookUpdate) -> None:
        """Apply the next change, or keep it until there is a snapshot."""
        self.events += 1
        if self._buffer is not None:
            self._buffer.append(update)
        if self._last_id is not None:
            self._follow(update)

    def await_snapshot(self) -> None:
        """Keep the changes from now on, since a snapshot has been asked for; a live book goes on meanwhile."""
        if self._buffer is None:
            self._buffer = deque(maxlen=BUFFERED)

    def snapshot(self, snapshot: BookSnapshot, *, asked_for: int = 0) -> None:
        """Take a snapshot and apply the kept changes after it.

        A snapshot that is older than the kept changes is left out: its owner fetches another.

        Parameters
        ----------
        snapshot : BookSnapshot
        asked_for : int
            Levels of each side that were asked for; a side with fewer has no others. 0: unknown.
        """
        kept = self._buffer if self._buffer is not None else deque()
        after = [update for update in kept if self._is_after(update, snapshot.last_id)]
        if after and not self._joins(after[0], snapshot.last_id):
            if self.state != "live":
                self.reason = f"the snapshot {snapshot.last_id} is older than the first kept change {after[0].first_id}"
            return
        self._bids.replace(snapshot.bids, is_whole=len(snapshot.bids) < asked_for)
        self._asks.replace(snapshot.asks, is_whole=len(snapshot.asks) < asked_for)
        self._opened = self._bids.signed_best(), self._asks.signed_best()
        self._last_id, self._joined, self._buffer, self._differing = snapshot.last_id, False, None, 0
        self._awaiting.clear()
        self.state, self.reason = "live", ""
        for update in after:
            self._follow_or_keep(update)

    def tick(self, tick: Tick) -> None:
        """Compare the book with the best prices of the venue, as of the changes that they follow."""
        self._ticks.append(tick)
        if self._awaiting and self._awaiting[0][0] < tick.update_id:
            self._compare_passed(tick.update_id)

    def end_of_ticks(self) -> None:
        """Compare what still waits for a later tick, as at the end of a recording."""
        if self._awaiting:
            self._compare_passed(self._awaiting[-1][0] + 1)

    def suspect(self, reason: str) -> None:
        """Mark a live book as suspect, as when its stream is silent."""
        if self.state == "live":
            self.state, self.reason = "suspect", reason

    def lose(self, reason: str) -> None:
        """Give the book up until the next snapshot, as when its connection was lost."""
        self.state, self.reason = "lost", reason
        self._last_id, self._buffer = None, deque(maxlen=BUFFERED)
        self._awaiting.clear()

    @property
    def needs_snapshot(self) -> bool:
        """Whether a new snapshot is due: there is none, or the best price nears the edge of the trusted range."""
        if self.state in ("syncing", "lost"):
            return True
        return any(
            side.is_near_edge(opened) for side, opened in zip((self._bids, self._asks), self._opened, strict=True)
        )

    @property
    def trusted_range(self) -> tuple[float, float]:
        """Lowest and highest price between which all levels are present; outside it, only those that changed are."""
        return -self._bids.edge, self._asks.edge

    def levels(self, count: int) -> tuple[list[Level], list[Level]]:
        """Return the best bids and asks within the trusted range, at most `count` of each.

        Raises
        ------
        BookNotLive
            If the book cannot be trusted.
        """
        if self.state != "live":
            raise BookNotLive(f"the order book of {self.symbol} is {self.state}: {self.reason}")
        return self._bids.nearest(count), self._asks.nearest(count)

    def sample(self) -> BookSample | None:
        """Return the book as it is now; None if it cannot be trusted."""
        if self.state != "live":
            return None
        return sample_of(*self.levels(DEPTHS[-1]))

    def _follow_or_keep(self, update: BookUpdate) -> None:
        """Apply a kept change, or keep it for the next snapshot where one before it was missing."""
        if self._last_id is None:
            self._keep(update)
        else:
            self._follow(update)

    def _follow(self, update: BookUpdate) -> None:
        """Apply a change after the last one, if none is missing between them."""
        assert self._last_id is not None
        if not self._joined:
            if not self._is_after(update, self._last_id):
                return
            follows = self._joins(update, self._last_id)
        elif update.last_id <= self._last_id:
            return  # a message that arrived twice
        elif self.chained:
            follows = update.previous_id == self._last_id
        else:
            follows = update.first_id <= self._last_id + 1
        if not follows:
            self.gaps += 1
            self.lose(f"changes are missing between {self._last_id} and {update.first_id}")
            self._keep(update)
            return
        self._joined, self._last_id = True, update.last_id
        self._bids.change(update.bids)
        self._asks.change(update.asks)
        self.applied += 1
        bid, ask = self._bids.best(), self._asks.best()
        if bid is not None and ask is not None and bid[0] >= ask[0]:
            self.crossed += 1
            self.lose(f"the best bid {bid[0]:g} is not below the best ask {ask[0]:g}")
            return
        self._awaiting.append((update.last_id, bid, ask))
        if self._ticks:
            self._compare_passed(self._ticks[-1].update_id)

    def _keep(self, update: BookUpdate) -> None:
        if self._buffer is not None:
            self._buffer.append(update)

    def _is_after(self, update: BookUpdate, snapshot_id: int) -> bool:
        """Return whether a change is not wholly included in a snapshot."""
        return update.last_id >= snapshot_id if self.chained else update.last_id > snapshot_id

    def _joins(self, update: BookUpdate, snapshot_id: int) -> bool:
        """Return whether a change is the first one after a snapshot."""
        if not self.chained:
            return update.first_id <= snapshot_id + 1
        return update.previous_id is not None and update.previous_id <= snapshot_id <= update.last_id

    def _compare_passed(self, tick_id: int) -> None:
        """Compare the best prices after each change that a tick has passed with the last tick before them."""
        ticks, awaiting = self._ticks, self._awaiting
        while awaiting and awaiting[0][0] < tick_id:
            last_id, bid, ask = awaiting.popleft()
            while len(ticks) > 1 and ticks[1].update_id <= last_id:
                ticks.popleft()
            if ticks and ticks[0].update_id <= last_id:
                self._compare(ticks[0], bid, ask)

    def _compare(self, tick: Tick, bid: Level | None, ask: Level | None) -> None:
        self.ticker_compared += 1
        if bid == (tick.bid, tick.bid_size) and ask == (tick.ask, tick.ask_size):
            self.ticker_equal += 1
            self._differing = 0
            if self.state == "suspect":
                self.state, self.reason = "live", ""
            return
        self._differing += 1
        if self._differing >= DIFFERENT_TICKS:
            self.suspect(f"the last {self._differing} ticks differ from it")
