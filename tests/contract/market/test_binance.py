"""The Binance source with the real python-binance and a real socket."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
import stamina

from mikrobot.domain.errors import BarError, FeedError, UnknownSymbol
from mikrobot.market.binance import PAGE, BinanceSource, reachable
from mikrobot.market.border import epoch_us
from mikrobot.market.feed import closes
from mikrobot.runtime import ManualClock

NOW = datetime(2025, 1, 10, 12, 0, 30, tzinfo=UTC)
START = NOW - timedelta(days=2)
MINUTE = timedelta(minutes=1)
RECORDED = Path(__file__).parents[4] / "shared/data/payloads/nt_http_spot_market_klines.json"
SILENT = "silent"
SILENCE_S = 30
"""The silent server holds a question open for this long."""


@pytest.fixture
def clock():
    return ManualClock(NOW)


@pytest.fixture
def source(venue, clock):
    venue.now = NOW
    return BinanceSource(["BTCUSDT"], venue.url, clock, 20.0)


@pytest.fixture(autouse=True)
def _retry_without_waiting():
    stamina.set_testing(True, attempts=3, cap=True)
    yield
    stamina.set_testing(False)


def pages(venue):
    return [query for path, query in venue.asked if path.endswith("klines")]


def test_long_histories_are_read_page_by_page(source, venue):
    bars = source.history("BTCUSDT", START, START + timedelta(minutes=2 * PAGE + 5))
    assert len(bars) == 2 * PAGE + 5
    assert [int(page["limit"]) for page in pages(venue)] == [PAGE] * 3
    assert (np.diff(bars["open_time"].to_numpy("datetime64[s]")) == np.timedelta64(60, "s")).all()


def test_an_answer_of_exactly_one_page_is_whole(source):
    assert len(source.history("BTCUSDT", START, START + PAGE * MINUTE)) == PAGE


def test_values_are_those_of_the_klines(source, venue):
    bars = source.history("BTCUSDT", START, START + 7 * MINUTE)
    klines = venue.klines({"startTime": str(epoch_us(START) // 1000), "limit": "7"})
    expected = np.array([[float(row[i]) for i in (1, 2, 3, 4, 5, 8, 9)] for row in klines])
    assert (bars[["open", "high", "low", "close", "volume", "trades", "taker_volume"]].to_numpy() == expected).all()
    assert bars["spread"].isna().all()


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded payloads are not on this machine")
def test_klines_recorded_from_binance_are_read_as_they_stand(source, venue):
    recorded = json.loads(RECORDED.read_text())
    venue.script.append((200, {}, recorded))
    bars = source.history("BTCUSDT", datetime(2021, 10, 22, tzinfo=UTC), datetime(2021, 10, 23, tzinfo=UTC))
    assert bars["open_time"].iloc[0] == datetime(2021, 10, 22, 23, 3, tzinfo=UTC)
    assert bars.loc[0, ["open", "high", "low", "close", "volume"]].tolist() == [
        60685.22, 60729.84, 60670.90, 60719.27, 21.63272,
    ]  # fmt: skip
    assert len(bars) == len(recorded)
    assert bars.loc[0, ["trades", "taker_volume"]].tolist() == [recorded[0][8], float(recorded[0][9])]


def test_the_forming_bar_is_dropped(source):
    bars = source.history("BTCUSDT", NOW - timedelta(minutes=5), NOW + timedelta(hours=1))
    assert bars["open_time"].iloc[-1] == datetime(2025, 1, 10, 11, 59, tzinfo=UTC)


@pytest.mark.parametrize("ahead", [timedelta(minutes=2), timedelta(minutes=-2)])
def test_a_wrong_clock_does_not_show_a_forming_bar(source, venue, clock, ahead):
    clock.time += ahead
    bars = source.history("BTCUSDT", NOW - timedelta(minutes=9), NOW + timedelta(hours=1))
    assert bars["open_time"].iloc[-1] + MINUTE <= min(NOW, clock.time)


@pytest.mark.parametrize("status", [429, 418])
def test_it_waits_as_long_as_binance_demands_and_retries(source, venue, clock, status):
    venue.script.append((status, {"Retry-After": "17"}, {"code": -1003, "msg": "Too many requests."}))
    assert len(source.history("BTCUSDT", START, START + 10 * MINUTE)) == 10
    assert clock.now() == NOW + timedelta(seconds=17)


def test_a_long_ban_is_reported_with_its_length(source, venue):
    venue.script.append((418, {"Retry-After": "7200"}, {"code": -1003, "msg": "Way too many requests."}))
    with pytest.raises(FeedError, match=r"BTCUSDT: Binance refuses for 7200 s \(HTTP 418.*wait that long"):
        source.history("BTCUSDT", START, START + MINUTE)


def test_refusals_without_end_are_given_up(source, venue):
    venue.script.extend([(429, {"Retry-After": "1"}, {"code": -1003, "msg": "Too many"})] * 9)
    with pytest.raises(FeedError, match="too many requests"):
        source.history("BTCUSDT", START, START + MINUTE)
    assert len(venue.asked) == 4


def test_a_silent_server_is_reported_long_before_it_gives_up(venue, clock):
    venue.now = NOW
    venue.script.append(SILENT)
    source, began = BinanceSource(["BTCUSDT"], venue.url, clock, 0.5), perf_counter()
    with pytest.raises(FeedError, match=r"BTCUSDT: Binance did not answer within 0.5 s .*--source simulated"):
        source.history("BTCUSDT", START, START + MINUTE)
    assert perf_counter() - began < SILENCE_S / 2
    assert len(venue.asked) == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, {}, "<html>Sign in to the hotel's network</html>"), "BTCUSDT: Binance sent no JSON but .*hotel"),
        ((200, {}, {"klines": []}), "sent no klines but"),
        ((200, {}, [["now", "1", "2"]]), "sent no klines but"),
        ((200, {}, [[1736337660000, "x", "1", "1", "1", "1", 1736330459999, "1", 1, "1", "1", "0"]]), "not numbers"),
        ((451, {}, {"code": 0, "msg": "Service unavailable from a restricted location"}), "HTTP 451: Service unavail"),
        ((503, {}, "upstream down"), "HTTP 503"),
    ],
)
def test_answers_that_are_not_klines_are_reported(source, venue, answer, message):
    venue.script.append(answer)
    with pytest.raises(FeedError, match=message):
        source.history("BTCUSDT", START, START + MINUTE)


def test_klines_that_break_the_schema_are_refused(source, venue):
    opened = epoch_us(START) // 1000
    rest = [opened + 59_999, "5", 3, "0.5", "2", "0"]
    venue.script.append((200, {}, [[opened, "5", "4", "6", "5", "1", *rest]]))
    with pytest.raises(BarError, match=r"Binance BTCUSDT, kline 0: .*whole minute"):
        source.history("BTCUSDT", START, START + 2 * MINUTE)
    opened += 60_000 - opened % 60_000
    venue.script.append((200, {}, [[opened, "5", "4", "6", "5", "1", *rest]]))
    with pytest.raises(BarError, match="Binance BTCUSDT, kline 0: high < low"):
        source.history("BTCUSDT", START, START + 2 * MINUTE)
    venue.script.append((200, {}, [[opened, "5", "6", "4", "5", "0.4", *rest]]))
    with pytest.raises(BarError, match=r"Binance BTCUSDT, kline 0: taker volume 0.5 of volume 0.4"):
        source.history("BTCUSDT", START, START + 2 * MINUTE)


def test_klines_outside_the_asked_window_are_left_out(source, venue):
    wide = venue.klines({"startTime": str(epoch_us(START - 5 * MINUTE) // 1000), "limit": "20"})
    venue.script.append((200, {}, wide))
    bars = source.history("BTCUSDT", START, START + 7 * MINUTE)
    assert list(bars["open_time"]) == [START.replace(second=0) + n * MINUTE for n in range(1, 8)]


def test_short_pages_are_followed_until_the_end(source, venue):
    first = venue.klines({"startTime": str(epoch_us(START) // 1000), "limit": "3"})
    venue.script.append((200, {}, first))
    assert len(source.history("BTCUSDT", START, START + 10 * MINUTE)) == 10
    assert len(pages(venue)) == 2


def test_stamps_in_microseconds_are_recognised_and_impossible_ones_refused(source, venue):
    klines = venue.klines({"startTime": str(epoch_us(START) // 1000), "limit": "3"})
    venue.script.append((200, {}, [[kline[0] * 1000, *kline[1:]] for kline in klines]))
    bars = source.history("BTCUSDT", START, START + 3 * MINUTE)
    assert bars["open_time"].iloc[0] == START.replace(second=0) + MINUTE
    venue.script.append((200, {}, [[klines[0][0] // 1000, *klines[0][1:]]]))
    with pytest.raises(FeedError, match="which is no time of a market"):
        source.history("BTCUSDT", START, START + 3 * MINUTE)


@pytest.mark.parametrize("wait", ["soon", "", "-3", "1e999", "nan", "9" * 400])
def test_a_retry_after_that_is_no_number_waits_a_minute(source, venue, clock, wait):
    venue.script.append((429, {"Retry-After": wait}, {"code": -1003, "msg": "Too many requests."}))
    assert len(source.history("BTCUSDT", START, START + 10 * MINUTE)) == 10
    assert clock.now() == NOW + timedelta(seconds=60)


def test_pages_that_do_not_move_on_are_not_followed_for_ever(source, venue):
    venue.script.extend([(200, {}, venue.klines({"limit": "1000"}))] * 3)
    with pytest.raises(FeedError, match="of other times than the requested ones"):
        source.history("BTCUSDT", START, START + timedelta(days=1))


def test_a_symbol_that_binance_does_not_list_is_unknown(venue, clock):
    with pytest.raises(UnknownSymbol, match="ETHUSDT: Binance does not list"):
        BinanceSource(["ETHUSDT"], venue.url, clock, 0.5).history("ETHUSDT", START, START + MINUTE)


def test_fx_is_not_traded_there(venue, clock):
    with pytest.raises(UnknownSymbol, match="EURUSD is not traded on Binance"):
        BinanceSource(["EURUSD"], venue.url, clock, 0.5)


def test_the_feed_follows_the_venue_through_an_outage(source, venue, clock, monkeypatch):
    monkeypatch.setattr(clock, "sleep", lambda seconds: (ManualClock.sleep(clock, seconds), _follow(venue, clock)))
    feed = closes(source, ["BTCUSDT"], NOW - timedelta(minutes=3), None, clock=clock)
    times = [next(feed)[0] for _ in range(3)]
    venue.script.extend([(503, {}, "down")] * 5)
    times += [next(feed)[0] for _ in range(4)]
    assert times == [NOW.replace(second=0) + n * MINUTE for n in range(-1, 6)]


def _follow(venue, clock):
    venue.now = clock.now()


def test_a_server_that_answers_is_reachable(venue):
    assert reachable(venue.url, 3.0)


@pytest.mark.parametrize("answer", [(200, {}, "<html>"), (451, {}, {"code": 0, "msg": "restricted"}), (503, {}, "")])
def test_a_server_that_is_not_binance_is_not_reachable(venue, answer):
    venue.script.append(answer)
    assert not reachable(venue.url, 3.0)


def test_a_silent_server_is_not_reachable_and_is_asked_once(venue):
    venue.script.append(SILENT)
    began = perf_counter()
    assert not reachable(venue.url, 0.4)
    assert perf_counter() - began < SILENCE_S / 2
    assert len(venue.asked) == 1


def test_a_closed_port_is_not_reachable(venue):
    venue.shutdown()
    venue.server_close()
    assert not reachable(venue.url, 1.0)
