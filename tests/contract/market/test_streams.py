"""Streams of closed bars with a real websocket server: they recover, and the feed gets every bar once."""

from datetime import UTC, datetime, timedelta
from random import Random
from threading import Thread

import pytest
from structlog.testing import capture_logs

from mikrobot.domain.market import Bar
from mikrobot.market.binance import BinanceSource
from mikrobot.market.binance_markets import SPOT, USDM
from mikrobot.market.binance_streams import (
    ATTEMPTS_WITHIN,
    MOST_ATTEMPTS,
    BinanceStream,
    attempts_of,
    open_stream,
)
from mikrobot.market.feed import closes
from mikrobot.market.streams.backoff import FIRST_S, LONGEST_S, Backoff
from mikrobot.market.streams.closed_bars import ClosedBars
from mikrobot.market.streams.shared_budget import SharedBudget
from mikrobot.market.streams.watchdog import LEAST_S, Watchdog, stale_of
from mikrobot.market.streams.watchdog import LONGEST_S as LONGEST_SILENCE_S
from mikrobot.runtime import ManualClock, SystemClock
from mikrobot.settings import Settings
from tests.contract.market.conftest import kline, milliseconds
from tests.contract.market.stream_server import StreamServer, until

START = datetime(2025, 1, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class FastClock(SystemClock):
    """A clock on which waits take a fiftieth of their time."""

    def __init__(self, at: datetime) -> None:
        self._at, self._since = at, super().now()

    def now(self):
        return self._at + 50 * (super().now() - self._since)

    def sleep(self, seconds):
        super().sleep(seconds / 50)

    async def wait(self, seconds):
        await super().wait(seconds / 50)


@pytest.fixture
def server():
    started = StreamServer()
    yield started
    started.close()


@pytest.fixture
def clock():
    return FastClock(START)


@pytest.fixture
def stream(server, clock, tmp_path):
    opened = BinanceStream(["BTCUSDT"], server.url, clock, attempts=attempts_of(tmp_path), rng=Random(1))
    until(lambda: len(server.open) == 1, "the first connection")
    yield opened
    opened.close()


def message(opened: datetime, *, closed: bool = True, symbol: str = "BTCUSDT", **other):
    row = kline(milliseconds(opened))
    names = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V")
    candle = {**dict(zip(names, row, strict=False)), "s": symbol, "i": "1m", "x": closed, **other}
    return {"stream": f"{symbol.lower()}@kline_1m", "data": {"e": "kline", "s": symbol, "k": candle}}


def expected(opened: datetime) -> Bar:
    row = kline(milliseconds(opened))
    prices = map(float, row[1:5])
    return Bar("BTCUSDT", opened, *prices, volume=float(row[5]), trades=float(row[8]), taker_volume=float(row[9]))


def minute(stream, opened):
    return stream.minute(opened, ["BTCUSDT"], opened + 2 * MINUTE)


def state(stream):
    (status,) = stream.status()
    return status


def received(stream, count):
    until(lambda: state(stream).messages + state(stream).malformed >= count, f"{count} messages")


# Bars


def test_a_closed_kline_is_a_bar_and_a_forming_one_is_none(server, stream):
    server.send(message(START, closed=False))
    server.send(message(START))
    assert minute(stream, START) == {"BTCUSDT": expected(START)}
    assert state(stream).messages == 2


def test_a_forming_kline_is_never_taken_for_a_bar(server, stream):
    server.send(message(START, closed=False))
    received(stream, 1)
    assert minute(stream, START) == {}


def test_stamps_in_microseconds_are_read(server, stream):
    server.send(message(START, t=milliseconds(START) * 1000))
    assert minute(stream, START)["BTCUSDT"].open_time == START


def test_the_same_kline_twice_is_one_bar_and_another_version_is_kept_apart(server, stream):
    for change in ({}, {}, {"c": "1.5", "l": "1.5"}):
        server.send(message(START, **change))
    received(stream, 3)
    assert minute(stream, START) == {"BTCUSDT": expected(START)}
    (revised,) = stream.take_revised()
    assert revised.close == 1.5
    assert stream.take_revised() == []


@pytest.mark.parametrize(
    "change",
    [
        {"h": "nan"},
        {"h": "1"},
        {"v": "-1"},
        {"l": "0"},
        {"h": "inf"},
        {"t": milliseconds(START) + 7_000},
        {"t": 10**18},
        {"t": -1},
    ],
)
def test_a_kline_that_is_no_bar_is_left_out(change, server, stream):
    server.send(message(START, **change))
    server.send(message(START + MINUTE))
    assert set(minute(stream, START + MINUTE)) == {"BTCUSDT"}
    assert minute(stream, START) == {}


@pytest.mark.parametrize("text", ["{", "<html>403</html>", "null", '{"stream":7}'])
def test_a_message_that_cannot_be_read_is_counted_and_ends_nothing(text, server, stream):
    server.send(text)
    server.send(message(START))
    assert set(minute(stream, START)) == {"BTCUSDT"}
    assert state(stream).malformed == 1
    assert server.accepted == 1


def test_the_delay_of_a_message_is_measured_beyond_the_least_of_the_clocks_that_differ(server, stream, clock):
    for number, seconds in enumerate((7200, 10_000)):
        stamped = message(START + number * MINUTE)
        stamped["data"]["E"] = milliseconds(clock.now() - timedelta(seconds=seconds))
        server.send(stamped)
        (bar,) = minute(stream, START + number * MINUTE).values()
    assert stream.delay_s(bar) == pytest.approx(2800, abs=600)
    assert stream.delay_s(expected(START)) is None


def test_other_streams_and_events_are_ignored(server, stream):
    server.send({"stream": "btcusdt@trade", "data": {}})
    server.send({"result": None, "id": 1})
    server.send(message(START))
    assert set(minute(stream, START)) == {"BTCUSDT"}


# Connections


def test_a_lost_connection_is_opened_again_and_says_so(server, stream):
    server.send(message(START))
    until(lambda: state(stream).state == "live", "live")
    server.drop()
    until(lambda: state(stream).losses == 1, "the loss is noticed")
    until(lambda: server.accepted == 2 and len(server.open) == 1, "another connection")
    server.send(message(START + MINUTE))
    assert set(minute(stream, START + MINUTE)) == {"BTCUSDT"}
    until(lambda: state(stream).state == "live", "live again")
    assert (state(stream).opened, state(stream).reason) == (2, "")


def test_a_server_that_closes_at_once_is_asked_ever_less_often_and_then_polled(server, stream, clock):
    server.refusing, began = True, clock.now()
    server.drop()
    until(lambda: server.accepted >= 6, "five more attempts")
    assert (clock.now() - began).total_seconds() > 0.5 * sum((1, 2, 4, 8, 16))
    assert state(stream).state == "polling"
    assert state(stream).reason.startswith("the connection was lost: ")


def test_an_unreachable_server_makes_it_poll_with_the_reason(server, stream):
    server.close()
    until(lambda: state(stream).state == "polling", "polling")
    assert "Connect call failed" in state(stream).reason or "refused" in state(stream).reason


def test_a_budget_that_cannot_be_counted_makes_it_poll_with_the_reason(server, clock, tmp_path):
    (tmp_path / "run").write_text("a file where the folder belongs")
    opened = BinanceStream(["BTCUSDT"], server.url, clock, attempts=attempts_of(tmp_path), rng=Random(1))
    until(lambda: state(opened).state == "polling", "polling")
    assert "cannot be written" in state(opened).reason
    (tmp_path / "run").unlink()
    until(lambda: server.accepted == 1, "a connection once it can")
    opened.close()


def test_a_silent_stream_is_stale_by_name_and_the_socket_is_replaced(server, stream):
    until(lambda: state(stream).state == "stale", "stale")
    assert "btcusdt@kline_1m: nothing for" in state(stream).reason
    until(lambda: server.accepted >= 2, "a replacement")
    until(lambda: len(server.open) == 1, "the first socket is closed")
    server.send(message(START))
    until(lambda: state(stream).state == "live", "live again")


def test_a_pause_of_this_process_is_not_a_silence_of_the_venue(server, tmp_path):
    """Each wait takes 10 s longer: after 11 and 22 s the streams have been silent for 1 and 12 s at least."""

    class Oversleeping(ManualClock):
        async def wait(self, seconds):
            self.sleep(seconds + 10)
            await SystemClock().wait(0.01)

    with capture_logs() as logs:
        opened = BinanceStream(
            ["BTCUSDT"], server.url, Oversleeping(START), attempts=attempts_of(tmp_path), rng=Random(1)
        )
        until(lambda: [line for line in logs if line["event"] == "stream_stale"], "stale")
        opened.close()
    first = next(line for line in logs if line["event"] == "stream_stale")
    assert "nothing for 12 s since it was acknowledged" in first["reason"]


def test_a_silent_socket_stays_stale_through_its_replacements(server, stream):
    until(lambda: state(stream).state == "stale", "stale")
    states = set()
    until(lambda: states.add(state(stream).state) or server.accepted >= 3, "two replacements")
    assert states == {"stale"}


def test_before_the_server_shuts_down_the_next_socket_is_up_and_no_bar_is_lost_or_doubled(server, stream):
    server.send(message(START))
    received(stream, 1)
    server.send({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}})
    until(lambda: len(server.open) == 2, "both sockets are open")
    server.send(message(START + MINUTE), to=0)
    server.send(message(START + MINUTE), to=1)
    assert set(minute(stream, START + MINUTE)) == {"BTCUSDT"}
    until(lambda: len(server.open) == 1, "the first socket is closed")
    assert (state(stream).losses, stream.take_revised()) == (0, [])


