"""The funding of a run: the streamer records it with the minute that is charged, the worker and a backtest read it.

An arm is charged by the funding of the run that it follows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from mikrobot import telemetry
from mikrobot.domain.funding import NO_FUNDING, FundingByClose, FundingRate
from mikrobot.domain.sources import is_source, kind_of
from mikrobot.live.recording import Recording
from mikrobot.market.bar_files import MARK
from mikrobot.market.feed import Source
from mikrobot.market.funding_feed import FundingFeed, HasFunding
from mikrobot.store.funding_rates import FundingRates
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import FOLLOWS, JOINED, Run

log = telemetry.logger("streamer")

_A_DAY = timedelta(days=1)
"""Funding that a venue could not answer for is asked for again after a restart, if it is no older."""


@dataclass(slots=True)
class FundingRecord:
    """The funding that the streamer of a run records.

    Attributes
    ----------
    run_id : str
    source : HasFunding
    symbols : sequence of str
    rates : FundingRates
    recording : Recording or None
    joined : mapping of str to datetime
        When symbols were added to the run, UTC; earlier funding of theirs is not charged.
    """

    run_id: str
    source: HasFunding
    symbols: Sequence[str]
    rates: FundingRates
    recording: Recording | None = None
    joined: Mapping[str, datetime] = field(default_factory=dict)
    _feed: FundingFeed | None = None
    _recorded: set[tuple[str, datetime]] = field(default_factory=set)

    @classmethod
    def of(
        cls, run: Run, source: Source, symbols: Sequence[str], pool: Pool, *, recording: Recording | None
    ) -> "FundingRecord | None":
        """Return the record of a run; None on a source without funding."""
        if not isinstance(source, HasFunding):
            return None
        joined = {symbol: datetime.fromisoformat(at) for symbol, at in run.settings.get(JOINED, {}).items()}
        return cls(run.id, source, symbols, FundingRates(pool), recording, joined)

    def resume(self, since: datetime, trade_from: datetime) -> None:
        """Begin at the open time of the next bar; `trade_from` is that of the first one of the run.

        What the venue had not published, or not answered, before a restart is charged with the first minute that has
        it.
        """
        begin = max(since.replace(minute=0, second=0, microsecond=0) - _A_DAY, trade_from)
        earlier = self.rates.between(self.run_id, begin, since + _A_DAY)
        self._recorded = {(rate.symbol, rate.at) for rates in earlier.values() for rate in rates}
        for close_time, rates in earlier.items():
            if self.recording is not None:  # a kill may have lost the newest of it
                self.recording.funded(close_time, rates)
        self._feed = self.source.funding_feed(self.symbols, begin)

    def stores(self, close_time: datetime) -> list[Callable[[], object]]:
        """Return the calls that store the funding to charge before the bars of a minute: one, or none."""
        charged = [] if self._feed is None else self._feed.charged(close_time)
        rates = [
            rate for rate in charged
            if (rate.symbol, rate.at) not in self._recorded and rate.at >= self.joined.get(rate.symbol, rate.at)
        ]  # fmt: skip
        if not rates:
            return []
        shown: Mapping[str, str] = {rate.symbol: f"{rate.rate:f}" for rate in rates}
        log.info("funding", close_time=close_time, rates=shown)
        if self.recording is not None:
            self.recording.funded(close_time, rates)
        return [partial(self.rates.add, self.run_id, close_time, rates)]


@dataclass(frozen=True, slots=True)
class RunFunding:
    """The funding by which a run is charged.

    Attributes
    ----------
    run_id : str
        The run that has recorded it.
    rates : FundingRates or None
        None on a source without funding.
    """

    run_id: str
    rates: FundingRates | None

    @classmethod
    def of(cls, run: Run, pool: Pool) -> "RunFunding":
        """Return the funding of a run, or of the run that it follows."""
        return cls(str(run.settings.get(FOLLOWS, run.id)), FundingRates(pool) if _may_have(run) else None)

    def between(self, after: datetime, until: datetime) -> FundingByClose:
        """Return what is charged before the bars that close in (after, until]."""
        return NO_FUNDING if self.rates is None else self.rates.between(self.run_id, after, until)


def later_than(funding: FundingByClose, reached: datetime) -> dict[datetime, Sequence[FundingRate]]:
    """Return the funding of the closes after a time."""
    return {close_time: rates for close_time, rates in funding.items() if close_time > reached}


def _may_have(run: Run) -> bool:
    """Return whether a run may be charged: on a market with funding, or in a replay of a recording."""
    if is_source(run.source) and kind_of(run.source).funding:
        return True
    return any((Path(path) / MARK).is_file() for path in run.settings.get("data") or ())
