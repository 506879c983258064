"""Klines and trades of Binance by websocket: closed bars within milliseconds of their close, and a check of them.

Runs one event loop in a thread of its own. What is missing, late or lost is read by REST: see `feed.closes`.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from threading import Thread
from urllib.parse import quote

import msgspec

from mikrobot.domain.errors import FeedError
from mikrobot.domain.market import Bar
from mikrobot.market.binance_markets import SPOT, STREAMS_PER_SOCKET, BinanceMarket, market_of
from mikrobot.market.binance_messages import aggregate_of, closed_bar_of, sent_at
from mikrobot.market.recorded_streams import KLINES
from mikrobot.market.streams.bar_stream import Take
from mikrobot.market.streams.closed_bars import ClosedBars
from mikrobot.market.streams.connection import Connection, StreamStatus
from mikrobot.market.streams.feed_delay import FeedDelay
from mikrobot.market.streams.shared_budget import Budget, SharedBudget
from mikrobot.market.streams.trade_check import TradeCheck
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.telemetry import logger

log = logger("market")

KINDS = ("kline_1m", "aggTrade")
"""Streams of each symbol."""

MOST_ATTEMPTS, ATTEMPTS_WITHIN = 60, timedelta(minutes=5)
"""Attempts to connect that are made within a time; Binance blocks an address that makes more than 300."""


def open_stream(settings: Settings, symbols: Sequence[str], clock: Clock) -> "BinanceStream | None":
    """Return the stream of the symbols; None if the settings name no server of streams.

    A server of REST other than Binance's has no streams unless its address is set too.
    """
    market = market_of(settings.source or "binance")
    rest, url = market.addresses(settings)
    if not url:
        log.info("no_streams", rest=rest, remedy="set the address of the streams of the source")
        return None
    return BinanceStream(symbols, url, clock, attempts=attempts_of(settings.home), rng=SystemRandom(), market=market)


def attempts_of(home: Path) -> SharedBudget:
    """Return the attempts to connect of all processes of a state folder."""
    return SharedBudget(home / SPOT.attempts, MOST_ATTEMPTS, ATTEMPTS_WITHIN)


class BinanceStream:
    """Closed one-minute klines, compared with the trades of their minutes; see `BarStream`.

    Parameters
    ----------
    symbols : sequence of str
    url : str
        Address of the server, as ``wss://stream.binance.com:9443``.
    clock : Clock
    attempts : Budget
    rng : Random
        For the waits between attempts.
    market : BinanceMarket
    """

    def __init__(
        self,
        symbols: Sequence[str],
        url: str,
        clock: Clock,
        *,
        attempts: Budget,
        rng: Random,
        market: BinanceMarket = SPOT,
    ) -> None:
        self._clock = clock
        self._bars = ClosedBars()
        self._delay = FeedDelay()
        self._check = TradeCheck()
        names = [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in KINDS]
        self._connections = [
            Connection(
                f"{url.rstrip('/')}{path}/stream?streams={'/'.join(quote(name, safe='@') for name in group)}",
                group, self._take, clock=clock, attempts=attempts, rng=rng,
            )
            for path, group in _sockets(names, market)
        ]  # fmt: skip
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, daemon=True, name="binance-streams")
        self._thread.start()

    def minute(self, open_time: datetime, symbols: Sequence[str], until: datetime) -> dict[str, Bar]:
        """Return the bars of a minute as soon as all symbols have theirs, or at a time those that have arrived."""
        return self._bars.minute(open_time, symbols, until, self._clock)

    def record(self, take: Take) -> None:
        """Pass every raw message on from now, with the channel of its socket and the time of receipt."""
        for number, connection in enumerate(self._connections, start=1):
            connection.record = partial(take, f"{KLINES}{number}")

    def take_revised(self) -> list[Bar]:
        """Return the bars that Binance has sent again with other values since the last call."""
        return self._bars.take_revised()

    def built(self, symbol: str, open_time: datetime) -> Bar | None:
        """Return the bar that all trades of a minute make up; None if one is missing or the minute may not be over."""
        return self._check.built(symbol, open_time)

    def trade_check(self) -> TradeCheck:
        """Return the comparison of the klines with the trades."""
        return self._check

    def delay_s(self, bar: Bar) -> float | None:
        """Return the seconds that the message of a bar was on its way; None if it was read by REST."""
        return self._delay.of(bar)

    def status(self) -> list[StreamStatus]:
        """Return the state of each connection."""
        return [connection.status() for connection in self._connections]

    def close(self) -> None:
        """End all connections and the thread."""
        self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._tasks = [self._loop.create_task(connection.run()) for connection in self._connections]
        self._loop.run_until_complete(asyncio.wait(self._tasks))
        for task in self._tasks:
            if not task.cancelled():
                task.exception()  # logged by the connection
        self._loop.close()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _take(self, stream: str, data: msgspec.Raw) -> None:
        if stream.endswith("@aggTrade"):
            self._take_trade(stream, data)
            return
        try:
            bar = closed_bar_of(data)
        except FeedError as error:
            log.warning("kline_left_out", stream=stream, reason=str(error))
            return
        if bar is not None:
            if (sent := sent_at(data)) is not None:
                self._delay.note(bar, sent, self._clock.now())
            self._bars.put(bar)
            self._check.put_bar(bar)

    def _take_trade(self, stream: str, data: msgspec.Raw) -> None:
        try:
            self._check.put_trade(aggregate_of(data))
        except FeedError as error:
            log.warning("trade_left_out", stream=stream, reason=str(error))


def _sockets(names: Sequence[str], market: BinanceMarket) -> Iterator[tuple[str, list[str]]]:
    """Yield the path and the streams of each socket."""
    by_path: dict[str, list[str]] = {}
    for name in names:
        by_path.setdefault(market.path_of(name), []).append(name)
    for path, streams in by_path.items():
        for at in range(0, len(streams), STREAMS_PER_SOCKET):
            yield path, streams[at : at + STREAMS_PER_SOCKET]
