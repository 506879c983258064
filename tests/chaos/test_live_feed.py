"""The live feed with a venue that drops, stalls, repeats, withholds and refuses: every bar, once, as it is in truth."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest

from mikrobot.domain.market import Bar
from tests.chaos.live_feed import Followed, coins, differences, follow, kpis


@pytest.mark.parametrize(
    ("minutes", "symbols", "faults", "seed"),
    [(20, 3, 8, 1), pytest.param(1_440, 20, 100, 2, marks=pytest.mark.soak)],
)
def test_every_bar_is_yielded_once_whatever_the_venue_does(minutes: int, symbols: int, faults: int, seed: int) -> None:
    followed, truth = follow(coins(symbols), minutes, faults, seed)
    print(followed.faults, followed.states)
    assert followed.faults.total() == faults
    assert min(map(len, truth.values())) >= minutes
    assert differences(followed, truth) == []


def test_a_venue_whose_clock_is_behind_is_followed_without_a_loss_and_without_a_minute_of_delay() -> None:
    followed, truth = follow(coins(2), 12, 0, 3, ahead_s=10)
    assert differences(followed, truth) == []
    assert 10 <= median(followed.late_s[5:]) < 50


def test_the_indicators_count_what_is_late_wrong_and_lost_against_the_feed() -> None:
    opens = [datetime(2025, 3, 3, tzinfo=UTC) + n * timedelta(minutes=1) for n in range(10)]
    true = [Bar("BTCUSDT", opened, 1.0, 2.0, 0.5, 1.5, volume=1.0, trades=2.0, taker_volume=0.5) for opened in opens]
    wrong = Bar("BTCUSDT", opens[3], 1.0, 2.0, 0.5, 1.9, volume=1.0, trades=2.0, taker_volume=0.5)
    yielded = [true[0], true[1], true[2], wrong, *true[4:9]]  # the last is lost
    followed = Followed(
        bars=[(bar.close_time, bar) for bar in yielded],
        states=Counter(live=199, stale=1),
        late_s=[0.5, 0.5, 61.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
    )
    indicators = kpis(followed, {"BTCUSDT": true}, speed=50.0)
    assert indicators.uptime_pct == pytest.approx(70.0)
    assert indicators.late_s == (0.5, 61.0)
    assert indicators.late_ms == (10.0, 1220.0)
    assert indicators.live_pct == pytest.approx(99.5)
    uptime, latency, stability = indicators.rows("a soak")
    assert uptime.startswith("| data ingestion uptime | 99.9 % | 70.000 %")
    assert "0.5 / 61.0 s of market time, 10 / 1220 ms of real time (a soak)" in latency
    assert "live in 99.50 % of the looks" in stability
