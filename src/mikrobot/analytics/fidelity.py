"""How faithful a backtest is: its orders and fills beside those of the paper run of the same span, one by one.

Zero differences is the target; every difference is told with the first thing that it follows from. Does
not trade or read anything.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from mikrobot.domain.trading import Decision, Fill, FillReason, OrderIntent, Prediction

Close = tuple[str, datetime]
"""A symbol and the close at which it was, or was not, decided on."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What one of the two did.

    Attributes
    ----------
    orders, fills, decisions, predictions : sequence
        Of the whole span; times of decisions and predictions are closes, UTC.
    skips : mapping of (symbol, close) to str
        Closes that were not decided on, and why.
    """

    orders: Sequence[OrderIntent]
    fills: Sequence[Fill]
    decisions: Sequence[Decision]
    predictions: Sequence[Prediction]
    skips: Mapping[Close, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """An order that the two did not trade alike.

    Attributes
    ----------
    order : str
        Its id, ``<symbol>/<close>/<side>``.
    what : str
        What differs, as ``exit price: 1.09850, backtest 1.09860``.
    cause : str
    """

    order: str
    what: str
    cause: str


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The comparison.

    Attributes
    ----------
    orders, fills, decisions : (int, int)
        Numbers of the run and of the backtest.
    pnl : (Decimal, Decimal)
        Net of fees, of all fills.
    alike : int
        Orders that both sent, with the same terms and the same fills.
    decisions_alike : int
        Closes at which both decided the same for the same reasons, to the letter.
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
            "differences": [{"order": each.order, "what": each.what, "cause": each.cause} for each in self.differences],
        }


@dataclass(frozen=True, slots=True)
class _Known:
    """An account by what its records are looked up by."""

    orders: dict[str, OrderIntent]
    fills: dict[str, list[Fill]]
    decisions: dict[Close, Decision]
    predictions: dict[Close, list[Prediction]]
    skips: Mapping[Close, str]


def compare(run: RunRecord, again: RunRecord) -> Fidelity:
    """Compare a paper run with its backtest.

    Parameters
    ----------
    run, again : RunRecord
    """
    one, other = _known(run), _known(again)
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
        decisions=(len(one.decisions), len(other.decisions)),
        pnl=(_pnl(one), _pnl(other)),
        alike=len(sent) - len(differences),
        decisions_alike=sum(
            close in other.decisions and _same_decision(made, other.decisions[close])
            for close, made in one.decisions.items()
        ),
        differences=tuple(differences),
    )


def _known(account: RunRecord) -> _Known:
    fills: dict[str, list[Fill]] = {}
    for fill in account.fills:
        fills.setdefault(fill.order_id, []).append(fill)
    predictions: dict[Close, list[Prediction]] = {}
    for made in account.predictions:
        predictions.setdefault((made.symbol, made.close_time), []).append(made)
    return _Known(
        {order.id: order for order in account.orders},
        fills,
        {(each.symbol, each.close_time): each for each in account.decisions},
        predictions,
        account.skips,
    )


def _difference(order_id: str, one: _Known, other: _Known) -> str:
    """Return what differs about an order, the first thing of it; empty where nothing does."""
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
        if found := _first(here, there, name, ("id",)):
            return found
    return "" if len(ours) == len(theirs) else f"fills: {len(ours)}, backtest {len(theirs)}"


def _first(here: OrderIntent | Fill, there: OrderIntent | Fill, prefix: str, aside: tuple[str, ...]) -> str:
    for field, value, other in zip(fields(here), astuple(here), astuple(there), strict=True):
        if field.name not in aside and value != other:
            return f"{prefix}{field.name.replace('_', ' ')}: {_shown(value)}, backtest {_shown(other)}"
    return ""


def _cause(close: Close, one: _Known, other: _Known, earlier: str) -> str:
    """Return the first thing that differs on the way to an order."""
    if close in one.skips:
        return f"the run skipped the minute: {one.skips[close]}"
    if close in other.skips:
        return f"the backtest skipped the minute: {other.skips[close]}"
    if (close in one.decisions) != (close in other.decisions):
        who = "the run" if close not in one.decisions else "the backtest"
        return f"{who} did not decide at this close, which had no bar there"
    said = _prediction_difference(one.predictions.get(close, []), other.predictions.get(close, []))
    if said:
        return said
    made, remade = one.decisions.get(close), other.decisions.get(close)
    if made is not None and remade is not None and not _same_decision(made, remade):
        pairs = zip((*made.reasons, ""), (*remade.reasons, ""), strict=False)
        here, there = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
        return f"decided on {here!r}, backtest on {there!r}" + (f", since {earlier} differs" if earlier else "")
    return "the same decision was filled otherwise: its bars have changed since, or the simulator has"


def _prediction_difference(ours: list[Prediction], theirs: list[Prediction]) -> str:
    again = {made.side: made for made in theirs}
    for made in ours:
        other = again.get(made.side)
        if other is None:
            return f"the model answered about a {made.side.value} in the run only"
        if made.probability != other.probability:
            names = [name for name, value in made.features.items() if not _same(value, other.features.get(name))]
            inputs = f", as {', '.join(names[:3])} differ" if names else ", on the same inputs"
            versions = "" if made.model_version == other.model_version else f" (version {other.model_version})"
            return f"the model said {made.probability:.6f}, backtest {other.probability:.6f}{versions}{inputs}"
    return ""


def _same(value: float, other: float | None) -> bool:
    return other is not None and (value == other or (math.isnan(value) and math.isnan(other)))


def _same_decision(made: Decision, other: Decision) -> bool:
    return (made.approved, made.side, made.reasons) == (other.approved, other.side, other.reasons)


def _count(known: _Known) -> int:
    return sum(map(len, known.fills.values()))


def _pnl(known: _Known) -> Decimal:
    return sum((fill.pnl - fill.fee for fills in known.fills.values() for fill in fills), Decimal(0))


def _shown(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(getattr(value, "value", value))
