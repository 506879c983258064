"""Backfill: fetch the bars of a symbol that the store does not have yet.

A source that is not live is read completely each time, because its files may have changed.

The stored bars cover one span without gaps caused by the backfill. The span grows at its ends only,
chunk by chunk, so an interruption leaves no gap. Gaps inside it, such as a venue's outage, are not
filled.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from mikrobot.domain.errors import GateError
from mikrobot.domain.market import Timeframe, close_times
from mikrobot.market.feed import Source, chunks, fetch
from mikrobot.telemetry import logger

if TYPE_CHECKING:
    from mikrobot.store.bars import BarStore

log = logger("market")

CHUNK = timedelta(days=30)
"""Period that is fetched, checked and stored at once. A check takes little longer for a month than for a
day."""


class Checked(Protocol):
    """Result of a quality gate; see `expectations.quality_gate.Checked`."""

    @property
    def good(self) -> pd.DataFrame:
        """Rows that pass."""

    @property
    def bad(self) -> pd.DataFrame:
        """Rows that fail."""

    @property
    def reasons(self) -> pd.Series:
        """Broken expectations of each bad row."""

    @property
    def passed(self) -> bool:
        """True if the good rows may be used."""


Check = Callable[[pd.DataFrame], Checked]


@dataclass(frozen=True, slots=True)
class Backfill:
    """Result of a backfill.

    Attributes
    ----------
    symbol : str
    fetched : int
        Bars returned by the source.
    stored, quarantined : int
        Bars of these that are new or changed in the store, or in its quarantine.
    first, last : datetime or None
        Open time of the first bar fetched and close time of the last; None if there was none.
    """

    symbol: str
    fetched: int = 0
    stored: int = 0
    quarantined: int = 0
    first: datetime | None = None
    last: datetime | None = None


def backfill(
    source: Source, store: "BarStore", symbol: str, start: datetime, *, end: datetime, check: Check
) -> Backfill:
    """Fetch, check and store the M1 bars of a symbol that the store does not have.

    Parameters
    ----------
    source : Source
    store : BarStore
    symbol : str
    start, end : datetime
        Bars opening in [start, end), as far as the source has them. Bars between the stored span
        and this span are fetched too, so that no gap arises.
    check : callable
        The quality gate, for a bar frame of at most `CHUNK`.

    Returns
    -------
    Backfill

    Raises
    ------
    GateError
        If the gate fails for a chunk. The chunk is not stored; earlier chunks are.
    FeedError, BarError, UnknownSymbol
        As `Source.history`.
    """
    first, last = source.span(symbol)
    held = store.span(source.name, symbol, Timeframe.M1) if source.live else None
    progress = Backfill(symbol)
    for since, until in _missing(max(start, first), min(end, last), held):
        bars = fetch(source, symbol, since, until)
        if len(bars):
            progress = _with(progress, bars, *_admit(source.name, store, symbol, bars, check=check))
    log.info(
        "backfilled", source=source.name, symbol=symbol, fetched=progress.fetched, quarantined=progress.quarantined
    )
    return progress


def _missing(
    start: datetime, end: datetime, held: tuple[datetime, datetime] | None
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the chunks to fetch, each adjacent to the bars stored by then."""
    if held is None:
        yield from chunks(start, end, CHUNK)
    else:
        yield from reversed(list(chunks(start, held[0], CHUNK)))
        yield from chunks(held[1], end, CHUNK)


def _admit(source: str, store: "BarStore", symbol: str, bars: pd.DataFrame, *, check: Check) -> tuple[int, int]:
    """Check and store a chunk; return how many bars were stored and quarantined."""
    checked = check(bars)
    if not checked.passed:
        first, last = bars["open_time"].iloc[0], bars["open_time"].iloc[-1]
        reason = f" (first: {checked.reasons.iloc[0]})" if len(checked.reasons) else ""
        raise GateError(
            f"{symbol}: bars from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC failed the quality gate: "
            f"{len(checked.bad)} of {len(bars)} are bad{reason}; none of them was stored; correct the {source} data"
        )
    quarantined = store.quarantine(source, symbol, "bars", checked.bad, reasons=checked.reasons.tolist())
    return store.upsert(source, symbol, Timeframe.M1, checked.good), quarantined


def _with(progress: Backfill, bars: pd.DataFrame, stored: int, quarantined: int) -> Backfill:
    first, last = bars["open_time"].iloc[0].to_pydatetime(), close_times(bars).iloc[-1].to_pydatetime()
    return replace(
        progress,
        fetched=progress.fetched + len(bars),
        stored=progress.stored + stored,
        quarantined=progress.quarantined + quarantined,
        first=first if progress.first is None else min(progress.first, first),
        last=last if progress.last is None else max(progress.last, last),
    )
