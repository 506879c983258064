"""What a flow works on when it is not told: the market of the latest run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mikrobot import settings as configuration
from mikrobot.app.session import LIVE_SOURCES, recorded_run, segments_of
from mikrobot.runtime import Clock, SystemClock
from mikrobot.store import database
from mikrobot.store.runs import Run, Runs


@dataclass(frozen=True, slots=True)
class Scope:
    """Symbols of one source over a span of time.

    Attributes
    ----------
    source : str
    symbols : tuple of str
    start, end : datetime
        UTC; bars that open in [start, end).
    run : Run
        The run it was taken from.
    """

    source: str
    symbols: tuple[str, ...]
    start: datetime
    end: datetime
    run: Run


def scope(
    symbols: Sequence[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    clock: Clock | None = None,
) -> Scope:
    """Complete what was given from the latest run: its last segment, up to now on a live source.

    Raises
    ------
    UsageError
        If there has been no run.
    """
    clock = clock or SystemClock()
    with database.open_pool(configuration.load()) as pool:
        run = recorded_run(Runs(pool))
    segment = segments_of(run)[-1]
    now = clock.now().replace(second=0, microsecond=0)
    return Scope(
        source=run.source,
        symbols=tuple(symbols or segment.symbols),
        start=start or segment.history_from,
        end=end or (now if run.source in LIVE_SOURCES else segment.trade_until),
        run=run,
    )
