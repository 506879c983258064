"""The members of a combined source: their states, as the streamer reports them, and their bars that came too late."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from mikrobot.domain.market import Bar
from mikrobot.live import reports
from mikrobot.live.bar_truth import known_at
from mikrobot.live.published_bars import UNPUBLISHED
from mikrobot.market.combined.feed import CombinedFeed
from mikrobot.market.combined.merging import Minute
from mikrobot.store.bars import BarStore
from mikrobot.telemetry import logger

log = logger("streamer")

AT_ONCE = 500
"""Late bars that are stored after one minute, so that a venue that comes back after hours delays no other."""


def keep(feed: Iterable[Minute], bars: BarStore, source: str, now: datetime, *, home: Path) -> list[Bar]:
    """Report the members of a feed, and store their late bars as revisions; return those.

    A bar whose minute went on without it is never traded, so that a replay has the bars that were traded.
    """
    if not isinstance(feed, CombinedFeed):
        return []
    late = feed.take_late(AT_ONCE)
    for bar in late:
        bars.versions.add(source, bar, known_at(bar.close_time, now), UNPUBLISHED)
    if late:
        log.warning("bars_late", bars=len(late), symbols=sorted({bar.symbol for bar in late}))
    reports.VENUES.write(tuple(feed.status()), home)
    return late
