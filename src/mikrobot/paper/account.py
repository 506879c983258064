"""A virtual account: balances, positions and orders, computed from its journal.

Every change to the account is a journal record that is then applied, both live and after a restart.
Replaying the journal therefore rebuilds the account exactly, to the last minor unit. Does not match
orders or read markets.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from heapq import heappush
from typing import Any

from mikrobot.domain.errors import DataError
from mikrobot.paper import isolated, money
from mikrobot.paper.contracts import Contract
from mikrobot.paper.journal import CLOSED, Amended, Booked, Filled, Moved, Noted, Record, Refused, Submitted
from mikrobot.paper.orders import STATUSES, TERMINAL, TIMES_IN_FORCE, TRANSITIONS, TYPES, Order, Status, unsound
from mikrobot.paper.positions import Position
from mikrobot.paper.profiles import Profile
from mikrobot.paper.results import TradeResults
from mikrobot.paper.working_orders import FAR, WorkingOrders


class Account:
    """A virtual account.

    Parameters
    ----------
    id : str
    profile : Profile
    contracts : mapping of str to Contract
        Contracts that the venue lists, by symbol.
    seed : int
        Seed of its latency and slippage.

    Attributes
    ----------
    balances : dict of str to int
        Cash by currency, minor units.
    totals : dict of (kind, currency) to int
        Sums of the cash entries by kind and currency, minor units.
    positions : dict of str to Position
        Open positions by symbol; on a hedging account, by ticket.
    holdings : dict of str to Position
        Coins that a cash account bought and still holds, by symbol, at their average cost.
    orders : dict of str to Order
        All orders ever submitted; `live` holds the orders that can still change.
    refused : list of Refused
    pending : list of (arrival, seq, Order)
        Heap of orders on their way to the venue.
    journal : list of Record
    marks : dict of str to int
        Equity in minor units at the start of the day and of the week, for the loss limits.
    marked : dict of str to int
        Times at which `marks` were set, milliseconds.
    closures : dict of str to int
        Times at which prices of a symbol were last noted as outside its trading hours, milliseconds.
    results : TradeResults
        Results of the closed positions; of a cash account, none.
    """

    def __init__(self, id: str, profile: Profile, contracts: Mapping[str, Contract], seed: int = 0) -> None:
        self.id, self.profile, self.contracts, self.seed = id, profile, contracts, seed
        self.balances: dict[str, int] = {}
        self.positions: dict[str, Position] = {}
        self.holdings: dict[str, Position] = {}
        self.totals: dict[tuple[str, str], int] = {}
        self.orders: dict[str, Order] = {}
        self.live: dict[str, Order] = {}
        self.refused: list[Refused] = []
        self.pending: list[tuple[int, int, Order]] = []
        self.expiring: list[tuple[int, str]] = []
        self.journal: list[Record] = []
        self.marks: dict[str, int] = {}
        self.marked: dict[str, int] = {}
        self.closures: dict[str, int] = {}
        self.results = TradeResults()
        self.called = False
        self.exposed = False
        self.working_orders = {symbol: WorkingOrders(contract, profile) for symbol, contract in contracts.items()}

    @classmethod
    def rebuilt(
        cls, id: str, profile: Profile, contracts: Mapping[str, Contract], records: Iterable[Record], *, seed: int = 0
    ) -> "Account":
        """Return the account rebuilt from the records of its journal.

        Raises
        ------
        DataError
            If a record is missing, repeated or inconsistent with the records before it.
        """
        account = cls(id, profile, contracts, seed)
        for record in records:
            if record.seq != len(account.journal):
                raise DataError(
                    f"account {id}: expected journal record {len(account.journal)}, found {record.seq}; "
                    "restore the journal"
                )
            try:
                account.apply(record)
            except (KeyError, ValueError, TypeError) as error:
                raise DataError(
                    f"account {id}: journal record {record.seq} refers to an unknown order, symbol or value ({error}); "
                    f"restore the journal: {record}"
                ) from error
        return account

    def fork(self) -> "Account":
        """Return an independent copy of the account that keeps only live orders and orders linked to them."""
        twin = Account(self.id, self.profile, self.contracts, self.seed)
        twin.balances, twin.marks = dict(self.balances), dict(self.marks)
        twin.positions = {key: replace(position) for key, position in self.positions.items()}
        twin.holdings = {symbol: replace(coins) for symbol, coins in self.holdings.items()}
        related = {name for order in self.live.values() for name in (order.parent, order.rival, *order.children)}
        for name in (related | set(self.live)) - {""}:
            twin.orders[name] = replace(self.orders[name])
        twin.live = {name: twin.orders[name] for name in self.live}
        twin.called, twin.exposed = self.called, True
        for symbol, working in self.working_orders.items():
            working.copy_to(twin.working_orders[symbol], twin.orders)
        return twin

    def apply(self, record: Record) -> None:
        """Apply a record to the account and append it to the journal."""
        _APPLIED[type(record)](self, record)
        self.journal.append(record)

    @property
    def seq(self) -> int:
        """Return the number of the next record."""
        return len(self.journal)

    @property
    def currency(self) -> str:
        """Return the currency of a margin account."""
        return self.profile.currency

    @property
    def free_cash(self) -> int:
        """Return the cash of an isolated account that backs no position, minor units."""
        return self.balances.get(self.currency, 0) - sum(map(self.backing, self.positions.values()))

    @property
    def paid_in(self) -> int:
        """Return deposits less withdrawals in the account currency, minor units."""
        return self.totals.get(("deposit", self.currency), 0)

    def rejections(self) -> list[Refused | Moved]:
        """Return the records of refused and rejected orders, in order, each with its reason."""
        return [
            record
            for record in self.journal
            if isinstance(record, Refused) or (isinstance(record, Moved) and record.after == Status.REJECTED.value)
        ]

    def balance(self, currency: str) -> Decimal:
        """Return the cash in one currency."""
        return money.decimal(self.balances.get(currency, 0), currency)

    def net(self, symbol: str) -> int:
        """Return the net position in size steps."""
        return sum(held.quantity for held in self.positions.values() if held.symbol == symbol)

    def position_of(self, order: Order) -> Position | None:
        """Return the position that a fill of this order changes, or None if it opens one.

        A ticket must name a position in the order's own symbol; a position in another symbol is ignored.
        """
        position = self.positions.get(self.key_of(order))
        return position if position is not None and position.symbol == order.symbol else None

    def backing(self, position: Position) -> int:
        """Return the loss that an isolated position can still bear, minor units."""
        return isolated.backing(self.working_orders[position.symbol].terms, position)

    def key_of(self, order: Order) -> str:
        """Return the key in `positions` of the position that a fill of this order opens or changes."""
        return order.symbol if self.profile.netting else order.ticket or order.id

    def sides(self, symbol: str) -> tuple[int, int]:
        """Return the size steps of the open long and short positions in a symbol."""
        long = short = 0
        for held in self.positions.values():
            if held.symbol == symbol:
                long, short = (long + held.quantity, short) if held.quantity > 0 else (long, short - held.quantity)
        return long, short

    def working(self, symbol: str | None = None) -> list[Order]:
        """Return the orders that can still change, in the order of submission."""
        return [order for order in self.live.values() if symbol is None or order.symbol == symbol]

    def deposit(self, ts: int, currency: str, amount: Decimal) -> None:
        """Deposit an amount; a negative amount is a withdrawal."""
        self.book(ts, "deposit", currency, money.minor(amount, currency), cause="")
        self.expose()

    def expose(self) -> None:
        """Force a margin check at the next price of any open position."""
        self.exposed = True
        for held in self.positions.values():
            working = self.working_orders[held.symbol]
            working.margin_low = working.low_bid = FAR

    def book(self, ts: int, kind: str, currency: str, amount: int, *, cause: str) -> None:
        """Book a cash entry, unless its amount is 0."""
        if amount:
            self.apply(Booked(len(self.journal), ts, kind, currency, amount, cause))

    def move(self, ts: int, order: Order, to: Status, reason: str = "") -> None:
        """Change the state of an order and record the transition."""
        record = Moved(len(self.journal), ts, order.id, order.status, to, reason)
        self._change(order, to)
        self.journal.append(record)

    def amend(
        self, ts: int, order: Order, reason: str, *,
        quantity: int | None = None, price: int | None = None, stop: int | None = None, last: bool = False,
    ) -> None:  # fmt: skip
        """Change the terms of an order and record the change."""
        self.apply(
            Amended(
                len(self.journal), ts, order.id,
                order.quantity if quantity is None else quantity,
                order.price if price is None else price,
                order.stop if stop is None else stop,
                last, reason,
            )
        )  # fmt: skip

    def note(self, ts: int, kind: str, detail: str) -> None:
        """Record an event that changes no balance, order or position."""
        self.apply(Noted(len(self.journal), ts, kind, detail))

    def _submitted(self, record: Submitted) -> None:
        (
            seq, ts, id, symbol, sign, quantity, type, price, stop, trail, tif, expires,
            post_only, reduce_only, ticket, arrives, parent, rival, activation, trail_ppm,
        ) = record  # fmt: skip
        order = Order(
            id, symbol, sign, quantity, TYPES[type], price, stop, trail, TIMES_IN_FORCE[tif], expires,
            post_only, reduce_only, ticket, ts, arrives, parent, rival, seq,
            activation=activation, trail_ppm=trail_ppm,
        )  # fmt: skip
        self.orders[id] = self.live[id] = order
        if parent:
            self.orders[parent].children += (id,)
        else:
            heappush(self.pending, (arrives, seq, order))
        if expires:
            heappush(self.expiring, (expires, id))

    def _moved(self, record: Moved) -> None:
        self._change(self._order(record.order), STATUSES[record.after])

    def _change(self, order: Order, to: Status) -> None:
        if to not in TRANSITIONS[order.status]:
            raise unsound(order, to)
        order.status = to
        order.alive = to not in TERMINAL
        if to is Status.WORKING:
            self.working_orders[order.symbol].seat(order)
        elif to is Status.TRIGGERED:
            order.triggered = True
            self.working_orders[order.symbol].seat(order)
        elif not order.alive:
            del self.live[order.id]
            self.working_orders[order.symbol].remove(order)

    def _booked(self, record: Booked) -> None:
        self.balances[record.currency] = self.balances.get(record.currency, 0) + record.amount
        key = (record.kind, record.currency)
        self.totals[key] = self.totals.get(key, 0) + record.amount
        self.exposed = True
        if self.profile.isolated and record.amount < 0 and record.kind in isolated.CHARGES:
            self._charge(self.key_of(self.orders[record.cause]) if record.kind == "fee" else record.cause)

    def _charge(self, key: str) -> None:
        """Take from the margin of an isolated position the part of a charge that exceeds the free cash."""
        position = self.positions.get(key)
        if position is not None:
            position.deficit += min(max(-self.free_cash, 0), max(self.backing(position), 0))

    def _refused(self, record: Refused) -> None:
        self.refused.append(record)

    def _amended(self, record: Amended) -> None:
        order = self._order(record.order)
        order.quantity, order.price, order.stop = record.quantity, record.price, record.stop
        if record.last:
            order.seq = record.seq
        self.working_orders[order.symbol].stale = True

    def _filled(self, record: Filled) -> None:
        order = self._order(record.order)
        order.filled += record.quantity
        key = self.key_of(order)
        position = self.positions.get(key)
        if position is None:
            position = self.positions[key] = Position(record.symbol, "" if self.profile.netting else key)
        working = self.working_orders[record.symbol]
        signed = record.sign * record.quantity
        closed = abs(position.closes(signed))
        backed = self.backing(position) if self.profile.isolated else 0
        num, den = record.base_rate
        position.trade(signed, record.price, Fraction(num, den) if num else 0)
        if self.profile.cash:
            closed = 0
            self._hold(record.symbol, signed, record.price)
        if closed and position.quantity * signed >= 0:
            self._forget_entries(record.symbol, key)
        order.opened += record.quantity - closed
        if not self.profile.cash:
            ended = bool(closed) and position.quantity * signed >= 0
            self.results.add(record, key, self.currency, ended=ended, by_stop=bool(order.parent and order.stop))
        if closed and self.profile.isolated:
            liquidated = order.id.startswith("liquidation.")
            left = isolated.deficit(working.terms, position, backed, record.realised, liquidated=liquidated)
            position.deficit = left if closed == record.quantity else 0
        if not position.quantity:
            del self.positions[key]
        if record.unpriced and working.terms.presses:
            working.pressure.add(record.ts, record.sign, float(working.contract.quantity(record.unpriced)))
        self.exposed = True

    def _forget_entries(self, symbol: str, key: str) -> None:
        """Leave the exits of a position nothing to close: what their entries opened is closed."""
        for leg in self.live.values():
            if leg.parent and leg.symbol == symbol and (self.profile.netting or leg.ticket == key):
                entry = self.orders[leg.parent]
                entry.opened = sum([self.orders[name].filled for name in entry.children])

    def _hold(self, symbol: str, signed: int, price: int) -> None:
        """Update the bought coins with a fill; a sale uses them before coins that were deposited."""
        coins = self.holdings.setdefault(symbol, Position(symbol))
        coins.trade(max(signed, -coins.quantity), price, 0)

    def _noted(self, record: Noted) -> None:
        if record.kind in ("day", "week"):
            self.marks[record.kind], self.marked[record.kind] = int(record.detail), record.ts
        elif record.kind == CLOSED:
            self.closures[record.detail] = record.ts
        self.called = {"margin_call": True, "margin_call_over": False}.get(record.kind, self.called)

    def _order(self, order_id: str) -> Order:
        try:
            return self.orders[order_id]
        except KeyError:
            raise DataError(f"account {self.id}: its journal has no order {order_id}; restore the journal") from None


_APPLIED: dict[type[Record], Callable[[Account, Any], None]] = {
    Submitted: Account._submitted,
    Refused: Account._refused,
    Moved: Account._moved,
    Amended: Account._amended,
    Filled: Account._filled,
    Booked: Account._booked,
    Noted: Account._noted,
}
