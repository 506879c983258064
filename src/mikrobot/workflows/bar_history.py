"""The stored bars of a source: as they were known at a time, their gaps and later versions. Changes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from mikrobot.domain.errors import UsageError
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.domain.sources import SOURCES, is_source
from mikrobot.live.session import recorded_run
from mikrobot.market.sessions import is_open
from mikrobot.store.bar_versions import Revision
from mikrobot.store.bars import BarStore
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs

_MINUTE = timedelta(minutes=1)
_ALWAYS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Gap:
    """Minutes of an open market without a stored bar, one after the other.

    Attributes
    ----------
    symbol : str
    first, last : datetime
        Open times of the first and of the last of them, UTC.
    minutes : int
        Their number; minutes in which the market is closed do not count.
    repaired : int
        Those of them that have a later version by now.
    """

    symbol: str
    first: datetime
    last: datetime
    minutes: int
    repaired: int = 0


def gaps(pool: Pool, source: str | None, symbols: Sequence[str]) -> list[Gap]:
    """Return the gaps between the first and the last stored bar of each symbol.

    Parameters
    ----------
    pool : Pool
    source : str or None
        None: that of the latest run.
    symbols : sequence of str
        Empty: those of the latest run on the source.

    Raises
    ------
    UsageError
        If there is no such source, or no run on it that names symbols.
    """
    named, traded = _market(pool, source, symbols)
    store = BarStore(pool)
    return [
        gap
        for symbol in traded
        for gap in gaps_of(symbol, stored_minutes(store, named, symbol), later_minutes(store, named, symbol))
    ]


def stored_minutes(store: BarStore, source: str, symbol: str) -> pd.DatetimeIndex:
    """Return the open times of all stored M1 bars of a symbol, UTC, increasing."""
    return pd.DatetimeIndex(store.range(source, symbol, Timeframe.M1, _ALWAYS[0], end=_ALWAYS[1])["open_time"])


def later_minutes(store: BarStore, source: str, symbol: str) -> pd.DatetimeIndex:
    """Return the open times of the M1 bars of a symbol that have a later version, UTC."""
    later = store.versions.revisions(source, (symbol,), _ALWAYS[0], end=_ALWAYS[1])
    return pd.DatetimeIndex([revision.bar.open_time for revision in later], tz="UTC")


def revisions(pool: Pool, source: str | None, symbols: Sequence[str]) -> list[Revision]:
    """Return the later versions of bars in the order in which they became known; parameters and errors as `gaps`."""
    named, traded = _market(pool, source, symbols)
    return BarStore(pool).versions.revisions(named, traded, _ALWAYS[0], end=_ALWAYS[1])


@dataclass(frozen=True, slots=True)
class KnownBar:
    """A bar in the version that was known at a time.

    Attributes
    ----------
    bar : Bar
    origin : str
        Empty if the version that was traded is the venue's own; else what it was made from.
    """

    bar: Bar
    origin: str


def bars(
    pool: Pool, source: str | None, symbol: str, start: datetime, *, end: datetime, at: datetime
) -> list[KnownBar]:
    """Return the bars of a symbol that open in [start, end), each in the version that was known at a time.

    Raises
    ------
    UsageError
        As `gaps`.
    """
    named, _ = _market(pool, source, (symbol,))
    versions = BarStore(pool).versions
    origins = versions.origins(named, (symbol,), start, end=end)
    frame = versions.as_known(named, symbol, Timeframe.M1, start, end=end, at=at)
    return [KnownBar(bar, origins.get((symbol, bar.open_time), "")) for bar in bars_of(symbol, frame)]


def gaps_of(symbol: str, opened: "pd.Series | pd.DatetimeIndex", later: pd.DatetimeIndex | None = None) -> list[Gap]:
    """Return the gaps between bars by their open times, increasing.

    Parameters
    ----------
    symbol : str
    opened : Series or DatetimeIndex
        Open times of the stored bars, UTC.
    later : DatetimeIndex or None
        Open times of bars that have a later version.

    >>> times = pd.Series(pd.date_range("2025-01-06 10:00", periods=9, freq="min", tz="UTC")).drop([3, 4, 6])
    >>> [(gap.first.minute, gap.last.minute, gap.minutes) for gap in gaps_of("BTCUSDT", times)]
    [(3, 4, 2), (6, 6, 1)]
    """
    return [
        Gap(
            symbol,
            missing[0].to_pydatetime(),
            missing[-1].to_pydatetime(),
            len(missing),
            0 if later is None else int(missing.isin(later).sum()),
        )
        for missing in missing_minutes(symbol, pd.DatetimeIndex(opened))
    ]


def missing_minutes(symbol: str, opened: pd.DatetimeIndex) -> Iterator[pd.DatetimeIndex]:
    """Yield for each gap between bars the minutes of the open market that have none."""
    for place in np.flatnonzero(np.diff(opened.to_numpy()) > np.timedelta64(1, "m")).tolist():
        between = pd.date_range(opened[place] + _MINUTE, opened[place + 1] - _MINUTE, freq="min")
        missing = between[is_open(instrument(symbol).session, between)]
        if len(missing):
            yield missing


def latest_on(runs: Runs, source: str) -> Run | None:
    """Return the run on a source that began last; None without one."""
    return next((run for run in reversed(runs.all()) if run.source == source), None)


def _market(pool: Pool, source: str | None, symbols: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    if source is not None and not is_source(source):
        raise UsageError(f"there is no source {source!r}; the sources are {', '.join(SOURCES)}")
    runs = Runs(pool)
    run = recorded_run(runs) if source is None else latest_on(runs, source)
    if symbols:
        return source or (run.source if run else ""), tuple(symbols)
    if run is None:
        raise UsageError(f"no run has traded the source {source}: name its symbols with --symbols")
    return run.source, run.symbols
