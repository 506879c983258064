"""A virtual account: balances, positions and orders, folded from its journal.

Whatever changes the account is a record first and is then applied, live and at a restart alike, so
that replay rebuilds it to the last minor unit. Does not match orders or read markets.
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
from mikrobot.paper.journal import Amended, Booked, Filled, Moved, Noted, Record, Refused, Submitted
from mikrobot.paper.orders import STATUSES, TERMINAL, TIMES_IN_FORCE, TRANSITIONS, TYPES, Order, Status, unsound
from mikrobot.paper.positions import Position
from mikrobot.paper.profiles import Profile
from mikrobot.paper.working_orders import FAR, WorkingOrders


class Account:
    """A virtual account.

    Parameters
    ----------
    id : str
    profile : Profile
    contracts : mapping of str to Contract
        What its venue lists.
    seed : int
        Of its latency and slippage.

    Attributes
    ----------
    balances : dict of str to int
        Cash by currency, minor units.
    totals : dict of (kind, currency) to int
        Sums of the cash entries.
    positions : dict of str to Position
        By symbol; on a hedging account by ticket.
    holdings : dict of str to Position
        Coins that a cash account bought and still has, by symbol, at their average cost.
    orders : dict of str to Order
        All there ever were; `live` are those that can still change.
    refused : list of Refused
    pending : list of (arrival, seq, Order)
        A heap of orders under way to the venue.
    journal : list of Record
    marks : dict of str to int
        Equity in minor units at the start of the day and of the week, for the limits.
    marked : dict of str to int
        When that was, milliseconds.
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
        self.called = False
        self.exposed = False
        self.working_orders = {symbol: WorkingOrders(contract, profile) for symbol, contract in contracts.items()}

    @classmethod
    def rebuilt(
        cls, id: str, profile: Profile, contracts: Mapping[str, Contract], records: Iterable[Record], *, seed: int = 0
    ) -> "Account":
        """Return the account that a journal tells of.

        Raises
        ------
        DataError
            If a record is missing, repeated or impossible after those before it.
        """
        account = cls(id, profile, contracts, seed)
        for record in records:
            if record.seq != len(account.journal):
                raise DataError(
                    f"account {id}: expected journal record {len(account.journal)}, found {record.seq}; restore it"
                )
            try:
                account.apply(record)
            except (KeyError, ValueError, TypeError) as error:
                raise DataError(
                    f"account {id}: journal record {record.seq} tells of what there is not ({error}); restore the "
                    f"journal: {record}"
                ) from error
        return account

    def fork(self) -> "Account":
        """Return a copy whose future does not touch this account; it knows only orders that matter still."""
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
        """Let a record change the account, and append it to the journal."""
        _APPLIED[type(record)](self, record)
        self.journal.append(record)

    @property
    def seq(self) -> int:
        """Number of the next record."""
        return len(self.journal)

    @property
    def currency(self) -> str:
        """Currency of a margin account."""
        return self.profile.currency

    @property
    def paid_in(self) -> int:
        """Everything deposited in the account currency less what was withdrawn, minor units."""
        return self.totals.get(("deposit", self.currency), 0)

    def rejections(self) -> list[Refused | Moved]:
        """Return what was refused or rejected, in order, each with its reason."""
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

        A ticket names a position of the order's own symbol; another is none of its business.
        """
        position = self.positions.get(order.symbol if self.profile.netting else order.ticket or order.id)
        return position if position is not None and position.symbol == order.symbol else None

    def sides(self, symbol: str) -> tuple[int, int]:
        """Return the size steps that are open long and short in a symbol."""
        long = short = 0
        for held in self.positions.values():
            if held.symbol == symbol:
                long, short = (long + held.quantity, short) if held.quantity > 0 else (long, short - held.quantity)
        return long, short

    def working(self, symbol: str | None = None) -> list[Order]:
        """Return the orders that can still change, in the order they came."""
        return [order for order in self.live.values() if symbol is None or order.symbol == symbol]

    def deposit(self, ts: int, currency: str, amount: Decimal) -> None:
        """Pay in; a negative amount is a withdrawal."""
        self.book(ts, "deposit", currency, money.minor(amount, currency), cause="")
        self.expose()

    def expose(self) -> None:
        """Have the margin looked at when the next price of anything open comes."""
        self.exposed = True
        for held in self.positions.values():
            working = self.working_orders[held.symbol]
            working.margin_low = working.low_bid = FAR

    def book(self, ts: int, kind: str, currency: str, amount: int, *, cause: str) -> None:
        """Make a cash entry, unless it is nothing."""
        if amount:
            self.apply(Booked(len(self.journal), ts, kind, currency, amount, cause))

    def move(self, ts: int, order: Order, to: Status, reason: str = "") -> None:
        """Let an order change its state."""
        told = Moved(len(self.journal), ts, order.id, order.status, to, reason)
        self._change(order, to)
        self.journal.append(told)

    def amend(
        self, ts: int, order: Order, reason: str, *,
        quantity: int | None = None, price: int | None = None, stop: int | None = None, last: bool = False,
    ) -> None:  # fmt: skip
        """Change the terms of an order."""
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
        """Write down something that moves nothing."""
        self.apply(Noted(len(self.journal), ts, kind, detail))

    def _submitted(self, told: Submitted) -> None:
        (
            seq, ts, id, symbol, sign, quantity, type, price, stop, trail, tif, expires,
            post_only, reduce_only, ticket, arrives, parent, rival, activation, trail_ppm,
        ) = told  # fmt: skip
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

    def _moved(self, told: Moved) -> None:
        self._change(self._order(told.order), STATUSES[told.after])

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

    def _booked(self, told: Booked) -> None:
        self.balances[told.currency] = self.balances.get(told.currency, 0) + told.amount
        key = (told.kind, told.currency)
        self.totals[key] = self.totals.get(key, 0) + told.amount
        self.exposed = True

    def _refused(self, told: Refused) -> None:
        self.refused.append(told)

    def _amended(self, told: Amended) -> None:
        order = self._order(told.order)
        order.quantity, order.price, order.stop = told.quantity, told.price, told.stop
        if told.last:
            order.seq = told.seq
        self.working_orders[order.symbol].stale = True

    def _filled(self, told: Filled) -> None:
        order = self._order(told.order)
        order.filled += told.quantity
        key = told.symbol if self.profile.netting else order.ticket or order.id
        position = self.positions.get(key)
        if position is None:
            position = self.positions[key] = Position(told.symbol, "" if self.profile.netting else key)
        working = self.working_orders[told.symbol]
        signed = told.sign * told.quantity
        closed = abs(position.closes(signed))
        backed = isolated.backing(working.terms, position) if self.profile.isolated else 0
        num, den = told.base_rate
        position.trade(signed, told.price, Fraction(num, den) if num else 0)
        if self.profile.cash:
            closed = 0
            self._hold(told.symbol, signed, told.price)
        order.opened += told.quantity - closed
        if closed and self.profile.isolated:
            position.deficit = (
                0
                if closed < told.quantity
                else isolated.deficit(
                    working.terms, position, backed, told.realised, liquidated=order.id.startswith("liquidation.")
                )
            )
        if not position.quantity:
            del self.positions[key]
        if told.unpriced and working.terms.presses:
            working.pressure.add(told.ts, told.sign, float(working.contract.quantity(told.unpriced)))
        self.exposed = True

    def _hold(self, symbol: str, signed: int, price: int) -> None:
        """Take a fill into the coins that were bought; coins that were paid in are sold last."""
        coins = self.holdings.setdefault(symbol, Position(symbol))
        coins.trade(max(signed, -coins.quantity), price, 0)

    def _noted(self, told: Noted) -> None:
        if told.kind in ("day", "week"):
            self.marks[told.kind], self.marked[told.kind] = int(told.detail), told.ts
        self.called = {"margin_call": True, "margin_call_over": False}.get(told.kind, self.called)

    def _order(self, order_id: str) -> Order:
        try:
            return self.orders[order_id]
        except KeyError:
            raise DataError(f"account {self.id}: its journal tells of no order {order_id}; restore it") from None


_APPLIED: dict[type[Record], Callable[[Account, Any], None]] = {
    Submitted: Account._submitted,
    Refused: Account._refused,
    Moved: Account._moved,
    Amended: Account._amended,
    Filled: Account._filled,
    Booked: Account._booked,
    Noted: Account._noted,
}
