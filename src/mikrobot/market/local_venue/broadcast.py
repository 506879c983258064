"""Sends the messages of all streams to the connections that have subscribed to them, in the order of market time."""

from collections.abc import Mapping
from heapq import heappop, heappush
from itertools import count

from mikrobot.market.local_venue.clock import MarketClock
from mikrobot.market.local_venue.connections import Connection
from mikrobot.market.local_venue.feed import Feed
from mikrobot.market.local_venue.injection import Injector, Requested
from mikrobot.market.local_venue.messages import Message
from mikrobot.runtime import SystemClock

TICK_S = 0.01
"""Real seconds between two rounds."""

_ORDER = ("aggTrade", "bookTicker", "depth", "kline")

_Key = tuple[str, str]
"""Name of a market, and of a stream."""


class Broadcaster:
    """The connections of the venue and what is sent to them.

    Parameters
    ----------
    feeds : mapping of str to mapping of str to Feed
        By the name of the market and the symbol.
    clock : MarketClock
    injector : Injector

    Attributes
    ----------
    connections : dict of int to Connection
        Those that are open, by their number.
    opened : int
        Connections since the start.
    """

    def __init__(self, feeds: Mapping[str, Mapping[str, Feed]], clock: MarketClock, injector: Injector) -> None:
        self.connections: dict[int, Connection] = {}
        self.opened = 0
        self._sent_by_closed = 0
        self._feeds = feeds
        self._clock = clock
        self._injector = injector
        self._reached_ms = clock.now_ms()
        self._late: list[tuple[int, int, Connection, Message]] = []
        self._counter = count()

    @property
    def sent(self) -> int:
        """Messages sent since the start."""
        return self._sent_by_closed + sum(connection.sent for connection in self.connections.values())

    def next_number(self) -> int:
        """Return the number of a new connection."""
        self.opened += 1
        return self.opened

    def remove(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._sent_by_closed += connection.sent
        self.connections.pop(connection.number, None)

    def act(self, action: str, wanted: Requested) -> int:
        """Let something happen to the connections that a request concerns; return their number."""
        concerned = [connection for connection in self.connections.values() if _concerns(wanted, connection)]
        for connection in concerned[: wanted.count]:
            connection.act(action, self._clock.now_ms())
        return len(concerned[: wanted.count])

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        real = SystemClock()
        while True:
            self.send_due()
            await real.wait(TICK_S)

    def send_due(self) -> None:
        """Send what is due by now."""
        since_ms, self._reached_ms = self._reached_ms, max(self._clock.now_ms(), self._reached_ms)
        if self._reached_ms == since_ms:
            return
        for feeds in self._feeds.values():
            for feed in feeds.values():
                feed.prepare(self._reached_ms)
        for message, subscribers in self._due(since_ms):
            for connection in subscribers:
                late = connection.offer(message, self._injector)
                if late is not None:
                    heappush(self._late, (late[0], next(self._counter), connection, late[1]))
        while self._late and self._late[0][0] <= self._reached_ms:
            _, _, connection, message = heappop(self._late)
            connection.deliver(message)

    def _due(self, since_ms: int) -> list[tuple[Message, list[Connection]]]:
        due = [
            (message, subscribers)
            for (market, stream), subscribers in self._subscribers().items()
            for message in self._messages(market, stream, since_ms)
        ]
        due.sort(key=lambda item: (item[0].due_ms, item[0].symbol, _ORDER.index(item[0].kind)))
        return due

    def _messages(self, market: str, stream: str, since_ms: int) -> list[Message]:
        symbol = stream.partition("@")[0]
        feed = self._feeds[market].get(symbol.upper())
        if feed is None or symbol != symbol.lower():
            return []
        return list(feed.messages(stream, since_ms, self._reached_ms))

    def _subscribers(self) -> dict[_Key, list[Connection]]:
        subscribers: dict[_Key, list[Connection]] = {}
        for connection in self.connections.values():
            for stream in filter(connection.sends, connection.streams):
                subscribers.setdefault((connection.market.name, stream), []).append(connection)
        return subscribers


def _concerns(wanted: Requested, connection: Connection) -> bool:
    """Return True if a connection has a stream that a request names."""
    if wanted.symbol is None and wanted.stream is None:
        return True
    streams = connection.streams
    return any(wanted.matches(stream.partition("@")[0].upper(), stream) for stream in streams)
