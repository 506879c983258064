"""Orders: what may be asked for, and the states an order goes through.

Terminal states are absorbing: no transition leads out of them. Does not match or book anything.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from mikrobot.domain.errors import DataError
from mikrobot.domain.trading import Side


class OrderType(StrEnum):
    """What makes an order trade."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    """How long an order lives."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class Status(StrEnum):
    """Where an order stands."""

    NEW = "new"
    HELD = "held"
    WORKING = "working"
    TRIGGERED = "triggered"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


STATUSES = {status.value: status for status in Status}
TYPES = {type.value: type for type in OrderType}
TIMES_IN_FORCE = {tif.value: tif for tif in TimeInForce}

TERMINAL = frozenset({Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.REJECTED})

_ENDS = frozenset({Status.CANCELED, Status.EXPIRED})
_TRADES = frozenset({Status.PARTIALLY_FILLED, Status.FILLED})
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.NEW: _ENDS | {Status.REJECTED, Status.HELD, Status.WORKING},
    Status.HELD: _ENDS | {Status.WORKING},
    Status.WORKING: _ENDS | _TRADES | {Status.TRIGGERED},
    Status.TRIGGERED: _ENDS | _TRADES,
    Status.PARTIALLY_FILLED: _ENDS | {Status.FILLED},
} | dict.fromkeys(TERMINAL, frozenset())
"""From each state, the states that may follow."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as it is asked for.

    Attributes
    ----------
    id : str
        Unique within the account, for ever.
    symbol, side
    quantity : Decimal
        Units of base.
    type : OrderType
    price : Decimal or None
        Limit of a limit or stop-limit order.
    stop : Decimal or None
        Trigger of a stop or stop-limit order, and where a trailing stop may start.
    trail, trail_pct : Decimal or None
        Distance of a trailing stop, in price units or in percent of the price; one of the two.
    activation : Decimal or None
        Price from which a trailing stop trails: above the market for a sale, below it for a purchase.
    tif : TimeInForce
    expires : int or None
        With GTD: milliseconds since 1970 from which it is void.
    post_only, reduce_only : bool
    ticket : str or None
        On a hedging account, the position to close: the id of the order that opened it.
    """

    id: str
    symbol: str
    side: Side
    quantity: Decimal
    type: OrderType = OrderType.MARKET
    price: Decimal | None = None
    stop: Decimal | None = None
    trail: Decimal | None = None
    tif: TimeInForce = TimeInForce.GTC
    expires: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    ticket: str | None = None
    trail_pct: Decimal | None = None
    activation: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Bracket:
    """An entry with a protective stop and a target, armed by the entry's first fill.

    Attributes
    ----------
    id : str
        The exits are ``<id>.sl`` and ``<id>.tp``.
    entry : OrderRequest
    stop_loss, take_profit : Decimal or None
        At least one; the stop lies behind the target.
    """

    id: str
    entry: OrderRequest
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OneCancelsOther:
    """Two orders of which the first fill, of any quantity, cancels the other."""

    first: OrderRequest
    second: OrderRequest


@dataclass(slots=True, eq=False)
class Order:
    """An order at the venue: prices in ticks, quantities in size steps.

    Attributes
    ----------
    sign : int
        +1 buys, -1 sells.
    price, stop, trail : int
        0 where the type has none.
    submitted, arrives : int
        Milliseconds; between them lies the latency.
    expires : int
        Milliseconds, 0 for never.
    parent : str
        Id of the entry whose exit this is, else empty.
    rival : str
        Id of the other leg, else empty.
    seq : int
        Time priority; smaller goes first.
    alive : bool
        Whether its state is not a terminal one.
    ahead : int
        Displayed size that queues before it, where the profile counts the queue.
    activation : int
        Ticks, 0 where a trailing stop trails from the start.
    trail_ppm : int
        Distance of a trailing stop in millionths of the price, 0 where `trail` has it.
    opened : int
        Size steps that it opened; the rest of what filled closed what was held before.
    """

    id: str
    symbol: str
    sign: int
    quantity: int
    type: OrderType
    price: int
    stop: int
    trail: int
    tif: TimeInForce
    expires: int
    post_only: bool
    reduce_only: bool
    ticket: str
    submitted: int
    arrives: int
    parent: str
    rival: str
    seq: int
    status: Status = Status.NEW
    alive: bool = True
    filled: int = 0
    triggered: bool = False
    ahead: int = 0
    children: tuple[str, ...] = ()
    activation: int = 0
    trail_ppm: int = 0
    opened: int = 0

    @property
    def leaves(self) -> int:
        """Size steps still to fill."""
        return self.quantity - self.filled

    def trails_from(self, best: int) -> int:
        """Return where the stop of a trailing stop lies at a price, in ticks; never nearer than its distance.

        >>> order = Order("a", "S", -1, 1, OrderType.TRAILING_STOP, 0, 0, 0, TimeInForce.GTC, 0, False, False, "", 0, 0,
        ...               "", "", 0, trail_ppm=15_000)
        >>> order.trails_from(1_001)
        985
        """
        return best + self.sign * (self.trail or -(-best * self.trail_ppm // 1_000_000))

    def activated(self, best: int) -> bool:
        """Whether a price has reached the activation of a trailing stop."""
        return not self.activation or self.sign * (self.activation - best) >= 0

    @property
    def rests_as_limit(self) -> bool:
        """Whether it stands in the book at its limit."""
        return self.type is OrderType.LIMIT or (self.type is OrderType.STOP_LIMIT and self.triggered)


def unsound(order: Order, to: Status) -> DataError:
    """Return the error of a transition that the state machine does not have."""
    now = order.status.value
    return DataError(f"order {order.id}: {now} is not followed by {to.value}; its journal is not a sound one")
