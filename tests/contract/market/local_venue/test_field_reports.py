"""Faults of live feeds that people have reported, each as it was, with the local venue over real sockets.

Each test names the report. Order books have theirs in their own tests.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from threading import Event, Thread
from typing import Any

import pytest

from mikrobot.domain.market import Bar, bars_of
from mikrobot.market.binance import BinanceSource
from mikrobot.market.binance_markets import SPOT, USDM, BinanceMarket
from mikrobot.market.binance_streams import BinanceStream, attempts_of
from mikrobot.market.feed import closes
from mikrobot.market.local_venue.opening import VenueOptions
from mikrobot.market.streams.connection import Connection, StreamStatus
from mikrobot.market.streams.trade_check import TradeCounts
from mikrobot.runtime import SystemClock
from tests.venue_client import MarketTime, VenueClient, run, running

START = datetime(2024, 3, 6, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPEED = 60.0
SYMBOL = "BTCUSDT"
BOTH = pytest.mark.parametrize("market", [SPOT, USDM], ids=["spot", "usdm"])


@dataclass
class Followed:
    """What a feed has yielded.

    Attributes
    ----------
    minutes : list of (datetime, list of Bar)
    late_s : list of float
        Seconds by the clock of the venue from each close until it was yielded.
    truth : list of Bar
        The same bars by REST, afterwards.
    revised : list of Bar
    status : StreamStatus
    counts : TradeCounts
    faults : list of str
        Reasons for which the connection was not live.
    """

    minutes: list[tuple[datetime, list[Bar]]]
    late_s: list[float]
    truth: list[Bar]
    revised: list[Bar]
    status: StreamStatus
    counts: TradeCounts
    faults: list[str]

    def assert_every_bar_once(self) -> None:
        """Assert that every minute was yielded once, closed, as it is by REST."""
        assert [plain(bar) for _, bars in self.minutes for bar in bars] == [plain(bar) for bar in self.truth]
        assert [close for close, _ in self.minutes] == [bar.close_time for bar in self.truth]
        assert min(self.late_s) >= 0


def plain(bar: Bar) -> Bar:
    """Return a bar whose unknown spread equals that of another."""
    return replace(bar, spread=0.0)


def follow(
    file: Path, folder: Path, market: BinanceMarket, minutes: int, *, ahead_s: float = 0.0, **fault: Any
) -> Followed:
    """Follow a symbol for so many minutes, with a fault from the first message on, by a clock that may be ahead."""
    results: list[Followed] = []

    async def scenario() -> None:
        async with running(VenueOptions(data=[file], start=START, speed=SPEED)) as client:
            clock = MarketTime(client.venue.clock, ahead_s)
            source, stream = opened(client, clock, market, folder)
            try:
                if fault:
                    await asyncio.to_thread(until, lambda: stream.status()[0].messages > 0)
                    await client.control(**fault)
                results.append(await asyncio.to_thread(taken, source, stream, clock, minutes))
            finally:
                await asyncio.to_thread(stream.close)

    run(scenario())
    return results[0]


def opened(
    client: VenueClient, clock: MarketTime, market: BinanceMarket, folder: Path
) -> tuple[BinanceSource, BinanceStream]:
    path, name = ("fapi", "binance-usdm-local") if market is USDM else ("api", "binance-local")
    source = BinanceSource([SYMBOL], f"{client.http}/{path}", clock, 10.0, name=name)
    stream = BinanceStream([SYMBOL], client.ws, clock, attempts=attempts_of(folder), rng=Random(3), market=market)
    return source, stream


def taken(source: BinanceSource, stream: BinanceStream, clock: MarketTime, count: int) -> Followed:
    """Take so many minutes of a feed, and look at its connection all the time."""
    faults: list[str] = []
    over = Event()

    def look() -> None:
        while not over.wait(0.01):
            faults.extend(status.reason for status in stream.status() if status.state != "live")

    looking = Thread(target=look)
    looking.start()
    minutes, late_s = [], []
    try:
        for close, bars in closes(source, [SYMBOL], START, None, clock=clock, stream=stream):
            minutes.append((close, bars))
            late_s.append((clock.now() - close).total_seconds() - clock.ahead_s)
            if len(minutes) == count:
                break
    finally:
        over.set()
        looking.join()
    truth = bars_of(SYMBOL, source.history(SYMBOL, START, minutes[-1][0]))
    (status,) = stream.status()
    return Followed(minutes, late_s, truth, stream.take_revised(), status, stream.trade_check().counts(), faults)


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, for 20 s at most."""
    for _ in range(2000):
        if condition():
            return
        SystemClock().sleep(0.01)
    raise AssertionError("the condition does not hold after 20 s")


@BOTH
def test_without_a_fault_the_three_sources_of_each_bar_agree(coin_file, tmp_path, market):
    """Klines, REST and trades are three ways to the same bar."""
    result = follow(coin_file, tmp_path, market, 5)
    result.assert_every_bar_once()
    assert result.revised == []
    assert result.counts.differing == 0
    assert result.counts.compared >= 2


@BOTH
def test_a_subscription_that_is_acknowledged_and_silent_is_a_fault_with_a_name(coin_file, tmp_path, market):
    """cryptofeed#1128, aggr#444: subscribed, acknowledged, and no data follows; polling bridges."""
    result = follow(coin_file, tmp_path, market, 4, fault="silent_stream", stream="btcusdt@kline_1m")
    result.assert_every_bar_once()
    assert any(reason.startswith("btcusdt@kline_1m: nothing for") for reason in result.faults)


