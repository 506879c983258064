"""Bars of a venue that came after their minute had gone on are kept, and change nothing that was traded."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.live import reports, venue_report
from mikrobot.live.published_bars import UNPUBLISHED
from mikrobot.market.combined.feed import CombinedFeed
from mikrobot.market.combined.merging import VenueStatus
from mikrobot.market.combined.source import CombinedSource
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import ManualClock
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.postgres.database import Pool

SOURCE, SYMBOL = "binance+simulated", "EURUSD"
UNTIL = datetime(2025, 1, 8, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOW = UNTIL + 5 * MINUTE


class LateFeed(CombinedFeed):
    """A feed with given late bars."""

    def __init__(self, late: Sequence[Bar]) -> None:
        clock = ManualClock(NOW)
        members = {"simulated": SimulatedSource([SYMBOL], 1, clock)}
        super().__init__(
            CombinedSource(SOURCE, members, {SYMBOL: "simulated"}), [SYMBOL], UNTIL, None, clock=clock
        )  # fmt: skip
        self._late = list(late)

    def take_late(self, most: int) -> list[Bar]:
        late, self._late = self._late[:most], self._late[most:]
        return late


@pytest.fixture
def published(bars: Any) -> list[Bar]:
    return bars_of(SYMBOL, bars(20, start=UNTIL - 20 * MINUTE).assign(spread=1e-5))


def test_a_late_bar_is_a_revision_known_from_when_it_came(database: Settings, pool: Pool, published: list[Bar]) -> None:
    store, late = BarStore(pool), published[-3:]
    for bar in published[:-3]:
        store.append(SOURCE, bar)
    feed = LateFeed(late)
    assert venue_report.keep(feed, store, SOURCE, NOW, home=database.home) == late
    assert venue_report.keep(feed, store, SOURCE, NOW + MINUTE, home=database.home) == []
    kept = store.versions.revisions(SOURCE, [SYMBOL], UNTIL - 20 * MINUTE, end=UNTIL)
    assert [(later.bar.open_time, later.known_at, later.reason) for later in kept] == [
        (bar.open_time, NOW, UNPUBLISHED) for bar in late
    ]
    assert len(store.range(SOURCE, SYMBOL, Timeframe.M1, UNTIL - 20 * MINUTE, end=UNTIL)) == 17


def test_a_feed_of_one_venue_has_no_late_bars_and_reports_no_venues(database: Settings, pool: Pool) -> None:
    assert venue_report.keep(iter(()), BarStore(pool), "simulated", NOW, home=database.home) == []
    assert not (database.home / "run" / reports.VENUES.name).exists()


def test_a_feed_reports_its_members_before_its_first_minute() -> None:
    assert LateFeed([]).status() == [VenueStatus("simulated", (SYMBOL,))]
