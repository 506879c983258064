"""What the venue has later is compared with what was traded on, and kept where it differs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from mikrobot.domain.errors import FeedError
from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.live.published_bars import COMPARED, DIFFERS, UNPUBLISHED, compare
from mikrobot.runtime import ManualClock
from mikrobot.store.bars import BarStore
from mikrobot.store.postgres.database import Pool

SYMBOL, SOURCE = "BTCUSDT", "binance"
UNTIL = datetime(2025, 1, 6, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOW = UNTIL + timedelta(seconds=7)


class Venue:
    """A source that has given bars, of which a test changes some later."""

    name = SOURCE

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame, self.silent = frame, False

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        if self.silent:
            raise FeedError("the venue is silent")
        opened = self.frame["open_time"]
        return self.frame[(opened >= start) & (opened < end)].reset_index(drop=True)


@pytest.fixture
def venue(bars: Any) -> Any:
    return Venue(bars(60, start=UNTIL - 30 * MINUTE).assign(spread=float("nan")))


@pytest.fixture
def store(pool: Pool, venue: Any) -> BarStore:
    """The bars of the venue up to `UNTIL`, as they were published."""
    store = BarStore(pool)
    for bar in published(venue):
        store.append(SOURCE, bar)
    return store


def published(venue: Any) -> list[Bar]:
    return bars_of(SYMBOL, venue.history(SYMBOL, UNTIL - 30 * MINUTE, UNTIL))


def revisions(store: BarStore) -> Any:
    return store.versions.revisions(SOURCE, [SYMBOL], UNTIL - 30 * MINUTE, end=UNTIL)


def change(venue: Any, bar: Bar) -> None:
    row = venue.frame["open_time"] == bar.open_time
    venue.frame.loc[row, ["high", "close", "volume"]] = bar.high, bar.close, bar.volume


def test_equal_bars_leave_no_trace(venue, store):
    assert compare(venue, store, [SYMBOL], UNTIL, clock=ManualClock(NOW)) == []
    assert revisions(store) == []


def test_a_revised_bar_is_kept_once_with_its_reason_and_what_was_traded_stays(venue, store):
    before = published(venue)
    revised = replace(before[-3], close=before[-3].high, volume=before[-3].volume + 1)
    change(venue, revised)
    (later,) = compare(venue, store, [SYMBOL], UNTIL, clock=ManualClock(NOW))
    assert (later.open_time, later.close, later.volume) == (revised.open_time, revised.close, revised.volume)
    assert compare(venue, store, [SYMBOL], UNTIL, clock=ManualClock(NOW)) == []
    (kept,) = revisions(store)
    assert (kept.bar.open_time, kept.bar.close, kept.known_at, kept.reason) == (
        revised.open_time, revised.close, NOW, DIFFERS
    )  # fmt: skip
    stored = bars_of(SYMBOL, store.range(SOURCE, SYMBOL, Timeframe.M1, UNTIL - 30 * MINUTE, end=UNTIL))
    assert [bar.close for bar in stored] == [bar.close for bar in before]


def test_a_bar_that_came_after_its_minute_was_traded_is_kept_and_not_added_to_history(venue, pool):
    store = BarStore(pool)
    for bar in published(venue)[:-2]:
        store.append(SOURCE, bar)
    late = compare(venue, store, [SYMBOL], UNTIL, clock=ManualClock(NOW))
    assert [bar.open_time for bar in late] == [UNTIL - 2 * MINUTE, UNTIL - MINUTE]
    assert [revision.reason for revision in revisions(store)] == [UNPUBLISHED] * 2
    assert len(store.range(SOURCE, SYMBOL, Timeframe.M1, UNTIL - COMPARED, end=UNTIL)) == COMPARED // MINUTE - 2


def test_a_venue_that_does_not_answer_is_compared_with_later(venue, store):
    change(venue, replace(published(venue)[-1], volume=7.0))
    venue.silent = True
    assert compare(venue, store, [SYMBOL], UNTIL, clock=ManualClock(NOW)) == []
    venue.silent = False
    assert [bar.open_time for bar in compare(venue, store, [SYMBOL], UNTIL, clock=ManualClock(NOW))] == [UNTIL - MINUTE]
