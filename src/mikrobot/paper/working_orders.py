"""One account's working orders in one symbol, and the prices up to which nothing happens to it.

An event inside those prices costs four comparisons. Does not match.
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
"""A price in ticks that no market reaches."""


class WorkingOrders:
    """One account's working orders in one symbol, and the prices up to which nothing happens to it.

    Attributes
    ----------
    contract : Contract
    terms : Terms
    stops, limits : list of Order
        Untriggered stops and trailing stops; resting limits.
    waiting : list of Order
        Arrived while the market was not quoting; they meet its next opening price.
    low_bid, high_bid, low_ask, high_ask : int
        While ``low_bid < bid < high_bid`` and ``low_ask < ask < high_ask``, an event concerns neither
        an order nor the margin.
    margin_low, margin_high : int
        The bid and the ask at which the margin has to be looked at again.
    stale : bool
        Whether orders have come or gone since the prices were set; `fence` sets them anew.
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
        """Set the prices up to which nothing happens, anew."""
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
        """Whether bids from low to high, and asks a spread above, concern an order or the margin."""
        return not (
            self.low_bid < low
            and high < self.high_bid
            and self.low_ask < low + spread
            and high + spread < self.high_ask
        )

    def seat(self, order: Order) -> None:
        """Put a working order where it belongs."""
        if order.type is OrderType.MARKET:
            return
        self._take_off(order)
        if order.rests_as_limit:
            self.limits.append(order)
        elif not order.triggered:
            self.stops.append(order)
        self.stale = True

    def remove(self, order: Order) -> None:
        """Take an order off the working, if it is there."""
        if self._take_off(order):
            self.stale = True

    def _take_off(self, order: Order) -> bool:
        for kept in (self.stops, self.limits, self.waiting):
            if kept and order in kept:
                kept.remove(order)
                return True
        return False

    def copy_to(self, twin: "WorkingOrders", orders: Mapping[str, Order]) -> None:
        """Make another working like this one, with the orders of that name."""
        twin.stops = [orders[order.id] for order in self.stops]
        twin.limits = [orders[order.id] for order in self.limits]
        twin.pressure = replace(self.pressure)
        twin.margin_low, twin.margin_high = self.margin_low, self.margin_high
        twin.fence()

    @property
    def empty(self) -> bool:
        """Whether no order is here."""
        return not (self.stops or self.limits or self.waiting)
