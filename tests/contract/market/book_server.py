"""A server of depth streams and snapshots on loopback, whose books a test moves, and which counts request weight."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

from aiohttp import WSMsgType, web

from mikrobot.runtime import Clock

LIMIT = 6000
DEPTH_WEIGHT = 50


class Book:
    """The book of one symbol: `levels` of each side by price, and the id of its last change."""

    def __init__(self) -> None:
        self.id = 100
        self.bids = {99.0: 3.0, 98.0: 1.0}
        self.asks = {101.0: 1.0, 102.0: 2.0}

    def snapshot(self, limit: int) -> dict[str, Any]:
        bids = sorted(self.bids.items(), reverse=True)[:limit]
        asks = sorted(self.asks.items())[:limit]
        return {"lastUpdateId": self.id, "bids": _texts(bids), "asks": _texts(asks)}


class BookServer:
    """Speaks Binance's protocol for `depth@100ms`, `bookTicker`, `depth` and `exchangeInfo` of spot.

    Attributes
    ----------
    asked : list of str
        Symbols of the snapshots that were requested, in order.
    used : Counter
        Request weight by minute of the clock.
    refusals : list of (int, dict)
        Status and headers of the next snapshots that are refused.
    older_by : int
        Number of changes that a snapshot lacks, as one of an old cache.
    """

    def __init__(self, symbols: list[str], clock: Clock) -> None:
        self.books = {symbol: Book() for symbol in symbols}
        self.asked: list[str] = []
        self.used: Counter[int] = Counter()
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.older_by = 0
        self.accepted = 0
        self._clock = clock
        self._sockets: dict[web.WebSocketResponse, set[str]] = {}
        self._started, self._loop = Event(), asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    def change(self, symbol: str, *, bids: Any = (), asks: Any = (), lost: int = 0, ticks: bool = True) -> None:
        """Change levels, and send the change and the best prices; ids of `lost` changes are left out before it."""
        self._do(self._change, symbol, dict(bids), dict(asks), lost, ticks)

    def beat(self) -> None:
        """Change the size of the best bid of every symbol."""
        self._do(self._beat)

    def drop(self) -> None:
        """Abort all connections, without a close frame."""

        def abort() -> None:
            for socket in self._sockets:
                transport = socket._req.transport
                if transport is not None:
                    transport.abort()

        self._do(abort)

    def connected(self) -> int:
        return len(self._sockets)

    def close(self) -> None:
        self._do(self._stop.set)
        self._thread.join(10)

    def _beat(self) -> None:
        for symbol, book in self.books.items():
            self._change(symbol, {99.0: 1.0 + book.id % 7}, {}, 0, True)

    def _change(self, symbol: str, bids: Any, asks: Any, lost: int, ticks: bool) -> None:
        book = self.books[symbol]
        first = book.id + 1 + lost
        book.id = first
        for side, changes in ((book.bids, bids), (book.asks, asks)):
            for price, size in changes.items():
                side.pop(price, None)
                if size:
                    side[price] = size
        stamp = int(self._clock.now().timestamp() * 1000)
        levels = {"b": _texts(bids.items()), "a": _texts(asks.items())}
        self._send(
            f"{symbol.lower()}@depth@100ms",
            {"e": "depthUpdate", "E": stamp, "s": symbol, "U": first, "u": book.id, **levels},
        )
        if ticks:
            bid, ask = max(book.bids), min(book.asks)
            best = {"b": bid, "B": book.bids[bid], "a": ask, "A": book.asks[ask]}
            texts = {name: str(value) for name, value in best.items()}
            self._send(f"{symbol.lower()}@bookTicker", {"u": book.id, "s": symbol, **texts})

    def _send(self, stream: str, data: Any) -> None:
        text = json.dumps({"stream": stream, "data": data})
        for socket, streams in self._sockets.items():
            if stream in streams and not socket.closed:
                self._loop.create_task(_sent(socket, text))

    def _do(self, call: Callable[..., object], *arguments: object) -> None:
        called = Event()
        self._loop.call_soon_threadsafe(lambda: (call(*arguments), called.set()))
        assert called.wait(10)

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        app = web.Application()
        app.router.add_get("/api/v3/exchangeInfo", self._listing)
        app.router.add_get("/api/v3/depth", self._depth)
        app.router.add_get("/stream", self._stream)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"127.0.0.1:{runner.addresses[0][1]}"
        self.rest_url, self.stream_url = f"http://{address}/api", f"ws://{address}"
        self._started.set()
        await self._stop.wait()
        await runner.cleanup()

    def _weighed(self, weight: int) -> dict[str, str]:
        minute = int(self._clock.now().timestamp()) // 60
        self.used[minute] += weight
        return {"x-mbx-used-weight-1m": str(self.used[minute])}

    async def _listing(self, request: web.Request) -> web.Response:
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": LIMIT}
        return web.json_response({"rateLimits": [limit]}, headers=self._weighed(20))

    async def _depth(self, request: web.Request) -> web.Response:
        symbol = request.query["symbol"]
        self.asked.append(symbol)
        headers = self._weighed(DEPTH_WEIGHT)
        if self.refusals:
            status, more = self.refusals.pop(0)
            return web.Response(status=status, text="<html>too many</html>", headers=headers | more)
        body = self.books[symbol].snapshot(int(request.query["limit"]))
        body["lastUpdateId"] -= self.older_by
        return web.json_response(body, headers=headers)

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.accepted += 1
        self._sockets[socket] = set(request.query["streams"].split("/"))
        try:
            while (await socket.receive()).type in (WSMsgType.TEXT, WSMsgType.PING):
                pass
        finally:
            del self._sockets[socket]
        return socket


async def _sent(socket: web.WebSocketResponse, text: str) -> None:
    try:
        await socket.send_str(text)
    except ConnectionError:  # the client has gone
        return


def _texts(levels: Any) -> list[list[str]]:
    return [[f"{price:.2f}", f"{size:.8f}"] for price, size in levels]
