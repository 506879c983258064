"""A trading session: which hours are traded, and which history lies before them.

A run trades one segment, or several where the symbols of a replay ended at different times:
the hours of a segment are later than everything its model was trained on, so symbols whose
last hours lie years apart cannot share one. Segments follow each other in time.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from mikrobot.domain.errors import UsageError
from mikrobot.market.feed import Source
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.store.runs import Run, Runs, Segment

MINIMUM_HISTORY = timedelta(days=2)

PRESENT = timedelta(minutes=2)
"""A bar that closed within this of the clock belongs to the present."""


def record_of(
    run_id: str, settings: Settings, source: Source, segments: Sequence[Segment], *, started_at: datetime
) -> Run:
    """Return the record of a run that is about to begin: its market, its segments and every setting."""
    return Run(
        id=run_id,
        source=source.name,
        simulated=source.simulated,
        symbols=tuple(symbol for segment in segments for symbol in segment.symbols),
        starts_at=segments[0].trade_from,
        ends_at=segments[-1].trade_until,
        started_at=started_at,
        settings={
            **settings.model_dump(mode="json", exclude={"database_url"}),
            "segments": [segment.to_json() for segment in segments],
        },
    )


def segments_so_far(runs: Runs, run: Run) -> tuple[Segment, ...]:
    """Return the segments of a run, the last one up to what has been traded if its market went on after it."""
    *earlier, last = run.segments
    until = max(last.trade_until, runs.reached(run.id, "worker") or last.trade_until)
    return (*earlier, replace(last, trade_until=until))


def traded_until(runs: Runs, run_id: str, segment: Segment) -> datetime:
    """Return up to which close the worker of a run has traded a segment."""
    return max(runs.reached(run_id, "worker") or segment.trade_from, segment.trade_from)


def recorded_run(runs: Runs, run_id: str | None = None) -> Run:
    """Return the run of that id, or the latest.

    Raises
    ------
    UsageError
        If there has been none.
    """
    if run_id is not None:
        return runs.get(run_id)
    run = runs.latest()
    if run is None:
        raise UsageError("there has been no session yet: `mikrobot run` first")
    return run


def streams(runs: Runs, source: str) -> bool:
    """Tell whether the latest run is of that source and its streamer has not come to the end of it."""
    run = runs.latest()
    if run is None or run.source != source:
        return False
    return not runs.finished(run.id, "streamer", run.segments[-1].number)


def plan(source: Source, symbols: Sequence[str], hours: int, history_days: int, *, clock: Clock) -> tuple[Segment, ...]:
    """Choose the hours to trade: the last ones that the source has.

    Parameters
    ----------
    source : Source
    symbols : sequence of str
        Those to trade; empty: all of the source.
    hours : int
        Hours of market to trade.
    history_days : int
        Days before them to learn from; fewer if the source has fewer.
    clock : Clock
        Tells where the past ends on a live source.

    Returns
    -------
    tuple of Segment
        In order of time.

    Raises
    ------
    UsageError
        If a symbol is not in the source, or its history is too short to learn from.
    """
    chosen = tuple(symbols) or source.symbols()
    if foreign := set(chosen) - set(source.symbols()):
        raise UsageError(f"the source has no {', '.join(sorted(foreign))}; it has {', '.join(source.symbols())}")
    spans = {symbol: source.span(symbol) for symbol in chosen}
    if source.live:
        now = clock.now().replace(second=0, microsecond=0)
        spans = {symbol: (first, now) for symbol, (first, _) in spans.items()}
    groups = enumerate(_overlapping(spans, hours))
    return tuple(_segment(number, group, spans, hours, history_days=history_days) for number, group in groups)


def _overlapping(spans: dict[str, tuple[datetime, datetime]], hours: int) -> list[list[str]]:
    """Group symbols whose last hours overlap, groups in order of time."""
    groups: list[list[str]] = []
    latest: datetime | None = None
    for symbol, (_, end) in sorted(spans.items(), key=lambda item: item[1][1]):
        if latest is None or end - timedelta(hours=hours) >= latest:
            groups.append([])
        groups[-1].append(symbol)
        latest = end
    return groups


def _segment(
    number: int, symbols: list[str], spans: dict[str, tuple[datetime, datetime]], hours: int, *, history_days: int
) -> Segment:
    until = max(spans[symbol][1] for symbol in symbols)
    trade_from = min(spans[symbol][1] for symbol in symbols) - timedelta(hours=hours)
    for symbol in symbols:
        first = spans[symbol][0]
        if trade_from - first < MINIMUM_HISTORY:
            raise UsageError(
                f"{symbol} has bars from {first:%Y-%m-%d %H:%M} only, trading starts at {trade_from:%Y-%m-%d %H:%M}, "
                f"and {MINIMUM_HISTORY.days} days before that are needed to learn from; give more data or fewer --hours"
            )
    return Segment(tuple(symbols), trade_from - timedelta(days=history_days), trade_from, until, number)
