"""The clock of the broker's server: from weekends and fresh quotes, refused where unclear."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mikrobot.domain.errors import FeedError
from mikrobot.market.clocks import EET, NEW_YORK_7, UTC_CLOCK, clock_of
from mikrobot.market.mt5.server_clock import Quote, ServerClock, fresh_quote
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import ManualClock

from .conftest import MINUTE

SUMMER = datetime(2025, 3, 20, 14, 30, 30, tzinfo=UTC)
"""In the weeks in which New York has summer time and Europe has not."""

SPRING = datetime(2025, 4, 15, 14, 30, 30, tzinfo=UTC)
SATURDAY = datetime(2025, 3, 22, 12, tzinfo=UTC)
CLOCKS = ("EET", "NY+7", "UTC", "+03:00")


def opens(symbol: str, start: datetime, end: datetime) -> list[datetime]:
    market = SimulatedSource([symbol], 7, ManualClock(end + timedelta(days=9)))
    return list(market.history(symbol, start, end)["open_time"])


@pytest.mark.parametrize("now", [SUMMER, SPRING, SATURDAY])
@pytest.mark.parametrize("name", CLOCKS)
def test_bars_of_every_season_are_in_utc_whatever_clock_the_server_has(broker, name, now):
    started = broker(now=now, server_clock=name, listed=("EURUSD",))
    for start in (now - timedelta(days=3), datetime(2025, 3, 11, tzinfo=UTC), datetime(2025, 2, 4, tzinfo=UTC)):
        end = start.replace(second=0) + timedelta(hours=5)
        assert list(started.source.history("EURUSD", start, end)["open_time"]) == opens("EURUSD", start, end)


@pytest.mark.parametrize("name", CLOCKS)
def test_the_live_bar_is_in_utc(broker, name):
    started = broker(now=SUMMER, server_clock=name, listed=("EURUSD",))
    started.last_open()
    assert started.last_open() == started.clock.now().replace(second=0, microsecond=0) - MINUTE


def test_a_market_that_never_closes_is_read_by_the_weekends_of_another_one(broker):
    started = broker("BTCUSDT", now=SUMMER, server_clock="NY+7", listed=("BTCUSDT", "EURUSD"))
    start = datetime(2025, 1, 6, tzinfo=UTC)
    bars = started.source.history("BTCUSDT", start, start + timedelta(hours=1))
    assert list(bars["open_time"]) == opens("BTCUSDT", start, start + timedelta(hours=1))


def test_without_any_weekend_only_times_that_all_fitting_clocks_share_are_read(broker):
    started = broker("BTCUSDT", now=SUMMER, server_clock="NY+7", listed=("BTCUSDT",))
    assert started.last_open("BTCUSDT") == started.clock.now().replace(second=0, microsecond=0) - MINUTE
    winter = datetime(2025, 1, 6, tzinfo=UTC)
    with pytest.raises(
        FeedError, match=r"BTCUSDT: bars of 2025-01-0.* have another time in .*; name the clock .*--clock"
    ):
        started.source.history("BTCUSDT", winter, winter + timedelta(hours=1))


def test_a_named_clock_decides_where_nothing_shows_it(broker):
    started = broker("BTCUSDT", now=SUMMER, server_clock="NY+7", listed=("BTCUSDT",), named_clock="NY+7")
    winter = datetime(2025, 1, 6, tzinfo=UTC)
    bars = started.source.history("BTCUSDT", winter, winter + timedelta(hours=1))
    assert list(bars["open_time"]) == opens("BTCUSDT", winter, winter + timedelta(hours=1))


def test_a_named_clock_that_the_quotes_contradict_is_refused(broker):
    started = broker(now=SUMMER, server_clock="NY+7", listed=("EURUSD",), named_clock="EET")
    with pytest.raises(FeedError, match=r"server's clock is \+3:00:00 from UTC .* which is not EET \(named by --clock"):
        started.last_open()


def test_a_clock_that_jumps_stops_the_feed_until_it_is_right_again(broker):
    started = broker(now=SPRING, listed=("EURUSD",))
    started.source.time()
    started.module.faults.request("clock_jump")
    started.clock.sleep(6 * 60)
    with pytest.raises(
        FeedError, match=r"server's clock is \+4:00:00 from UTC .* which is not .*EET.*; name the clock"
    ):
        started.source.time()
    with pytest.raises(FeedError, match="server's clock is"):
        started.source.time()
    started.module.faults.end("clock_jump")
    assert started.source.time() <= started.clock.now()
    assert started.last_open() == started.clock.now().replace(second=0, microsecond=0) - MINUTE


def test_no_bar_of_a_clock_that_has_jumped_is_from_the_future(broker):
    started = broker(now=SPRING, listed=("EURUSD",))
    started.last_open()
    started.module.faults.request("clock_jump")
    started.clock.sleep(90)
    assert started.last_open() + MINUTE <= started.clock.now()


def test_the_clock_is_looked_at_again_every_hour_without_stopping_at_summer_time(broker):
    started = broker(now=datetime(2025, 3, 7, 20, tzinfo=UTC), server_clock="NY+7", listed=("EURUSD", "BTCUSDT"))
    started.source.history("EURUSD", datetime(2025, 3, 7, tzinfo=UTC), datetime(2025, 3, 7, 20, tzinfo=UTC))
    for _ in range(3):  # over the change in New York on Sunday the 9th
        started.clock.sleep(86_400)
        started.source.time()
    assert started.last_open() == started.clock.now().replace(second=0, microsecond=0) - MINUTE


def test_stale_quotes_show_no_clock_and_stop_nothing(broker):
    started = broker(now=SPRING, listed=("EURUSD",))
    started.module.faults.request("stale_quotes")
    started.last_open()
    started.clock.sleep(3 * 3600)
    started.source.time()
    assert len(started.source.history("EURUSD", SPRING - timedelta(hours=3), SPRING)) == 180


def looks(*times_s: float | None) -> tuple[ManualClock, list[dict[str, int]]]:
    return ManualClock(SPRING), [{} if time is None else {"EURUSD": int(time * 1000)} for time in times_s]


NOW_S = SPRING.timestamp() + 2 * 3600


@pytest.mark.parametrize(
    ("times_s", "fresh"),
    [
        ([NOW_S, NOW_S + 1.2], NOW_S + 1.2),
        ([NOW_S - 200_000, NOW_S], None),  # the first quote after a weekend: the one before it is stale
        ([NOW_S - 200_000, NOW_S - 100_000, NOW_S - 50_000], None),  # what a terminal catches up with
        ([NOW_S - 200_000, NOW_S + 1, NOW_S + 2.4], NOW_S + 2.4),
        ([NOW_S] * 16, None),
        ([None, NOW_S, NOW_S, NOW_S + 2], NOW_S + 2),
    ],
)
def test_a_quote_is_fresh_if_it_came_when_it_was_seen(times_s, fresh):
    clock, given = looks(*times_s)
    answers = iter([*given, *[given[-1]] * 30])
    quote = fresh_quote(lambda: next(answers), clock)
    assert (None if quote is None else quote.local_us / 1e6) == fresh


def test_clocks_that_disagree_about_a_time_are_never_guessed():
    clock = ServerClock([EET, NEW_YORK_7], "shown by the weekends of EURUSD")
    same, apart = (int(datetime(2026, month, 20, 12, tzinfo=UTC).timestamp() * 1e6) for month in (1, 3))
    assert clock.to_utc("EURUSD", np.array([same])) == [same - 2 * 3_600_000_000]
    with pytest.raises(FeedError, match=r"EURUSD: bars of 2026-03-20 12:00 .* in EET than in NY\+7"):
        clock.to_utc("EURUSD", np.array([same, apart]))
    clock.narrow(Quote(apart, datetime(2026, 3, 20, 9, tzinfo=UTC)))
    assert clock.name == "NY+7"


@pytest.mark.parametrize("clock", [EET, NEW_YORK_7, UTC_CLOCK, clock_of("-05:00"), clock_of("Asia/Tokyo")])
def test_a_window_of_the_server_has_everything_that_opens_in_a_span(clock):
    server = ServerClock([clock], "named")
    for day in range(0, 365, 3):
        start = datetime(2026, 1, 1, 23, 30, tzinfo=UTC) + timedelta(days=day)
        since, until = server.window(start, start + timedelta(hours=3))
        local = np.arange(since - 90_000, until + 90_000, 900) * 1_000_000
        utc = clock.to_utc(local)
        inside = (utc >= start.timestamp() * 1e6) & (utc < (start + timedelta(hours=3)).timestamp() * 1e6)
        assert inside.sum() >= 11
        assert ((local[inside] >= since * 1_000_000) & (local[inside] <= until * 1_000_000)).all()
