"""Explain one recorded decision: its inputs, checks and size, its order, and the outcome."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

from mikrobot.analytics.trades import closed_trades
from mikrobot.domain.check_results import Check
from mikrobot.domain.errors import StoreError
from mikrobot.domain.trading import ANSWERED_BY, Decision, Fill, OrderIntent, Prediction
from mikrobot.live import accounts
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows.decision_list import decision_json

if TYPE_CHECKING:
    from mikrobot.workflows.contributions import Contributions

SIZING = ("stop", "size", "notional", "costs", "daily_loss")
"""The checks whose texts have the arithmetic of stop, size, costs and risk."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with everything that is recorded about it.

    Attributes
    ----------
    run : Run
    decision : Decision
    predictions : tuple of Prediction
        With their inputs; known at the close of the decision.
    order : OrderIntent or None
    fills : tuple of Fill
        Of the order, in order of time.
    contributions : tuple of Contributions or None
        What each input added to the predictions; None if that was not asked for.
    """

    run: Run
    decision: Decision
    predictions: tuple[Prediction, ...]
    order: OrderIntent | None
    fills: tuple[Fill, ...]
    contributions: "tuple[Contributions, ...] | None" = None

    @property
    def answered_by(self) -> str:
        """The model that predicted, and its training symbols; empty if it is not recorded."""
        lines = [reason for reason in self.decision.reasons if reason.startswith(ANSWERED_BY)]
        return lines[0].removeprefix(ANSWERED_BY) if lines else ""

    @property
    def sizing(self) -> tuple[Check, ...]:
        """The checks with the arithmetic of the order."""
        return tuple(check for check in self.decision.checks if check.name in SIZING)

    @property
    def state(self) -> str:
        """The outcome: ``no order``, ``not filled``, ``open`` or ``closed``."""
        if self.order is None:
            return "no order"
        return ("not filled", "open", "closed")[min(len(self.fills), 2)]

    @property
    def profit(self) -> Decimal | None:
        """Profit of the closed position less both fees, dollars; None before it is closed."""
        trades = [] if self.order is None else closed_trades([self.order], self.fills)
        return trades[0].pnl if trades else None

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as plain JSON values; a missing number is null, money is text."""
        at = self.decision.close_time.isoformat()
        return {
            **decision_json(self.decision),
            "run": self.run.id,
            "inputs": {
                "known_at": at,
                "answered_by": self.answered_by,
                "predictions": [_prediction_json(prediction) for prediction in self.predictions],
            },
            "contributions": None if self.contributions is None else [one.to_json() for one in self.contributions],
            "checks": [check.to_json() for check in self.decision.checks],
            "sizing": [{"name": check.name, "text": check.text} for check in self.sizing],
            "order": None if self.order is None else _order_json(self.order),
            "outcome": {
                "state": self.state,
                "fills": [_fill_json(fill) for fill in self.fills],
                "profit": None if self.profit is None else str(self.profit),
            },
        }


def with_contributions(settings: Settings, clock: Clock, decision_id: str, say: Callable[[str], None]) -> Explanation:
    """Explain a recorded decision with what each input added to its predictions; start the registry if it is down.

    Raises
    ------
    FeatureMismatch, ModelError, ServiceError
        As `contributions`.
    StoreError, DataError
        As `explain`.
    """
    from mikrobot.store.model_registry import open_registry
    from mikrobot.workflows.contributions import contributions

    with local_stack.running(settings, clock, say, ("mlflow",)), database.open_pool(settings) as pool:
        explained = explain(pool, decision_id)
        return replace(explained, contributions=contributions(open_registry(settings), explained.predictions))


def explain(pool: Pool, decision_id: str) -> Explanation:
    """Explain a recorded decision.

    Raises
    ------
    StoreError
        If there is no decision with this id, or the ledger cannot be read.
    DataError
        If the run was traded before journals were kept.
    """
    ledger = Ledger(pool)
    entry = ledger.decision(decision_id)
    if entry is None:
        raise StoreError(f"there is no decision {decision_id!r}; `mikrobot decisions` lists the ids of a run")
    run_id, decision = entry
    run = Runs(pool).get(run_id)
    order = next((order for order in ledger.orders(run_id) if order.decision_id == decision.id), None)
    fills: Sequence[Fill] = [] if order is None else accounts.fills(ledger, run)
    return Explanation(
        run,
        decision,
        tuple(ledger.predictions_at(run_id, decision.symbol, decision.close_time)),
        order,
        tuple(fill for fill in fills if order is not None and fill.order_id == order.id),
    )


def _prediction_json(prediction: Prediction) -> dict[str, Any]:
    return {
        "side": prediction.side.value,
        "probability": _finite(prediction.probability),
        "model": prediction.model,
        "version": prediction.model_version,
        "feature_hash": prediction.feature_hash,
        "known_at": prediction.close_time.isoformat(),
        "features": {name: _finite(value) for name, value in prediction.features.items()},
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _order_json(order: OrderIntent) -> dict[str, Any]:
    return {
        "id": order.id,
        "side": order.side.value,
        "lots": str(order.lots),
        "entry": None if order.entry is None else str(order.entry),
        "stop": str(order.stop),
        "target": str(order.target),
        "submitted_at": order.submitted_at.isoformat(),
        "expires_at": order.expires_at.isoformat(),
    }


def _fill_json(fill: Fill) -> dict[str, Any]:
    return {
        "reason": fill.reason.value,
        "side": fill.side.value,
        "lots": str(fill.lots),
        "price": str(fill.price),
        "fee": str(fill.fee),
        "pnl": str(fill.pnl),
        "filled_at": fill.filled_at.isoformat(),
    }