def test_many_symbols_are_spread_over_sockets(server, clock, tmp_path):
    symbols = [f"C{number}USDT" for number in range(201)]
    opened = BinanceStream(symbols, server.url, clock, attempts=attempts_of(tmp_path), rng=Random(1))
    until(lambda: server.accepted == 3, "three sockets")
    opened.close()
    assert sorted(map(len, server.streams)) == [2, 200, 200]


def test_streams_of_futures_are_asked_for_on_the_path_that_sends_them(server, clock, tmp_path):
    opened = BinanceStream(["BTCUSDT"], server.url, clock, attempts=attempts_of(tmp_path), rng=Random(1), market=USDM)
    until(lambda: len(server.open) == 1, "a socket")
    opened.close()
    assert server.paths == ["/market/stream"]


# The feed


def test_the_feed_yields_each_minute_once_from_rest_and_then_from_the_stream(venue, server, stream):
    """The venue's clock stands just after 12:00; what is streamed later is not known to REST."""
    venue.now = START + timedelta(seconds=2)
    source = BinanceSource(["BTCUSDT"], venue.url, ManualClock(venue.now), 20.0)
    feed = closes(source, ["BTCUSDT"], START - 3 * MINUTE, None, clock=FastClock(venue.now), stream=stream)
    past = [next(feed) for _ in range(3)]
    assert [close for close, _ in past] == [START - 2 * MINUTE, START - MINUTE, START]
    asked = len(venue.asked)
    for number in range(3):
        server.send(message(START + number * MINUTE))
        close, bars = next(feed)
        assert (close, bars) == (START + (number + 1) * MINUTE, [expected(START + number * MINUTE)])
    assert len(venue.asked) == asked


