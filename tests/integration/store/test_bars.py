"""Bars and the quarantine on the bundled PostgreSQL."""

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from mikrobot.domain.errors import BarError
from mikrobot.domain.market import BAR_COLUMNS, Bar, Timeframe, bars_of, empty_bars
from mikrobot.store.bars import BarStore

M1 = Timeframe.M1
START = datetime(2024, 3, 4, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(pool):
    return BarStore(pool)


def everything(store, source="replay", symbol="EURUSD", timeframe=M1):
    return store.range(
        source, symbol, timeframe, datetime(1980, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC)
    )


def test_a_frame_comes_back_as_it_was_stored(store, bars):
    frame = bars(500, gaps=0.1)
    frame.loc[3, ["volume", "spread", "trades", "taker_volume"]] = np.nan
    assert store.upsert("replay", "EURUSD", M1, frame) == 500
    assert_frame_equal(everything(store), frame)


def test_nothing_stored_is_an_empty_bar_frame(store):
    assert_frame_equal(everything(store), empty_bars())
    assert_frame_equal(store.last("replay", "EURUSD", M1, 10), empty_bars())
    assert store.span("replay", "EURUSD", M1) is None
    assert store.upsert("replay", "EURUSD", M1, empty_bars()) == 0


def test_storing_again_changes_nothing_and_counts_only_what_changed(store, bars):
    frame = bars(100)
    frame.loc[5, "spread"] = np.nan
    store.upsert("replay", "EURUSD", M1, frame)
    assert store.upsert("replay", "EURUSD", M1, frame) == 0
    frame.loc[[7, 8], "close"] *= 1.01
    assert store.upsert("replay", "EURUSD", M1, frame) == 2
    assert_frame_equal(everything(store), frame)


def test_sources_symbols_and_timeframes_do_not_mix(store, bars):
    series = [("replay", "EURUSD", M1), ("simulated", "EURUSD", M1), ("replay", "BTCUSDT", M1)]
    frames = {key: bars(10, seed=seed) for seed, key in enumerate([*series, ("replay", "EURUSD", Timeframe.M5)])}
    for key, frame in frames.items():
        store.upsert(*key, frame)
    for key, frame in frames.items():
        assert_frame_equal(everything(store, *key), frame)


def test_times_in_another_zone_are_stored_as_the_same_instants(store, bars):
    frame = bars(10)
    store.upsert("replay", "EURUSD", M1, frame.assign(open_time=frame["open_time"].dt.tz_convert("America/New_York")))
    assert_frame_equal(everything(store), frame)


def test_a_live_bar_is_stored_once_and_another_one_of_the_same_time_does_not_replace_it(store):
    bar = Bar("EURUSD", START, 1.0, 1.2, 0.9, 1.1)
    assert store.append("replay", bar)
    assert store.append("replay", bar)
    assert not store.append("replay", Bar("EURUSD", START, 1.0, 1.2, 0.9, 1.15))
    stored = everything(store)
    assert stored["close"].tolist() == [1.1]
    assert math.isnan(stored["volume"].iloc[0])
    assert stored["open_time"].iloc[0] == START


def test_bars_are_forgotten_from_an_instant_on_for_the_symbols_that_are_streamed_again(store, bars):
    frame = bars(10, start=START)
    for symbol in ("EURUSD", "BTCUSDT"):
        store.upsert("replay", symbol, M1, frame)
    store.forget("replay", ["EURUSD"], M1, START + 4 * MINUTE)
    assert_frame_equal(everything(store), frame.head(4))
    assert_frame_equal(everything(store, symbol="BTCUSDT"), frame)


def test_last_gives_the_newest_bars_that_had_closed(store, bars):
    frame = bars(100, start=START)
    store.upsert("replay", "EURUSD", M1, frame)
    assert_frame_equal(store.last("replay", "EURUSD", M1, 10), frame.tail(10).reset_index(drop=True))
    until = START + 50 * MINUTE
    asked = store.last("replay", "EURUSD", M1, 10, until=until)
    assert_frame_equal(asked, frame.iloc[40:50].reset_index(drop=True))
    assert asked["open_time"].iloc[-1] + MINUTE == until


def test_last_never_shows_a_bar_that_is_still_open(store, bars):
    frame = bars(3, start=START, minutes=60)
    store.upsert("replay", "EURUSD", Timeframe.H1, frame)
    half_past_two = START + timedelta(hours=2, minutes=30)
    assert len(store.last("replay", "EURUSD", Timeframe.H1, 10, until=half_past_two)) == 2


def test_range_takes_in_its_start_and_leaves_out_its_end(store, bars):
    frame = bars(100, start=START)
    store.upsert("replay", "EURUSD", M1, frame)
    stored_bars = store.range("replay", "EURUSD", M1, START + 10 * MINUTE, end=START + 20 * MINUTE)
    assert_frame_equal(stored_bars, frame.iloc[10:20].reset_index(drop=True))


def test_closed_gives_the_bars_of_all_symbols_between_two_instants(store, bars):
    for seed, symbol in enumerate(["BTCUSDT", "EURUSD", "GBPUSD"]):
        store.upsert("replay", symbol, M1, bars(10, seed=seed, start=START))
    closed = store.closed("replay", ["EURUSD", "BTCUSDT"], M1, START + 2 * MINUTE, until=START + 4 * MINUTE)
    assert [(bar.symbol, bar.close_time) for bar in closed] == [
        ("EURUSD", START + 3 * MINUTE),
        ("BTCUSDT", START + 3 * MINUTE),
        ("EURUSD", START + 4 * MINUTE),
        ("BTCUSDT", START + 4 * MINUTE),
    ]
    stored = store.range("replay", "EURUSD", M1, START + 2 * MINUTE, end=START + 4 * MINUTE)
    assert [bar for bar in closed if bar.symbol == "EURUSD"] == bars_of("EURUSD", stored)
    assert store.closed("simulated", ["EURUSD"], M1, START, until=START + 9 * MINUTE) == []


def test_span_runs_from_the_first_open_to_the_last_close(store, bars):
    store.upsert("replay", "EURUSD", Timeframe.M5, bars(10, start=START, minutes=5))
    assert store.span("replay", "EURUSD", Timeframe.M5) == (START, START + timedelta(minutes=50))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda frame: frame.drop(columns=["spread", "high"]),
            r"EURUSD: expected the columns .*; high, spread missing",
        ),
        (
            lambda frame: frame.assign(open_time=frame["open_time"].dt.tz_localize(None)),
            r"EURUSD: expected open_time in UTC",
        ),
        (lambda frame: frame.iloc[[0, 1, 1, 2]], r"EURUSD: .* row 2 opens at 2024-03-04 00:01:00\+00:00"),
        (lambda frame: frame.iloc[[0, 2, 1]], r"row 2 opens at 2024-03-04 00:01:00"),
        (lambda frame: frame.assign(open_time=frame["open_time"].where(frame.index != 4)), r"row 4 opens at NaT"),
        (lambda frame: frame.assign(open_time=frame["open_time"].where(frame.index != 0)), r"row 0 opens at NaT"),
    ],
)
def test_what_is_no_bar_frame_is_refused_whole(store, bars, spoil, message):
    with pytest.raises(BarError, match=message):
        store.upsert("replay", "EURUSD", M1, spoil(bars(10, start=START)))
    assert everything(store).empty


