"""The decisions of a recorded run, each with its terminal reason, the skipped closes, and their numbers by reason."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mikrobot.domain.errors import UsageError
from mikrobot.domain.trading import Decision
from mikrobot.live.session import recorded_run
from mikrobot.store.ledger import Ledger, Skip
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs


@dataclass(frozen=True, slots=True)
class Wanted:
    """The decisions to list; None chooses all.

    Attributes
    ----------
    symbol : str or None
    start, end : datetime or None
        First and last close, UTC.
    strategy : str or None
        Name of the strategy.
    """

    symbol: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    strategy: str | None = None

    def chooses(self, symbol: str, close_time: datetime) -> bool:
        """Return whether a close is chosen."""
        starts = self.start is None or self.start <= close_time
        return starts and (self.end is None or close_time <= self.end) and self.symbol in (None, symbol)


SKIPPED = "skipped"
"""Terminal reason of each strategy at a close without a decision."""


@dataclass(frozen=True, slots=True)
class DecisionList:
    """The chosen closes of a run: its decisions, and the closes that were skipped, in order of time.

    Attributes
    ----------
    run : Run
    decisions : tuple of Decision
    skips : tuple of Skip
    strategies : int
        Number of strategies that decide at each close.
    """

    run: Run
    decisions: tuple[Decision, ...]
    skips: tuple[Skip, ...]
    strategies: int

    @property
    def closes(self) -> int:
        """Number of bar closes, over all symbols."""
        decided = {(decision.symbol, decision.close_time) for decision in self.decisions}
        return len(decided | {(skip.symbol, skip.close_time) for skip in self.skips})

    @property
    def terminal_reasons(self) -> dict[str, int]:
        """The number of terminal reasons, one for each close and strategy, the most frequent first."""
        skipped = {SKIPPED: len(self.skips) * self.strategies} if self.skips else {}
        counts = terminal_reasons(self.decisions) | skipped
        return dict(sorted(counts.items(), key=lambda pair: -pair[1]))

    @property
    def skip_reasons(self) -> dict[str, int]:
        """The number of skipped closes by their reason, the most frequent first."""
        return dict(Counter(skip.reason for skip in self.skips).most_common())

    def to_json(self) -> dict[str, Any]:
        """Return the list as plain JSON values."""
        return {
            "run": self.run.id,
            "closes": self.closes,
            "strategies": self.strategies,
            "count": len(self.decisions),
            "terminal_reasons": self.terminal_reasons,
            "skipped": self.skip_reasons,
            "decisions": [decision_json(decision) for decision in self.decisions],
        }


def terminal_reasons(decisions: Iterable[Decision]) -> dict[str, int]:
    """Return the number of decisions by terminal reason, the most frequent first; the counts add up to all of them."""
    return dict(Counter(decision.terminal_reason for decision in decisions).most_common())


def decision_json(decision: Decision) -> dict[str, Any]:
    """Return a decision as plain JSON values; `refusal` is the check that stopped it, null if it is approved."""
    refusal = decision.refusal
    return {
        "id": decision.id,
        "symbol": decision.symbol,
        "close_time": decision.close_time.isoformat(),
        "strategy": decision.strategy,
        "approved": decision.approved,
        "side": None if decision.side is None else decision.side.value,
        "terminal_reason": decision.terminal_reason,
        "refusal": None if refusal is None else refusal.to_json(),
    }


def listed(pool: Pool, run_id: str | None, wanted: Wanted) -> DecisionList:
    """List decisions of a recorded run.

    Parameters
    ----------
    run_id : str or None
        An id; None or ``last``: the latest run that traded.

    Raises
    ------
    UsageError
        If there is no run, or it has no such symbol, strategy or time.
    StoreError
        If there is no run with this id, or the ledger cannot be read.
    """
    run, ledger = recorded_run(Runs(pool), run_id), Ledger(pool)
    require_symbol(run, wanted.symbol)
    _require_time(run, Runs(pool).reached(run.id, "worker") or run.ends_at, wanted)
    decisions = ledger.chosen(
        run.id, symbol=wanted.symbol, start=wanted.start, end=wanted.end, strategy=wanted.strategy
    )
    if wanted.strategy is not None and not decisions:
        require_strategy(run, ledger.chosen(run.id), wanted.strategy)
    skips = tuple(skip for skip in ledger.skips(run.id) if wanted.chooses(skip.symbol, skip.close_time))
    strategies = 1 if wanted.strategy else len(run.settings.get("strategies", ("simple_break",)))
    return DecisionList(run, tuple(decisions), skips, strategies)


def require_symbol(run: Run, symbol: str | None) -> None:
    """Raise `UsageError` if a run has no such symbol."""
    if symbol is not None and symbol not in run.symbols:
        raise UsageError(f"run {run.id} does not trade {symbol}; it trades {', '.join(run.symbols)}")


def require_strategy(run: Run, decisions: Iterable[Decision], strategy: str) -> None:
    """Raise `UsageError` if no decision is of a strategy."""
    names = sorted({decision.strategy.partition("@")[0] for decision in decisions})
    if strategy not in names:
        raise UsageError(
            f"run {run.id} has no decision of {strategy!r}; its strategies are {', '.join(names) or 'none'}"
        )


def _require_time(run: Run, reached: datetime, wanted: Wanted) -> None:
    last = max(reached, run.ends_at)
    if (wanted.end and wanted.end < run.starts_at) or (wanted.start and wanted.start > last):
        raise UsageError(
            f"run {run.id} trades from {run.starts_at:%Y-%m-%dT%H:%M} to {last:%Y-%m-%dT%H:%M} UTC; "
            "choose other times, or another --run"
        )