def test_a_minute_that_the_stream_has_not_is_read_by_rest(venue, server, stream):
    clock, venue.clock = FastClock(START + timedelta(seconds=50)), FastClock(START + 2 * MINUTE)
    source = BinanceSource(["BTCUSDT"], venue.url, clock, 20.0)
    feed = closes(source, ["BTCUSDT"], START - MINUTE, None, clock=clock, stream=stream)
    assert [next(feed)[0] for _ in range(3)] == [START, START + MINUTE, START + 2 * MINUTE]


# Parts


def test_waits_double_and_shrink_only_after_a_minute_of_good_data():
    backoff = Backoff(Random(3))
    waits = [backoff.next_wait_s() for _ in range(9)]
    assert all(0.5 * FIRST_S * 2**n <= min(wait, LONGEST_S) <= FIRST_S * 2**n for n, wait in enumerate(waits[:6]))
    assert max(waits) <= LONGEST_S
    backoff.good(START)
    backoff.good(START + timedelta(seconds=59))
    assert backoff.next_wait_s() > LONGEST_S / 4
    backoff.good(START)
    backoff.good(START + timedelta(seconds=60))
    assert backoff.next_wait_s() == 0.0
    assert 0.5 * FIRST_S <= backoff.next_wait_s() <= FIRST_S


def test_all_processes_together_make_few_attempts(tmp_path):
    one, other = attempts_of(tmp_path), attempts_of(tmp_path)
    taken = [(one if number % 2 else other).take(START + timedelta(seconds=number)) for number in range(MOST_ATTEMPTS)]
    assert taken == [0.0] * MOST_ATTEMPTS
    assert one.take(START + MINUTE) == pytest.approx((ATTEMPTS_WITHIN - MINUTE).total_seconds())
    assert other.take(START + ATTEMPTS_WITHIN) == 0.0


def test_a_heavy_request_waits_until_enough_is_free_again(tmp_path):
    weights = SharedBudget(tmp_path / "weights", 100, MINUTE)
    assert [weights.take(START + timedelta(seconds=number), 40) for number in (0, 10)] == [0.0, 0.0]
    assert weights.take(START + timedelta(seconds=20), 20) == 0.0
    assert weights.take(START + timedelta(seconds=20), 50) == pytest.approx(50.0)
    assert weights.take(START + timedelta(seconds=20), 40) == pytest.approx(40.0)
    assert weights.take(START + timedelta(seconds=60), 40) == 0.0


