"""The worker's watch over the data of its symbols: reads scores and failed suites, keeps the halts, sees silent feeds.

What it decides at a close is committed with the minute; a silent feed has no minute, so its halt is recorded at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

import pandas as pd

from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import Bar
from mikrobot.domain.quality import QualityScore
from mikrobot.domain.sources import is_live
from mikrobot.domain.trading_states import TradingState
from mikrobot.live import reports
from mikrobot.live.halts import RESUME_AFTER, Halts, by_data, restored
from mikrobot.live.operator_states import OperatorStates
from mikrobot.live.reports import MarketData, SymbolData
from mikrobot.market.sessions import is_open
from mikrobot.runtime import Clock
from mikrobot.store.postgres.database import Pool
from mikrobot.store.quality import QualityScores
from mikrobot.store.runs import Run, Segment
from mikrobot.store.trading_states import TradingStates
from mikrobot.telemetry import logger

log = logger("worker")

SILENCE = timedelta(minutes=3)
"""Longest time without a bar on an open market before its feed counts as silent."""

_MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class HaltWatch:
    """Keeps the halts of one segment of a run.

    Attributes
    ----------
    halts : Halts
    newest : dict of str to QualityScore
        The newest score of each symbol.
    changes : list of TradingState
        Those that are not committed yet.
    operators : OperatorStates
        The states that operators have set.
    """

    run: Run
    segment: Segment
    scores: QualityScores
    states: TradingStates
    clock: Clock
    halts: Halts = field(default_factory=Halts)
    newest: dict[str, QualityScore] = field(default_factory=dict)
    changes: list[TradingState] = field(default_factory=list)
    operators: OperatorStates = field(init=False)
    _heard: dict[str, datetime] = field(default_factory=dict)
    _looked: datetime | None = None

    def __post_init__(self) -> None:
        self.operators = OperatorStates(self.states, self.clock)

    @classmethod
    def begun(cls, pool: Pool, run: Run, segment: Segment, clock: Clock, *, reached: datetime) -> "HaltWatch":
        """Return the watch as it was after the last close that the run has committed."""
        watch = cls(run, segment, QualityScores(pool), TradingStates(pool), clock)
        watch.restore(reached)
        return watch

    def restore(self, reached: datetime) -> None:
        """Take up the halts that the run has recorded, as they were after a close."""
        recorded = filter(by_data, self.states.of_run(self.run.id))
        states = [state for state in recorded if state.symbol in self.segment.symbols]
        halted = {state.symbol for state in states if state.symbol is not None and state.until is None}
        newest = [
            score
            for symbol in sorted(halted)
            for score in self.scores.last(self.run.source, symbol, RESUME_AFTER, reached)
        ]
        self.halts, self.changes = restored(states, newest), []
        self._heard = dict.fromkeys(self.segment.symbols, self.clock.now())

    def judge(self, after: datetime, until: datetime) -> None:
        """Take in the closes in (after, until], in order of time."""
        scores, failing, version = self.scores.with_states(self.run.source, self.segment.symbols, after, until)
        self.operators.expect(version)
        own = [state for state in failing if state.symbol in self.segment.symbols]
        by_close = {at: list(group) for at, group in groupby(scores, key=lambda score: score.close_time)}
        for close_time in sorted({*by_close, until}):
            minute = by_close.get(close_time, [])
            for change in self.halts.judge(close_time, minute, own):
                self._note(change)
            self.newest |= {score.symbol: score for score in minute}

    def objection(self, symbol: str) -> str:
        """Return why no position may be opened in a symbol after the last close; an empty text if one may."""
        return self.halts.objection(symbol)

    @property
    def begun_or_applying(self) -> list[TradingState]:
        """The halts that apply after the last close, and those that have begun and ended since the last commit."""
        applying = [state for state in self.halts.applying.values() if state not in self.changes]
        return sorted([*self.changes, *applying], key=lambda state: state.since)

    def hear(self, bars: Sequence[Bar]) -> None:
        """Note the newest bars of the symbols, against which a silent feed is measured."""
        for bar in bars:
            self._heard[bar.symbol] = max(bar.close_time, self._heard.get(bar.symbol, bar.close_time))

    def settle(self, reached: datetime, *, written: bool) -> None:
        """Forget the changes, which the ledger now has; if it had this close already, take up what it has."""
        self.changes = []
        if not written:
            self.restore(reached)

    def report(self, home: Path) -> None:
        """Write the newest scores and the halts for the metrics."""
        symbols = {
            symbol: SymbolData(score.score, bool(self.objection(symbol)), score.close_time.timestamp())
            for symbol, score in self.newest.items()
        }
        reports.DATA.write(MarketData(self.run.source, symbols), home)

    def look_for_silence(self, reached: datetime) -> None:
        """Halt each symbol of a live market in the present whose last bar, or the start of this watch, is long ago."""
        now = self.clock.now()
        early = self._looked is not None and now - self._looked < _MINUTE
        if early or not is_live(self.run.source) or reached < self.segment.trade_until:
            return
        self._looked = now
        silent = [symbol for symbol, heard in self._heard.items() if now - heard > SILENCE + _MINUTE]
        begun = []
        for symbol in silent:
            minutes = _open_minutes(symbol, self._heard[symbol], now)
            reason = f"the feed is silent: no bar for {minutes} minutes on an open market"
            if minutes > SILENCE // _MINUTE and (state := self.halts.silence(symbol, now, reason)) is not None:
                begun.append(state)
        if begun:
            self.states.record(begun, run_id=self.run.id)
            for state in begun:
                log.warning("halted", symbol=state.symbol, reason=state.reason)

    def _note(self, change: TradingState) -> None:
        self.changes.append(change)
        if change.until is None:
            log.warning("halted", symbol=change.symbol, close_time=change.since, by=change.by, reason=change.reason)
        else:
            log.info("resumed", symbol=change.symbol, close_time=change.until, by=change.by, since=change.since)


def _open_minutes(symbol: str, start: datetime, end: datetime) -> int:
    """Return the minutes from `start` on that have ended by `end` and in which the market was open."""
    first = start.replace(second=0, microsecond=0)
    minutes = pd.date_range(first, end - _MINUTE, freq="min")
    return int(is_open(instrument(symbol).session, minutes).sum())
