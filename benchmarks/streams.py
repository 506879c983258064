"""Benchmarks of live streams: messages into an order book, compared with python-binance, and klines into bars."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from queue import SimpleQueue
from random import SystemRandom
from time import perf_counter
from typing import Any

import msgspec
import numpy as np
import orjson
from binance.ws.depthcache import DepthCache

from benchmarks.stream_server import StreamServer, bare, sender
from benchmarks.timing import Measurement, Timed, compared, rank, scaled
from mikrobot.domain.market_events import BookSnapshot, BookUpdate, Tick
from mikrobot.market.binance_messages import closed_bar_of, event
from mikrobot.market.binance_streams import BinanceStream
from mikrobot.market.order_book import OrderBook
from mikrobot.market.streams.closed_bars import ClosedBars
from mikrobot.runtime import SystemClock

UPDATES = 1_000
LEVELS = 1_000
CHANGED = 28
"""Levels of each side that change in a message, as in recordings of BTCUSDT futures."""

TICKS, TRADES = 10, 3
"""Ticks and trades for each update, as in the same recordings."""

ROUNDS = 5

BURST = 20_000
"""Messages that arrive one after the other."""

SYMBOL = "BTCUSDT"
FIRST_MS, MINUTE = 1_735_689_600_000, timedelta(minutes=1)
FIRST = datetime(2025, 1, 1, tzinfo=UTC)


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time depth messages, mixed messages and klines, each per message."""
    updates = made_updates(scaled(UPDATES, scale))
    mixed = [message for update in updates for message in (update, *_others(update))]
    klines = [msgspec.Raw(kline(number)) for number in range(scaled(UPDATES, scale))]
    rounds = scaled(ROUNDS, scale)
    yield compared(
        "streams, a depth message into the book with its best prices", "us", partial(_booked, updates),
        Timed("python-binance, DepthCache", partial(_cached, updates)),
        limit=Timed("levels into a dictionary", partial(_parsed, updates)), rounds=rounds, per=len(updates),
    )  # fmt: skip
    yield compared(
        "streams, a message of ticks, trades and depth into the book", "us", partial(_booked, mixed),
        Timed("json", partial(_loaded, mixed, json.loads)),
        limit=Timed("orjson", partial(_loaded, mixed, orjson.loads)), rounds=rounds, per=len(mixed),
    )  # fmt: skip
    yield from _over_sockets(scale)
    yield compared(
        "streams, a closed kline into a bar that waits to be traded", "us", partial(_waiting, klines),
        Timed("json", partial(_loaded, klines, json.loads)),
        limit=Timed("orjson", partial(_loaded, klines, orjson.loads)), rounds=rounds, per=len(klines),
    )  # fmt: skip


def _over_sockets(scale: float) -> Iterator[Measurement]:
    """Time a message over a socket: one at a time until the trader has its bar, and many until the last is there."""
    with (
        StreamServer() as server,
        opened(server.url) as stream,
        bare(f"{server.url}/json", json.loads) as loaded,
        bare(f"{server.url}/bytes", bytes) as received,
    ):
        server.await_clients(3)
        numbers = count()
        calls = (
            partial(_delivered, server, stream),
            partial(_passed_on, server, "json", loaded),
            partial(_passed_on, server, "bytes", received),
        )
        rows = [[call(next(numbers)) for call in calls] for _ in range(1 + scaled(300, scale))][1:]
        ours, json_s, bytes_s = (sorted(1e6 * seconds for seconds in times) for times in zip(*rows, strict=True))
        yield Measurement(
            "streams, a closed kline from its receipt to the trader that waits", "us",
            p50=rank(ours, 0.50), p99=rank(ours, 0.99), peer="websockets and json", peer_p50=rank(json_s, 0.50),
            limit="websockets", limit_p50=rank(bytes_s, 0.50),
        )  # fmt: skip
    many = [combined("kline_1m", kline(0)), *(combined("aggTrade", _trade(number)) for number in range(BURST - 2))]
    messages = [*many[: scaled(BURST, scale, least=10)], combined("kline_1m", kline(1))]
    with sender(messages) as url:
        yield compared(
            "streams, a message of klines and trades from the socket", "us", partial(_streamed, url),
            Timed("websockets and json", partial(_drained, url, len(messages), json.loads)),
            limit=Timed("websockets", partial(_drained, url, len(messages), bytes)),
            rounds=scaled(ROUNDS, scale), per=len(messages),
        )  # fmt: skip


def _delivered(server: StreamServer, stream: BinanceStream, number: int) -> float:
    """Send a kline; return the seconds from its receipt until the trader that waits has its bar."""
    receipts: list[float] = []
    stream.record(lambda channel, at, message: receipts.append(perf_counter()))
    server.send(combined("kline_1m", kline(number)), "stream")
    assert stream.minute(FIRST + number * MINUTE, [SYMBOL], datetime.max.replace(tzinfo=UTC))
    return perf_counter() - receipts[0]


def _passed_on(server: StreamServer, client: str, received: "SimpleQueue[tuple[float, object]]", number: int) -> float:
    """Send the same to a bare client; return the seconds from its receipt until whoever waits has it."""
    server.send(combined("kline_1m", kline(number)), client)
    at, _ = received.get(timeout=10)
    return perf_counter() - at


