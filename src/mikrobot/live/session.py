"""A trading session: the hours to trade, and the history before them.

A run trades one segment, or several if the symbols of a replay end at different times: the hours of a segment
are later than all training data of its model, so symbols whose last hours are years apart cannot share a
segment. Segments follow each other in time.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from mikrobot.domain.errors import UsageError
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.rates import require_rates
from mikrobot.domain.news import NewsCalendar
from mikrobot.market.feed import Source
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.store.runs import INSTRUMENTS, NEWS, Run, Runs, Segment

MINIMUM_HISTORY = timedelta(days=2)

LAST = "last"
"""Name of the latest run, in place of its id."""

PRESENT = timedelta(minutes=2)
"""Maximum age of a bar that belongs to the present."""


def record_of(
    run_id: str, settings: Settings, source: Source, segments: Sequence[Segment], *, started_at: datetime,
    news: NewsCalendar | None = None,
) -> Run:  # fmt: skip
    """Return the record of a new run: its market, its segments, its instruments, the news near it and every setting."""
    symbols = tuple(symbol for segment in segments for symbol in segment.symbols)
    return Run(
        id=run_id,
        source=source.name,
        simulated=source.simulated,
        symbols=symbols,
        starts_at=segments[0].trade_from,
        ends_at=segments[-1].trade_until,
        started_at=started_at,
        settings={
            **settings.model_dump(mode="json", exclude={"database_url"}),
            "segments": [segment.to_json() for segment in segments],
            INSTRUMENTS: registry.recordable(symbols),
            NEWS: None if news is None else _near(news, source, segments).to_json(),
        },
    )


def _near(news: NewsCalendar, source: Source, segments: Sequence[Segment]) -> NewsCalendar:
    """Return the part of a calendar that concerns the hours of a run; a live one trades on after them."""
    return news.between(segments[0].trade_from, None if source.live else segments[-1].trade_until)


def segments_so_far(runs: Runs, run: Run) -> tuple[Segment, ...]:
    """Return the segments of a run, the last one extended to the last traded close if that is later."""
    *earlier, last = run.segments
    until = max(last.trade_until, runs.reached(run.id, "worker") or last.trade_until)
    return (*earlier, replace(last, trade_until=until))


def traded_until(runs: Runs, run_id: str, segment: Segment) -> datetime:
    """Return the close up to which the worker of a run has traded a segment."""
    return max(runs.reached(run_id, "worker") or segment.trade_from, segment.trade_from)


def recorded_run(runs: Runs, run_id: str | None = None) -> Run:
    """Return the run with this id; None or ``last``: the latest run that traded, or the latest if none has.

    Its instruments become those of this process, unless it has adopted those of another run.

    Raises
    ------
    UsageError
        If there is no run.
    StoreError
        If there is no run with this id.
    """
    named = run_id is not None and run_id != LAST
    run = runs.get(str(run_id)) if named else runs.latest(traded=True) or runs.latest()
    if run is None:
        raise UsageError("there has been no session yet: `mikrobot run` first")
    if not registry.has_adopted():
        registry.adopt(run.instruments)
    return run


def streams(runs: Runs, source: str) -> bool:
    """Return True if the latest run is on this source and its streamer has not finished."""
    run = runs.latest()
    if run is None or run.source != source:
        return False
    return not runs.finished(run.id, "streamer", run.segments[-1].number)


def plan(
    source: Source, symbols: Sequence[str], hours: int, history_days: int, *, clock: Clock, coming: bool = False
) -> tuple[Segment, ...]:
    """Choose the hours to trade: the last hours of the source, or the coming ones.

    Parameters
    ----------
    source : Source
    symbols : sequence of str
        Symbols to trade; empty: all symbols of the source.
    hours : int
        Hours of market to trade.
    history_days : int
        Days before these hours to train on; fewer if the source has fewer.
    clock : Clock
        Gives the current time, at which the history of a live source ends.
    coming : bool
        Trade the hours of a live source that begin now, instead of those that end now.

    Returns
    -------
    tuple of Segment
        In order of time.

    Raises
    ------
    UsageError
        If a symbol is not in the source, its history is too short to train on, or no other symbol of the same hours
        converts its quote currency to dollars.
    """
    named = (registry.instrument(symbol).symbol if registry.is_known(symbol) else symbol for symbol in symbols)
    chosen = tuple(dict.fromkeys(named)) or source.symbols()
    if foreign := set(chosen) - set(source.symbols()):
        raise UsageError(f"the source has no {', '.join(sorted(foreign))}; it has {', '.join(source.symbols())}")
    now = clock.now().replace(second=0, microsecond=0)
    end = now + timedelta(hours=hours) if coming else now
    spans = {symbol: (source.first_open(symbol), end) if source.live else source.span(symbol) for symbol in chosen}
    groups = list(enumerate(_overlapping(spans, hours)))
    for _, group in groups:
        require_rates(group)
    return tuple(_segment(number, group, spans, hours, history_days=history_days) for number, group in groups)


def recorded_plan(source: Source, settings: Settings) -> tuple[Segment, ...]:
    """Return the hours of a recorded session that is replayed, with the history that it was trained on.

    Empty if the settings choose symbols or a length, the source is no recording that names its hours, or the recording
    lacks bars of these hours or of the days before.
    """
    from mikrobot.market.replay import ReplaySource

    hours = source.hours if isinstance(source, ReplaySource) else None
    if hours is None or settings.model_fields_set & {"symbols", "hours", "history_days"}:
        return ()
    symbols = source.symbols()
    require_rates(symbols)
    first = max(source.first_open(symbol) for symbol in symbols)
    until = max(source.span(symbol)[1] for symbol in symbols)
    if until <= hours.trade_from or first > hours.trade_from - MINIMUM_HISTORY:
        return ()
    return (Segment(symbols, hours.history_from, hours.trade_from, until),)


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
                f"and {MINIMUM_HISTORY.days} days before that are needed for training; give more data or fewer --hours"
            )
    return Segment(tuple(symbols), trade_from - timedelta(days=history_days), trade_from, until, number)
