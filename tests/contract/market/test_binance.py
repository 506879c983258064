"""The Binance source with the real python-binance and a real socket."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
import stamina
from structlog.testing import capture_logs

from expectations.quality_gate import check, check_ingested
from mikrobot.domain.errors import FeedError, FeedRefused, UnknownSymbol
from mikrobot.market.binance import BinanceSource
from mikrobot.market.binance_markets import SPOT
from mikrobot.market.binance_rest import reachable, weights_of
from mikrobot.market.border import epoch_us
from mikrobot.market.feed import closes
from mikrobot.market.history import backfill
from mikrobot.runtime import ManualClock

NOW = datetime(2025, 1, 10, 12, 0, 30, tzinfo=UTC)
START = NOW - timedelta(days=2)
MINUTE = timedelta(minutes=1)
RECORDED = Path(__file__).parents[4] / "shared/data/payloads/nt_http_spot_market_klines.json"
PAGE = SPOT.page
SILENT = "silent"
SILENCE_S = 30
"""The silent server holds a question open for this long."""


@pytest.fixture
def clock():
    return ManualClock(NOW)


@pytest.fixture
def source(venue, clock):
    """A source that knows the time of the venue."""
    venue.now = NOW
    return timed(BinanceSource(["BTCUSDT"], venue.url, clock, 20.0), venue)


def timed(source, venue):
    source.time()
    venue.asked.clear()
    return source


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
    assert [int(page["limit"]) for page in pages(venue)] == [PAGE, PAGE, 5]
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


@pytest.mark.parametrize("ahead", [timedelta(days=2), timedelta(minutes=2), timedelta(minutes=-2)])
def test_a_wrong_clock_does_not_show_a_forming_bar(venue, clock, ahead):
    venue.now = NOW
    clock.time += ahead
    source = BinanceSource(["BTCUSDT"], venue.url, clock, 20.0)
    bars = source.history("BTCUSDT", NOW - timedelta(minutes=9), NOW + timedelta(hours=1))
    assert bars["open_time"].iloc[-1] == datetime(2025, 1, 10, 11, 59, tzinfo=UTC)


@pytest.mark.parametrize("status", [429, 418])
def test_it_waits_as_long_as_binance_demands_and_retries(source, venue, clock, status):
    venue.script.append((status, {"Retry-After": "17"}, {"code": -1003, "msg": "Too many requests."}))
    assert len(source.history("BTCUSDT", START, START + 10 * MINUTE)) == 10
    assert clock.now() == NOW + timedelta(seconds=17)


def test_a_long_ban_is_reported_with_its_length(source, venue):
    venue.script.append((418, {"Retry-After": "7200"}, {"code": -1003, "msg": "Way too many requests."}))
    with pytest.raises(FeedError, match=r"BTCUSDT: Binance refuses for 7200 s \(HTTP 418.*wait that long"):
        source.history("BTCUSDT", START, START + MINUTE)


def test_during_a_refusal_nothing_is_asked_and_whoever_follows_the_bars_does_not_wait(source, venue, clock):
    source.hurry()
    venue.script.append((429, {"Retry-After": "40"}, {"code": -1003, "msg": "Too many requests."}))
    for refusal in ("Binance refuses for 40 s", "no request to Binance is allowed for 25 s"):
        with pytest.raises(FeedRefused, match=f"BTCUSDT: {refusal} .*too many requests"):
            source.history("BTCUSDT", START, START + 10 * MINUTE)
        clock.sleep(15)
    assert (len(venue.asked), clock.now()) == (1, NOW + timedelta(seconds=30))
    clock.sleep(7)
    assert len(source.history("BTCUSDT", START, START + 10 * MINUTE)) == 10  # in 3 s: that is waited for


def test_a_refusal_holds_for_all_processes_of_the_state_folder(venue, clock, tmp_path):
    venue.now = NOW
    one, other = (
        timed(BinanceSource(["BTCUSDT"], venue.url, clock, 20.0, weights=weights_of(SPOT, tmp_path)), venue)
        for _ in range(2)
    )
    other.hurry()
    venue.script.append((418, {"Retry-After": "900"}, {"code": -1003, "msg": "Way too many requests."}))
    for source in (one, other):
        with pytest.raises(FeedRefused, match="for 900 s"):
            source.history("BTCUSDT", START, START + 10 * MINUTE)
    assert len(venue.asked) == 1


def test_refusals_without_end_are_given_up(source, venue):
    venue.script.extend([(429, {"Retry-After": "1"}, {"code": -1003, "msg": "Too many"})] * 9)
    with pytest.raises(FeedError, match="too many requests"):
        source.history("BTCUSDT", START, START + MINUTE)
    assert len(venue.asked) == 4


def test_a_silent_server_is_reported_long_before_it_gives_up(venue, clock):
    venue.now = NOW
    source, began = timed(BinanceSource(["BTCUSDT"], venue.url, clock, 0.5), venue), perf_counter()
    venue.script.append(SILENT)
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
        ((451, {}, {"code": 0, "msg": "Service unavailable from a restricted location"}), "HTTP 451: Service unavail"),
        ((503, {}, "upstream down"), "HTTP 503"),
    ],
)
def test_answers_that_are_not_klines_are_reported(source, venue, answer, message):
    venue.script.append(answer)
    with pytest.raises(FeedError, match=message):
        source.history("BTCUSDT", START, START + MINUTE)


def asked_klines(venue, count):
    return venue.klines({"startTime": str(epoch_us(START) // 1000), "limit": str(count)})


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ("soon", "not the list of a kline"),
        ([1736337660000, "1", "2"], "not the list of a kline"),
        ([None] * 12, "not the list of a kline"),
        ([True] * 12, "not the list of a kline"),
        ([5] * 12, "no time of a market"),
        ([10**30] * 12, "no time of a market"),
    ],
)
@pytest.mark.parametrize("place", [0, 3, 5])
def test_a_kline_without_a_usable_time_is_left_out_and_logged(source, venue, odd, reason, place):
    klines = asked_klines(venue, 6)
    klines[place] = odd
    venue.script.append((200, {}, klines))
    with capture_logs() as logs:
        bars = source.history("BTCUSDT", START, START + 8 * MINUTE)
    expected = [START.replace(second=0) + n * MINUTE for n in range(1, 9) if n != place + 1]
    assert list(bars["open_time"]) == expected
    assert [(line["event"], line["symbol"]) for line in logs] == [("kline_left_out", "BTCUSDT")]
    assert reason in logs[0]["reason"]


@pytest.mark.parametrize(
    ("shift", "reason"), [(7_000, "not on a whole minute"), (-60_000, "does not come after the one before")]
)
def test_a_kline_of_another_time_is_left_out(source, venue, shift, reason):
    klines = asked_klines(venue, 6)
    klines[3] = [klines[3][0] + shift, *klines[3][1:]]
    venue.script.append((200, {}, klines))
    with capture_logs() as logs:
        bars = source.history("BTCUSDT", START, START + 6 * MINUTE)
    assert list(bars["open_time"]) == [START.replace(second=0) + n * MINUTE for n in (1, 2, 3, 5, 6)]
    assert reason in logs[0]["reason"]


def test_odd_values_are_passed_on_to_the_checks_and_do_not_stop_the_others(source, venue):
    klines = asked_klines(venue, 4)
    klines[0] = [klines[0][0], "x", None, "1e999", [], *klines[0][5:]]
    klines[1][2] = "1"  # a high below the low
    klines[2][9] = "9" + klines[2][5]
    venue.script.append((200, {}, klines))
    bars = source.history("BTCUSDT", START, START + 4 * MINUTE)
    assert len(bars) == 4
    assert bars.loc[0, ["open", "high", "close"]].isna().all()
    assert np.isposinf(bars.loc[0, "low"])
    checked = check(bars, "bars", allowed_share=1)
    assert list(checked.bad.index) == [0, 1, 2]
    assert "open known" in checked.reasons[0]
    assert "high not below low" in checked.reasons[1]
    assert checked.reasons[2] == "volume not below taker_volume"


def test_a_taker_volume_within_the_rounding_of_the_volume_is_the_volume(source, venue):
    klines = asked_klines(venue, 1)
    klines[0][5], klines[0][9] = "3.00000000", "3.000000000001"
    venue.script.append((200, {}, klines))
    assert source.history("BTCUSDT", START, START + MINUTE)["taker_volume"].tolist() == [3.0]


def test_an_answer_that_is_mostly_not_of_klines_is_reported(source, venue):
    venue.script.append((200, {}, [*asked_klines(venue, 1), "a", "b"]))
    with pytest.raises(FeedError, match="sent no klines but 'a', which is not the list of a kline"):
        source.history("BTCUSDT", START, START + MINUTE)


def test_an_odd_kline_is_quarantined_with_its_reason_and_the_others_are_stored(source, venue):
    sent, opens = venue.klines, epoch_us(START.replace(second=0) + 7 * MINUTE) // 1000
    venue.klines = lambda query: [
        [*kline[:4], "oops", *kline[5:]] if kline[0] == opens else kline for kline in sent(query)
    ]
    store = KeptBars()
    result = backfill(
        source, store, "BTCUSDT", START, end=START + 30 * MINUTE, check=lambda bars: check_ingested(bars, 0.01)
    )
    assert (result.fetched, result.stored, result.quarantined) == (30, 29, 1)
    assert store.reasons == ["close known"]


class KeptBars:
    """A store that counts."""

    def __init__(self):
        self.reasons = []

    def span(self, source, symbol, timeframe):
        return None

    def upsert(self, source, symbol, timeframe, bars):
        return len(bars)

    def quarantine(self, source, symbol, suite, rows, *, reasons):
        self.reasons += reasons
        return len(rows)


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
    with pytest.raises(FeedError, match="is no time of a market"):
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
    with pytest.raises(UnknownSymbol, match="ETHUSDT: Binance spot does not list"):
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
