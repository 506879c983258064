"""A websocket server on loopback that sends what a test wants, to whoever is connected."""

import asyncio
import json
from collections.abc import Callable
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from mikrobot.runtime import SystemClock


class StreamServer:
    """Accepts combined streams, as ``/stream?streams=a/b``; a refusing one closes each connection at once."""

    def __init__(self) -> None:
        self.streams: list[list[str]] = []
        self.paths: list[str] = []
        self.open: list[ServerConnection] = []
        self.refusing = False
        self.url = ""
        self._started = Event()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    @property
    def accepted(self) -> int:
        return len(self.streams)

    def send(self, body: Any, *, to: int | None = None) -> None:
        """Send a message, as JSON unless it is text, to all connections or to one of them by its number."""
        text = body if isinstance(body, str) else json.dumps(body)
        self._do(self._send, text, to)

    def drop(self) -> None:
        """Abort all connections, without a close frame."""
        self._do(lambda: [connection.transport.abort() for connection in self.open])

    def close(self) -> None:
        if self._thread.is_alive():
            self._do(self._stop.set)
            self._thread.join(10)

    def _do(self, call: Callable[..., object], *arguments: object) -> None:
        called = Event()
        self._loop.call_soon_threadsafe(lambda: (call(*arguments), called.set()))
        assert called.wait(10)

    def _send(self, text: str, to: int | None) -> None:
        for connection in self.open if to is None else [self.open[to]]:
            self._loop.create_task(connection.send(text))

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        async with serve(self._accept, "127.0.0.1", 0) as server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self._started.set()
            await self._stop.wait()

    async def _accept(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        address = urlsplit(connection.request.path)
        self.paths.append(address.path)
        self.streams.append(parse_qs(address.query)["streams"][0].split("/"))
        if self.refusing:
            return
        self.open.append(connection)
        try:
            await connection.wait_closed()
        except ConnectionClosed:
            pass
        finally:
            self.open.remove(connection)


def until(condition: Callable[[], bool], what: str, *, seconds: float = 20.0) -> None:
    """Wait until a condition holds."""
    clock, waited = SystemClock(), 0.0
    while not condition():
        assert waited < seconds, f"not within {seconds} s: {what}"
        clock.sleep(0.01)
        waited += 0.01