def test_refused_rows_are_kept_whole_with_their_reasons(store, bars):
    rows = bars(3, start=START)
    rows["high"] = [np.nan, np.inf, 1.0]
    assert (
        store.quarantine("replay", "EURUSD", "bars", rows, reasons=["high missing", "high infinite", "high < low"]) == 3
    )
    kept = store.quarantined("replay")
    assert kept["reason"].tolist() == ["high missing", "high infinite", "high < low"]
    assert kept["at"].tolist() == rows["open_time"].tolist()
    assert [row["high"] for row in kept["row"]] == [None, "inf", 1.0]
    assert all(set(row) == set(BAR_COLUMNS) for row in kept["row"])


def test_refusing_the_same_rows_again_keeps_them_once(store, bars):
    rows, reasons = bars(3), ["a", "b", "c"]
    store.quarantine("replay", "EURUSD", "bars", rows, reasons=reasons)
    assert store.quarantine("replay", "EURUSD", "bars", rows, reasons=reasons) == 0
    assert store.quarantine("simulated", "EURUSD", "bars", rows, reasons=reasons) == 3
    assert len(store.quarantined("replay")) == 3


def test_the_quarantine_is_found_by_symbol_and_suite(store, bars):
    store.quarantine("replay", "EURUSD", "bars", bars(2), reasons=["x", "x"])
    features = pd.DataFrame({"symbol": ["BTCUSDT"], "close_time": [pd.Timestamp(START)], "m1_rsi_14": [101.0]})
    store.quarantine("replay", "BTCUSDT", "features", features, reasons=["m1_rsi_14 above 100"])
    assert len(store.quarantined("replay", suite="bars")) == 2
    refused = store.quarantined("replay", "BTCUSDT")
    assert refused[["symbol", "suite", "at"]].to_numpy().tolist() == [["BTCUSDT", "features", pd.Timestamp(START)]]
    assert store.quarantined("binance").empty


def test_a_refused_live_bar_is_kept(store):
    store.quarantine_bar("replay", Bar("EURUSD", START, 1.0, 0.8, 0.9, 1.1), "high < low")
    (row,) = store.quarantined("replay", suite="live")["row"]
    assert (row["high"], row["volume"], row["timeframe"]) == (0.8, None, "M1")


def test_two_that_store_the_same_span_at_once_store_it_once(pool, bars):
    """Both see that nothing is stored yet; the second to write finds the bars of the first."""
    frame = bars(3_000)
    stores = [BarStore(pool) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        counts = list(threads.map(lambda store: store.upsert("replay", "EURUSD", M1, frame), stores))
    assert sum(counts) == len(frame)
    assert_frame_equal(everything(stores[0]), frame)


def test_a_frame_over_a_gap_and_over_stored_bars_counts_what_is_new_or_changed(store, bars):
    frame = bars(100)
    store.upsert("replay", "EURUSD", M1, pd.concat([frame[:20], frame[60:]], ignore_index=True))
    assert store.upsert("replay", "EURUSD", M1, frame[20:60].reset_index(drop=True)) == 40
    changed = frame.assign(close=frame["close"].where(frame.index != 50, 1.0))
    assert store.upsert("replay", "EURUSD", M1, changed) == 1
    assert_frame_equal(everything(store), changed)
