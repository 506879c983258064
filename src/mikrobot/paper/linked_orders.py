"""Orders of one account that depend on other orders or on a position.

An entry has exits, two orders can cancel each other, and a reduce-only order closes a position. Does not match
orders, and does not know their prices.
"""

from collections.abc import Mapping

from mikrobot.paper import margin
from mikrobot.paper.account import Account
from mikrobot.paper.book import Market
from mikrobot.paper.orders import Order, Status
from mikrobot.paper.working_orders import FAR


class LinkedOrders:
    """Keeps the dependent orders of one account consistent after each end and each fill.

    Parameters
    ----------
    account : Account
    markets : mapping of str to Market

    Attributes
    ----------
    entered : list of Order
        Entries that filled and whose exits are not activated yet.
    """

    def __init__(self, account: Account, markets: Mapping[str, Market]) -> None:
        self.account, self.markets = account, markets
        self.entered: list[Order] = []

    def end(self, ts: int, order: Order, status: Status, reason: str) -> None:
        """End an order without a fill; if it is an entry that never filled, end its exits too."""
        self.account.move(ts, order, status, reason)
        if not order.filled:
            for child in self.children(order):
                self.end(ts, child, Status.CANCELED, "its entry ended")
        elif order.children:
            self.size_exits(ts, order)
        rival = self.account.orders.get(order.rival)
        if status is Status.REJECTED and rival is not None and rival.alive:
            self.end(ts, rival, Status.CANCELED, "the other leg was rejected")

    def follow_fill(self, order: Order, ts: int, cut: str) -> None:
        """Update the state of an order after a fill, and the orders that depend on it.

        `cut` is the reason why the fill reduced the order; empty if it did not.
        """
        account = self.account
        if cut and (rival := account.orders.get(order.rival)) is not None and rival.alive:
            self.end(ts, rival, Status.CANCELED, "the other leg filled")
        if order.filled == order.quantity:
            account.move(ts, order, Status.FILLED, cut)
        elif order.status is not Status.PARTIALLY_FILLED:
            account.move(ts, order, Status.PARTIALLY_FILLED)
        if order.children:
            self.entered.append(order)
        if order.parent:
            entry = account.orders[order.parent]
            if entry.alive:
                self.end(ts, entry, Status.CANCELED, "its exit filled")
            self.size_exits(ts, entry)
        elif order.rival and account.orders[order.rival].alive:
            self.end(ts, account.orders[order.rival], Status.CANCELED, "the other leg filled")
        self.drop_reducers(order.symbol, ts)

    def take_entered(self) -> list[Order]:
        """Return the entries that filled since the last call."""
        entered = self.entered
        self.entered = []
        return entered

    def children(self, order: Order) -> list[Order]:
        """Return the live exits of an entry."""
        orders = self.account.orders
        return [leg for name in order.children if (leg := orders[name]).alive]

    def size_exits(self, ts: int, entry: Order) -> None:
        """Set the exits of an entry to its open quantity; cancel them when nothing is open and the entry has ended."""
        open_ = self._still_open(entry)
        if open_ <= 0 and entry.alive:
            return
        for leg in self.children(entry):
            if open_ <= 0:
                reason = "the other leg filled" if entry.opened else "nothing is left to reduce"
                self.end(ts, leg, Status.CANCELED, reason)
            elif leg.leaves != open_:
                self.account.amend(ts, leg, "resized to the open quantity", quantity=leg.filled + open_)

    def allowed(self, order: Order, ts: int) -> int:
        """Return the steps of an order that may still fill; cut a reduce-only order to what it can close."""
        if not order.alive:
            return 0
        if not order.reduce_only:
            return order.leaves
        if self.dormant(order):
            return 0
        open_ = self.closable(order)
        if open_ <= 0:
            self.end(ts, order, Status.CANCELED, "nothing is left to reduce")
            return 0
        if order.leaves > open_:
            self.account.amend(ts, order, "cut to the open position", quantity=order.filled + open_)
        return order.leaves

    def dormant(self, order: Order) -> bool:
        """Return whether an exit waits until its entry, whose position another order closed, fills further."""
        entry = self.account.orders.get(order.parent)
        return entry is not None and entry.alive and self._still_open(entry) <= 0

    def closable(self, order: Order) -> int:
        """Return the size steps of the opposite position that an order can close; on a cash account, of coins.

        On a cash account, a buy reduces only as an exit of a sale: it buys back the coins sold.
        """
        if self.account.profile.cash:
            if order.sign > 0:
                return self._still_open(self.account.orders[order.parent]) if order.parent else 0
            return margin.sellable(self.account, self.markets[order.symbol].contract, order)
        position = self.account.position_of(order)
        return abs(position.closes(order.sign * FAR)) if position is not None else 0

    def _still_open(self, entry: Order) -> int:
        """Return the size steps that an entry opened and its exits have not closed yet."""
        return entry.opened - sum([self.account.orders[name].filled for name in entry.children])

    def drop_reducers(self, symbol: str, ts: int) -> None:
        """Cancel reduce-only orders that have no position left to reduce."""
        working = self.account.working_orders[symbol]
        if not working.stops and not working.limits:
            return
        for order in [*working.stops, *working.limits]:
            entry = self.account.orders.get(order.parent)
            if entry is not None and entry.alive:
                continue
            if order.reduce_only and order.alive and not self.closable(order):
                self.end(ts, order, Status.CANCELED, "nothing is left to reduce")
