"""From a prediction to a fill: the frozen records that the ledger keeps.

Float64 up to Prediction, Decimal from Order on. Nothing here decides or executes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum

BASELINE = "baseline"
"""Name of the model where the calibrated diffusion answers."""


ANSWERED_BY = "answered by "
"""Opens the reason of a decision that names what predicted."""


def answered_by(model: str, version: str, trained_on: Sequence[str]) -> str:
    """Name what answered and what it learned from; of the baseline, `version` is the one it was fitted with.

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
    """Why a fill happened."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    TIME = "time"
    STOP_OUT = "stop_out"
    LIQUIDATION = "liquidation"
    RUN_END = "run_end"


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer for one symbol and side at one close.

    Attributes
    ----------
    symbol, side
        BUY asks about a break upwards, SELL about one downwards.
    close_time : datetime
        UTC; the close of the bar whose features were used.
    probability : float
        Calibrated, 0 to 1; NaN where no level stands on that side.
    model, model_version : str
        Of the `BASELINE`, the version that it was fitted with.
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
    """What was decided at one close of one symbol, and every reason for it."""

    id: str
    symbol: str
    close_time: datetime
    approved: bool
    side: Side | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """A virtual market order with its bracket, as it was decided.

    Attributes
    ----------
    id, decision_id, symbol, side
    lots : Decimal
        On the instrument's size grid.
    stop, target : Decimal
        Exit prices on the tick grid.
    submitted_at : datetime
        UTC; it sees no price before this instant.
    expires_at : datetime
        UTC; the position is closed at the first price at or after it, and an order that found no
        price before it is void.
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


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution on the virtual account.

    Attributes
    ----------
    id, order_id, symbol, side, lots, price
        `side` is the side executed: an exit of a long position sells.
    reason : FillReason
    fee : Decimal
        In account currency, positive when paid.
    pnl : Decimal
        Realised by this fill in account currency, without the fee; 0 at entry.
    filled_at : datetime
        UTC.
    ambiguous : bool
        Stop and target lay inside the same bar, and the stop was assumed.
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
