"""A connection to a venue's streams that recovers by itself and has a state with its reason.

One socket carries several streams. A connection is *connecting*, then *live*; *stale* while a stream is silent for
too long, *reconnecting* after the socket was lost, and *polling* where no socket could be opened for a while: then
whoever needs the data asks for them by REST until it is live again. A socket that the venue is about to close is
replaced by a second one, which is up before the first is closed, so that a message may arrive twice.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from mikrobot.domain.errors import FeedError
from mikrobot.market.streams.backoff import Backoff
from mikrobot.market.streams.shared_budget import Budget
from mikrobot.market.streams.watchdog import Watchdog, stale_of
from mikrobot.runtime import Clock
from mikrobot.telemetry import logger

log = logger("market")

ConnectionState = Literal["connecting", "live", "stale", "reconnecting", "polling"]

LIFE = timedelta(hours=23, minutes=30)
"""Age at which a socket is replaced; Binance closes it after 24 hours."""

OPENING_S = 10.0
"""Seconds of real time that a socket has to open."""

POLLING_AFTER = 3
"""Failed attempts in a row after which the connection is polling."""

WATCH_S = 1.0
"""Seconds between two looks at the watchdogs."""

LONGEST_WAIT_S = 600.0
"""Longest time between two replacements of a socket on which a stream stays silent."""

UNCOUNTED_WAIT_S = 10.0
"""Seconds until the next attempt where attempts cannot be counted, as on a full disk."""

SHUTDOWN = "serverShutdown"

_FAILURES = (OSError, WebSocketException, TimeoutError)


class _Message(msgspec.Struct, gc=False):
    """A message of a combined stream; an event of the server itself has only `e`."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    e: str = ""


_decode = msgspec.json.Decoder(_Message).decode


Deliver = Callable[[str, msgspec.Raw], None]
"""Takes the name of a stream and the data of a message of it."""

Record = Callable[[datetime, bytes], None]
"""Takes the time of receipt and a raw message."""

Lose = Callable[[str], None]
"""Takes the reason why a socket was lost."""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """The state of one connection.

    Attributes
    ----------
    streams : tuple of str
    state : str
    reason : str
        Why it is not live; empty if it is.
    messages, opened, losses, malformed : int
        Messages received, sockets opened, sockets lost, and messages that could not be read.
    """

    streams: tuple[str, ...]
    state: ConnectionState
    reason: str
    messages: int
    opened: int
    losses: int
    malformed: int


@dataclass(slots=True)
class _Socket:
    """An open socket and the task that reads it."""

    connection: ClientConnection
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    reading: "asyncio.Task[str]" = field(init=False)


