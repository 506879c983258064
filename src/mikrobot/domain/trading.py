"""Predictions, decisions, orders, fills and trades: the frozen records that the ledger keeps.

Predictions are float64; orders and everything after them are Decimal. Decides and executes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from itertools import zip_longest

from mikrobot.domain.check_results import Check, Comparison, parsed
from mikrobot.domain.errors import DataError

BASELINE = "baseline"
"""Model name of a prediction made by the calibrated diffusion baseline."""


APPROVED = "approved"
"""Terminal reason of a decision that no check refused."""

ANSWERED_BY = "answered by "
"""Prefix of the decision reason that names the model of the prediction."""


def answered_by(model: str, version: str, trained_on: Sequence[str]) -> str:
    """Describe the model of a prediction and its training symbols.

    For the baseline, `version` is the model version it was fitted with.

    >>> answered_by("bos", "7", ["BTCUSDT"])
    'bos 7, learned from BTCUSDT'
    """
    name = f"the diffusion baseline of version {version}" if model == BASELINE else f"{model} {version}"
    return f"{name}, learned from {', '.join(trained_on)}"


class Side(Enum):
    """Direction of an order, a position or a break."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """The side that closes a position of this side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class FillReason(Enum):
    """Reason of a fill."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    TIME = "time"
    STOP_OUT = "stop_out"
    LIQUIDATION = "liquidation"
    RUN_END = "run_end"
    FLATTEN = "flatten"


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's prediction for one symbol and side at one bar close.

    Attributes
    ----------
    symbol, side
        BUY predicts a break upwards, SELL a break downwards.
    close_time : datetime
        UTC; the close of the bar whose features were used.
    probability : float
        Calibrated, 0 to 1; NaN where there is no level on that side.
    model, model_version : str
        For the `BASELINE`, the version that it was fitted with.
    feature_hash : str
        Version of the feature definitions behind `features`.
    features : mapping of str to float
        The inputs by catalog name, NaN where missing.
    """

    symbol: str
    side: Side
    close_time: datetime
    probability: float
    model: str
    model_version: str
    feature_hash: str
    features: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of one strategy for one symbol at one bar close, with all its reasons.

    Attributes
    ----------
    id, symbol, close_time
    approved : bool
        True if it has an order.
    side : Side or None
        None if there was no signal.
    reasons : tuple of str
    strategy : str
        Name and source of the strategy, as ``simple_break@8c1f3a52``.
    comparisons : tuple of (Comparison or None)
        The numbers of each check among the reasons, in their order; may end early, as in records that have none.
    """

    id: str
    symbol: str
    close_time: datetime
    approved: bool
    side: Side | None
    reasons: tuple[str, ...]
    strategy: str
    comparisons: tuple[Comparison | None, ...] = ()

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks among the reasons, with their numbers."""
        checks = [check for reason in self.reasons if (check := parsed(reason)) is not None]
        pairs = zip_longest(checks, self.comparisons[: len(checks)])
        return tuple(Check(check.name, check.passed, check.text, numbers) for check, numbers in pairs)

    @property
    def refusal(self) -> Check | None:
        """The first check that refused; None if it is approved.

        Raises
        ------
        DataError
            If it is not approved, and no check refused.
        """
        if self.approved:
            return None
        for check in self.checks:
            if not check.passed:
                return check
        raise DataError(f"decision {self.id} is not approved, and none of its checks refused; restore the ledger")

    @property
    def terminal_reason(self) -> str:
        """`APPROVED`, or the name of the first check that refused."""
        refusal = self.refusal
        return APPROVED if refusal is None else refusal.name


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """A virtual order with its stop and target: at the market, or a stop order that waits for its price.

    Attributes
    ----------
    id, decision_id, symbol, side
    lots : Decimal
        On the instrument's size grid.
    stop, target : Decimal
        Exit prices on the tick grid.
    submitted_at : datetime
        UTC; the order cannot fill at a price from before this time.
    expires_at : datetime
        UTC; the position closes at the first price at or after this time. An order that has not filled
        before this time is void.
    entry : Decimal or None
        Price of a stop order, on the tick grid: the ask triggers a buy, the bid a sell. None: at the market.
    """

    id: str
    decision_id: str
    symbol: str
    side: Side
    lots: Decimal
    stop: Decimal
    target: Decimal
    submitted_at: datetime
    expires_at: datetime
    entry: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """A fill on the virtual account.

    Attributes
    ----------
    id, order_id, symbol, side, lots, price
        `side` is the side of the fill itself: the exit of a long position is a sell.
    reason : FillReason
    fee : Decimal
        In account currency, positive when paid.
    pnl : Decimal
        Realised by this fill in account currency, without the fee; 0 at entry.
    filled_at : datetime
        UTC.
    ambiguous : bool
        Stop and target both lay inside the same bar; the stop is assumed to fill first.
    levels : tuple of (Decimal, Decimal)
        The levels of the order book that it took, each with its displayed price and the lots taken from it, the best
        first; empty without an order book. `price` is then the mean price.
    spread : Decimal or None
        Mean distance from the best bid of the book to the displayed prices it took, in quote currency, positive when
        paid; None without an order book.
    """

    id: str
    order_id: str
    symbol: str
    side: Side
    lots: Decimal
    price: Decimal
    reason: FillReason
    fee: Decimal
    pnl: Decimal
    filled_at: datetime
    ambiguous: bool = False
    levels: tuple[tuple[Decimal, Decimal], ...] = ()
    spread: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Trade:
    """A closed position.

    Attributes
    ----------
    order : OrderIntent
    entry, exit : Fill
    pnl : Decimal
        Net of both fees, in account currency; derived.
    """

    order: OrderIntent
    entry: Fill
    exit: Fill
    pnl: Decimal = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pnl", self.exit.pnl - self.entry.fee - self.exit.fee)
