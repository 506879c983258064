"""Answer why a recorded run did not trade a symbol at a close, and which single change would have traded it.

The change is found by deciding the close again, with the account and the memory that the strategy had. Stores nothing.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mikrobot.decision.nearest_change import Change
from mikrobot.domain.errors import UsageError
from mikrobot.domain.trading import Decision
from mikrobot.live import wiring
from mikrobot.live.second_opinion import Opinion, Reached, SecondOpinion
from mikrobot.live.session import recorded_run
from mikrobot.live.strategies import opened
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows import reconcile
from mikrobot.workflows.decision_list import decision_json, require_strategy, require_symbol


@dataclass(frozen=True, slots=True)
class Answer:
    """Why one strategy did not trade.

    Attributes
    ----------
    decision : Decision
        The recorded one.
    reproduced : bool or None
        True if the close is decided today as it was recorded; the changes are then those of the recorded decision.
        None if it is not decided again, since it is later than the hours of the run.
    changes : tuple of Change
        Single changes that would have approved it, the relatively smallest first; empty if none would have.
    """

    decision: Decision
    reproduced: bool | None
    changes: tuple[Change, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain JSON values; `change` is the nearest one, or null."""
        changes = [_json(change) for change in self.changes]
        return {
            "decision": decision_json(self.decision),
            "reproduced": self.reproduced,
            "change": changes[0] if changes else None,
            "changes": changes,
        }


@dataclass(frozen=True, slots=True)
class WhyNot:
    """The answers of the strategies of a run for one symbol at one close."""

    run: str
    symbol: str
    close_time: datetime
    answers: tuple[Answer, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the answers as plain JSON values."""
        return {
            "run": self.run,
            "symbol": self.symbol,
            "time": self.close_time.isoformat(),
            "answers": [answer.to_json() for answer in self.answers],
        }


def why_not(
    settings: Settings, clock: Clock, run_id: str | None, say: Callable[[str], None],
    *, symbol: str, close_time: datetime, strategy: str | None,
) -> WhyNot:  # fmt: skip
    """Answer why a run did not trade; start the services that are needed and down, and stop them again.

    Parameters
    ----------
    run_id : str or None
        A run id; None or ``last``: the latest run that traded.
    symbol : str
    close_time : datetime
        Of an M1 bar, UTC.
    strategy : str or None
        Name of a strategy of the run; None: every one.

    Raises
    ------
    UsageError
        If there is no run, it has no such symbol or strategy, or it decided nothing at that close.
    ModelError, ServiceError, StoreError
        If a model, the registry or the stores cannot be used.
    """
    with local_stack.running(settings, clock, say, ("mlflow",)), database.open_pool(settings) as pool:
        run, ledger = recorded_run(Runs(pool), run_id), Ledger(pool)
        require_symbol(run, symbol)
        decisions = ledger.chosen(run.id, symbol=symbol, start=close_time, end=close_time)
        if not decisions:
            raise UsageError(_nothing(run, ledger, symbol, close_time))
        if strategy is not None:
            require_strategy(run, decisions, strategy)
            decisions = [decision for decision in decisions if decision.strategy.partition("@")[0] == strategy]
        opinions: dict[str, Opinion] = {}
        again = close_time <= run.ends_at
        if not again:
            say(f"only the hours of run {run.id} are decided again, up to {run.ends_at:%Y-%m-%d %H:%M} UTC")
        elif not all(decision.approved for decision in decisions):
            say(f"deciding run {run.id} again up to {close_time:%Y-%m-%d %H:%M}")
            opinions = _opinions(settings, pool, run, SecondOpinion(symbol, close_time))
    answers = []
    for decision in decisions:
        opinion = opinions.get(decision.strategy.partition("@")[0])
        reproduced = decision.approved or (opinion is not None and opinion.decision.reasons == decision.reasons)
        answers.append(Answer(decision, reproduced if again else None, () if opinion is None else opinion.changes))
    return WhyNot(run.id, symbol, close_time, tuple(answers))


def _opinions(settings: Settings, pool: Pool, run: Run, second: SecondOpinion) -> dict[str, Opinion]:
    """Trade a run again up to the close of a second opinion; return the opinions by strategy."""
    recorded, rules = reconcile.record_of(Ledger(pool), run), wiring.rules_of(settings, run)
    with opened(rules) as strategies, suppress(Reached):
        reconcile.traded_again(
            pool, run, rules, recorded.predictions, strategies=second.watched(strategies), begin=second.begin
        )
    return second.opinions


def _nothing(run: Run, ledger: Ledger, symbol: str, close_time: datetime) -> str:
    """Return why there is no decision at a close."""
    for skip in ledger.skips(run.id):
        if (skip.symbol, skip.close_time) == (symbol, close_time):
            return f"run {run.id} skipped {symbol} at {close_time:%Y-%m-%dT%H:%M}: {skip.reason}"
    closes = [decision.close_time for decision in ledger.chosen(run.id, symbol=symbol)]
    if not closes:
        return f"run {run.id} has no decision about {symbol}"
    nearest = min(closes, key=lambda close: (abs(close - close_time), close))
    return (
        f"run {run.id} decided nothing about {symbol} at {close_time:%Y-%m-%dT%H:%M:%S} UTC; it decided from "
        f"{closes[0]:%Y-%m-%dT%H:%M} to {closes[-1]:%Y-%m-%dT%H:%M}, next to it at {nearest:%Y-%m-%dT%H:%M}"
    )


def _json(change: Change) -> dict[str, Any]:
    return {"kind": change.kind, "name": change.name, "value": change.value, "needed": change.needed}
