"""A venue of Binance's protocol and a MetaTrader terminal, over real sockets, followed as one source.

What is asserted holds however busy the machine is: each bar is passed on in its minute or kept as a late one, once.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from mikrobot.domain.market import Bar, bars_of
from mikrobot.live.recording import Recording, as_recorded
from mikrobot.market.binance import BinanceSource
from mikrobot.market.binance_streams import BinanceStream, attempts_of
from mikrobot.market.combined.feed import CombinedFeed
from mikrobot.market.combined.merging import VenueStatus
from mikrobot.market.combined.source import CombinedSource
from mikrobot.market.combined.streams import CombinedStream
from mikrobot.market.feed import closes
from mikrobot.market.local_terminal.module import StandIn
from mikrobot.market.local_terminal.opening import TerminalOptions
from mikrobot.market.local_terminal.opening import serving as serving_terminal
from mikrobot.market.local_venue.opening import VenueOptions
from mikrobot.market.mt5.source import Mt5Source
from mikrobot.market.mt5.terminal import Login
from mikrobot.market.mt5.terminal_link import TerminalLink
from mikrobot.market.replay import ReplaySource
from mikrobot.runtime import SystemClock
from mikrobot.store.runs import Run, Segment
from tests.venue_client import MarketTime, VenueClient, running

BEGIN = datetime(2025, 1, 15, 12, tzinfo=UTC)
"""A Wednesday."""

MINUTE = timedelta(minutes=1)
SPEED = 30.0
SLOWER = 10.0
"""A wait of the feed is at least half a second then, so that a bar comes in time on busy cores, too."""

NAME = "binance-local+mt5-local"
ROUTES = {"EURUSD": "mt5-local", "BTCUSDT": "binance-local"}
SYMBOLS = tuple(ROUTES)

Took = Callable[["Floor", datetime], None]


@dataclass
class Floor:
    """Two running venues, their source as one, and what its feed has passed on."""

    url: str
    terminal: StandIn
    source: CombinedSource
    stream: CombinedStream
    clock: MarketTime
    minutes: list[tuple[datetime, list[Bar]]] = field(default_factory=list)
    late: list[Bar] = field(default_factory=list)
    status: dict[str, VenueStatus] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)

    def fault(self, **terms: Any) -> None:
        """Request a fault of the venue of coins."""
        httpx.post(f"{self.url}/_control", json=terms).raise_for_status()

    def follow(
        self, enough: Callable[["Floor"], bool], *, took: Took = lambda floor, close: None, most: int = 30
    ) -> None:
        """Take minutes from BEGIN on, until there are enough; then wait until late bars have come, too."""
        feed = CombinedFeed(self.source, SYMBOLS, BEGIN, None, clock=self.clock, stream=self.stream)
        for close, bars in feed:
            assert self.clock.now() >= close
            self.minutes.append((close, bars))
            self.late += feed.take_late(100)
            self.status = {status.venue: status for status in feed.status()}
            self.away |= {name for name, status in self.status.items() if status.away_since is not None}
            took(self, close)
            if enough(self) or len(self.minutes) == most:
                break
        assert enough(self)

    def taken(self, symbol: str) -> list[datetime]:
        """Return the closes of the bars of a symbol that were passed on."""
        return [close for close, bars in self.minutes for bar in bars if bar.symbol == symbol]

    def assert_in_order(self) -> None:
        """Assert that minutes go up, and that each has the bars that close then, in the order of the symbols."""
        times = [close for close, _ in self.minutes]
        assert times == sorted(set(times))
        for close, bars in self.minutes:
            assert {bar.close_time for bar in bars} == {close}
            assert [bar.symbol for bar in bars] == [symbol for symbol in SYMBOLS if symbol in {b.symbol for b in bars}]

    def assert_each_bar_once(self, symbol: str, until: datetime) -> None:
        """Assert that each bar that closes up to a time was passed on or is late, once and as its venue has it."""
        truth = bars_of(symbol, self.source.members[ROUTES[symbol]].source.history(symbol, BEGIN, until))
        own = [bar for _, bars in self.minutes for bar in bars] + self.late
        prices = {bar.close_time: _prices(bar) for bar in own if bar.symbol == symbol and bar.close_time <= until}
        assert Counter(bar.close_time for bar in own if bar.symbol == symbol).most_common(1)[0][1] == 1
        assert prices == {bar.close_time: _prices(bar) for bar in truth}


def _prices(bar: Bar) -> tuple[float, ...]:
    return bar.open, bar.high, bar.low, bar.close


@contextmanager
def floor(
    folder: Path, *, ours_ahead_s: float = 0.0, terminal_ahead_s: float = 0.0, speed: float = SPEED
) -> Iterator[Floor]:
    """Run both venues within the block; our clock may be off the venue of coins, that of the terminal off ours."""
    with venue_of_coins(speed) as client:
        clock = MarketTime(client.venue.clock, ours_ahead_s)
        server = MarketTime(client.venue.clock, ours_ahead_s + terminal_ahead_s)
        with serving_terminal(TerminalOptions(symbols=("EURUSD",)), 0, clock=server, hang_s=6.0) as served:
            link = TerminalLink(Login(), "127.0.0.1", served.port, timeout_s=2.0, clock=clock, rng=Random(1))
            members = {
                "binance-local": BinanceSource(["BTCUSDT"], f"{client.http}/api", clock, 5.0, name="binance-local"),
                "mt5-local": Mt5Source(["EURUSD"], link, clock, name="mt5-local", named_clock="EET"),
            }
            members["mt5-local"].time()
            stream = BinanceStream(["BTCUSDT"], client.ws, clock, attempts=attempts_of(folder), rng=Random(2))
            try:
                source = CombinedSource(NAME, members, ROUTES)
                streams = CombinedStream({"binance-local": stream}, ROUTES)
                yield Floor(client.http, served.module, source, streams, clock)
            finally:
                stream.close()


@contextmanager
def venue_of_coins(speed: float) -> Iterator[VenueClient]:
    """Serve the venue in a thread of its own within the block."""
    loop, over, started = asyncio.new_event_loop(), asyncio.Event(), Event()
    clients: list[VenueClient] = []

    async def serve() -> None:
        options = VenueOptions(symbols=("BTCUSDT",), start=BEGIN - timedelta(seconds=50), speed=speed)
        async with running(options) as client:
            clients.append(client)
            started.set()
            await over.wait()

    thread = Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(30)
    try:
        yield clients[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        loop.close()


def both(count: int) -> Callable[[Floor], bool]:
    """Return whether so many minutes have the bars of both venues."""
    return lambda floor: sum(len(bars) == 2 for _, bars in floor.minutes) >= count


def test_a_terminal_that_does_not_answer_stops_no_coin_and_is_waited_for_again(tmp_path):
    """Its call hangs longer than its timeout; later it has the bars that were missed, which are late."""

    def trouble(floor: Floor, close: datetime) -> None:
        if len(floor.minutes) == 2:
            floor.terminal.faults.request("hang", 1)

    def enough(floor: Floor) -> bool:
        return (
            "mt5-local" in floor.away
            and floor.status["mt5-local"].away_since is None
            and len(floor.minutes[-1][1]) == 2
        )

    with floor(tmp_path) as running_floor:
        running_floor.follow(enough, took=trouble)
        running_floor.assert_in_order()
        coins, until = running_floor.taken("BTCUSDT"), running_floor.minutes[-1][0]
        assert coins == [BEGIN + n * MINUTE for n in range(1, len(coins) + 1)]
        running_floor.assert_each_bar_once("EURUSD", until)
        assert {bar.symbol for bar in running_floor.late} == {"EURUSD"}


def test_a_lost_stream_and_a_silent_server_of_coins_stop_no_pair(tmp_path):
    def trouble(floor: Floor, close: datetime) -> None:
        if len(floor.minutes) == 2:
            floor.fault(fault="silent_stream", seconds=180)
            floor.fault(fault="http_403", seconds=180)

    with floor(tmp_path) as running_floor:
        running_floor.follow(
            lambda floor: "binance-local" in floor.away and len(floor.minutes[-1][1]) == 2, took=trouble
        )
        running_floor.assert_in_order()
        pairs, until = running_floor.taken("EURUSD"), running_floor.minutes[-1][0]
        assert pairs == [BEGIN + n * MINUTE for n in range(1, len(pairs) + 1)]
        running_floor.assert_each_bar_once("BTCUSDT", until)


@pytest.mark.parametrize(
    ("ours_ahead_s", "terminal_ahead_s"), [(0.0, 0.0), (3.0, 0.0), (-3.0, 0.0), (0.0, 3.0), (0.0, -3.0)],
    ids=["clocks agree", "coins behind", "coins ahead", "terminal ahead", "terminal behind"],
)  # fmt: skip
def test_bars_of_two_venues_are_passed_on_closed_and_in_order_also_if_a_clock_is_off_by_less_than_the_wait(
    tmp_path, ours_ahead_s, terminal_ahead_s
):
    skew = {"ours_ahead_s": ours_ahead_s, "terminal_ahead_s": terminal_ahead_s}
    with floor(tmp_path, **skew, speed=SLOWER) as running_floor:
        running_floor.follow(both(2))
        running_floor.assert_in_order()
        for symbol in SYMBOLS:
            running_floor.assert_each_bar_once(symbol, running_floor.minutes[-1][0])


def test_a_recording_of_two_venues_is_replayed_with_the_same_bars_in_the_same_order(tmp_path):
    """Also of minutes that a venue has missed."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    with floor(tmp_path) as running_floor:
        segment = Segment(SYMBOLS, BEGIN, BEGIN, BEGIN + 60 * MINUTE)
        run = Run("followed", NAME, True, SYMBOLS, BEGIN, BEGIN, BEGIN, {"segments": [segment.to_json()]})
        recording = Recording(folder, run, tmp_path, running_floor.clock)
        running_floor.source = as_recorded(running_floor.source, recording)
        running_floor.stream.record(recording.take)

        def keep(floor: Floor, close: datetime) -> None:
            recording.published(*floor.minutes[-1])
            if len(floor.minutes) == 2:
                floor.terminal.faults.request("restart")
                floor.terminal.faults.request("no_broker")
            if "mt5-local" in floor.away:
                floor.terminal.faults.end("no_broker")

        running_floor.follow(lambda floor: both(4)(floor) and "mt5-local" in floor.away, took=keep)
        recording.close()
    source = ReplaySource([folder])
    assert source.symbols() == SYMBOLS
    again = list(closes(source, SYMBOLS, BEGIN, None, clock=SystemClock()))
    assert repr(again).encode() == repr(running_floor.minutes).encode()
    assert any(len(bars) == 1 for _, bars in again)
