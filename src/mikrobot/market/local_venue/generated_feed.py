"""The feed of a symbol whose trades and books are generated from bars."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from mikrobot.market.local_venue.bar_history import BarHistory
from mikrobot.market.local_venue.books import Book, MinuteBooks, books_of_minute, changes
from mikrobot.market.local_venue.clock import MINUTE_MS
from mikrobot.market.local_venue.draws import key_of
from mikrobot.market.local_venue.feed import Window
from mikrobot.market.local_venue.markets import (
    Market,
    kind_of,
    spot_update_id,
    usdm_first_id,
    usdm_snapshot_id,
    usdm_update_id,
)
from mikrobot.market.local_venue.messages import Message, Payload
from mikrobot.market.local_venue.payloads import Writer
from mikrobot.market.local_venue.recent import Recent
from mikrobot.market.local_venue.tape import Kline, Trade, forming_klines, kline_of, klines_of_block, trades_of_minute
from mikrobot.market.local_venue.trades import EVENTS

KLINE_PERIOD_MS = 2000
"""Between two updates of a forming kline: Binance, kline streams."""

_LATEST_CLOSE_MS = 50
"""Latest message of a closed kline after its close."""

_MINUTES_KEPT = 4
_HOUR = 60
_HOURS_KEPT = 60

Due = tuple[int, Callable[[], Payload], bool]
"""When a message is due, its payload, and whether it closes a kline."""


class GeneratedMarket:
    """The trades, klines and books of one symbol, shared by its feeds of both markets.

    Parameters
    ----------
    history : BarHistory

    Attributes
    ----------
    trades, books, forming : callable
        Return the trades, the books, and the updates of the kline of a minute.
    closed : callable
        Return the closed klines of an hour, counted since the epoch.
    """

    def __init__(self, history: BarHistory) -> None:
        self.history = history
        self.trades: Recent[int, list[Trade]] = Recent(partial(trades_of_minute, history), _MINUTES_KEPT)
        self.books: Recent[int, MinuteBooks | None] = Recent(partial(books_of_minute, history), _MINUTES_KEPT)
        self.forming: Recent[int, list[tuple[int, Kline]]] = Recent(self._forming, _MINUTES_KEPT)
        self.closed: Recent[int, list[Kline]] = Recent(self._closed, _HOURS_KEPT)

    def _forming(self, minute: int) -> list[tuple[int, Kline]]:
        begins = minute * MINUTE_MS
        times_ms = range(begins + KLINE_PERIOD_MS, begins + MINUTE_MS, KLINE_PERIOD_MS)
        return forming_klines(minute, self.trades(minute), times_ms)

    def _closed(self, hour: int) -> list[Kline]:
        block = self.history.block(hour)
        return [] if block is None else klines_of_block(block)

    def closed_kline(self, minute: int) -> Kline | None:
        """Return the kline of a minute after its close; None if it has none."""
        kline = kline_of(minute, self.trades(minute))
        if kline is not None:
            return kline
        return next((kline for kline in self.closed(minute // _HOUR) if kline.minute == minute), None)

    def forming_kline(self, minute: int, now_ms: int) -> Kline | None:
        """Return the kline of a minute from its trades so far; None before the first."""
        return kline_of(minute, (trade for trade in self.trades(minute) if trade.time_ms <= now_ms))

    def event_at(self, time_ms: int) -> int | None:
        """Return the number of the last book event up to a time; None before the first."""
        minute = time_ms // MINUTE_MS
        books = self.books(minute)
        place = 0 if books is None else bisect_right(books.times_ms, time_ms)
        return minute * EVENTS + place - 1 if place else self.event_before(minute * EVENTS)

    def event_before(self, event: int) -> int | None:
        """Return the number of the book event before another; None if it is the first."""
        minute, place = divmod(event, EVENTS)
        if place:
            return event - 1
        earlier = self.history.last_before(minute)
        return None if earlier is None else earlier * EVENTS + EVENTS - 1

    def book(self, event: int) -> Book:
        """Return the book after an event."""
        books = self.books(event // EVENTS)
        assert books is not None
        return books.books[event % EVENTS]


class GeneratedFeed:
    """One symbol on one market, generated from bars; see `mikrobot.market.local_venue.feed.Feed`.

    Parameters
    ----------
    market : Market
    generated : GeneratedMarket
    """

    def __init__(self, market: Market, generated: GeneratedMarket) -> None:
        self.listing = generated.history.listing
        self._market = market
        self._generated = generated
        self._write = Writer(market, self.listing)
        self._schedules: dict[str, Recent[int, list[Due]]] = {
            "aggTrade": Recent(self._trades_of, _MINUTES_KEPT),
            "bookTicker": Recent(self._tickers_of, _MINUTES_KEPT),
            "kline_1m": Recent(self._klines_of, _MINUTES_KEPT),
        }
        for name, period_ms in market.depth_periods_ms.items():
            self._schedules[name] = Recent(partial(self._depths_of, period_ms), _MINUTES_KEPT)

    def klines(self, window: Window, now_ms: int, *, forming: bool) -> list[list[Any]]:
        """Return the klines that open in a window; see `Feed.klines`."""
        current = now_ms // MINUTE_MS
        last = current if window.until_ms is None else min(window.until_ms // MINUTE_MS, current)
        first = 0 if window.since_ms is None else -(-window.since_ms // MINUTE_MS)
        newest = None
        if forming and first <= last == current:
            newest = self._generated.forming_kline(current, now_ms)
        tail = [] if newest is None else [newest]
        last = min(last, current - 1)
        if window.since_ms is None:
            klines = [*self._newest(first, last, window.limit - len(tail)), *tail]
        else:
            klines = [*self._oldest(first, last, window.limit), *tail][: window.limit]
        return [self._write.kline_row(kline) for kline in klines]

    def _oldest(self, first: int, last: int, limit: int) -> list[Kline]:
        klines: list[Kline] = []
        for hour in self._hours(first, last):
            klines += [kline for kline in self._generated.closed(hour) if first <= kline.minute <= last]
            if len(klines) >= limit:
                break
        return klines[:limit]

    def _newest(self, first: int, last: int, limit: int) -> list[Kline]:
        klines: list[Kline] = []
        for hour in reversed(self._hours(first, last)):
            klines = [kline for kline in self._generated.closed(hour) if first <= kline.minute <= last] + klines
            if len(klines) >= limit:
                break
        return klines[max(len(klines) - limit, 0) :]

    def _hours(self, first: int, last: int) -> range:
        first = max(first, self._generated.history.first_minute)
        return range(first // _HOUR, last // _HOUR + 1) if last >= first else range(0)

    def trades(self, window: Window, now_ms: int, *, first_id: int | None) -> list[Payload]:
        """Return aggregate trades; see `Feed.trades`."""
        last_ms = now_ms if window.until_ms is None else min(window.until_ms, now_ms)
        if first_id is None and window.since_ms is None:
            trades = self._newest_trades(last_ms, window.limit)
        else:
            trades = self._trades_from(window.since_ms or 0, last_ms, window.limit, first_id=first_id or 0)
        return [self._write.trade_row(trade) for trade in trades]

    def _trades_from(self, since_ms: int, last_ms: int, most: int, *, first_id: int) -> list[Trade]:
        history = self._generated.history
        after = last_ms // MINUTE_MS + 1
        first = history.minute_of_trade(first_id, after) if first_id else since_ms // MINUTE_MS
        trades: list[Trade] = []
        for minute in history.minutes(first or 0, after):
            trades += [
                trade
                for trade in self._generated.trades(minute)
                if trade.aggregate >= first_id and since_ms <= trade.time_ms <= last_ms
            ]
            if len(trades) >= most:
                break
        return trades[:most]

    def _newest_trades(self, last_ms: int, limit: int) -> list[Trade]:
        trades: list[Trade] = []
        minute: int | None = last_ms // MINUTE_MS
        while minute is not None and len(trades) < limit:
            trades = [trade for trade in self._generated.trades(minute) if trade.time_ms <= last_ms] + trades
            minute = self._generated.history.last_before(minute)
        return trades[max(len(trades) - limit, 0) :]

    def depth(self, limit: int, now_ms: int) -> Payload | None:
        """Return a snapshot of the book; see `Feed.depth`."""
        event = self._generated.event_at(now_ms)
        if event is None:
            return None
        book = self._generated.book(event)
        sides = {"bids": self._write.levels(book.bids[:limit]), "asks": self._write.levels(book.asks[:limit])}
        if self._market.name == "spot":
            return {"lastUpdateId": spot_update_id(event), **sides}
        following = event + 1 if (event + 1) % EVENTS else None
        snapshot_id = usdm_snapshot_id(event, usdm_update_id(event), following)
        return {"lastUpdateId": snapshot_id, "E": now_ms, "T": now_ms, **sides}

    def messages(self, stream: str, since_ms: int, until_ms: int) -> Sequence[Message]:
        """Return the messages of a stream; see `Feed.messages`."""
        schedule = self._schedules.get(stream.partition("@")[2])
        if schedule is None or until_ms <= since_ms:
            return ()
        kind = kind_of(stream)
        return [
            Message(due_ms, stream, kind, self.listing.symbol, make(), closed)
            for minute in range((since_ms - _LATEST_CLOSE_MS) // MINUTE_MS, until_ms // MINUTE_MS + 1)
            for due_ms, make, closed in _between(schedule(minute), since_ms, until_ms)
        ]

    def prepare(self, now_ms: int) -> None:
        """Read what is needed soon; see `Feed.prepare`."""
        self._generated.history.prepare(now_ms // MINUTE_MS)

    def _trades_of(self, minute: int) -> list[Due]:
        trades = self._generated.trades(minute)
        return [(trade.time_ms + 1, partial(self._write.trade_event, trade), False) for trade in trades]

    def _klines_of(self, minute: int) -> list[Due]:
        begins = minute * MINUTE_MS
        closed = self._generated.closed_kline(minute)
        if closed is None:
            return []
        dues = [
            (due_ms, partial(self._write.kline_event, kline, due_ms, closed=False), False)
            for due_ms, kline in self._generated.forming(minute)
        ]
        due_ms = begins + MINUTE_MS + 3 + key_of("close", minute, self.listing.symbol) % (_LATEST_CLOSE_MS - 10)
        return [*dues, (due_ms, partial(self._write.kline_event, closed, due_ms, closed=True), True)]

    def _tickers_of(self, minute: int) -> list[Due]:
        dues: list[Due] = []
        for event, time_ms in self._events(minute):
            earlier = self._generated.event_before(event)
            book, before = self._generated.book(event), None if earlier is None else self._generated.book(earlier)
            best = (book.bids[0], book.asks[0])
            if before is None or best != (before.bids[0], before.asks[0]):
                dues.append((time_ms, partial(self._write.ticker_event, self._update_id(event), *best, time_ms), False))
        return dues

    def _depths_of(self, period_ms: int, minute: int) -> list[Due]:
        groups: dict[int, list[int]] = {}
        for event, time_ms in self._events(minute):
            groups.setdefault((time_ms // period_ms + 1) * period_ms, []).append(event)
        return [
            (due_ms, partial(self._depth_event, events[0], events[-1], due_ms), False)
            for due_ms, events in groups.items()
        ]

    def _events(self, minute: int) -> Iterator[tuple[int, int]]:
        books = self._generated.books(minute)
        if books is not None:
            yield from enumerate(books.times_ms, minute * EVENTS)

    def _depth_event(self, first: int, last: int, due_ms: int) -> Payload:
        """Return the diff from before the event `first` to after the event `last`."""
        earlier = self._generated.event_before(first)
        before = Book((), ()) if earlier is None else self._generated.book(earlier)
        diff = changes([before, *(self._generated.book(event) for event in range(first, last + 1))])
        levels = {"b": self._write.levels(diff.bids), "a": self._write.levels(diff.asks)}
        previous = 0 if earlier is None else self._update_id(earlier)
        final = self._update_id(last)
        if self._market.name == "spot":
            ids = {"U": previous + 1, "u": final}
            return {"e": "depthUpdate", "E": due_ms, "s": self.listing.symbol, **ids, **levels}
        ids = {"U": usdm_first_id(first, previous), "u": final, "pu": previous}
        return {"e": "depthUpdate", "E": due_ms, "T": due_ms, "s": self.listing.symbol, **ids, **levels}

    def _update_id(self, event: int) -> int:
        return spot_update_id(event) if self._market.name == "spot" else usdm_update_id(event)


def _between(dues: list[Due], since_ms: int, until_ms: int) -> list[Due]:
    first = bisect_right(dues, since_ms, key=lambda due: due[0])
    return dues[first : bisect_right(dues, until_ms, key=lambda due: due[0])]
