"""`mikrobot history repair`: read the missing minutes of stored bars from their venue, and store what it has.

From the history of the first run on, whose features and labels include every bar, a minute gets a later version, known
from now on: what was computed without its bar stays as it was. An earlier minute becomes ordinary history. Everything
is read before anything is stored. Changes no stored bar.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import groupby

import pandas as pd

from mikrobot.domain.errors import FeedError, UsageError
from mikrobot.domain.instruments import registry
from mikrobot.domain.market import BAR_COLUMNS, Bar, Timeframe, bars_of
from mikrobot.domain.sources import SOURCES, at_address, is_source, members_of
from mikrobot.features.kernel.bars import GOOD, fault, refusal
from mikrobot.live import wiring
from mikrobot.live.session import recorded_run
from mikrobot.market.feed import Source, fetch
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows.bar_history import later_minutes, latest_on, missing_minutes, stored_minutes
from mikrobot.workflows.routing import recorded_routes

REPAIRED = "read by history repair, after its minute was traded without it"
"""Reason of a later version of a bar."""

_MINUTE = timedelta(minutes=1)
_REQUEST = timedelta(hours=8)
"""Longest span of one request; gaps that are closer together are read by one."""


class Outcome(Enum):
    """Result for a minute that had no bar; the value is its name in tables and JSON."""

    HISTORY = "stored as history"
    VERSION = "stored as a later version"
    ABSENT = "the venue has none"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Minutes of one gap with the same result, one after the other.

    Attributes
    ----------
    symbol : str
    first, last : datetime
        Open times, UTC.
    minutes : int
    outcome : Outcome
    """

    symbol: str
    first: datetime
    last: datetime
    minutes: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Repair:
    """Result of a repair.

    Attributes
    ----------
    source : str
    dry_run : bool
        Nothing was stored.
    missing : int
        Minutes of the open market that had no bar in any version.
    history, versions : int
        Those that are stored now, or would be: as history, and as later versions.
    absent, refused : int
        Those that the venue does not have either, and those whose bars are invalid, which are in quarantine.
    left : int
        The sum of the two: minutes that still have no bar.
    stretches : tuple of Stretch
        By symbol, then in order of time.
    """

    source: str
    dry_run: bool
    missing: int
    history: int
    versions: int
    absent: int
    refused: int
    left: int
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The bars to look at.

    Attributes
    ----------
    source : str or None
        None: that of the latest run.
    symbols : tuple of str
        Empty: those of the latest run on the source.
    start, end : datetime or None
        Only minutes that open in [start, end), UTC.
    """

    source: str | None = None
    symbols: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """What the venue has for the gaps of one symbol.

    Attributes
    ----------
    symbol : str
    gaps : tuple of DatetimeIndex
        Missing minutes of each gap.
    bars : mapping of Outcome to list of Bar
        The bars to store, in order of time.
    refused : list of (Bar, str)
        Invalid bars with the reason.
    outcomes : mapping of datetime to Outcome
        By open time; a minute that is not in it is absent.
    """

    symbol: str
    gaps: tuple[pd.DatetimeIndex, ...]
    bars: Mapping[Outcome, list[Bar]]
    refused: list[tuple[Bar, str]]
    outcomes: dict[datetime, Outcome]

    def outcome(self, opened: datetime) -> Outcome:
        """Return the result for a minute."""
        return self.outcomes.get(opened, Outcome.ABSENT)


def repair(settings: Settings, pool: Pool, wanted: Wanted, clock: Clock, *, dry_run: bool) -> Repair:
    """Fill the gaps between the first and the last stored bar of each symbol with what the venue has.

    Parameters
    ----------
    settings : Settings
    pool : Pool
    wanted : Wanted
    clock : Clock
    dry_run : bool
        Read everything and store nothing.

    Raises
    ------
    UsageError
        If there is no such source, no run on it, no stored bar of a symbol, or the settings name another venue.
    FeedError
        If the venue does not respond; nothing is stored then.
    UnknownSymbol
        If the venue does not list a symbol; nothing is stored then.
    """
    runs, store = Runs(pool), BarStore(pool)
    run = _run_of(runs, wanted.source)
    market = wiring.market_of(settings, run)
    _require_same_venue(market)
    symbols = wanted.symbols or run.symbols
    gaps = {symbol: _gaps(store, run.source, symbol, wanted) for symbol in symbols}
    clock = wiring.market_time(settings, run, clock)
    read = []
    if any(gaps.values()):
        chosen = tuple(dict.fromkeys((*run.symbols, *symbols)))
        routes = market.routes | recorded_routes(run.source, runs)  # of symbols of earlier runs too
        source = wiring.open_source(market.model_copy(update={"symbols": chosen, "routes": routes}), clock)
        read = [
            _read(source, symbol, missing, _first_read(runs, run.source, symbol)) for symbol, missing in gaps.items()
        ]
    if not dry_run:
        for one in read:
            _store(settings, store, run.source, one, known_at=clock.now())
    return _summary(run.source, read, dry_run=dry_run)


def _run_of(runs: Runs, source: str | None) -> Run:
    if source is not None and not is_source(source):
        raise UsageError(f"there is no source {source!r}; the sources are {', '.join(SOURCES)}")
    run = recorded_run(runs) if source is None else latest_on(runs, source)
    if run is None:
        raise UsageError(f"no run has traded the source {source}, so its venue is not known: name another --source")
    if not registry.has_adopted():
        registry.adopt(run.instruments)
    return run


def _require_same_venue(market: Settings) -> None:
    """Refuse to fill the bars of one venue with those of another that the settings name by now."""
    for source in members_of(str(market.source)):
        setting = SOURCES[source].address
        if setting is None:
            continue
        address = str(getattr(market, setting))
        actual = at_address(source.removesuffix("-local"), address)
        if actual != source:
            raise UsageError(
                f"the run traded {source}, and {address} has the bars of {actual}: set MIKROBOT_{setting.upper()} to "
                f"the venue of {source}"
            )


def _gaps(store: BarStore, source: str, symbol: str, wanted: Wanted) -> tuple[pd.DatetimeIndex, ...]:
    """Return the minutes without any version of a bar, gap by gap."""
    opened = stored_minutes(store, source, symbol)
    if opened.empty:
        raise UsageError(f"no bar of {symbol} is stored for the source {source}: correct --symbols or --source")
    later = later_minutes(store, source, symbol)
    gaps = (_within(missing[~missing.isin(later)], wanted) for missing in missing_minutes(symbol, opened))
    return tuple(missing for missing in gaps if len(missing))


def _within(minutes: pd.DatetimeIndex, wanted: Wanted) -> pd.DatetimeIndex:
    if wanted.start is not None:
        minutes = minutes[minutes >= pd.Timestamp(wanted.start)]
    return minutes if wanted.end is None else minutes[minutes < pd.Timestamp(wanted.end)]


def _first_read(runs: Runs, source: str, symbol: str) -> datetime | None:
    """Return the beginning of the history of the first run on a symbol, UTC; None without a run."""
    starts = [
        segment.history_from
        for run in runs.all()
        if run.source == source
        for segment in run.segments
        if symbol in segment.symbols
    ]
    return min(starts, default=None)


def _read(source: Source, symbol: str, gaps: tuple[pd.DatetimeIndex, ...], first_read: datetime | None) -> _Read:
    """Read the bars of the missing minutes of one symbol from its venue."""
    missing = {minute for gap in gaps for minute in gap.to_pydatetime().tolist()}
    read = _Read(symbol, gaps, {Outcome.HISTORY: [], Outcome.VERSION: []}, [], {})
    for start, end in _requests(sorted(missing)):
        for bar in bars_of(symbol, _fetched(source, symbol, start, end)):
            if bar.open_time not in missing:
                continue
            if reason := _fault_of(bar):
                read.refused.append((bar, reason))
                read.outcomes[bar.open_time] = Outcome.REFUSED
                continue
            was_read = first_read is not None and bar.open_time >= first_read
            outcome = Outcome.VERSION if was_read else Outcome.HISTORY
            read.bars[outcome].append(bar)
            read.outcomes[bar.open_time] = outcome
    return read


def _requests(minutes: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """Return spans that cover minutes, increasing, each of at most `_REQUEST`."""
    spans: list[tuple[datetime, datetime]] = []
    for minute in minutes:
        if spans and minute < spans[-1][0] + _REQUEST:
            spans[-1] = (spans[-1][0], minute + _MINUTE)
        else:
            spans.append((minute, minute + _MINUTE))
    return spans


def _fetched(source: Source, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
    try:
        return fetch(source, symbol, start, end)
    except FeedError as error:
        raise FeedError(f"{error}; nothing was stored, repair again when it answers") from error


def _fault_of(bar: Bar) -> str:
    """Return why a bar is invalid, by the rules of live bars; empty if it is valid."""
    values = {name: getattr(bar, name) for name in BAR_COLUMNS[1:]}
    code = fault(0, int(bar.open_time.timestamp()), *values.values())
    return "" if code == GOOD else str(refusal(bar.symbol, code, bar.open_time, values, 0))


def _store(settings: Settings, store: BarStore, source: str, read: _Read, *, known_at: datetime) -> None:
    with database.exclusive(settings, f"bars of {read.symbol}"):
        store.upsert(source, read.symbol, Timeframe.M1, _frame(read.bars[Outcome.HISTORY]))
        store.versions.add_all(source, read.bars[Outcome.VERSION], known_at, REPAIRED)
        for bar, reason in read.refused:
            store.quarantine_bar(source, bar, reason)


def _frame(bars: Sequence[Bar]) -> pd.DataFrame:
    frame = pd.DataFrame([[getattr(bar, name) for name in BAR_COLUMNS] for bar in bars], columns=list(BAR_COLUMNS))
    return frame.astype({"open_time": "datetime64[us, UTC]"})


def _summary(source: str, read: Sequence[_Read], *, dry_run: bool) -> Repair:
    stretches = [
        Stretch(one.symbol, minutes[0], minutes[-1], len(minutes), outcome)
        for one in read
        for gap in one.gaps
        for outcome, group in groupby(gap.to_pydatetime().tolist(), one.outcome)
        for minutes in [list(group)]
    ]
    counts = {outcome: sum(one.minutes for one in stretches if one.outcome is outcome) for outcome in Outcome}
    return Repair(
        source,
        dry_run,
        missing=sum(counts.values()),
        history=counts[Outcome.HISTORY],
        versions=counts[Outcome.VERSION],
        absent=counts[Outcome.ABSENT],
        refused=counts[Outcome.REFUSED],
        left=counts[Outcome.ABSENT] + counts[Outcome.REFUSED],
        stretches=tuple(stretches),
    )
