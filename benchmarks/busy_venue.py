"""A server of Binance's protocol for many symbols, each as busy as BTCUSDT in recordings, in a process of its own.

All symbols have the same trades and the same order book, so that the server costs little: it sends what is due once a
millisecond, at real speed. Prices of trades, klines and books fit together.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from aiohttp import web

from mikrobot.runtime import SystemClock

TICKS, TRADES, DEPTHS = 110, 30, 10
"""Messages of each symbol and second: the mean of the recordings of BTCUSDT spot of 2024-08-08 and 2024-08-09."""

LEVELS = 46
"""Levels in a change of the book, of both sides: the mean of the same recordings."""

MINUTE_MS = 60_000
BASE = 60_000.0
SIZE = 0.012
SHOWN = 1_000
"""Levels of each side in a snapshot of the book."""

STATES = 600
"""Books that follow each other, and then begin again."""

TICK_S = 0.001

KLINES, BOOKS = ("kline_1m", "aggTrade"), ("depth@100ms", "bookTicker")
"""Streams of each symbol, by the socket on which the streamer asks for them."""

NAME = "COIN"
"""Stands for the symbol in a message until it is sent."""


@dataclass(frozen=True, slots=True)
class Due:
    """A message of a second, for one symbol.

    Attributes
    ----------
    at_s : float
        Within the second.
    kind : str
        Of the stream, as ``aggTrade``.
    place : int
        Number within its kind and second.
    symbol : int
        Number of the symbol.
    """

    at_s: float
    kind: str
    place: int
    symbol: int


def names(count: int) -> list[str]:
    """Return the symbols, all of one length.

    >>> names(2)
    ['C000USDT', 'C001USDT']
    """
    return [f"C{number:03}USDT" for number in range(count)]


def per_second(symbols: int) -> list[Due]:
    """Return the messages of a second in the order of time; those of one symbol are spread evenly."""
    dues = []
    for kind, count in (("bookTicker", TICKS), ("aggTrade", TRADES), ("depth@100ms", DEPTHS)):
        for symbol in range(symbols):
            dues += [Due((place + symbol / symbols) / count, kind, place, symbol) for place in range(count)]
    return sorted(dues, key=lambda due: due.at_s)


class Book:
    """The order book of every symbol: its best prices walk up and down, and further levels change at random."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        steps = np.cumsum(rng.integers(-1, 2, STATES // 2))
        self._middles = [int(BASE * 10) + int(step) for step in (*steps, *steps[::-1])]
        self._levels = [self._changed(rng, middle) for middle in self._middles]

    @staticmethod
    def _changed(rng: np.random.Generator, middle: int) -> tuple[list[list[str]], list[list[str]]]:
        sides: list[list[list[str]]] = []
        for sign in (-1, 1):
            further = sorted({middle + sign * (2 + int(rng.exponential(50))) for _ in range(LEVELS // 2 - 3)})
            levels = [[f"{price / 10:.2f}", f"{rng.uniform(0.1, 3):.5f}"] for price in further]
            passed = [[f"{(middle - sign * by) / 10:.2f}", "0.00000"] for by in (0, 1)]
            sides.append([*levels, [f"{(middle + sign) / 10:.2f}", "1.00000"], *passed])
        return sides[0], sides[1]

    def change(self, number: int, now_ms: int) -> dict[str, Any]:
        """Return the message of a change, numbered since the start."""
        bids, asks = self._levels[number % STATES]
        ids = {"U": number * 100 + 1, "u": number * 100 + 100}
        return {"e": "depthUpdate", "E": now_ms, "s": NAME, **ids, "b": bids, "a": asks}

    def ticker(self, update_id: int, number: int) -> dict[str, Any]:
        """Return the message of the best prices after a change."""
        middle = self._middles[number % STATES]
        prices = {"b": f"{(middle - 1) / 10:.2f}", "B": "1.00000", "a": f"{(middle + 1) / 10:.2f}", "A": "1.00000"}
        return {"u": update_id, "s": NAME, **prices}

    def snapshot(self, number: int) -> dict[str, Any]:
        """Return the book after a change."""
        middle = self._middles[number % STATES]
        bids, asks = (
            [[f"{(middle + sign * (1 + place)) / 10:.2f}", "1.00000"] for place in range(SHOWN)] for sign in (-1, 1)
        )
        return {"lastUpdateId": number * 100 + 100, "bids": bids, "asks": asks}


def trade(number: int) -> dict[str, Any]:
    """Return the message of the trade with a number since 1970."""
    time_ms = number * 1000 // TRADES
    place, minute = number % (60 * TRADES), time_ms // MINUTE_MS
    ids = {"a": number, "f": number, "l": number}
    price = f"{_base(minute) + _offset(place):.2f}"
    return {
        "e": "aggTrade",
        "E": time_ms,
        "s": NAME,
        **ids,
        "p": price,
        "q": f"{SIZE}",
        "T": time_ms,
        "m": bool(place % 2),
    }


def kline(minute: int, length: int = 1) -> list[Any]:
    """Return the row of REST of the minutes from one on that their trades make up."""
    bases = [_base(one) for one in range(minute, minute + length)]
    trades = 60 * TRADES * length
    prices = [bases[0] + _offset(0), max(bases) + 10, min(bases) - 10, bases[-1] + _offset(60 * TRADES - 1)]
    amounts = [f"{trades * SIZE:.3f}", (minute + length) * MINUTE_MS - 1, "0", trades, f"{trades * SIZE / 2:.3f}"]
    return [minute * MINUTE_MS, *(f"{price:.2f}" for price in prices), *amounts, "0", "0"]


def kline_message(minute: int, now_ms: int, *, closed: bool) -> dict[str, Any]:
    """Return the message of a kline."""
    keys = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")
    values = dict(zip(keys, kline(minute), strict=True))
    return {"e": "kline", "E": now_ms, "s": NAME, "k": values | {"s": NAME, "i": "1m", "x": closed}}


def _base(minute: int) -> float:
    return BASE + minute % 7


def _offset(place: int) -> float:
    """Return the distance of a trade's price to the base of its minute, by its place in it."""
    return (0.1, 10.0, -10.0, 1.2)[place % 4] if place else 0.1


class Venue:
    """The server; its clients get the streams that they have asked for."""

    def __init__(self, symbols: int) -> None:
        self._names = names(symbols)
        self._book = Book()
        self._dues = per_second(symbols)
        self._clients: list[tuple[web.Request, set[str]]] = []
        self._clock = SystemClock()
        self._first_ms = (self._now_ms() // MINUTE_MS - 1) * MINUTE_MS

    def application(self) -> web.Application:
        """Return the routes."""
        app = web.Application()
        app.router.add_get("/stream", self._stream)
        for path, answer in (
            ("time", self._time), ("klines", self._klines), ("depth", self._depth), ("exchangeInfo", self._listings)
        ):  # fmt: skip
            app.router.add_get(f"/api/v3/{path}", answer)
        return app

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        began_ms = self._now_ms()
        second, place = began_ms // 1000, 0
        sent_kline = second // 2
        while True:
            now_ms = self._now_ms()
            batch: list[tuple[str, str, bytes]] = []
            while (second * 1000 + self._dues[place].at_s * 1000) <= now_ms:
                due = self._dues[place]
                batch.append((self._names[due.symbol], due.kind, self._message(due, second, now_ms)))
                place += 1
                if place == len(self._dues):
                    second, place = second + 1, 0
            if now_ms // 2000 > sent_kline:
                sent_kline = now_ms // 2000
                batch += self._klines_due(sent_kline * 2000, now_ms)
            self._send(batch)
            await self._clock.wait(TICK_S)

    def _message(self, due: Due, second: int, now_ms: int) -> bytes:
        change = second * DEPTHS + due.place
        if due.kind == "depth@100ms":
            return orjson.dumps(self._book.change(change, now_ms))
        if due.kind == "aggTrade":
            return orjson.dumps(trade(second * TRADES + due.place))
        change = second * DEPTHS + due.place * DEPTHS // TICKS
        return orjson.dumps(self._book.ticker(change * 100 + 1 + due.place % (TICKS // DEPTHS), change))

    def _klines_due(self, at_ms: int, now_ms: int) -> Iterator[tuple[str, str, bytes]]:
        minute, closed = at_ms // MINUTE_MS, not at_ms % MINUTE_MS
        message = orjson.dumps(kline_message(minute - closed, now_ms, closed=closed))
        for name in self._names:
            yield name, "kline_1m", message

    def _send(self, batch: Sequence[tuple[str, str, bytes]]) -> None:
        for request, streams in self._clients:
            frames = [
                _frame(b'{"stream":"%b","data":%b}' % (stream.encode(), message.replace(NAME.encode(), name.encode())))
                for name, kind, message in batch
                if (stream := f"{name.lower()}@{kind}") in streams
            ]
            if frames and request.transport is not None:
                request.transport.write(b"".join(frames))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        client = (request, set(request.query["streams"].split("/")))
        self._clients.append(client)
        async for _ in socket:
            pass
        self._clients.remove(client)
        return socket

    async def _time(self, _: web.Request) -> web.Response:
        return _answer({"serverTime": self._now_ms()})

    async def _klines(self, request: web.Request) -> web.Response:
        query = request.query
        length = {"1m": 1, "5m": 5, "1h": 60}[query["interval"]]
        step = length * MINUTE_MS
        first = max(int(query["startTime"]), self._first_ms)
        last = min(int(query.get("endTime", self._now_ms())), self._now_ms() - step)
        opens = range(-(-first // step) * step, last + 1, step)[: int(query["limit"])]
        return _answer([kline(opened // MINUTE_MS, length) for opened in opens])

    async def _depth(self, _: web.Request) -> web.Response:
        return _answer(self._book.snapshot(self._now_ms() * DEPTHS // 1000 - 1))

    async def _listings(self, _: web.Request) -> web.Response:
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6_000}
        return _answer({"rateLimits": [limit], "symbols": []})

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _frame(message: bytes) -> bytes:
    """Return a message of text as a frame of RFC 6455."""
    size = len(message)
    if size < 126:
        return b"\x81" + size.to_bytes(1) + message
    return b"\x81\x7e" + size.to_bytes(2) + message if size < 65_536 else b"\x81\x7f" + size.to_bytes(8) + message


def _answer(body: object) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")


async def _serve(symbols: int) -> None:
    venue = Venue(symbols)
    runner = web.AppRunner(venue.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await venue.run()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
