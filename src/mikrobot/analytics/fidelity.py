"""Comparison of a backtest with the paper run of the same span, order by order and fill by fill.

The target is zero differences; every difference is reported with its first cause. Does not trade or read
anything.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from mikrobot.domain.trading import Decision, Fill, FillReason, OrderIntent, Prediction

Close = tuple[str, datetime]
"""A symbol and the time of a bar close."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The records of a paper run or of a backtest.

    Attributes
    ----------
    orders, fills, decisions, predictions : sequence
        Of the whole span; decisions and predictions have bar close times, UTC.
    skips : mapping of (symbol, close) to str
        Closes without a decision, with the reason.
    """

    orders: Sequence[OrderIntent]
    fills: Sequence[Fill]
    decisions: Sequence[Decision]
    predictions: Sequence[Prediction]
    skips: Mapping[Close, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """An order that the run and the backtest traded differently.

    Attributes
    ----------
    order : str
        Order id, ``<symbol>/<close>/<side>``.
    what : str
        The difference, such as ``exit price: 1.09850, backtest 1.09860``.
    cause : str
        The first cause of the difference.
    """

    order: str
    what: str
    cause: str


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The result of a comparison.

    Attributes
    ----------
    orders, fills, decisions : (int, int)
        Count in the run and in the backtest.
    pnl : (Decimal, Decimal)
        Sum over all fills, net of fees, of the run and of the backtest.
    alike : int
        Orders that both sent with identical terms and identical fills.
    decisions_alike : int
        Decisions that are the same in both, with identical reasons.
    differences : tuple of Difference
        In order of time.
    """

    orders: tuple[int, int]
    fills: tuple[int, int]
    decisions: tuple[int, int]
    pnl: tuple[Decimal, Decimal]
    alike: int
    decisions_alike: int
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain JSON values."""
        return {
            **{
                name: dict(zip(("run", "backtest"), getattr(self, name), strict=True))
                for name in ("orders", "fills", "decisions")
            },
            "pnl": dict(zip(("run", "backtest"), map(str, self.pnl), strict=True)),
            "orders_alike": self.alike,
            "decisions_alike": self.decisions_alike,
            "differences": [
                {"order": difference.order, "what": difference.what, "cause": difference.cause}
                for difference in self.differences
            ],
        }


@dataclass(frozen=True, slots=True)
class _Index:
    """The records of an account, indexed by order and by close; the decisions of a close by strategy."""

    orders: dict[str, OrderIntent]
    fills: dict[str, list[Fill]]
    decisions: dict[Close, dict[str, Decision]]
    predictions: dict[Close, list[Prediction]]
    skips: Mapping[Close, str]


def compare(run: RunRecord, again: RunRecord) -> Fidelity:
    """Compare a paper run with its backtest.

    Parameters
    ----------
    run, again : RunRecord
    """
    one, other = _indexed(run), _indexed(again)
    sent = {**other.orders, **one.orders}
    differences: list[Difference] = []
    for order in sorted(sent.values(), key=lambda order: (order.submitted_at, order.id)):
        what = _difference(order.id, one, other)
        if what:
            earlier = differences[0].order if differences else ""
            cause = _cause((order.symbol, order.submitted_at), one, other, earlier)
            differences.append(Difference(order.id, what, cause))
    return Fidelity(
        orders=(len(one.orders), len(other.orders)),
        fills=(_count(one), _count(other)),
        decisions=(len(run.decisions), len(again.decisions)),
        pnl=(_pnl(one), _pnl(other)),
        alike=len(sent) - len(differences),
        decisions_alike=sum(
            _same_decision(decision, other.decisions.get(close, {}).get(strategy))
            for close, decisions in one.decisions.items()
            for strategy, decision in decisions.items()
        ),
        differences=tuple(differences),
    )


def _indexed(account: RunRecord) -> _Index:
    fills: dict[str, list[Fill]] = {}
    for fill in account.fills:
        fills.setdefault(fill.order_id, []).append(fill)
    predictions: dict[Close, list[Prediction]] = {}
    for prediction in account.predictions:
        predictions.setdefault((prediction.symbol, prediction.close_time), []).append(prediction)
    decisions: dict[Close, dict[str, Decision]] = {}
    for decision in account.decisions:
        of_close = decisions.setdefault((decision.symbol, decision.close_time), {})
        of_close[decision.strategy.partition("@")[0]] = decision
    return _Index(
        {order.id: order for order in account.orders},
        fills,
        decisions,
        predictions,
        account.skips,
    )


def _difference(order_id: str, one: _Index, other: _Index) -> str:
    """Return the first difference of an order between the two; empty if there is none."""
    if order_id not in other.orders:
        return "the run sent it, the backtest did not"
    if order_id not in one.orders:
        return "the backtest sent it, the run did not"
    terms = _first(one.orders[order_id], other.orders[order_id], "", ("decision_id",))
    if terms:
        return terms
    ours, theirs = one.fills.get(order_id, []), other.fills.get(order_id, [])
    for here, there in zip(ours, theirs, strict=False):
        name = "entry " if here.reason is FillReason.ENTRY else "exit "
        if difference := _first(here, there, name, ("id",)):
            return difference
    return "" if len(ours) == len(theirs) else f"fills: {len(ours)}, backtest {len(theirs)}"


def _first(here: OrderIntent | Fill, there: OrderIntent | Fill, prefix: str, ignored: tuple[str, ...]) -> str:
    for field, value, other in zip(fields(here), astuple(here), astuple(there), strict=True):
        if field.name not in ignored and value != other:
            return f"{prefix}{field.name.replace('_', ' ')}: {_shown(value)}, backtest {_shown(other)}"
    return ""


def _cause(close: Close, one: _Index, other: _Index, earlier: str) -> str:
    """Return the first difference in the steps that lead to an order."""
    if close in one.skips:
        return f"the run skipped the minute: {one.skips[close]}"
    if close in other.skips:
        return f"the backtest skipped the minute: {other.skips[close]}"
    if (close in one.decisions) != (close in other.decisions):
        which = "the run" if close not in one.decisions else "the backtest"
        return f"{which} had no bar at this close, so it made no decision"
    prediction_difference = _prediction_difference(one.predictions.get(close, []), other.predictions.get(close, []))
    if prediction_difference:
        return prediction_difference
    for strategy, ours in one.decisions.get(close, {}).items():
        theirs = other.decisions[close].get(strategy)
        if theirs is not None and not _same_decision(ours, theirs):
            return _decision_difference(ours, theirs, earlier)
    return "the same decision was filled differently: the bars, order books or simulator have changed since the run"


def _decision_difference(ours: Decision, theirs: Decision, earlier: str) -> str:
    pairs = zip((*ours.reasons, ""), (*theirs.reasons, ""), strict=False)
    here, there = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
    because = f", because {earlier} differs" if earlier else ""
    if ours.strategy != theirs.strategy:
        because = f", because the strategy has changed from {ours.strategy} to {theirs.strategy} since the run"
    return f"decided on {here!r}, backtest on {there!r}{because}"


def _prediction_difference(ours: list[Prediction], theirs: list[Prediction]) -> str:
    by_side = {prediction.side: prediction for prediction in theirs}
    for prediction in ours:
        other = by_side.get(prediction.side)
        if other is None:
            return f"only the run has a prediction for a {prediction.side.value}"
        if prediction.probability != other.probability:
            names = [name for name, value in prediction.features.items() if not _same(value, other.features.get(name))]
            inputs = f", because {', '.join(names[:3])} differ" if names else ", on the same inputs"
            versions = "" if prediction.model_version == other.model_version else f" (version {other.model_version})"
            return (
                f"the model predicted {prediction.probability:.6f}, backtest {other.probability:.6f}{versions}{inputs}"
            )
    return ""


def _same(value: float, other: float | None) -> bool:
    return other is not None and (value == other or (math.isnan(value) and math.isnan(other)))


def _same_decision(decision: Decision, other: Decision | None) -> bool:
    return other is not None and (decision.approved, decision.side, decision.reasons) == (
        other.approved,
        other.side,
        other.reasons,
    )


def _count(account: _Index) -> int:
    return sum(map(len, account.fills.values()))


def _pnl(account: _Index) -> Decimal:
    return sum((fill.pnl - fill.fee for fills in account.fills.values() for fill in fills), Decimal(0))


def _shown(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(getattr(value, "value", value))