class Connection:
    """One connection.

    Parameters
    ----------
    url : str
        Address with the names of the streams, as ``wss://stream.binance.com:9443/stream?streams=btcusdt@kline_1m``.
    streams : sequence of str
        Their names.
    deliver : callable
        Gets every message; raises no error.
    clock : Clock
    attempts : Budget
        Attempts to connect.
    rng : Random
    lose : callable
        Called whenever the socket was lost; raises no error. Not called where a second socket has replaced it.

    Attributes
    ----------
    state : str
    reason : str
        Why it is not live; empty if it is.
    opened, losses, malformed, messages : int
        Sockets opened, sockets lost, messages that could not be read, and all messages.
    record : callable or None
        Gets every raw message as it was received.
    """

    def __init__(
        self,
        url: str,
        streams: Sequence[str],
        deliver: Deliver,
        *,
        clock: Clock,
        attempts: Budget,
        rng: Random,
        lose: Lose = lambda reason: None,
    ) -> None:
        self.url = url
        self.watchdogs = {stream: Watchdog(stream) for stream in streams}
        self.state: ConnectionState = "connecting"
        self.reason = "not connected yet"
        self.opened = self.losses = self.malformed = self.messages = 0
        self.record: Record | None = None
        self._deliver, self._lose, self._clock, self._attempts = deliver, lose, clock, attempts
        self._backoff = Backoff(rng)
        self._failed = 0
        self._replace = asyncio.Event()
        self._sockets: list[_Socket] = []

    def status(self) -> StreamStatus:
        """Return the state with its reason and the counts."""
        return StreamStatus(
            tuple(self.watchdogs), self.state, self.reason, self.messages, self.opened, self.losses, self.malformed
        )

    async def run(self) -> None:
        """Keep the connection up until the task is cancelled."""
        async with self._watching():
            try:
                socket = await self._socket()
                while True:
                    socket = await self._followed(socket)
            except Exception as error:
                self.state, self.reason = "polling", f"the connection has ended for good: {error!r}"
                log.exception("stream_ended", streams=list(self.watchdogs))
                raise
            finally:
                for open_socket in [*self._sockets]:
                    await self._close(open_socket)

    async def _followed(self, socket: _Socket) -> _Socket:
        """Return the socket that follows this one, when it is lost or is to be replaced."""
        await _first_of(socket.ended.wait(), self._replace.wait())
        self._replace.clear()
        if socket.ended.is_set():
            self._give_up(socket.reading.result())
            await self._close(socket)
            await self._clock.wait(self._backoff.next_wait_s())
            return await self._socket()
        fresh = await self._socket(older=socket)
        await _first_of(fresh.sent.wait(), fresh.ended.wait(), socket.ended.wait(), self._clock.wait(OPENING_S))
        await self._close(socket)
        return fresh

    async def _socket(self, older: _Socket | None = None) -> _Socket:
        """Open a socket, after waits as long as it takes; an older one that still works is only replaced."""
        while True:
            await self._allowed()
            try:
                async with asyncio.timeout(OPENING_S):  # `wait_for` of Python 3.11 can lose a cancellation
                    connection = await connect(self.url, compression=None, max_size=None, proxy=None, open_timeout=None)
            except _FAILURES as error:
                self._failed += 1
                if older is None or older.ended.is_set():
                    self._fail(f"{self.url.partition('?')[0]}: {str(error) or type(error).__name__}")
                await self._clock.wait(self._backoff.next_wait_s())
                continue
            now = self._clock.now()
            self.opened += 1
            for watchdog in self.watchdogs.values():
                watchdog.acknowledged(now)
            socket = _Socket(connection)
            socket.reading = asyncio.ensure_future(self._read(socket))
            self._sockets.append(socket)
            return socket

    async def _allowed(self) -> None:
        """Wait until another attempt is allowed."""
        while True:
            try:
                wait = self._attempts.take(self._clock.now())
                reason = f"no attempt to connect is allowed for {wait:.0f} s"
            except FeedError as error:
                wait, reason = UNCOUNTED_WAIT_S, str(error)
            if wait <= 0:
                return
            self.state, self.reason = "polling", reason
            await self._clock.wait(wait)

    async def _read(self, socket: _Socket) -> str:
        """Pass messages on until the socket ends; return why it ended."""
        try:
            async for message in socket.connection:
                self._take(message if isinstance(message, bytes) else message.encode(), socket)
            return f"closed by the venue ({socket.connection.close_code})"
        except _FAILURES as error:
            return str(error) or type(error).__name__
        finally:
            socket.ended.set()

    def _take(self, message: bytes, socket: _Socket) -> None:
        now = self._clock.now()
        self.messages += 1
        if self.record is not None:
            self.record(now, message)
        try:
            received = _decode(message)
        except msgspec.DecodeError as error:
            self.malformed += 1
            log.warning("message_malformed", error=str(error), message=message[:80].decode("utf-8", "replace"))
            return
        if received.e == SHUTDOWN or received.stream == f"!{SHUTDOWN}":
            log.info("server_shutdown", url=self.url)
            self._replace.set()
            return
        watchdog = self.watchdogs.get(received.stream)
        if watchdog is None:
            return
        watchdog.received(now)
        self._backoff.good(now)
        if not socket.sent.is_set():
            socket.sent.set()
            self._failed = 0
            self._good(now)
        self._deliver(received.stream, received.data)

    def _good(self, now: datetime) -> None:
        if not any(watchdog.is_stale(now) for watchdog in self.watchdogs.values()):
            self.state, self.reason = "live", ""

    def _give_up(self, reason: str) -> None:
        self.losses += 1
        self._failed += 1
        self._fail(f"the connection was lost: {reason}")
        self._lose(self.reason)

    def _fail(self, reason: str) -> None:
        self.state = "polling" if self._failed >= POLLING_AFTER else "reconnecting"
        self.reason = reason
        log.warning("stream_down", state=self.state, reason=reason)

    async def _close(self, socket: _Socket) -> None:
        socket.connection.transport.abort()
        await asyncio.wait({socket.reading})
        self._sockets.remove(socket)

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self._watch())
        try:
            yield
        finally:
            task.cancel()

    async def _watch(self) -> None:
        """Replace the socket when it is old, and while a stream is silent, with longer waits each time.

        Time by which a look is late does not count as silence: what has arrived meanwhile is not read yet.
        """
        opened, due, wait_s, heard = self._clock.now(), None, 0.0, 0
        while True:
            expected = self._clock.now() + timedelta(seconds=WATCH_S)
            await self._clock.wait(WATCH_S)
            now = self._clock.now()
            late = max(now - expected, timedelta(0))
            if all(socket.ended.is_set() for socket in self._sockets):
                opened, due = now, None
                continue
            stale = stale_of(self.watchdogs.values(), now - late)
            if stale is None and due is not None and self.messages == heard:
                stale = self.reason, wait_s  # of a fresh socket on which nothing has arrived yet
            if stale is None:
                due = None
                if self.state == "stale":
                    self.state, self.reason = "live", ""
                if now - opened >= LIFE:
                    opened = now
                    self._replace.set()
                continue
            self.state = "stale"
            self.reason, limit_s = stale
            if due is None:
                log.warning("stream_stale", reason=self.reason)
                wait_s, due, heard = limit_s, now, self.messages
            if now >= due:
                self._replace.set()
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                due = now + timedelta(seconds=wait_s)


async def _first_of(*awaited: Coroutine[Any, Any, object]) -> None:
    """Wait until the first ends; cancel the others."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
