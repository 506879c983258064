"""`mikrobot history repair`: fills the gaps of a real database from a venue."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from mikrobot.cli import tables
from mikrobot.domain.errors import FeedError, UsageError
from mikrobot.domain.market import Timeframe
from mikrobot.live import wiring
from mikrobot.runtime import ManualClock
from mikrobot.store.bars import BarStore
from mikrobot.store.runs import ROUTES, Run, Runs, Segment
from mikrobot.workflows import bar_history, repair_history
from mikrobot.workflows.repair_history import Outcome, Wanted

START = datetime(2025, 1, 10, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
READ_FROM = START + 20 * MINUTE
NOW = START + timedelta(days=1)
GAPS = (5, 6, 30, 31, 32, 50)


@dataclass
class Venue:
    """A venue whose bars are those of a frame."""

    frame: pd.DataFrame
    down_for: str = ""

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        if symbol == self.down_for:
            raise FeedError(f"{symbol}: the venue did not answer; check the network")
        opened = self.frame["open_time"]
        return self.frame[(opened >= start) & (opened < end)].reset_index(drop=True)


@pytest.fixture
def run(pool):
    segment = Segment(("BTCUSDT", "ETHUSDT"), READ_FROM, START + 40 * MINUTE, START + 60 * MINUTE)
    settings: dict[str, Any] = {"data": [], "seed": 7, "segments": [segment.to_json()]}
    run = Run("r1", "binance", False, segment.symbols, segment.trade_from, segment.trade_until, NOW, settings)
    Runs(pool).begin(run)
    return run


@pytest.fixture
def whole(bars):
    """An hour of bars, as the venue has them."""
    return bars(60, start=START)


@pytest.fixture
def store(pool, run, whole):
    """The store with an hour of both symbols, of which minutes are missing in one."""
    store = BarStore(pool)
    store.upsert("binance", "BTCUSDT", Timeframe.M1, whole.drop(list(GAPS)).reset_index(drop=True))
    store.upsert("binance", "ETHUSDT", Timeframe.M1, whole)
    return store


@pytest.fixture
def venue(monkeypatch, whole):
    """Everything that the venue has; it lacks one of the missing minutes."""
    venue = Venue(whole.drop(50).reset_index(drop=True))
    monkeypatch.setattr(wiring, "open_source", lambda settings, clock: venue)
    return venue


EVERYTHING = Wanted()


def repaired(settings, pool, wanted=EVERYTHING, *, dry_run=False):
    return repair_history.repair(settings, pool, wanted, ManualClock(NOW), dry_run=dry_run)


def test_what_no_run_has_read_becomes_history_and_the_rest_a_later_version(database, pool, store, venue, whole):
    result = repaired(database, pool)
    assert [(one.first - START, one.minutes, one.outcome) for one in result.stretches] == [
        (5 * MINUTE, 2, Outcome.HISTORY),
        (30 * MINUTE, 3, Outcome.VERSION),
        (50 * MINUTE, 1, Outcome.ABSENT),
    ]
    assert (result.missing, result.history, result.versions, result.absent, result.left) == (6, 2, 3, 1, 1)
    traded = store.range("binance", "BTCUSDT", Timeframe.M1, START, end=NOW)
    assert_frame_equal(traded, whole.drop([30, 31, 32, 50]).reset_index(drop=True))
    span = {"start": START, "end": NOW}
    before, after = (
        store.versions.as_known("binance", "BTCUSDT", Timeframe.M1, **span, at=NOW + shift)
        for shift in (-MINUTE, timedelta(0))
    )
    assert_frame_equal(before, traded)
    assert_frame_equal(after, whole.drop(50).reset_index(drop=True))


def test_a_second_repair_stores_nothing_and_asks_again_for_what_the_venue_lacked(database, pool, store, venue, whole):
    repaired(database, pool)
    again = repaired(database, pool)
    assert [(one.first - START, one.outcome) for one in again.stretches] == [(50 * MINUTE, Outcome.ABSENT)]
    assert [(gap.minutes, gap.repaired) for gap in bar_history.gaps(pool, None, ())] == [(3, 3), (1, 0)]
    venue.frame = whole
    assert repaired(database, pool).versions == 1
    assert len(bar_history.revisions(pool, None, ())) == 4
    nothing = repaired(database, pool)
    assert nothing.stretches == ()
    assert tables.repair_line(nothing).startswith("nothing to repair")


def test_a_dry_run_reports_the_same_and_stores_nothing(database, pool, store, venue):
    before = bar_history.gaps(pool, None, ())
    shown = repaired(database, pool, dry_run=True)
    assert bar_history.gaps(pool, None, ()) == before
    assert "2 would be stored as history, 3 as later versions" in tables.repair_line(shown)
    assert repaired(database, pool).stretches == shown.stretches


def test_only_the_symbols_and_minutes_that_were_named_are_repaired(database, pool, store, venue):
    wanted = Wanted(symbols=("BTCUSDT",), start=START + 31 * MINUTE, end=START + 32 * MINUTE)
    assert repaired(database, pool, wanted).missing == 1
    assert repaired(database, pool, Wanted(symbols=("ETHUSDT",))).missing == 0


def test_an_invalid_bar_goes_into_quarantine_and_stops_no_other(database, pool, store, venue):
    venue.frame.loc[venue.frame["open_time"] == START + 31 * MINUTE, "low"] = 1e9
    result = repaired(database, pool)
    assert (result.versions, result.refused, result.left) == (2, 1, 2)
    (row,) = store.quarantined("binance", "BTCUSDT")["reason"]
    assert "low <= open" in row


def test_a_venue_that_fails_for_a_later_symbol_leaves_everything_unchanged(database, pool, store, venue, whole):
    BarStore(pool).upsert("binance", "SOLUSDT", Timeframe.M1, whole.drop([7]).reset_index(drop=True))
    venue.down_for = "SOLUSDT"
    before = bar_history.gaps(pool, None, ())
    with pytest.raises(FeedError, match="check the network; nothing was stored, repair again when it answers"):
        repaired(database, pool, Wanted(symbols=("BTCUSDT", "SOLUSDT")))
    assert bar_history.gaps(pool, None, ()) == before


def test_bars_of_another_venue_are_never_taken(database, pool, store):
    elsewhere = database.model_copy(update={"binance_url": "http://127.0.0.1:1/api"})
    with pytest.raises(UsageError, match="has the bars of binance-local: set MIKROBOT_BINANCE_URL to the venue of bin"):
        repaired(elsewhere, pool)


def test_a_symbol_or_source_without_bars_is_refused(database, pool, store):
    with pytest.raises(UsageError, match="no bar of SOLUSDT is stored for the source binance"):
        repaired(database, pool, Wanted(symbols=("SOLUSDT",)))
    with pytest.raises(UsageError, match="no run has traded the source replay"):
        repaired(database, pool, Wanted(source="replay"))


def test_a_symbol_of_an_earlier_run_is_read_from_the_venue_that_it_was_traded_on(
    database, pool, venue, whole, monkeypatch
):
    source, opened = "binance+mt5", []
    for number, routes in enumerate(({"BTCUSDT": "mt5"}, {"ETHUSDT": "binance"})):
        segment = Segment(tuple(routes), READ_FROM, START + 40 * MINUTE, START + 60 * MINUTE)
        settings = {"data": [], "seed": 7, "segments": [segment.to_json()], ROUTES: routes}
        span = segment.trade_from, segment.trade_until
        Runs(pool).begin(Run(f"r{number}", source, False, segment.symbols, *span, NOW + number * MINUTE, settings))
    BarStore(pool).upsert(source, "BTCUSDT", Timeframe.M1, whole.drop([30]).reset_index(drop=True))
    monkeypatch.setattr(wiring, "open_source", lambda settings, clock: opened.append(settings) or venue)
    assert repaired(database, pool, Wanted(symbols=("BTCUSDT",))).versions == 1
    assert opened[0].routes == {"BTCUSDT": "mt5", "ETHUSDT": "binance"}
