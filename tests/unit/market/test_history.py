from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from mikrobot.domain.errors import GateError
from mikrobot.domain.market import Timeframe, empty_bars
from mikrobot.market import history
from mikrobot.market.history import Backfill, backfill

START = datetime(2025, 1, 6, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
CHUNK = timedelta(days=7)


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    monkeypatch.setattr(history, "CHUNK", CHUNK)


class Shelf:
    """A source of one frame that records its requests."""

    name, simulated, live = "binance", False, True

    def __init__(self, frame):
        self.frame, self.asked = frame, []

    def symbols(self):
        return ("EURUSD",)

    def span(self, symbol):
        times = self.frame["open_time"]
        return times.iloc[0].to_pydatetime(), times.iloc[-1].to_pydatetime() + MINUTE

    def history(self, symbol, start, end):
        self.asked.append((start, end))
        times = self.frame["open_time"]
        return self.frame[(times >= start) & (times < end)].reset_index(drop=True)


class Store:
    """An in-memory bar store."""

    def __init__(self):
        self.bars, self.refused = empty_bars(), []

    def span(self, source, symbol, timeframe):
        assert (source, symbol, timeframe) == ("binance", "EURUSD", Timeframe.M1)
        times = self.bars["open_time"]
        return None if times.empty else (times.min().to_pydatetime(), times.max().to_pydatetime() + MINUTE)

    def upsert(self, source, symbol, timeframe, bars):
        held = [frame for frame in (self.bars, bars) if len(frame)]
        merged = pd.concat(held or [self.bars]).drop_duplicates("open_time").sort_values("open_time")
        new, self.bars = len(merged) - len(self.bars), merged.reset_index(drop=True)
        return new

    def quarantine(self, source, symbol, suite, rows, reasons):
        assert (source, symbol, suite) == ("binance", "EURUSD", "bars")
        self.refused += list(zip(rows["open_time"], reasons, strict=True))
        return len(rows)


@dataclass(frozen=True)
class Checked:
    good: pd.DataFrame
    bad: pd.DataFrame
    reasons: pd.Series
    passed: bool = True


def accept(bars):
    return Checked(bars, bars.iloc[:0], pd.Series(dtype=str))


def refuse_rows(*times):
    def check(bars):
        bad = bars["open_time"].isin(times)
        return Checked(bars[~bad], bars[bad], pd.Series(["spiky"] * bad.sum()))

    return check


def fail_from(time):
    def check(bars):
        if bars["open_time"].iloc[-1] < time:
            return accept(bars)
        return Checked(bars.iloc[1:], bars.iloc[:1], pd.Series(["no such price"]), passed=False)

    return check


@pytest.fixture
def source(make_bars):
    """Thirty days, one bar every ten minutes."""
    bars = make_bars(30 * 144, START)
    return Shelf(bars.assign(open_time=[START + timedelta(minutes=10 * i) for i in range(len(bars))]))


def bars_of(source, start, end):
    times = source.frame["open_time"]
    return list(times[(times >= start) & (times < end)])


def test_an_empty_store_gets_the_whole_span_in_chunks(source):
    store = Store()
    report = backfill(source, store, "EURUSD", START + DAY, end=START + 20 * DAY, check=accept)
    assert list(store.bars["open_time"]) == bars_of(source, START + DAY, START + 20 * DAY)
    assert all(end - start <= CHUNK for start, end in source.asked)
    n, last = 19 * 144, START + 20 * DAY - 9 * MINUTE
    assert report == Backfill("EURUSD", fetched=n, stored=n, quarantined=0, first=START + DAY, last=last)


def test_only_what_is_missing_is_fetched(source):
    store = Store()
    backfill(source, store, "EURUSD", START + 8 * DAY, end=START + 12 * DAY, check=accept)
    source.asked.clear()
    report = backfill(source, store, "EURUSD", START + 5 * DAY, end=START + 15 * DAY, check=accept)
    assert report.fetched == report.stored == 6 * 144
    held_until = START + 12 * DAY - 9 * MINUTE
    assert source.asked == [(START + 5 * DAY, START + 8 * DAY), (held_until, START + 15 * DAY)]
    assert list(store.bars["open_time"]) == bars_of(source, START + 5 * DAY, START + 15 * DAY)


def test_a_second_call_fetches_nothing(source):
    store = Store()
    backfill(source, store, "EURUSD", START, end=START + 40 * DAY, check=accept)
    source.asked.clear()
    assert backfill(source, store, "EURUSD", START, end=START + 40 * DAY, check=accept) == Backfill("EURUSD")
    assert source.asked == []


def test_files_are_read_again_since_they_may_have_changed(source):
    source.live, store = False, Store()
    first = backfill(source, store, "EURUSD", START, end=START + 10 * DAY, check=accept)
    source.frame = source.frame.assign(close=source.frame["close"] * 2)
    assert backfill(source, store, "EURUSD", START, end=START + 10 * DAY, check=accept).fetched == first.fetched


def test_no_hole_is_left_between_spans_that_do_not_touch(source):
    store = Store()
    for first, last in ((14, 15), (25, 26), (1, 2)):
        backfill(source, store, "EURUSD", START + first * DAY, end=START + last * DAY, check=accept)
    assert list(store.bars["open_time"]) == bars_of(source, START + DAY, START + 26 * DAY)


def test_an_interruption_while_going_back_in_time_leaves_no_hole(source):
    store = Store()
    backfill(source, store, "EURUSD", START + 28 * DAY, end=START + 29 * DAY, check=accept)

    calls = []

    def fail_at_the_third(bars):
        calls.append(bars)
        return replace(accept(bars), passed=len(calls) < 3)

    with pytest.raises(GateError):
        backfill(source, store, "EURUSD", START, end=START + 29 * DAY, check=fail_at_the_third)
    first, last = store.span("binance", "EURUSD", Timeframe.M1)
    assert START < first < START + 28 * DAY
    assert list(store.bars["open_time"]) == bars_of(source, first, last)
    backfill(source, store, "EURUSD", START, end=START + 29 * DAY, check=accept)
    assert list(store.bars["open_time"]) == bars_of(source, START, START + 29 * DAY)


def test_bad_rows_go_to_quarantine_with_their_reason_and_the_others_are_stored(source):
    store = Store()
    bad = [START + DAY, START + 9 * DAY]
    report = backfill(source, store, "EURUSD", START, end=START + 10 * DAY, check=refuse_rows(*bad))
    assert (report.fetched, report.stored, report.quarantined) == (1440, 1438, 2)
    assert store.refused == [(time, "spiky") for time in bad]
    assert not store.bars["open_time"].isin(bad).any()


def test_a_failed_gate_stores_nothing_of_its_chunk_and_keeps_the_earlier_ones(source):
    store = Store()
    with pytest.raises(GateError, match=r"EURUSD: bars from 2025-01-13 00:00 to .* 1 of 1008 .*no such price.*binance"):
        backfill(source, store, "EURUSD", START, end=START + 20 * DAY, check=fail_from(START + 8 * DAY))
    assert list(store.bars["open_time"]) == bars_of(source, START, START + CHUNK)
    assert store.refused == []


def test_periods_without_bars_are_not_checked(source):
    store, judged = Store(), []
    source.frame = source.frame[source.frame["open_time"].dt.day.isin([6, 30])]
    backfill(
        source,
        store,
        "EURUSD",
        START,
        end=START + 40 * DAY,
        check=lambda bars: judged.append(len(bars)) or accept(bars),
    )
    assert judged == [144, 144]
