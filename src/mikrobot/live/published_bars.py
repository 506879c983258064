"""Compares the bars that were published with those that the venue's REST API has later.

A bar that arrived on a stream may differ from what the venue settles on. What was traded on is not changed: the other
version becomes a revision with its reason, known from now on.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from mikrobot.domain.errors import FeedError
from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.market.feed import Source
from mikrobot.runtime import Clock
from mikrobot.store.bars import BarStore
from mikrobot.telemetry import logger

log = logger("streamer")

EVERY_MINUTES = 5
"""Minutes between two comparisons."""

COMPARED = timedelta(minutes=10)
"""Bars that are compared each time: twice as many as are new, since some are revised minutes later."""

DIFFERS = "another bar of the same time is stored already, and history is not changed"
"""Reason of a later version of a bar, and in the quarantine for the row that includes it."""

UNPUBLISHED = "the venue had this bar only after its minute was traded without it"
"""Reason of a bar that came too late."""


def compare(source: Source, bars: BarStore, symbols: Sequence[str], until: datetime, *, clock: Clock) -> list[Bar]:
    """Store the bars of the last minutes that the venue now has otherwise as revisions, each once.

    Parameters
    ----------
    source : Source
    bars : BarStore
    symbols : sequence of str
    until : datetime
        Close of the last bar that was published, UTC.
    clock : Clock
        Gives the time from which a revision is known.

    Returns
    -------
    list of Bar
        Those that differ; a venue that does not answer is logged, and compared with again later.
    """
    revised: list[Bar] = []
    start = until - COMPARED
    for symbol in symbols:
        try:
            fresh = bars_of(symbol, source.history(symbol, start, until))
        except FeedError as error:
            log.warning("bars_not_compared", symbol=symbol, reason=str(error))
            continue
        stored = bars_of(symbol, bars.range(source.name, symbol, Timeframe.M1, start, end=until))
        published = {bar.open_time: bar for bar in stored}
        for bar in fresh:
            before = published.get(bar.open_time)
            if before is None or _values(before) != _values(bar):
                reason = UNPUBLISHED if before is None else DIFFERS
                if bars.versions.add(source.name, bar, max(clock.now(), bar.close_time), reason):
                    log.warning("bar_revised", symbol=symbol, close_time=bar.close_time, reason=reason)
                    revised.append(bar)
    return revised


def _values(bar: Bar) -> tuple[float | None, ...]:
    """Return the values of a bar, None where one is unknown."""
    values = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.spread, bar.trades, bar.taker_volume)
    return tuple(None if math.isnan(value) else value for value in values)
