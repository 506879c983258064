"""Live order books with real sockets: whatever fails, only a book in step with its venue is shown."""

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import httpx
import pytest

from mikrobot.domain.errors import StoreError
from mikrobot.domain.order_books import DEPTHS
from mikrobot.live.steady_clock import SteadyClock
from mikrobot.market.binance_books import ANSWER_S, SHARE, LiveBooks, allowed, weight_of
from mikrobot.market.binance_markets import SPOT, USDM
from mikrobot.market.binance_streams import BinanceStream, attempts_of
from mikrobot.market.local_venue.opening import VenueOptions
from mikrobot.market.streams.live_book import CLOSING_LEVELS, MOST_WAITING
from mikrobot.runtime import SystemClock, uptime_s
from tests.chaos.live_feed import market_clock
from tests.contract.market.book_server import LIMIT, BookServer
from tests.contract.market.served_venue import venue_of
from tests.contract.market.stream_server import until

START = datetime(2025, 2, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPEED = 10.0
MARKETS = {"spot": SPOT, "usdm": USDM}
PATHS = {"spot": "api", "usdm": "fapi"}


class Followed:
    """Live books of a local venue, with the clock of the venue."""

    def __init__(self, market, venue, address, home, *, stream_path=None):
        self.market, self.feeds = MARKETS[market], venue.feeds[market]
        self.address, self.clock = address, market_clock(f"http://{address}", SPEED, 0.0)
        used = self.market if stream_path is None else replace(self.market, paths={"depth": stream_path})
        self.books = LiveBooks(
            ["BTCUSDT"], used, self.clock, rest_url=f"http://{address}/{PATHS[market]}", stream_url=f"ws://{address}",
            attempts=attempts_of(home), weight=weight_of(home, self.market), rng=Random(1),
        )  # fmt: skip

    @property
    def status(self):
        (status,) = self.books.status()
        return status

    def live(self):
        until(lambda: self.status.state == "live", "a live book")

    def fault(self, **terms):
        httpx.post(f"http://{self.address}/_control", json=terms).raise_for_status()

    def next_close(self):
        """Wait for the next close and a little more; return the books at it."""
        close = self.clock.now().replace(second=0, microsecond=0) + MINUTE
        self.clock.sleep((close - self.clock.now()).total_seconds() + 4)
        return close, self.books.at_close(close, ["BTCUSDT"])["BTCUSDT"]


@pytest.fixture
def follow(tmp_path):
    with ExitStack() as stack:

        def start(market="spot", **changed):
            options = VenueOptions(symbols=["BTCUSDT"], start=START, speed=SPEED)
            followed = Followed(market, *stack.enter_context(venue_of(options)), tmp_path, **changed)
            stack.callback(followed.books.close)
            return followed

        yield start


def levels_of(rows):
    return tuple((float(price), float(size)) for price, size in rows)


# With the local venue


@pytest.mark.parametrize("market", sorted(MARKETS))
def test_the_book_at_each_close_is_that_of_the_venue(market, follow):
    followed = follow(market)
    followed.live()
    for _ in range(2):
        close, book = followed.next_close()
        truth = followed.feeds["BTCUSDT"].depth(CLOSING_LEVELS, int(close.timestamp()) * 1000 - 1)
        assert (book.symbol, book.close_time, book.state, book.reason) == ("BTCUSDT", close, "live", "")
        assert (book.bids, book.asks) == (levels_of(truth["bids"]), levels_of(truth["asks"]))
    status = followed.status
    assert status.gaps == status.crossed == 0
    assert status.ticker_equal == status.ticker_compared > 20
    assert len(book.values) == 5 + 2 * len(DEPTHS)


@pytest.mark.parametrize("market", sorted(MARKETS))
def test_a_lost_connection_loses_the_book_until_a_new_snapshot(market, follow):
    followed = follow(market)
    followed.live()
    before = followed.status.snapshots
    followed.fault(fault="drop")
    until(lambda: "the connection was lost" in followed.status.reason, "a lost connection with its reason")
    followed.live()
    assert followed.status.snapshots > before
    assert followed.next_close()[1].state == "live"


@pytest.mark.parametrize("market", sorted(MARKETS))
def test_a_missing_change_loses_the_book_until_a_new_snapshot(market, follow):
    followed = follow(market)
    followed.live()
    before = followed.status.snapshots
    followed.fault(fault="id_gap", count=1)
    until(lambda: followed.status.gaps == 1, "a gap")
    until(lambda: followed.status.snapshots > before, "a new snapshot")
    followed.live()
    close, book = followed.next_close()
    truth = followed.feeds["BTCUSDT"].depth(CLOSING_LEVELS, int(close.timestamp()) * 1000 - 1)
    assert book.bids == levels_of(truth["bids"])


def test_a_stream_that_dies_without_an_error_makes_its_book_suspect(follow):
    followed = follow()
    followed.live()
    followed.fault(fault="silent_stream", stream="btcusdt@depth@100ms")
    until(lambda: followed.status.state != "live", "a book that is not live")
    status = followed.status
    assert status.state == "suspect"
    assert status.reason.startswith("btcusdt@depth@100ms: nothing for")
    assert followed.books.at_close(START + 100 * MINUTE, ["BTCUSDT"])["BTCUSDT"].bids == ()
    httpx.delete(f"http://{followed.address}/_control")
    followed.live()


def test_a_usdm_depth_stream_on_the_wrong_path_is_acknowledged_then_silent_and_never_shown(follow):
    followed = follow("usdm", stream_path="/market")
    until(lambda: "nothing for" in followed.status.reason, "the silence as a reason")
    status = followed.status
    assert (status.state, status.snapshots, status.changes) == ("syncing", 0, 0)
    assert status.reason.endswith("s since it was acknowledged")
    (connection,) = followed.books.connections()
    assert connection.state in ("stale", "reconnecting", "connecting")


def test_a_burst_of_650_messages_with_a_sleeping_consumer_loses_no_bar_and_is_coalesced(follow, tmp_path):
    followed = follow()
    followed.live()
    stream = BinanceStream(
        ["BTCUSDT"], f"ws://{followed.address}", followed.clock, attempts=attempts_of(tmp_path), rng=Random(2)
    )
    try:
        until(lambda: stream.status()[0].state == "live", "live klines")
        opened = followed.clock.now().replace(second=0, microsecond=0) + MINUTE
        for kind in ("depth@100ms", "kline_1m"):
            followed.fault(fault="overflow", stream=f"btcusdt@{kind}", count=1)
        SystemClock().sleep(0.2)
        assert set(stream.minute(opened, ["BTCUSDT"], opened + 2 * MINUTE)) == {"BTCUSDT"}
    finally:
        stream.close()
    status = followed.status
    assert (status.state, status.gaps) == ("live", 0)
    assert 0 < status.coalesced < 650


# With a server whose book the test moves


@pytest.fixture
def clock():
    return SteadyClock(START - timedelta(seconds=uptime_s() * SPEED), SPEED)


class Served:
    """Live books of a server that the test controls."""

    def __init__(self, symbols, clock, home, *, first=tuple, levels=1000):
        self.server, self.clock, self.home, self.symbols = BookServer(symbols, clock), clock, home, symbols
        self.books = LiveBooks(
            symbols, replace(SPOT, depth_levels=levels), clock,
            rest_url=self.server.rest_url, stream_url=self.server.stream_url,
            attempts=attempts_of(home), weight=weight_of(home, SPOT), rng=Random(1), first=first,
        )  # fmt: skip
        self.connected()

    def connected(self):
        until(lambda: self.server.connected() >= 1, "a connection")

    def state(self, symbol="BTCUSDT"):
        return next(status for status in self.books.status() if status.symbol == symbol)

    def states(self):
        return {status.state for status in self.books.status()}

    def live(self):
        """Change all books until they are live."""

        def beaten():
            self.server.beat()
            return self.states() == {"live"}

        until(beaten, "live books", seconds=40)

    def shown(self, symbol="BTCUSDT"):
        now = self.clock.now().replace(second=0, microsecond=0) + 100 * MINUTE
        self.close = getattr(self, "close", now) + MINUTE
        return self.books.at_close(self.close, [symbol])[symbol]


@pytest.fixture
def serve(clock, tmp_path):
    with ExitStack() as stack:

        def start(symbols=("BTCUSDT",), **changed):
            served = Served(list(symbols), clock, tmp_path, **changed)
            stack.callback(served.server.close)
            stack.callback(served.books.close)
            return served

        yield start


def test_a_stale_snapshot_is_fetched_again(serve):
    served = serve()
    served.server.older_by = 50
    served.server.change("BTCUSDT", bids={99.0: 2.0})
    until(lambda: "is older than the first kept change" in served.state().reason, "a stale snapshot")
    assert served.state().state == "syncing"
    served.server.older_by = 0
    served.live()
    assert len(served.server.asked) >= 2


def test_ghost_levels_outside_the_snapshot_are_never_shown(serve):
    served = serve(levels=2)
    served.server.books["BTCUSDT"].bids = {99.0: 3.0, 98.0: 1.0, 90.0: 7.0}
    served.live()
    # A change outside of the range of the snapshot: the venue sends no removal of it later.
    served.server.change("BTCUSDT", bids={90.0: 8.0, 91.0: 5.0})
    until(lambda: served.state().changes >= 3, "the change")
    assert [price for price, _ in served.shown().bids] == [99.0, 98.0]


def test_a_new_snapshot_is_taken_before_the_best_price_nears_the_edge(serve):
    served = serve(levels=4)
    book = served.server.books["BTCUSDT"]
    book.bids = {99.0: 3.0, 98.0: 1.0, 97.0: 1.0, 96.0: 1.0, 95.0: 1.0, 94.0: 1.0}
    book.asks = {101.0 + number: 1.0 for number in range(6)}
    served.live()
    taken = served.state().snapshots
    served.server.change("BTCUSDT", bids={99.0: 0.0, 98.0: 0.0, 97.0: 0.0})
    until(lambda: served.state().snapshots > taken, "a new snapshot")
    served.server.change("BTCUSDT", bids={96.0: 2.0})
    until(lambda: served.shown().bids[:1] == ((96.0, 2.0),), "the book after it")
    assert [price for price, _ in served.shown().bids] == [96.0, 95.0, 94.0]
    assert served.state().gaps == 0


@pytest.mark.parametrize("status", [418, 429])
def test_refused_snapshots_wait_as_long_as_the_venue_demands_in_every_process(status, serve, clock):
    served = serve()
    served.server.refusals = [(status, {"Retry-After": "30"})]
    served.server.beat()
    until(lambda: f"HTTP {status}" in served.state().reason, "the refusal as a reason")
    refused_at = clock.now()
    assert served.server.asked == ["BTCUSDT"]
    assert 15 < weight_of(served.home, SPOT).take(clock.now()) <= 30
    served.live()
    assert (clock.now() - refused_at).total_seconds() > 15
    assert len(served.server.asked) == 2


def test_a_refusal_without_retry_after_waits_for_the_next_minute(serve, clock):
    served = serve()
    served.server.refusals = [(429, {})]
    served.server.beat()
    until(lambda: "HTTP 429" in served.state().reason, "the refusal as a reason")
    assert 40 < weight_of(served.home, SPOT).take(clock.now()) <= 60


def test_an_answer_that_is_no_book_is_asked_for_again(serve):
    served = serve()
    served.server.refusals = [(200, {}), (451, {}), (503, {})]
    served.server.beat()
    until(lambda: "Binance sent no order book" in served.state().reason, "the answer as a reason")
    served.live()
    assert len(served.server.asked) == 4


def test_100_symbols_dropped_at_once_never_pass_80_percent_of_the_limit_open_positions_first(serve):
    symbols = [f"C{number:03}USDT" for number in range(100)]
    held = {"C097USDT", "C098USDT"}
    served = serve(symbols, first=lambda: held)
    served.live()
    asked = len(served.server.asked)
    served.server.drop()
    until(lambda: served.states() == {"lost"}, "lost books")
    served.connected()
    served.live()
    again = served.server.asked[asked:]
    assert held <= set(again[:10])
    assert sorted(set(again)) == symbols
    assert len(again) <= 110  # on busy cores a book may be lost a second time
    assert max(served.server.used.values()) <= SHARE * LIMIT
    assert sum(served.server.used.values()) == (asked + len(again)) * SPOT.depth_weight + SPOT.listing_weight


def test_weight_that_others_have_used_is_left_to_them(serve, clock):
    served = serve(["AUSDT", "BUSDT"])
    minute = int(clock.now().timestamp()) // 60
    served.server.used.update({minute + number: allowed(LIMIT) for number in range(2)})
    served.server.change("AUSDT", bids={99.0: 2.0})
    until(lambda: "waits for request weight" in served.state("AUSDT").reason, "the wait as a reason")
    assert served.server.asked == []
    served.live()
    assert max(served.server.used.values()) <= allowed(LIMIT) + SPOT.depth_weight  # the answer that names their use


def test_a_book_that_ticks_contradict_is_given_up_and_fetched_again(serve):
    served = serve()
    served.live()
    taken, book = served.state().snapshots, served.server.books["BTCUSDT"]
    # The venue leaves a removal out: the ids are complete, and the ticks differ.
    book.bids.pop(99.0)

    def contradicted():
        served.server.change("BTCUSDT", asks={101.0: 1.0 + book.id % 5})
        served.clock.sleep(1)
        return served.state().state == "suspect"

    until(contradicted, "a suspect book")
    assert "ticks differ" in served.state().reason
    until(
        lambda: (served.server.change("BTCUSDT", asks={102.0: 2.0}), served.state().snapshots > taken)[1], "a new one"
    )
    served.server.change("BTCUSDT", asks={101.0: 4.0})
    until(lambda: served.shown().bids[:1] == ((98.0, 1.0),), "the book without the level")


def test_books_whose_positions_cannot_be_read_are_fetched_in_any_order(serve):
    def failing():
        raise StoreError("the database is down")

    serve(["AUSDT", "BUSDT"], first=failing).live()


def test_books_that_have_ended_are_lost_with_the_reason(serve):
    def failing():
        raise RuntimeError("no positions")

    served = serve(["AUSDT", "BUSDT"], first=failing)
    served.server.beat()
    until(lambda: served.states() == {"lost"}, "lost books")
    assert "have ended for good" in served.state("AUSDT").reason
    assert served.shown("BUSDT").state == "lost"


def test_bounds_are_as_documented():
    assert ANSWER_S <= 5
    assert MOST_WAITING * 2 < 650
    assert allowed(LIMIT) < SHARE * LIMIT
