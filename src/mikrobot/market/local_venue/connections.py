"""One websocket connection of a client: its subscriptions, its queue, and what faults do to its messages."""

import asyncio
import json
from collections import deque
from collections.abc import Callable

import orjson
from aiohttp import WSCloseCode, web

from mikrobot.market.local_venue.faults import first_half
from mikrobot.market.local_venue.injection import Injector
from mikrobot.market.local_venue.markets import Market, Path, kind_of
from mikrobot.market.local_venue.messages import Message
from mikrobot.market.local_venue.payloads import in_microseconds
from mikrobot.runtime import uptime_s

LONGEST_QUEUE = 50_000
"""Messages that wait for a client that does not read; then the connection ends."""

_SHUTDOWN = "!serverShutdown"


class Connection:
    """A connection of a client.

    Parameters
    ----------
    number : int
        Number of the connection since the start.
    market : Market
    path : Path
        Part of the venue that it is connected to; streams of another part are silent.
    combined : bool
        Messages have an envelope with the name of their stream.
    microseconds : bool
        The client wants times in microseconds.
    abort : callable
        End the connection without a close frame.

    Attributes
    ----------
    streams : dict of str to None
        The streams that are subscribed, in order.
    sent : int
        Messages sent so far.
    last_pong_s : float
        When the client last answered a ping, by `uptime_s`.
    ping_payload : bytes
        Payload of the latest ping, which its pong must have.
    """

    def __init__(
        self,
        number: int,
        market: Market,
        path: Path,
        *,
        combined: bool,
        microseconds: bool,
        abort: Callable[[], None],
    ) -> None:
        self.number = number
        self._abort = abort
        self.market = market
        self.streams: dict[str, None] = {}
        self.sent = 0
        self.last_pong_s = uptime_s()
        self.ping_payload = b""
        self._path = path
        self._combined = combined
        self._microseconds = microseconds
        self._queue: deque[str] = deque()
        self._held: str | None = None
        self._filled = asyncio.Event()
        self._stalled = False
        self._last: WSCloseCode | None = None

    def sends(self, stream: str) -> bool:
        """Return True if a stream sends data on this connection once it is subscribed."""
        return self.market.path_of(kind_of(stream)) == self._path

    def offer(self, message: Message, injector: Injector) -> tuple[int, Message] | None:
        """Queue a message, as the faults leave it; return it with its new time if it is late."""
        for action in injector.actions(message, self.number):
            self.act(action, message.due_ms)
        outgoing = injector.message(message, self.number)
        if outgoing.delay_ms:
            return message.due_ms + outgoing.delay_ms, outgoing.message
        text = self._text(outgoing.message, microseconds=outgoing.microseconds or self._microseconds)
        text = first_half(text) if outgoing.cut else text
        if outgoing.after_next and outgoing.copies:
            self._release()
            self._held = text
        elif outgoing.copies:
            self._put(text, outgoing.copies)
            self._release()
        return None

    def deliver(self, message: Message) -> None:
        """Queue a late message without further faults."""
        self._put(self._text(message, microseconds=self._microseconds), 1)

    def reply(self, value: object) -> None:
        """Queue the answer to a request of the client."""
        self._put(json.dumps(value), 1)

    def act(self, action: str, now_ms: int) -> None:
        """Let something happen to the connection; see `faults.Action`."""
        if action == "abort":
            self._abort()
        elif action == "stall":
            self._stalled = True
        elif action == "shut_down":
            event = {"e": "serverShutdown", "E": now_ms}
            self.reply({"stream": _SHUTDOWN, "data": event} if self._combined else event)
            self._end(WSCloseCode.GOING_AWAY)
        elif action == "expire":
            self._end(WSCloseCode.POLICY_VIOLATION)

    async def send(self, socket: web.WebSocketResponse) -> None:
        """Send what is queued until the connection ends."""
        while not socket.closed:
            await self._filled.wait()
            self._filled.clear()
            while self._queue and not self._stalled:
                await socket.send_str(self._queue.popleft())
                self.sent += 1
            if self._last is not None and not self._stalled:
                await socket.close(code=self._last)

    def close(self) -> None:
        """End the connection as a server does that is stopped."""
        self._end(WSCloseCode.GOING_AWAY)

    def _end(self, code: WSCloseCode) -> None:
        self._last = code
        self._filled.set()

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._put(held, 1)

    def _put(self, text: str, copies: int) -> None:
        if self._stalled:
            return
        self._queue.extend([text] * copies)
        if len(self._queue) > LONGEST_QUEUE:
            self._abort()
        self._filled.set()

    def _text(self, message: Message, *, microseconds: bool) -> str:
        payload = in_microseconds(message.payload) if microseconds else message.payload
        body = orjson.dumps(payload).decode()
        return f'{{"stream":"{message.stream}","data":{body}}}' if self._combined else body
