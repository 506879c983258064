"""Bars of a terminal over a real RPyC connection: what leaves the source, and what faults of the terminal do."""

from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from mikrobot.domain.errors import FeedError, SettingsError
from mikrobot.domain.market import Timeframe, bars_of
from mikrobot.live.tick_check import TickCheck
from mikrobot.market.feed import closes
from mikrobot.market.local_terminal.faults import TEXTS
from mikrobot.market.longer_bars import aggregated, differing, longer_bars_of
from mikrobot.market.mt5.codes import TerminalLost
from mikrobot.market.reading import Reading
from mikrobot.market.replay import ReplaySource
from mikrobot.market.simulated import SimulatedSource
from mikrobot.market.tick_range import bar_of_ticks, outside
from mikrobot.runtime import ManualClock, SystemClock
from mikrobot.store.bars import BarStore

from .conftest import MINUTE, NOW, link_to

RECORDED = Path(__file__).parents[5] / "shared/data/payloads/mt5_python_copy_rates_EURUSD_M1_60rows.csv"
DAY = (datetime(2025, 1, 7, tzinfo=UTC), datetime(2025, 1, 8, tzinfo=UTC))
RETRIED = sorted(code for code in TEXTS if code <= -10_000)
FINAL = sorted(code for code in TEXTS if code > -10_000 and code != -6)


def truth(symbol: str = "EURUSD", span: tuple[datetime, datetime] = DAY) -> pd.DataFrame:
    return SimulatedSource([symbol], 7, ManualClock(NOW + timedelta(days=9))).history(symbol, *span)


def test_bars_are_those_of_the_market_in_utc(broker):
    market = truth()
    market["spread"] = market["spread"].where(market["spread"] > 0)
    assert len(market) > 1400
    assert_frame_equal(broker(server_clock="NY+7").source.history("EURUSD", *DAY), market)


def test_the_volume_of_a_coin_is_unknown_because_it_counts_ticks(broker):
    bars = broker("BTCUSDT", "EURUSD").source.history("BTCUSDT", DAY[0], DAY[0] + timedelta(hours=1))
    assert len(bars) == 60
    assert bars["volume"].isna().all()


@pytest.mark.parametrize("timeframe", [Timeframe.M5, Timeframe.H1])
def test_longer_bars_are_those_that_the_minutes_make_up(broker, timeframe):
    source = broker(server_clock="NY+7").source
    minutes = list(aggregated("EURUSD", source.history("EURUSD", *DAY), timeframe))
    longer = longer_bars_of("EURUSD", source.longer("EURUSD", timeframe, *DAY), timeframe)
    assert [bar.open_time for bar in longer] == [bar.open_time for bar in minutes]
    assert all(differing(one, other) == () for one, other in zip(longer, minutes, strict=True))


def test_a_longer_bar_is_passed_on_a_minute_after_its_close(broker):
    started = broker(now=NOW.replace(minute=5, second=30))
    hour = NOW.replace(minute=0, second=0)
    asked = ("EURUSD", Timeframe.M5, hour, hour + 5 * MINUTE)
    assert started.source.longer(*asked).empty
    started.clock.time = hour + 6 * MINUTE
    assert list(started.source.longer(*asked)["open_time"]) == [hour]


def test_ticks_have_their_milliseconds_in_utc_and_make_up_the_bars(broker):
    source, start = broker(server_clock="NY+7").source, DAY[0] + timedelta(hours=9)
    bars = bars_of("EURUSD", source.history("EURUSD", start, start + 30 * MINUTE))
    assert len(bars) == 30
    for bar in bars:
        ticks = source.ticks("EURUSD", bar.open_time, bar.close_time)
        assert [tick.time_ms for tick in ticks] == sorted(tick.time_ms for tick in ticks)
        opened, closed = (int(time.timestamp() * 1000) for time in (bar.open_time, bar.close_time))
        assert all(opened <= tick.time_ms < closed and tick.ask >= tick.bid for tick in ticks)
        of_ticks = bar_of_ticks(bar, ticks)
        assert (of_ticks.open, of_ticks.high, of_ticks.low, of_ticks.close) == (bar.open, bar.high, bar.low, bar.close)
        assert outside(bar, of_ticks) == ()


