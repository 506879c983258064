"""The default span of a flow: the symbols and times of the latest run, segment by segment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mikrobot import settings as configuration
from mikrobot.domain.sources import is_live
from mikrobot.live import wiring
from mikrobot.live.session import recorded_run
from mikrobot.runtime import Clock, SystemClock
from mikrobot.store.postgres import database
from mikrobot.store.runs import Run, Runs, Segment


@dataclass(frozen=True, slots=True)
class DefaultSpan:
    """Symbols of one source over a span of time.

    Attributes
    ----------
    source : str
    symbols : tuple of str
    start, end : datetime
        UTC; the span of bars that open in [start, end).
    run : Run
        The run that the defaults come from.
    """

    source: str
    symbols: tuple[str, ...]
    start: datetime
    end: datetime
    run: Run


def default_spans(
    symbols: Sequence[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    clock: Clock | None = None,
    *,
    run_id: str | None = None,
) -> tuple[DefaultSpan, ...]:
    """Fill missing arguments from a run: one span for each of its segments, up to now on a live source.

    Parameters
    ----------
    symbols : sequence of str, optional
        Each symbol belongs to the segment that traded it; one that the run did not trade belongs to the last
        segment. Segments without any of these symbols have no span. Default: all symbols of the run.
    start, end : datetime, optional
        UTC; default: the history and the traded hours of each segment.
    clock : Clock, optional
    run_id : str, optional
        Default: the latest run that traded, or the latest if none has.

    Returns
    -------
    tuple of DefaultSpan
        In order of time.

    Raises
    ------
    UsageError
        If there has been no run.
    """
    settings = configuration.load()
    with database.open_pool(settings) as pool:
        run = recorded_run(Runs(pool), run_id)
    clock = clock or wiring.market_time(settings, run, SystemClock())
    now = clock.now().replace(second=0, microsecond=0)
    return tuple(
        DefaultSpan(
            source=run.source,
            symbols=chosen,
            start=start or segment.history_from,
            end=end or (now if is_live(run.source) else segment.trade_until),
            run=run,
        )
        for segment, chosen in _divided(run, symbols or run.symbols)
        if chosen
    )


def _divided(run: Run, symbols: Sequence[str]) -> list[tuple[Segment, tuple[str, ...]]]:
    *earlier, last = run.segments
    divided = [(segment, tuple(symbol for symbol in symbols if symbol in segment.symbols)) for segment in earlier]
    taken = {symbol for _, chosen in divided for symbol in chosen}
    return [*divided, (last, tuple(symbol for symbol in symbols if symbol not in taken))]
