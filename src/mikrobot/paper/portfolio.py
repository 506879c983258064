"""The virtual account: cash, waiting orders and open positions, folded from orders and fills.

Holds at most one order or position a symbol. Does not decide, execute or store; the ledger is its
memory, and `rebuild` gives the same account to the cent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeVar

from mikrobot.domain.errors import DataError
from mikrobot.domain.market import Bar, instrument
from mikrobot.domain.trading import Fill, FillReason, Order, Position
from mikrobot.paper import costs

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Account:
    """A virtual account in dollars; every change gives a new one.

    Attributes
    ----------
    opening : Decimal
        Balance before the first order.
    realised : Decimal
        Sum of the booked P&L of all fills, without fees.
    fees : Decimal
        Sum of the booked fees of all fills, positive when paid.
    waiting : mapping of str to Order
        By symbol, the newest order without an entry. It is void from its ``expires_at``.
    positions : mapping of str to Position
        By symbol.
    day : date or None
        UTC day of the latest fill.
    day_start : Decimal
        Balance at the start of `day`.
    """

    opening: Decimal
    realised: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    waiting: Mapping[str, Order] = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict)
    day: date | None = None
    day_start: Decimal = Decimal(0)

    @property
    def balance(self) -> Decimal:
        """Cash: what was paid in and realised, less the fees."""
        return self.opening + self.realised - self.fees

    def engaged(self, at: datetime) -> frozenset[str]:
        """Return the symbols with a position, or with an order that may still be filled at that time."""
        alive = (symbol for symbol, order in self.waiting.items() if at < order.expires_at)
        return frozenset(self.positions).union(alive)

    def day_opening(self, at: datetime) -> Decimal:
        """Return the balance at the start of the UTC day."""
        return self.day_start if self.day is not None and _day(at) <= self.day else self.balance

    def day_loss(self, at: datetime) -> Decimal:
        """Return what the UTC day has lost so far, net and realised; 0 when it has gained."""
        return max(Decimal(0), self.day_opening(at) - self.balance)

    def equity(self, bars: Mapping[str, Bar]) -> Decimal:
        """Return the balance plus what closing every position at the close of its bar would realise.

        Parameters
        ----------
        bars : mapping of str to Bar
            The latest bar of each symbol with a position; longs are marked at bid, shorts at ask.

        Raises
        ------
        DataError
            If the bar of an open position is missing.
        """
        return self.balance + sum((_unrealised(position, bars) for position in self.positions.values()), Decimal(0))

    def submit(self, order: Order) -> "Account":
        """Take an order in; no cash moves.

        Raises
        ------
        DataError
            If the symbol has a position or a live order already.
        """
        if order.symbol in self.engaged(order.submitted_at):
            raise DataError(
                f"order {order.id}: {order.symbol} has a position or a waiting order already, and the account holds "
                f"one a symbol; wait for its exit"
            )
        return replace(self, waiting={**self.waiting, order.symbol: order})

    def book(self, fill: Fill) -> "Account":
        """Book a fill: its cash, and the position it opens or closes.

        Raises
        ------
        DataError
            If an entry has no waiting order, or an exit no position, of its order id.
        """
        return self._moved(fill)._paid(fill)

    def _moved(self, fill: Fill) -> "Account":
        symbol = fill.symbol
        if fill.reason is FillReason.ENTRY:
            order = self.waiting.get(symbol)
            if order is None or order.id != fill.order_id:
                raise _stray(fill, "waiting order")
            opened = {**self.positions, symbol: Position(order, fill)}
            return replace(self, waiting=_without(self.waiting, symbol), positions=opened)
        position = self.positions.get(symbol)
        if position is None or position.order.id != fill.order_id:
            raise _stray(fill, "position")
        return replace(self, positions=_without(self.positions, symbol))

    def _paid(self, fill: Fill) -> "Account":
        """Book the cash; a fill of an earlier day than the latest belongs to what that day started with."""
        day, cash = _day(fill.filled_at), fill.pnl - fill.fee
        start = self.day_opening(fill.filled_at)
        if self.day is not None and day < self.day:
            day, start = self.day, start + cash
        return replace(self, realised=self.realised + fill.pnl, fees=self.fees + fill.fee, day=day, day_start=start)


def rebuild(orders: Iterable[Order], fills: Iterable[Fill], balance: Decimal) -> Account:
    """Return the account that these records leave behind.

    Parameters
    ----------
    orders, fills : iterable
        All of one run, in the order in which they were committed.
    balance : Decimal
        With which the run opened, in dollars.

    Raises
    ------
    DataError
        If a fill belongs to no order, or is there twice.
    """
    by_id = {order.id: order for order in orders}
    account, booked = Account(balance), set[str]()
    for fill in fills:
        if fill.id in booked or fill.order_id not in by_id:
            raise _stray(fill, "order that it has not filled already")
        if fill.reason is FillReason.ENTRY:
            account = account.submit(by_id[fill.order_id])
        account = account.book(fill)
        booked |= {fill.id, fill.order_id}
    newest = {order.symbol: order for order in by_id.values()}
    for order in newest.values():
        if order.id not in booked:
            account = account.submit(order)
    return account


def _unrealised(position: Position, bars: Mapping[str, Bar]) -> Decimal:
    order = position.order
    if order.symbol not in bars:
        raise DataError(
            f"{order.symbol}: the open position of order {order.id} cannot be valued without a bar; pass one"
        )
    known, bar = instrument(order.symbol), bars[order.symbol]
    closing = costs.executed(known, order.side.opposite, bar.close, costs.spread(known, bar.spread))
    return costs.profit(known, order.side, order.lots, position.entry.price, closing)


def _stray(fill: Fill, missing: str) -> DataError:
    return DataError(
        f"fill {fill.id} of {fill.symbol} at {fill.filled_at:%Y-%m-%d %H:%M}: expected the {missing} of id "
        f"{fill.order_id}, found none; the records of this run are incomplete or out of order"
    )


def _without(kept: Mapping[str, T], symbol: str) -> dict[str, T]:
    return {name: value for name, value in kept.items() if name != symbol}


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()
