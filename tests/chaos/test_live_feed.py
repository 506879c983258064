"""The live feed with a venue that drops, stalls, repeats, withholds and refuses: every bar, once, as it is in truth."""

from datetime import UTC, datetime, timedelta
from statistics import median

import pytest

from mikrobot.domain.market import Bar
from mikrobot.market.streams.connection import ConnectionState, StreamStatus
from tests.chaos.feed_kpis import MINUTE, Looks, kpis
from tests.chaos.live_feed import coins, differences, follow

START = datetime(2025, 3, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minutes", "symbols", "faults", "seed"),
    [(20, 3, 8, 1), pytest.param(1_440, 20, 100, 2, marks=pytest.mark.soak)],
)
def test_every_bar_is_yielded_once_whatever_the_venue_does(minutes: int, symbols: int, faults: int, seed: int) -> None:
    followed, truth = follow(coins(symbols), minutes, faults, seed)
    print(followed.faults, followed.looks.states)
    assert followed.faults.total() == faults
    assert min(map(len, truth.values())) >= minutes
    assert differences(followed, truth) == []


def test_a_venue_whose_clock_is_behind_is_followed_without_a_loss_and_without_a_minute_of_delay() -> None:
    followed, truth = follow(coins(2), 12, 0, 3, ahead_s=10)
    assert differences(followed, truth) == []
    assert 10 <= median(followed.late_s[5:]) < 50


def test_the_indicators_count_what_is_late_wrong_and_lost_against_the_feed() -> None:
    opens = [START + n * MINUTE for n in range(12)]
    true = [Bar("BTCUSDT", opened, 1.0, 2.0, 0.5, 1.5, volume=1.0, trades=2.0, taker_volume=0.5) for opened in opens]
    wrong = Bar("BTCUSDT", opens[5], 1.0, 2.0, 0.5, 1.9, volume=1.0, trades=2.0, taker_volume=0.5)
    yielded = [*true[:5], wrong, *true[6:11]]  # the last is lost, and two had closed before the feed began
    looks = Looks(live=398, total=400, live_sending=199, total_sending=200, outages_s=[1.0])
    indicators = kpis(
        [(bar.close_time, bar) for bar in yielded],
        [125.0, 65.0, 0.5, 0.5, 61.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
        {"BTCUSDT": true},
        began=opens[2],
        looks=looks,
        lost=3,
        speed=50.0,
    )
    assert indicators.uptime_pct == pytest.approx(70.0)
    assert indicators.late_s == (0.5, 61.0)
    assert indicators.late_ms == (10.0, 1220.0)
    uptime, latency, stability, recovery = indicators.rows("a soak")
    assert uptime.startswith("| data ingestion uptime | 99.9 % | 70.000 %")
    assert "0.5 / 61.0 s of market time, 10 / 1220 ms of real time (a soak)" in latency
    assert "live in 99.50 % of the looks, one a second, in which the venue sent; it was silent in 50.00 %" in stability
    assert "in all of them live in 99.50 %; 3 sockets lost" in stability
    assert "1 s of market time" in recovery


def test_a_connection_that_hears_nothing_is_not_live_and_the_silence_of_the_venue_is_no_outage() -> None:
    looks = Looks()
    for second in range(60):
        sends = not 30 <= second < 40
        messages = second if second < 10 else 10 if second < 20 else second if sends else 29
        state: ConnectionState = "live" if sends else "stale"
        status = StreamStatus(("btcusdt@kline_1m",), state, "", messages, 1, 0, 0)
        looks.add(START + timedelta(seconds=second), [status], sends=sends)
    assert (looks.total, looks.total_sending) == (60, 50)
    assert looks.total_sending - looks.live_sending == 4  # from the sixth silent second on, until it hears again
    assert looks.total - looks.live == 14
    assert looks.outages_s == [4.0]