def _streamed(url: str) -> None:
    with opened(url) as stream:
        assert stream.minute(FIRST + MINUTE, [SYMBOL], datetime.max.replace(tzinfo=UTC))


def _drained(url: str, number: int, load: Callable[[bytes], object]) -> None:
    with bare(url, load) as received:
        for _ in range(number):
            received.get(timeout=60)


@contextmanager
def opened(url: str) -> Iterator[BinanceStream]:
    """Open the stream of one symbol."""
    stream = BinanceStream([SYMBOL], url, SystemClock(), attempts=Unlimited(), rng=SystemRandom())
    try:
        yield stream
    finally:
        stream.close()


class Unlimited:
    """A budget that is never spent."""

    def take(self, now: datetime, amount: int = 1) -> float:
        """Return 0: nothing has to wait."""
        return 0.0


def _trade(number: int) -> bytes:
    """Return the message of an aggregate trade in the first minute."""
    trade = {"e": "aggTrade", "s": SYMBOL, "a": number, "p": "60000.10", "q": "0.01200000", "f": number, "l": number}
    return orjson.dumps(trade | {"T": FIRST_MS + number % 60_000, "m": number % 2 == 0})


def combined(kind: str, data: bytes) -> bytes:
    """Return a message of a combined stream."""
    return orjson.dumps({"stream": f"{SYMBOL.lower()}@{kind}", "data": orjson.Fragment(data)})


def made_updates(count: int) -> list[bytes]:
    """Return messages of changes of a book whose best price walks, within `LEVELS` of where it began."""
    rng, middle, messages = np.random.default_rng(7), 600_000, []
    for number in range(count):
        middle += int(rng.integers(-1, 2))
        sides = []
        for sign in (-1, 1):
            at = sorted({middle + sign * (1 + int(rng.exponential(50))) for _ in range(CHANGED)})
            levels = [[f"{price / 10:.2f}", f"{max(rng.uniform(-2, 3), 0):.3f}"] for price in at]
            sides.append([*levels, [f"{(middle + sign) / 10:.2f}", "1.000"], [f"{(middle - sign) / 10:.2f}", "0.000"]])
        data = {"e": "depthUpdate", "E": 1_735_689_600_000 + 100 * number, "s": "BTCUSDT", "U": number * 10 + 1}
        data |= {"u": number * 10 + 10, "pu": number * 10, "b": sides[0], "a": sides[1]}
        messages.append(orjson.dumps({"stream": "btcusdt@depth@100ms", "data": data}))
    return messages


def _others(update: bytes) -> Iterator[bytes]:
    """Yield the ticks and trades that come with a change."""
    data = orjson.loads(update)["data"]
    for number in range(TICKS):
        tick = {"u": data["U"] + number, "s": "BTCUSDT", "b": "60000.00", "B": "1.5", "a": "60000.10", "A": "0.2"}
        yield orjson.dumps({"stream": "btcusdt@bookTicker", "data": tick})
    for number in range(TRADES):
        trade = {"e": "trade", "s": "BTCUSDT", "t": data["U"] + number, "T": data["E"], "p": "60000.10", "q": "0.01"}
        yield orjson.dumps({"stream": "btcusdt@trade", "data": trade | {"m": False}})


def kline(number: int) -> bytes:
    """Return the message of a closed kline of BTCUSDT, by its minute."""
    candle: dict[str, Any] = {"t": 1_735_689_600_000 + 60_000 * number, "s": "BTCUSDT", "i": "1m", "x": True, "n": 120}
    candle |= {"o": "60000.10", "h": "60010.00", "l": "59990.00", "c": "60001.20", "v": "12.5", "q": "7.5", "V": "6.1"}
    return orjson.dumps({"e": "kline", "s": "BTCUSDT", "k": candle})


def _booked(messages: Sequence[bytes]) -> OrderBook:
    book = OrderBook("BTCUSDT", chained=True)
    bids, asks = ([(60_000 + sign * (1 + place) / 10, 1.0) for place in range(LEVELS)] for sign in (-1, 1))
    book.snapshot(BookSnapshot(5, bids, asks))
    for message in messages:
        received = event(message)
        if isinstance(received, BookUpdate):
            book.change(received)
        elif isinstance(received, Tick):
            book.tick(received)
    return book


def _cached(updates: Sequence[bytes]) -> DepthCache:
    cache = DepthCache("BTCUSDT")
    for message in updates:
        data = orjson.loads(message)["data"]
        for bid in data["b"]:
            cache.add_bid(bid)
        for ask in data["a"]:
            cache.add_ask(ask)
        cache.get_bids()[0], cache.get_asks()[0]
    return cache


def _parsed(updates: Sequence[bytes]) -> None:
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    for message in updates:
        received = event(message)
        assert isinstance(received, BookUpdate)
        bids.update(received.bids)
        asks.update(received.asks)


def _waiting(klines: Sequence[msgspec.Raw]) -> ClosedBars:
    bars = ClosedBars()
    for kline in klines:
        bar = closed_bar_of(kline)
        assert bar is not None
        bars.put(bar)
    return bars


def _loaded(messages: Sequence[bytes | msgspec.Raw], loads: Callable[[bytes], object]) -> None:
    for message in messages:
        loads(bytes(message))