def test_bars_whose_range_the_ticks_leave_are_kept_and_named(broker, pool):
    started, store, close = broker(), BarStore(pool), NOW.replace(second=0)
    store.upsert(
        "mt5-local", "EURUSD", Timeframe.M1, started.source.history("EURUSD", close - timedelta(hours=1), close)
    )
    check = TickCheck.of(started.source, store, started.clock)
    started.clock.time = close + timedelta(seconds=2)
    assert list(check.compare(["EURUSD"], close)) == []
    started.module.faults.request("other_ticks")
    (bar,) = check.compare(["EURUSD"], close)
    assert bar.open_time == close - 2 * MINUTE
    kept = store.disagreements.disagreements("mt5-local", ["EURUSD"], close - timedelta(hours=1), end=close)
    assert list(kept["fields"]) == [["high"]]
    started.clock.time = close + timedelta(minutes=5)
    assert list(check.compare(["EURUSD"], close)) == []


def test_the_forming_bar_never_leaves(broker):
    started = broker()
    minute, forming = NOW.replace(second=0), 0
    started.last_open()
    for second in range(1, 180, 7):
        started.clock.time = minute + 10 * MINUTE + timedelta(seconds=second)
        now = started.clock.now()
        assert started.last_open() + MINUTE <= now
        newest = started.module.copy_rates_from_pos("EURUSD", 1, 0, 1)["time"][0]
        forming += newest == (now.replace(second=0) + timedelta(hours=2)).timestamp()
    assert forming > 15


def test_a_bar_whose_minute_is_over_here_but_not_at_the_server_is_left_out(broker):
    started = broker()
    started.last_open()
    started.module.faults.request("stale_quotes")
    started.module.symbol_info_tick("EURUSD")  # quotes stand still from now on
    started.clock.time = started.clock.time.replace(second=1) + MINUTE
    assert started.last_open() < started.clock.now() - 2 * MINUTE
    started.module.faults.end("stale_quotes")
    started.clock.sleep(2)
    assert started.last_open() == started.clock.now().replace(second=0, microsecond=0) - MINUTE


@pytest.mark.parametrize("fault", ["partial_history", "empty", "code_4"])
def test_history_that_arrives_in_parts_is_asked_for_again_until_it_is_whole(broker, fault):
    started = broker()
    started.source.first_open("EURUSD")
    started.module.faults.request(fault, 2)
    bars = started.source.history("EURUSD", *DAY)
    assert started.module.faults.applied[fault] == 2
    assert list(bars["open_time"]) == list(truth()["open_time"])


def test_history_that_stays_away_ends_in_an_error_with_code_and_remedy(broker):
    started = broker()
    started.source.first_open("EURUSD")
    started.module.faults.request("code_4", 1000)
    with pytest.raises(
        FeedError, match=r"EURUSD: MetaTrader 5 has no history \(code -4, 'Terminal: Not found'\); .*Max"
    ):
        started.source.history("EURUSD", *DAY)


def test_history_that_never_settles_ends_in_an_error(broker):
    started = broker()
    started.source.first_open("EURUSD")
    started.module.faults.request("partial_history", 1000)
    before = started.clock.now()
    with pytest.raises(FeedError, match="EURUSD: the terminal still loads its history after 30 s"):
        started.source.history("EURUSD", *DAY)
    assert started.clock.now() - before < timedelta(minutes=1)


def test_a_span_that_was_whole_is_read_once_until_the_terminal_restarts(broker):
    started = broker()
    started.source.history("EURUSD", *DAY)
    before = started.clock.now()
    started.source.history("EURUSD", DAY[0] + timedelta(hours=1), DAY[1])
    assert started.clock.now() == before
    started.module.faults.request("restart")
    started.module.faults.request("partial_history", 2)
    assert len(started.source.history("EURUSD", *DAY)) == len(truth())


@pytest.mark.parametrize("code", RETRIED)
def test_a_broken_link_to_the_terminal_is_made_again(broker, code):
    started = broker()
    started.source.history("EURUSD", *DAY)
    before = started.clock.now()
    started.module.faults.request(f"code_{-code}", 2)
    assert len(started.source.history("EURUSD", *DAY)) == len(truth())
    assert started.clock.now() - before >= timedelta(seconds=1.5)  # the second wait is longer than the first


@pytest.mark.parametrize("code", RETRIED)
def test_a_link_that_stays_broken_ends_in_an_error_after_few_attempts(broker, code):
    started = broker()
    started.source.history("EURUSD", *DAY)
    started.module.faults.request(f"code_{-code}", 1000)
    with pytest.raises(TerminalLost, match=rf"MetaTrader 5 .* \(code {code}, .*\); (re)?start"):
        started.source.history("EURUSD", *DAY)
    assert started.module.faults.applied[f"code_{-code}"] < 10


