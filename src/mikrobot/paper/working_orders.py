"""Working orders of one account in one symbol, and the price bounds within which no event concerns it.

An event inside the bounds costs four comparisons. Does not match orders.
"""

from collections.abc import Mapping
from dataclasses import replace

from mikrobot.paper.book import Taken
from mikrobot.paper.contracts import Contract
from mikrobot.paper.orders import Order, OrderType
from mikrobot.paper.profiles import Profile
from mikrobot.paper.slippage import Pressure
from mikrobot.paper.terms import Terms

FAR = 1 << 62
"""Larger than any price in ticks and any time in milliseconds."""


class WorkingOrders:
    """Working orders of one account in one symbol, with their price bounds.

    Attributes
    ----------
    contract : Contract
    terms : Terms
    stops, limits : list of Order
        Untriggered stops and trailing stops, and resting limits.
    waiting : list of Order
        Orders that arrived while the market was not quoting; they trade at its next open.
    low_bid, high_bid, low_ask, high_ask : int
        Price bounds: while ``low_bid < bid < high_bid`` and ``low_ask < ask < high_ask``, an event
        concerns neither an order nor the margin.
    margin_low, margin_high : int
        Bid and ask at which the margin must be checked again.
    stale : bool
        True if orders have been added or removed since `fence` last set the bounds.
    """

    __slots__ = (
        "contract", "high_ask", "high_bid", "limits", "low_ask", "low_bid",
        "margin_high", "margin_low", "pressure", "stale", "stops", "taken", "terms", "waiting",
    )  # fmt: skip

    def __init__(self, contract: Contract, profile: Profile) -> None:
        self.contract = contract
        self.terms = Terms(contract, profile)
        self.stops: list[Order] = []
        self.limits: list[Order] = []
        self.waiting: list[Order] = []
        self.taken = Taken()
        self.pressure = Pressure()
        self.margin_low, self.margin_high = -1, FAR
        self.fence()

    def fence(self) -> None:
        """Recompute the price bounds within which no event concerns the account."""
        low_bid, high_bid, low_ask, high_ask = self.margin_low, FAR, -1, self.margin_high
        if self.waiting:
            low_bid = FAR
        for order in self.stops:
            if order.type is OrderType.TRAILING_STOP:
                low_bid = FAR
            elif order.sign < 0:
                low_bid = order.stop if order.stop > low_bid else low_bid
            elif order.stop < high_ask:
                high_ask = order.stop
        for order in self.limits:
            if order.sign > 0:
                low_ask = order.price if order.price > low_ask else low_ask
            elif order.price < high_bid:
                high_bid = order.price
        self.low_bid, self.high_bid, self.low_ask, self.high_ask = low_bid, high_bid, low_ask, high_ask
        self.stale = False

    def touched(self, low: int, high: int, spread: int) -> bool:
        """Return whether bids from low to high, with asks a spread above, concern an order or the margin."""
        return not (
            self.low_bid < low
            and high < self.high_bid
            and self.low_ask < low + spread
            and high + spread < self.high_ask
        )

    def seat(self, order: Order) -> None:
        """Add a working order to the list for its type."""
        if order.type is OrderType.MARKET:
            return
        self._take_off(order)
        if order.rests_as_limit:
            self.limits.append(order)
        elif not order.triggered:
            self.stops.append(order)
        self.stale = True

    def remove(self, order: Order) -> None:
        """Remove an order from the working orders, if present."""
        if self._take_off(order):
            self.stale = True

    def _take_off(self, order: Order) -> bool:
        for kept in (self.stops, self.limits, self.waiting):
            if kept and order in kept:
                kept.remove(order)
                return True
        return False

    def copy_to(self, twin: "WorkingOrders", orders: Mapping[str, Order]) -> None:
        """Copy the state to another instance, with its orders taken from `orders` by id."""
        twin.stops = [orders[order.id] for order in self.stops]
        twin.limits = [orders[order.id] for order in self.limits]
        twin.pressure = replace(self.pressure)
        twin.margin_low, twin.margin_high = self.margin_low, self.margin_high
        twin.fence()

    @property
    def empty(self) -> bool:
        """Return whether there are no orders."""
        return not (self.stops or self.limits or self.waiting)
