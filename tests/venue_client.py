"""A client of the local venue, for the tests that talk to it over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from mikrobot.market.border import instant
from mikrobot.market.local_venue.clock import MarketClock
from mikrobot.market.local_venue.opening import VenueOptions, open_venue
from mikrobot.market.local_venue.server import LocalVenue, serving
from mikrobot.runtime import SystemClock, uptime_s

DEADLINE_S = 30
"""Seconds after which a scenario fails instead of waiting further."""


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario to its end, or fail at the deadline."""
    asyncio.run(asyncio.wait_for(scenario, DEADLINE_S))


@dataclass
class MarketTime:
    """The market time of a venue, as a clock of the platform, which may be ahead of it."""

    clock: MarketClock
    ahead_s: float = 0.0

    def now(self) -> datetime:
        return instant(self.clock.now_ms() * 1000 + round(self.ahead_s * 1_000_000))

    def sleep(self, seconds: float) -> None:
        SystemClock().sleep(seconds / self.clock.speed)

    async def wait(self, seconds: float) -> None:
        await SystemClock().wait(seconds / self.clock.speed)


class VenueClient:
    """Requests and streams of one running venue."""

    def __init__(self, venue: LocalVenue, port: int, session: aiohttp.ClientSession) -> None:
        self.venue = venue
        self.http = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}"
        self._session = session

    async def get(self, path: str, **query: object) -> Any:
        """Return the JSON of an answer, whatever its status."""
        _, _, body = await self.answer(path, **query)
        return json.loads(body)

    async def answer(self, path: str, headers: dict[str, str] | None = None, **query: object) -> tuple[int, Any, str]:
        """Return status, headers and text of an answer."""
        params = {name: str(value) for name, value in query.items()}
        async with self._session.get(self.http + path, params=params, headers=headers) as response:
            return response.status, response.headers, await response.text()

    async def control(self, **wanted: object) -> Any:
        """Request a fault; without one, return the state."""
        method = "POST" if wanted else "GET"
        async with self._session.request(method, f"{self.http}/_control", json=wanted or None) as response:
            return await response.json()

    def connect(self, path: str, *, autoping: bool = True) -> Any:
        """Open a websocket, as a context manager."""
        return self._session.ws_connect(self.ws + path, max_msg_size=0, autoping=autoping)


@asynccontextmanager
async def running(options: VenueOptions) -> AsyncIterator[VenueClient]:
    """Serve a venue on a free port within the block."""
    venue = open_venue(options, uptime_s)
    async with serving(venue, 0) as served, aiohttp.ClientSession() as session:
        yield VenueClient(venue, served.port, session)


async def collect(socket: aiohttp.ClientWebSocketResponse, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Return the JSON messages of a socket until there are enough of them.

    Raises
    ------
    ConnectionError
        If the connection ends before.
    """
    messages: list[Any] = []
    while not enough(messages):
        message = await socket.receive()
        if message.type != aiohttp.WSMsgType.TEXT:
            raise ConnectionError(f"the connection ended with {message}")
        messages.append(json.loads(message.data))
    return messages


def closed_klines(messages: list[Any]) -> list[Any]:
    """Return the closed klines among messages without an envelope."""
    return [message["k"] for message in messages if message.get("e") == "kline" and message["k"]["x"]]