@pytest.mark.parametrize("code", [code for code in FINAL if code != -4])
def test_another_error_is_reported_with_code_text_and_remedy(broker, code):
    started = broker()
    started.source.history("EURUSD", *DAY)
    started.module.faults.request(f"code_{-code}", 1)
    with pytest.raises(FeedError, match=rf"EURUSD: MetaTrader 5 .* \(code {code}, '{TEXTS[code]}'\); \w+"):
        started.source.history("EURUSD", *DAY)
    assert len(started.source.history("EURUSD", *DAY)) == len(truth())


def test_a_refused_login_is_not_repeated_since_that_may_lock_the_account(broker):
    started = broker()
    started.source.history("EURUSD", *DAY)
    started.module.faults.request("code_6", 1000)
    with pytest.raises(SettingsError, match=r"refuses the login \(code -6, .*MIKROBOT_MT5_LOGIN"):
        started.source.history("EURUSD", *DAY)
    assert started.module.faults.applied["code_6"] == 1


def test_a_terminal_that_restarts_is_opened_again(broker):
    started = broker()
    started.source.history("EURUSD", *DAY)
    started.module.faults.request("restart")
    assert len(started.source.history("EURUSD", *DAY)) == len(truth())


def test_a_connection_that_ends_is_opened_again(broker):
    started = broker()
    started.source.history("EURUSD", *DAY)
    started.module.faults.request("drop")
    assert len(started.source.history("EURUSD", *DAY)) == len(truth())


def test_a_call_that_hangs_ends_at_the_timeout(broker):
    started = broker(hang_s=3.0)
    source = started.another(timeout_s=1.0)
    source.history("EURUSD", *DAY)
    started.module.faults.request("hang", 1)
    assert len(source.history("EURUSD", *DAY)) == len(truth())
    assert started.module.faults.applied["hang"] == 1


def test_a_terminal_without_a_connection_to_its_broker_is_no_feed(broker):
    started = broker()
    started.source.time()
    started.module.faults.request("no_broker")
    with pytest.raises(TerminalLost, match="no connection to its broker's server; check its network"):
        started.source.time()
    started.module.faults.end("no_broker")
    assert started.source.time() == started.clock.now()


def test_the_feed_follows_the_terminal_through_faults_without_losing_or_doubling_a_bar(broker):
    symbols = ("BTCUSDT", "EURUSD")
    started = broker(*symbols)
    for symbol in symbols:
        started.source.history(symbol, *DAY)
    faults = iter(["code_10005", "restart", "drop", "partial_history", "code_1", "empty", "code_10002"])
    start = NOW.replace(second=0)
    end, bars = start + timedelta(minutes=20), []
    for number, (_, closed) in enumerate(closes(started.source, symbols, start, end, clock=started.clock)):
        bars += closed
        if number % 2 and (fault := next(faults, None)):
            started.module.faults.request(fault)
    assert next(faults, None) is None
    expected = [bar for symbol in symbols for bar in bars_of(symbol, truth(symbol, (start, end)))]
    key = attrgetter("symbol", "open_time", "open", "high", "low", "close")
    assert sorted(map(key, bars)) == sorted(map(key, expected))
    assert [bar.open_time for bar in bars] == sorted(bar.open_time for bar in bars)


def test_first_bars_are_limited_by_the_bars_of_a_chart(broker):
    started = broker()
    assert started.source.first_open("EURUSD") == datetime(2025, 1, 1, 22, 0, tzinfo=UTC)
    started.module.most_bars = 1000
    first = started.another().first_open("EURUSD")
    assert started.clock.now() - first < timedelta(minutes=1010)


def test_recorded_rates_of_a_real_terminal_are_read_as_the_file_reader_reads_them(broker):
    if not RECORDED.exists():
        pytest.skip("the recorded rates are not next to this clone")
    reading = Reading(symbol="EURUSD", clock="+01:00")
    opened = datetime(2021, 11, 15, 0, 39, tzinfo=UTC)
    started = broker(
        data=[RECORDED], symbols=(), reading=reading, server_clock="+01:00", now=opened + timedelta(minutes=90),
        named_clock="+01:00",
    )  # fmt: skip
    rows = link_to(started.port, started.clock).ask(lambda terminal: (terminal.select("EURUSD"), terminal)[1].rates(
        "EURUSD", 1, 1636940340, 1636940340 + 3600
    ))  # fmt: skip
    recorded = pd.read_csv(RECORDED)
    for name in ("time", "open", "high", "low", "close", "tick_volume", "spread", "real_volume"):
        assert np.array_equal(rows[name], recorded[name]), name
    span = (opened, opened + timedelta(hours=1))
    assert_frame_equal(
        started.source.history("EURUSD", *span),
        ReplaySource([RECORDED], reading, SystemClock()).history("EURUSD", *span),
    )
