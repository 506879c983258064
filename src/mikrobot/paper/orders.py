"""Order requests, orders and the states that an order passes through.

Terminal states are absorbing: an order never leaves them. Does not match or book anything.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from mikrobot.domain.errors import DataError
from mikrobot.domain.trading import Side


class OrderType(StrEnum):
    """Condition under which an order trades."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    """Time in force of an order."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class Status(StrEnum):
    """State of an order."""

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
"""Permitted next states of each state."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A request for one order.

    Attributes
    ----------
    id : str
        Unique within the account, also after the order has ended.
    symbol, side
    quantity : Decimal
        Units of base.
    type : OrderType
    price : Decimal or None
        Limit of a limit or stop-limit order.
    stop : Decimal or None
        Trigger price of a stop or stop-limit order, or the initial stop of a trailing stop.
    trail, trail_pct : Decimal or None
        Distance of a trailing stop, in price units or in percent of the price; give only one.
    activation : Decimal or None
        Price at which a trailing stop starts to trail: above the market for a sell, below it for a buy.
    tif : TimeInForce
    expires : int or None
        Expiry time of a GTD order, milliseconds since 1970.
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
    """An entry with a stop loss and a take profit, both activated by the entry's first fill.

    Attributes
    ----------
    id : str
        The exits get the ids ``<id>.sl`` and ``<id>.tp``.
    entry : OrderRequest
    stop_loss, take_profit : Decimal or None
        At least one of the two; a buy has its stop loss below its take profit, a sell above it.
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
        +1 for a buy, -1 for a sell.
    price, stop, trail : int
        0 if the order type has none.
    submitted, arrives : int
        Milliseconds; the difference is the latency.
    expires : int
        Milliseconds; 0 if it does not expire.
    parent : str
        Id of the entry if this is an exit of a bracket, else empty.
    rival : str
        Id of the order that its first fill cancels (one cancels the other), else empty.
    seq : int
        Time priority; a smaller number fills first.
    alive : bool
        True until the order reaches a terminal state.
    ahead : int
        Displayed size ahead of it in the queue, if the profile models the queue.
    activation : int
        Ticks; 0 if a trailing stop trails from the start.
    trail_ppm : int
        Distance of a trailing stop in millionths of the price; 0 if `trail` holds the distance.
    opened : int
        Filled size steps that opened a position; the rest of its fills closed an existing one. When the
        position of a bracket closes or changes its side, only what its exits have closed remains.
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
        """Return the size steps still to fill."""
        return self.quantity - self.filled

    def trails_from(self, best: int) -> int:
        """Return the stop of a trailing stop at a price, in ticks, rounded away from the market.

        >>> order = Order("a", "S", -1, 1, OrderType.TRAILING_STOP, 0, 0, 0, TimeInForce.GTC, 0, False, False, "", 0, 0,
        ...               "", "", 0, trail_ppm=15_000)
        >>> order.trails_from(1_001)
        985
        """
        return best + self.sign * (self.trail or -(-best * self.trail_ppm // 1_000_000))

    def activated(self, best: int) -> bool:
        """Return whether a price has reached the activation of a trailing stop."""
        return not self.activation or self.sign * (self.activation - best) >= 0

    @property
    def rests_as_limit(self) -> bool:
        """Return whether the order rests in the book at its limit price."""
        return self.type is OrderType.LIMIT or (self.type is OrderType.STOP_LIMIT and self.triggered)

    @property
    def takes_the_open(self) -> bool:
        """Return whether the order, if it waited for an open, may take liquidity as it arrives, without a trigger."""
        return self.type is OrderType.MARKET or (self.type is OrderType.LIMIT and not self.post_only)


def unsound(order: Order, to: Status) -> DataError:
    """Return the error for a transition that the state machine does not permit."""
    now = order.status.value
    return DataError(
        f"order {order.id}: the state {now} cannot change to {to.value}; its journal is corrupt, restore it"
    )
