"""Decide when trading of a symbol halts for its data, and when it resumes.

A pure function of recorded inputs: the quality scores of the closes, and the expectation suites that fail. A run that
is decided again halts at the same closes. Positions are not concerned: stops, targets and time exits go on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby, zip_longest

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.quality import HALT_BELOW, QualityScore
from mikrobot.domain.trading_states import Permission, TradingState

RESUME_FROM = 0.97
"""Score of a good close."""

RESUME_AFTER = 3
"""Good closes in a row after which trading resumes, at the last of them."""

BY_QUALITY = "data quality"
"""Who decides a halt for a low score or a silent feed."""

BY_GATE = "quality gate of "
"""Beginning of the name of who decides a halt for a failed expectation suite; the suite follows."""


def by_data(state: TradingState) -> bool:
    """Return whether the quality of the data decided a state."""
    return state.by == BY_QUALITY or state.by.startswith(BY_GATE)


@dataclass(slots=True)
class Halts:
    """The symbols whose trading is halted.

    Attributes
    ----------
    applying : dict of (str, str) to TradingState
        By symbol and by who has decided it.
    good : dict of str to int
        Good closes in a row of a symbol, since its halt.
    """

    applying: dict[tuple[str, str], TradingState] = field(default_factory=dict)
    good: dict[str, int] = field(default_factory=dict)

    def judge(
        self, close_time: datetime, scores: Iterable[QualityScore], failing: Iterable[TradingState]
    ) -> list[TradingState]:
        """Take in one close, and return the states that begin or end at it.

        Parameters
        ----------
        close_time : datetime
            Later than that of the call before.
        scores : iterable of QualityScore
            Of this close.
        failing : iterable of TradingState
            The failed expectation suites that apply to symbols now.
        """
        changes = [change for score in scores for change in self._by_score(score)]
        return changes + self._by_gate(close_time, failing)

    def silence(self, symbol: str, at: datetime, reason: str) -> TradingState | None:
        """Halt a symbol whose feed is silent; return the state that begins, or None if the symbol is halted already."""
        if (symbol, BY_QUALITY) in self.applying:
            return None
        return self._begin(symbol, BY_QUALITY, reason, at)

    def objection(self, symbol: str) -> str:
        """Return why no position may be opened in a symbol after the last close; an empty text if one may."""
        own = [state for (halted, _), state in self.applying.items() if halted == symbol]
        return "; ".join(f"halted since {state.since:%Y-%m-%d %H:%M} UTC: {state.reason}" for state in own)

    def _by_score(self, score: QualityScore) -> Iterator[TradingState]:
        key = (score.symbol, BY_QUALITY)
        self.good[score.symbol] = self.good.get(score.symbol, 0) + 1 if score.score >= RESUME_FROM else 0
        if score.score < HALT_BELOW and key not in self.applying:
            yield self._begin(score.symbol, BY_QUALITY, str(score), score.close_time)
        elif key in self.applying and self.good[score.symbol] >= RESUME_AFTER:
            yield replace(self.applying.pop(key), until=score.close_time)

    def _by_gate(self, close_time: datetime, failing: Iterable[TradingState]) -> list[TradingState]:
        now = {(state.symbol, state.by): state for state in failing if state.symbol is not None}
        passed = [key for key in self.applying if key[1] != BY_QUALITY and key not in now]
        changes = [replace(self.applying.pop(key), until=close_time) for key in passed]
        new = [(symbol, by, state.reason) for (symbol, by), state in now.items() if (symbol, by) not in self.applying]
        return changes + [self._begin(symbol, by, reason, close_time) for symbol, by, reason in new]

    def _begin(self, symbol: str, by: str, reason: str, at: datetime) -> TradingState:
        state = TradingState(Permission.HALTED, by, reason, at, symbol=symbol)
        self.applying[symbol, by] = state
        if by == BY_QUALITY:
            self.good[symbol] = 0
        return state


def restored(states: Iterable[TradingState], newest: Iterable[QualityScore]) -> Halts:
    """Return the halts as they were after a close.

    Parameters
    ----------
    states : iterable of TradingState
        Those of the run.
    newest : iterable of QualityScore
        At least the last `RESUME_AFTER` scores of each halted symbol up to that close, in order of time.
    """
    halts = Halts({(state.symbol, state.by): state for state in states if state.symbol and state.until is None})
    for score in newest:
        halt = halts.applying.get((score.symbol, BY_QUALITY))
        if halt is not None and score.close_time > halt.since:
            halts.good[score.symbol] = halts.good.get(score.symbol, 0) + 1 if score.score >= RESUME_FROM else 0
    return halts


def halted_closes(
    scores: Sequence[QualityScore], recorded: Sequence[TradingState] = ()
) -> dict[tuple[str, datetime], str]:
    """Return the closes at which no position is opened, with the reason.

    Parameters
    ----------
    scores : sequence of QualityScore
        In order of time.
    recorded : sequence of TradingState
        States of the run; those of expectation suites are inputs, since no score shows them.
    """
    halts, halted = Halts(), dict[tuple[str, datetime], str]()
    suites = [state for state in recorded if state.by.startswith(BY_GATE)]
    for close_time, group in groupby(scores, key=lambda score: score.close_time):
        minute = list(group)
        halts.judge(close_time, minute, [state for state in suites if state.applies(close_time)])
        for score in minute:
            if reason := halts.objection(score.symbol):
                halted[score.symbol, close_time] = reason
    return halted


def halts_of(symbol: str, closes: pd.DatetimeIndex, halted: NDArray[np.bool_]) -> list[TradingState]:
    """Return the halts of one symbol from the rows that `halted_rows` has marked, in order of time.

    Parameters
    ----------
    symbol : str
    closes : DatetimeIndex, shape (n,)
        In order of time, UTC.
    halted : ndarray of bool, shape (n,)
    """
    edges = np.flatnonzero(np.diff(halted.astype(np.int8), prepend=0))
    times = [at.to_pydatetime() for at in closes[edges]]
    spans = zip_longest(times[::2], times[1::2])
    return [TradingState(Permission.HALTED, BY_QUALITY, "low score", since, until, symbol) for since, until in spans]


def halted_rows(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return for each close of one symbol whether its score or an earlier one halts it, as `Halts` decides.

    Parameters
    ----------
    scores : ndarray of float64, shape (n,)
        In order of time.

    >>> halted_rows(np.array([1.0, 0.5, 0.97, 1.0, 1.0])).tolist()
    [False, True, True, True, False]
    """
    halted = np.zeros(len(scores), dtype=bool)
    low = np.flatnonzero(scores < HALT_BELOW)
    place = 0
    while len(later := low[np.searchsorted(low, place) :]):
        place, good = int(later[0]), 0
        while place < len(scores) and good < RESUME_AFTER:
            good = good + 1 if scores[place] >= RESUME_FROM else 0
            halted[place] = good < RESUME_AFTER
            place += 1
    return halted
