"""Longer bars of a venue are compared with the stored minutes, and differences are kept with both values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from mikrobot.domain.errors import FeedError
from mikrobot.domain.market import BAR_COLUMNS, Timeframe, bars_of
from mikrobot.live.longer_bar_check import LongerBarCheck
from mikrobot.market.longer_bars import aggregated
from mikrobot.runtime import ManualClock
from mikrobot.store.bars import BarStore

SYMBOL, SOURCE = "BTCUSDT", "binance"
HOUR = datetime(2025, 1, 6, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Venue:
    """A venue whose longer bars are those that a frame of minutes makes up."""

    name, live = SOURCE, True

    def __init__(self, minutes):
        self.minutes, self.silent = minutes, False
        self.asked = []

    def longer(self, symbol, timeframe, start, end):
        self.asked.append((timeframe, start))
        if self.silent:
            raise FeedError("the venue is silent")
        inside = self.minutes[(self.minutes["open_time"] >= start) & (self.minutes["open_time"] < end)]
        rows = [[getattr(bar, name) for name in BAR_COLUMNS] for bar in aggregated(symbol, inside, timeframe)]
        return pd.DataFrame(rows, columns=list(BAR_COLUMNS))


@pytest.fixture
def minutes(bars):
    return bars(90, start=HOUR - 60 * MINUTE)


@pytest.fixture
def venue(minutes):
    return Venue(minutes.copy())


@pytest.fixture
def check(pool, venue, minutes):
    store = BarStore(pool)
    store.upsert(SOURCE, SYMBOL, Timeframe.M1, minutes)
    return LongerBarCheck.of(venue, store, ManualClock(HOUR + 3 * MINUTE))


def compared(check, close_time):
    check.clock.time = close_time + timedelta(seconds=2)
    return list(check.compare([SYMBOL], close_time))


def test_each_longer_bar_is_asked_for_once_a_minute_after_its_close(check, venue):
    for number in range(12):
        assert all(fields == () for _, fields in compared(check, HOUR + number * MINUTE))
    assert venue.asked == [
        (Timeframe.M5, HOUR - 5 * MINUTE),
        (Timeframe.H1, HOUR - 60 * MINUTE),
        (Timeframe.M5, HOUR),
        (Timeframe.M5, HOUR + 5 * MINUTE),
    ]


def test_a_difference_is_kept_with_both_values_and_changes_no_bar(check, venue, minutes):
    venue.minutes.loc[57, ["high", "volume"]] *= 1.01
    assert compared(check, HOUR + MINUTE) == [(SYMBOL, ("high", "volume")), (SYMBOL, ("high", "volume"))]
    kept = check.bars.disagreements.disagreements(SOURCE, [SYMBOL], HOUR - 60 * MINUTE, end=HOUR)
    assert list(kept["open_time"]) == [HOUR - 60 * MINUTE, HOUR - 5 * MINUTE]
    highest = minutes["high"].iloc[55:60].max()
    row = kept.iloc[1]
    assert (row["fields"], row["trades"]["high"]) == (["high", "volume"], highest)
    assert row["bar"]["high"] == venue.minutes["high"].iloc[55:60].max() > highest
    stored = check.bars.range(SOURCE, SYMBOL, Timeframe.M1, HOUR - 60 * MINUTE, end=HOUR + 60 * MINUTE)
    pd.testing.assert_frame_equal(stored, minutes)


def test_a_later_version_of_a_minute_counts_as_the_venue_has_it(check, venue, minutes):
    venue.minutes.loc[57, "high"] *= 1.01
    later = replace(bars_of(SYMBOL, minutes)[57], high=venue.minutes["high"].iloc[57])
    check.bars.versions.add(SOURCE, later, HOUR, "another one")
    assert compared(check, HOUR + MINUTE) == [(SYMBOL, ()), (SYMBOL, ())]


def test_a_venue_that_does_not_answer_and_a_minute_of_the_past_are_not_compared(check, venue):
    venue.silent = True
    assert compared(check, HOUR + MINUTE) == []
    venue.silent = False
    check.clock.time = HOUR + 10 * MINUTE
    assert list(check.compare([SYMBOL], HOUR + MINUTE)) == []


def test_a_source_without_longer_bars_is_not_compared(pool):
    assert (
        LongerBarCheck.of(object.__new__(type("Bare", (), {"live": True})), BarStore(pool), ManualClock(HOUR)) is None
    )