def test_a_stream_on_the_wrong_path_of_futures_is_stale_within_a_few_periods(coin_file, tmp_path):
    """USD-M acknowledges a stream on the wrong path and sends nothing; python-binance's default does that to depth."""

    async def scenario() -> None:
        async with running(VenueOptions(data=[coin_file], start=START, speed=SPEED)) as client:
            clock = MarketTime(client.venue.clock)
            began = clock.now()
            connection = Connection(
                f"{client.ws}/public/stream?streams=btcusdt@kline_1m", ["btcusdt@kline_1m"], lambda *_: None,
                clock=clock, attempts=attempts_of(tmp_path), rng=Random(3),
            )  # fmt: skip
            task = asyncio.ensure_future(connection.run())
            while connection.state != "stale":
                await clock.wait(0.5)
            task.cancel()
            assert "since it was acknowledged" in connection.reason
            assert connection.messages == 0
            assert clock.now() - began < MINUTE

    run(scenario())


@pytest.mark.parametrize(("market", "fault"), [(SPOT, "late_kline"), (USDM, "missing_kline")])
def test_a_closed_kline_that_is_late_or_never_arrives_is_read_by_rest(coin_file, tmp_path, market, fault):
    """nautilus#1705, Binance.Net#1267: closed klines 24 s late, or never."""
    result = follow(coin_file, tmp_path, market, 4, fault=fault, count=9)
    result.assert_every_bar_once()
    assert result.revised == []


@pytest.mark.parametrize("market", [USDM], ids=["usdm"])
def test_a_later_version_of_a_bar_is_kept_and_not_yielded_again(coin_file, tmp_path, market):
    """nautilus#1705: REST has other values than the kline had; no minute is decided on twice."""
    result = follow(coin_file, tmp_path, market, 4, fault="revised_kline", seconds=600)
    assert [close for close, _ in result.minutes] == [bar.close_time for bar in result.truth]
    yielded = [plain(bar) for _, bars in result.minutes for bar in bars]
    assert yielded != [plain(bar) for bar in result.truth]
    assert result.counts.differing == result.counts.compared > 0


@pytest.mark.parametrize(("market", "ahead_s"), [(SPOT, -90.0), (USDM, -5.0), (SPOT, 5.0), (USDM, 90.0)])
def test_a_clock_that_is_off_lets_no_forming_bar_in(coin_file, tmp_path, market, ahead_s):
    """freqtrade#11139: our clock is fast or slow, and a forming bar is taken for a closed one."""
    result = follow(coin_file, tmp_path, market, 4, ahead_s=ahead_s)
    result.assert_every_bar_once()
    assert median(result.late_s) < 60


@pytest.mark.parametrize(("market", "fault"), [(USDM, "stall"), (SPOT, "drop"), (USDM, "server_shutdown")])
def test_a_stream_that_dies_without_an_error_is_replaced(coin_file, tmp_path, market, fault):
    """python-binance#1057, #1090, #1129: the stream ends, or its pings are answered and nothing else comes."""
    result = follow(coin_file, tmp_path, market, 5, fault=fault)
    result.assert_every_bar_once()
    assert result.status.opened >= 2


@pytest.mark.parametrize("market", [SPOT], ids=["spot"])
def test_a_burst_while_the_consumer_sleeps_loses_no_bar(coin_file, tmp_path, market):
    """python-binance#1016, #1295: 650 messages within 10 ms end the reader there, with the queue full."""

    async def scenario() -> None:
        async with running(VenueOptions(data=[coin_file], start=START, speed=SPEED)) as client:
            clock = MarketTime(client.venue.clock)
            source, stream = opened(client, clock, market, tmp_path)
            try:
                await asyncio.to_thread(until, lambda: stream.status()[0].messages > 0)
                before = stream.status()[0].messages
                await client.control(fault="overflow", stream="btcusdt@kline_1m", count=3)
                await asyncio.to_thread(until, lambda: stream.status()[0].messages > before + 3 * 650)
                await asyncio.to_thread(SystemClock().sleep, 0.2)  # nobody takes a bar meanwhile
                result = await asyncio.to_thread(taken, source, stream, clock, 4)
            finally:
                await asyncio.to_thread(stream.close)
        result.assert_every_bar_once()
        assert (result.status.losses, result.status.malformed) == (0, 0)

    run(scenario())


@BOTH
def test_while_rest_is_down_a_missing_bar_is_made_from_its_trades(coin_file, tmp_path, market):
    """The kline never arrives and REST refuses: the bar of all trades is used, exact, and reported as such."""

    async def scenario() -> None:
        async with running(VenueOptions(data=[coin_file], start=START, speed=SPEED)) as client:
            clock = MarketTime(client.venue.clock)
            source, stream = opened(client, clock, market, tmp_path)
            feed = closes(source, [SYMBOL], START, None, clock=clock, stream=stream)
            try:
                minutes = [await asyncio.to_thread(next, feed) for _ in range(2)]
                await client.control(fault="missing_kline", seconds=600)
                await client.control(fault="http_403", seconds=600)
                minutes += [await asyncio.to_thread(next, feed) for _ in range(2)]
                used = stream.trade_check().take_used()
                feed.close()
            finally:
                await asyncio.to_thread(stream.close)
            async with client._session.delete(f"{client.http}/_control"):
                pass
            frame = await asyncio.to_thread(source.history, SYMBOL, START, minutes[-1][0])
        bars = [bar for _, (bar,) in minutes]
        assert [plain(bar) for bar in bars] == [plain(bar) for bar in bars_of(SYMBOL, frame)]
        assert set(map(id, used)) & set(map(id, bars))

    run(scenario())
