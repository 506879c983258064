"""The HTTP and websocket server of the venue, on loopback."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from mikrobot.domain.errors import ServiceError
from mikrobot.market.local_venue.broadcast import Broadcaster
from mikrobot.market.local_venue.clock import MarketClock
from mikrobot.market.local_venue.connections import Connection
from mikrobot.market.local_venue.control import Control, WrongRequest
from mikrobot.market.local_venue.faults import first_half
from mikrobot.market.local_venue.feed import Feed
from mikrobot.market.local_venue.injection import Injector
from mikrobot.market.local_venue.markets import MARKETS, SPOT, USDM, Market, Path
from mikrobot.market.local_venue.rest import RestApi, names_of
from mikrobot.market.local_venue.subscriptions import reply_to
from mikrobot.runtime import SystemClock, uptime_s

HOST = "127.0.0.1"

MOST_ATTEMPTS = 300
"""Connection attempts per address and `ATTEMPTS_MS`: Binance spot, websocket limits."""

ATTEMPTS_MS = 300_000

Origin = Literal["simulated", "bars", "recording"]

_PATHS: tuple[tuple[str, Market, Path], ...] = (
    ("", SPOT, ""),
    ("/public", USDM, "public"),
    ("/market", USDM, "market"),
)


class LocalVenue:
    """A server that speaks Binance's protocol.

    Parameters
    ----------
    feeds : mapping of str to mapping of str to Feed
        By the name of the market, "spot" or "usdm", and the symbol.
    clock : MarketClock
    rates : mapping of str to float
        Share of messages or answers with a fault, by its name.
    seed : int
        Of the faults.
    origin : "simulated", "bars" or "recording"
        What its prices are made from.
    """

    def __init__(
        self,
        feeds: Mapping[str, Mapping[str, Feed]],
        clock: MarketClock,
        *,
        rates: Mapping[str, float],
        seed: int,
        origin: Origin,
    ) -> None:
        self.clock = clock
        self.feeds = feeds
        self.origin = origin
        self._injector = Injector(rates, seed, clock)
        self._broadcaster = Broadcaster(feeds, clock, self._injector)
        self._control = Control(clock, self._injector, self._broadcaster)
        self._apis = {name: RestApi(MARKETS[name], feeds[name], clock, self._injector) for name in MARKETS}
        self._attempts: dict[str, deque[int]] = {}

    def application(self) -> web.Application:
        """Return the routes of the venue."""
        app = web.Application()
        for market in MARKETS.values():
            for name in names_of(market):
                app.router.add_get(f"{market.prefix}/{name}", partial(self._rest, market, name))
        for prefix, market, path in _PATHS:
            for place in ("/ws", "/ws/{streams:.*}", "/stream"):
                app.router.add_get(prefix + place, partial(self._websocket, market, path))
        app.router.add_get("/_control", self._state)
        app.router.add_post("/_control", self._fault)
        app.router.add_delete("/_control", self._clear)
        app.on_shutdown.append(self._close_connections)
        return app

    async def broadcast(self) -> None:
        """Send the messages that are due, until cancelled."""
        await self._broadcaster.run()

    async def _close_connections(self, _: web.Application) -> None:
        for connection in self._broadcaster.connections.values():
            connection.close()

    async def _rest(self, market: Market, name: str, request: web.Request) -> web.Response:
        wants_us = request.headers.get("X-MBX-TIME-UNIT", "").upper() == "MICROSECOND"
        answer, charge = self._apis[market.name].answer(
            name, request.query, request.remote or "", microseconds=wants_us
        )
        headers = {"X-MBX-USED-WEIGHT": str(charge.used), "X-MBX-USED-WEIGHT-1M": str(charge.used)}
        if answer.retry_after_s is not None:
            headers["Retry-After"] = str(answer.retry_after_s)
        html = isinstance(answer.body, str)
        text = answer.body if isinstance(answer.body, str) else orjson.dumps(answer.body).decode()
        return web.Response(
            status=answer.status,
            text=first_half(text) if answer.cut else text,
            headers=headers,
            content_type="text/html" if html else "application/json",
        )

    async def _state(self, request: web.Request) -> web.Response:
        _refuse_pages(request)
        requests = sum(api.requests for api in self._apis.values())
        return web.json_response({"origin": self.origin, **self._control.state(requests)})

    async def _fault(self, request: web.Request) -> web.Response:
        _refuse_pages(request)
        try:
            given = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            given = None
        try:
            return web.json_response(self._control.request(given))
        except WrongRequest as error:
            return web.json_response({"error": str(error)}, status=400)

    async def _clear(self, request: web.Request) -> web.Response:
        _refuse_pages(request)
        return web.json_response(self._control.clear())

    async def _websocket(self, market: Market, path: Path, request: web.Request) -> web.StreamResponse:
        if not self._admits(request.remote or ""):
            return web.Response(status=429, text="Too many connection attempts")
        combined = request.path.endswith("/stream")
        streams = request.query.get("streams", "") if combined else request.match_info.get("streams", "")
        connection = Connection(
            self._broadcaster.next_number(),
            market,
            path,
            combined=combined,
            microseconds=request.query.get("timeUnit", "").upper() == "MICROSECOND" and market.name == "spot",
            abort=lambda: _abort(request),
        )
        connection.streams |= dict.fromkeys(filter(None, streams.split("/")))
        socket = web.WebSocketResponse(autoping=False, compress=False)
        await socket.prepare(request)
        self._broadcaster.connections[connection.number] = connection
        tasks = [
            asyncio.create_task(connection.send(socket)),
            asyncio.create_task(_ping(socket, connection)),
        ]
        try:
            await self._read(socket, connection)
        finally:
            self._broadcaster.remove(connection)
            await _cancelled(tasks)
        return socket

    async def _read(self, socket: web.WebSocketResponse, connection: Connection) -> None:
        """Answer what the client sends until it goes, or sends more messages than the market allows."""
        times: deque[int] = deque(maxlen=connection.market.messages_per_s)
        async for message in socket:
            now_ms = self.clock.now_ms()
            if len(times) == times.maxlen and now_ms - times[0] < 1000:
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                return
            times.append(now_ms)
            if message.type == WSMsgType.TEXT:
                connection.reply(reply_to(message.data, connection))
            elif message.type == WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type == WSMsgType.PONG and message.data == connection.ping_payload:
                connection.last_pong_s = uptime_s()

    def _admits(self, address: str) -> bool:
        now_ms = self.clock.now_ms()
        attempts = self._attempts.setdefault(address, deque())
        while attempts and attempts[0] <= now_ms - ATTEMPTS_MS:
            attempts.popleft()
        attempts.append(now_ms)
        return len(attempts) <= MOST_ATTEMPTS


@dataclass(frozen=True, slots=True)
class Served:
    """A venue that is being served.

    Attributes
    ----------
    port : int
    broadcast : Task
        Sends the messages; ends only by an error.
    """

    port: int
    broadcast: "asyncio.Task[None]"


@asynccontextmanager
async def serving(venue: LocalVenue, port: int) -> AsyncIterator[Served]:
    """Serve a venue within the block, on a port of loopback; 0 takes a free one.

    Raises
    ------
    ServiceError
        If the port is taken.
    """
    runner = web.AppRunner(venue.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    broadcast = asyncio.create_task(venue.broadcast())
    try:
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as error:
            raise ServiceError(f"port {port} of {HOST} is taken; give another one with --port") from error
        yield Served(runner.addresses[0][1], broadcast)
    finally:
        await _cancelled([broadcast])
        await runner.cleanup()


async def _cancelled(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel tasks and wait for their end; a task may also have ended with its connection."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, ConnectionError):
            await task


def _refuse_pages(request: web.Request) -> None:
    """Refuse a request that a page in a browser sends."""
    if "Origin" in request.headers:
        raise web.HTTPForbidden(text="a web page may not control the venue")


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _ping(socket: web.WebSocketResponse, connection: Connection) -> None:
    """Send a ping from time to time; end a connection whose client does not answer."""
    market = connection.market
    while uptime_s() - connection.last_pong_s < market.pong_s:
        await SystemClock().wait(market.ping_s)
        connection.ping_payload = str(int(uptime_s() * 1000)).encode()
        await socket.ping(connection.ping_payload)
    await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Pong timeout")