def test_what_others_have_spent_is_added_as_far_as_it_was_not_recorded(tmp_path):
    one, other = (SharedBudget(tmp_path / "weights", 100, MINUTE) for _ in range(2))
    assert one.take(START, 30) == 0.0
    one.correct(START + timedelta(seconds=1), 30, START)
    assert other.take(START + timedelta(seconds=1), 20) == 0.0
    one.correct(START + timedelta(seconds=2), 90, START)
    assert other.take(START + timedelta(seconds=2), 20) == pytest.approx(58.0)
    assert other.take(START + timedelta(seconds=61), 20) == 0.0


def test_a_refusal_of_the_venue_holds_for_all_processes_as_long_as_it_demands(tmp_path):
    one, other = (SharedBudget(tmp_path / "weights", 100, MINUTE) for _ in range(2))
    one.refuse(START + 3 * MINUTE)
    assert other.take(START) == pytest.approx(180.0)
    assert other.take(START + 3 * MINUTE) == 0.0


@pytest.mark.parametrize("text", ["2025-01-1", "2035-01-10T12:00:00+00:00"])
def test_a_refusal_that_no_venue_has_sent_is_none(text, tmp_path):
    (tmp_path / "weights.refused").write_text(text)
    assert SharedBudget(tmp_path / "weights", 100, MINUTE).take(START) == 0.0


def test_half_a_line_of_a_killed_process_is_no_attempt(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / SPOT.attempts).write_text(f"{START.isoformat()} 1\n2025-01-1")
    assert attempts_of(tmp_path).take(START + MINUTE) == 0.0


def test_a_watchdog_waits_by_the_usual_time_of_its_stream():
    watchdog = Watchdog("btcusdt@kline_1m")
    assert not watchdog.is_stale(START)
    watchdog.acknowledged(START)
    assert not watchdog.is_stale(START + timedelta(seconds=9))
    assert watchdog.is_stale(START + timedelta(seconds=11))
    assert (
        watchdog.fault(START + timedelta(seconds=11)) == "btcusdt@kline_1m: nothing for 11 s since it was acknowledged"
    )
    for number in range(200):
        watchdog.received(START + timedelta(seconds=20 * number))
    assert watchdog.limit_s == pytest.approx(100, rel=0.05)
    assert Watchdog("btcusdt@depth@100ms").limit_s == LEAST_S
    assert Watchdog("x", usual_s=1e9).limit_s == LONGEST_SILENCE_S


def test_a_socket_on_which_nothing_arrives_is_stale_before_one_of_its_streams_alone():
    streams = [Watchdog(f"{coin}usdt@kline_1m") for coin in ("btc", "eth", "sol")]
    for watchdog in streams:
        watchdog.acknowledged(START)
    at = START + timedelta(seconds=LEAST_S)
    assert stale_of(streams, at) is None
    reason, limit_s = stale_of(streams, at + timedelta(seconds=0.5))
    assert (reason, limit_s) == (
        "btcusdt@kline_1m: nothing for 6 s since it was acknowledged, nor on another stream",
        LEAST_S,
    )
    streams[2].received(at)
    assert stale_of(streams, at + timedelta(seconds=0.5)) is None
    reason, _ = stale_of(streams, at + timedelta(seconds=6))
    assert reason.startswith("btcusdt@kline_1m: nothing for 11 s")
    assert "another" not in reason


def test_a_stream_that_is_acknowledged_again_stays_stale_until_it_sends():
    watchdog = Watchdog("btcusdt@kline_1m")
    watchdog.acknowledged(START)
    later = START + timedelta(seconds=30)
    watchdog.acknowledged(later)
    assert watchdog.is_stale(later)
    watchdog.received(later)
    assert not watchdog.is_stale(later)


def test_a_waiting_thread_gets_the_bars_as_they_arrive():
    bars, clock, got = ClosedBars(), SystemClock(), []
    until_time = clock.now() + timedelta(seconds=20)
    thread = Thread(target=lambda: got.append(bars.minute(START, ["BTCUSDT"], until_time, clock)))
    thread.start()
    bars.put(expected(START))
    thread.join(10)
    assert got == [{"BTCUSDT": expected(START)}]


def test_old_minutes_are_forgotten():
    bars = ClosedBars()
    for number in range(100):
        bars.put(expected(START + number * MINUTE))
    assert bars.minute(START, ["BTCUSDT"], START, ManualClock(START)) == {}
    assert set(bars.minute(START + 99 * MINUTE, ["BTCUSDT"], START, ManualClock(START))) == {"BTCUSDT"}


def test_a_server_of_rest_of_ones_own_has_streams_only_if_named(tmp_path):
    assert (
        open_stream(Settings(home=tmp_path, binance_url="http://127.0.0.1:9/api"), ["BTCUSDT"], SystemClock()) is None
    )
    assert open_stream(Settings(home=tmp_path, binance_stream_url=""), ["BTCUSDT"], SystemClock()) is None
