"""Match the orders of one account against the market and book the fills.

Each event is processed in this order: orders expire, the margin is checked, stops trigger, limits
fill by price and time, trailing stops are moved, and the exits of filled entries are activated (the
stop is checked before the target). Does not know the source of prices or the arrival time of requests.
"""

from collections.abc import Iterable, Mapping
from heapq import heappop

from mikrobot.paper import fees, financing, isolated, margin, requests
from mikrobot.paper.account import Account
from mikrobot.paper.admission import objection
from mikrobot.paper.book import Level, Market
from mikrobot.paper.contracts import Contract
from mikrobot.paper.conversion import Rates
from mikrobot.paper.journal import Filled
from mikrobot.paper.linked_orders import LinkedOrders
from mikrobot.paper.liquidation import NO_RATE, Liquidation
from mikrobot.paper.orders import Order, OrderType, Status, TimeInForce
from mikrobot.paper.positions import Position
from mikrobot.paper.pricing import ambiguous, beyond, draw, reached, slip, through
from mikrobot.paper.working_orders import WorkingOrders


class Matching:
    """Executes the orders of one account.

    Parameters
    ----------
    account : Account
    markets : mapping of str to Market
        Shared by all accounts; this class only reads them.
    rates : Rates
    """

    def __init__(self, account: Account, markets: Mapping[str, Market], rates: Rates) -> None:
        self.account, self.markets, self.rates = account, markets, rates
        self.linked = LinkedOrders(account, markets)
        self.liquidation = Liquidation(account, markets, rates, self)
        self.bar: tuple[int, int, int] | None = None

    def fork(self) -> "Matching":
        """Return a matching for a copy of the account on the same markets."""
        return Matching(self.account.fork(), self.markets, self.rates)

    def on_market(self, market: Market, ts: int) -> None:
        """Process one market update: expire orders, check margin, trigger stops, fill limits."""
        account = self.account
        working = account.working_orders[market.contract.symbol]
        if account.expiring:
            self.expire(ts)
        if account.positions:
            self.liquidation.check(market, ts)
        if working.stops:
            self._trigger(working, market, ts)
        if working.limits:
            self._fill_limits(working, market, ts)
        if working.stops:
            for order in working.stops:
                if order.type is OrderType.TRAILING_STOP:
                    draw(account, order, market, ts)
        self._conclude(working, ts, at_price=True)

    def expire(self, ts: int) -> None:
        """Expire every order that has reached its expiry time."""
        expiring = self.account.expiring
        while expiring and expiring[0][0] <= ts:
            order = self.account.orders[heappop(expiring)[1]]
            if order.alive:
                self.end(ts, order, Status.EXPIRED, "it has expired")

    def arrive(self, order: Order, ts: int, *, opening: bool = False, book: Market | None = None) -> None:
        """Process the arrival of an order: admit or reject it, then match what can trade immediately.

        Parameters
        ----------
        order : Order
        ts : int
        opening : bool
            True if the order waited for this opening price; a stop that the price has passed then triggers.
        book : Market, optional
            The order book at this open, whose levels a market order or a crossing limit takes.
        """
        market = self.markets[order.symbol]
        reason = objection(self.account, self.markets, self.rates, order, ts=ts, opening=opening)
        if reason:
            self.end(ts, order, Status.REJECTED, reason)
            return
        self.account.move(ts, order, Status.WORKING)
        if self._covered(order, ts):
            self._meet(order, book if book is not None and order.takes_the_open else market, ts)
        if opening and order.alive and order.type in (OrderType.STOP, OrderType.STOP_LIMIT):
            self._trigger_one(order, market, ts)
        if order.reduce_only:
            self.linked.drop_reducers(order.symbol, ts)
        self._conclude(self.account.working_orders[order.symbol], ts)

    def reconsider(self, order: Order, ts: int) -> None:
        """Match an order with new terms as if it had just arrived."""
        working = self.account.working_orders[order.symbol]
        if order.status not in (Status.NEW, Status.HELD):
            working.seat(order)
            if self._covered(order, ts) and self.markets[order.symbol].quoting:
                self._meet(order, self.markets[order.symbol], ts)
        self._conclude(working, ts)

    def meet_waiting(self, working: WorkingOrders, ts: int, opened: int, book: Market | None = None) -> None:
        """Release waiting orders submitted before this price formed; `book` is as in `arrive`."""
        for order in list(working.waiting):
            if order in working.waiting and sees(order, opened):
                working.waiting.remove(order)
                self.arrive(order, ts, opening=True, book=book)
        working.fence()

    def end(self, ts: int, order: Order, status: Status, reason: str) -> None:
        """End an order without a fill, and the orders that depend on it."""
        self.linked.end(ts, order, status, reason)

    def arm(self, ts: int) -> None:
        """Activate the exits of filled entries: first both legs, then check the stop, then the target."""
        while self.linked.entered:
            for entry in self.linked.take_entered():
                self.linked.size_exits(ts, entry)
                market = self.markets[entry.symbol]
                fresh = [leg for leg in self.linked.children(entry) if leg.status is Status.HELD and entry.opened]
                for leg in fresh:
                    self.account.move(ts, leg, Status.WORKING, "its entry filled")
                self.linked.drop_reducers(entry.symbol, ts)
                for leg in fresh:
                    if leg.alive and leg.type is OrderType.LIMIT:
                        self._meet(leg, market, ts)
                    elif leg.alive:
                        self._trigger_one(leg, market, ts)

    def _conclude(self, working: WorkingOrders, ts: int, *, at_price: bool = False) -> None:
        """Activate the exits of new entries, then recompute the price bounds.

        Without a new price, and outside a bar, the margin check waits for the next event.
        """
        if self.linked.entered:
            self.arm(ts)
        if self.account.exposed:
            if at_price or self.bar is not None:
                self.liquidation.fence(ts)
            else:
                self.account.expose()
        if working.stale:
            working.fence()

    def close(self, position: Position, ts: int, reason: str) -> None:
        """Close a position at the market, for example in a stop-out or liquidation."""
        account, market = self.account, self.markets[position.symbol]
        record = requests.closing(account, position, ts, reason)
        account.apply(record)
        order = account.orders[record.order]
        account.move(ts, order, Status.WORKING, reason)
        self._meet(order, market, ts)

    def _trigger(self, working: WorkingOrders, market: Market, ts: int) -> None:
        """Trigger the stops that the market has reached, furthest passed first, then by time priority."""
        for order in reached(working.stops, beyond, market):
            if order.alive and not order.triggered:
                self._trigger_one(order, market, ts)

    def _trigger_one(self, order: Order, market: Market, ts: int) -> None:
        if beyond(order, market) < 0 or self.linked.dormant(order):
            return
        self.account.move(ts, order, Status.TRIGGERED, f"{'ask' if order.sign > 0 else 'bid'} reached the stop")
        self._meet(order, market, ts)

    def _meet(self, order: Order, market: Market, ts: int) -> None:
        """Match an order that has just arrived or triggered."""
        if not order.triggered and order.type not in (OrderType.MARKET, OrderType.LIMIT):
            if order.type is OrderType.TRAILING_STOP:
                draw(self.account, order, market, ts)
            return
        limit = order.price if order.rests_as_limit else None
        if order.tif is TimeInForce.FOK and not self._all_there(order, market, limit):
            self.end(ts, order, Status.CANCELED, "not all of it could be filled at once")
            return
        self._take(order, market, limit, ts)
        if not order.alive:
            return
        if limit is None or order.tif in (TimeInForce.IOC, TimeInForce.FOK):
            self.end(ts, order, Status.CANCELED, "nothing more was displayed")
        elif self.account.profile.queue:
            order.ahead = dict(market.depth(-order.sign)).get(order.price) or 0

    def _all_there(self, order: Order, market: Market, limit: int | None) -> bool:
        there = self.account.working_orders[order.symbol].taken.within(market, order.sign, limit)
        return there is None or there >= order.leaves or (limit is None and self._goes_on(market, limit))

    def _goes_on(self, market: Market, limit: int | None) -> bool:
        """Return whether size beyond the last displayed level can be filled.

        A dealer fills it. So does a venue of whose book only the best levels are stored: the end of a partial
        book is not the end of the market, so an order is not cut there as it is at the end of a whole book,
        and the size beyond has the rule for unknown sizes. A limit rests instead, which is the worse assumption.
        """
        return self.account.profile.unlimited_depth or (market.partial and limit is None)

    def _take(self, order: Order, market: Market, limit: int | None, ts: int) -> None:
        """Take liquidity from the displayed levels, best first, with one fill per level."""
        working, sign = self.account.working_orders[order.symbol], order.sign
        level: Level | None = None
        for level in market.depth(sign):
            price, size = level
            if limit is not None and sign * (price - limit) > 0:
                return
            wanted = self.linked.allowed(order, ts)
            quantity = wanted if size is None else min(working.taken.left(market, sign, level) or 0, wanted)
            if quantity > 0:
                before = order.filled
                self._taker_fill(order, market, level, quantity, limit=limit, ts=ts)
                if size is not None:
                    working.taken.take(sign, level, order.filled - before)
            if not order.alive or not order.leaves:
                return
        if level is not None and self._goes_on(market, limit) and self.linked.allowed(order, ts):
            self._taker_fill(order, market, (level[0], None), order.leaves, limit=limit, ts=ts)

    def _taker_fill(
        self, order: Order, market: Market, level: Level, quantity: int, *, limit: int | None, ts: int
    ) -> None:
        """Fill at a level plus slippage; a level without a size is unknown depth, on which impact is charged."""
        price, priced = level[0], level[1] is not None
        shown = price
        if self.account.working_orders[order.symbol].terms.slips:
            price += order.sign * slip(self.account, order, market, price, unpriced=0 if priced else quantity, ts=ts)
            price = max(price, 1)
            if limit is not None:
                price = min(price, limit) if order.sign > 0 else max(price, limit)
        slippage, unpriced = order.sign * (price - shown), 0 if priced else quantity
        levels = (level,) if priced else ()
        self._fill(
            order, market, price, quantity, ts=ts, maker=False, unpriced=unpriced, slippage=slippage, levels=levels
        )

    def _fill_limits(self, working: WorkingOrders, market: Market, ts: int) -> None:
        """Fill resting limits that the market has reached, best price first, then by time priority."""
        for order in reached(working.limits, through, market):
            if order.alive:
                self._fill_limit(order, working, market, ts)

    def _fill_limit(self, order: Order, working: WorkingOrders, market: Market, ts: int) -> None:
        sign, wanted, filled = order.sign, self.linked.allowed(order, ts), 0
        best = market.best(sign)
        shares: list[tuple[Level, int]] = []
        for level in market.depth(sign):
            if sign * (level[0] - order.price) > 0 or filled == wanted:
                break
            left = working.taken.left(market, sign, level)
            if left is not None and order.ahead:
                gone = min(order.ahead, left)
                order.ahead, left = order.ahead - gone, left - gone
            quantity = wanted - filled if left is None else min(left, wanted - filled)
            if quantity > 0:
                shares.append((level, quantity))
                filled += quantity
        if filled and best is not None:
            price, before = best if self.account.profile.improve else order.price, order.filled
            self._fill(order, market, price, filled, ts=ts, maker=True)
            self._take_shares(working, order, shares, order.filled - before)

    def _take_shares(
        self, working: WorkingOrders, order: Order, shares: Iterable[tuple[Level, int]], filled: int
    ) -> None:
        """Deduct the filled quantity from its planned levels, best first."""
        for level, quantity in shares:
            working.taken.take(order.sign, level, min(quantity, filled))
            filled -= min(quantity, filled)

    def _covered(self, order: Order, ts: int) -> bool:
        """On a cash account, cut a reduce-only order to the coins it can lock; return whether any quantity remains."""
        return not self.account.profile.cash or self.linked.allowed(order, ts) > 0

    def _fill(
        self, order: Order, market: Market, price: int, quantity: int, *, ts: int,
        maker: bool, unpriced: int = 0, slippage: int = 0, levels: tuple[Level, ...] = (),
    ) -> None:  # fmt: skip
        """Book one fill and update the orders that depend on it."""
        account, contract = self.account, market.contract
        profile, terms = account.profile, account.working_orders[order.symbol].terms
        quantity, cut = self._paid(order, contract, price, quantity, ts=ts, maker=maker)
        refusal = self.liquidation.refusal(order, contract, price, quantity, ts=ts, maker=maker)
        if refusal:
            self.end(ts, order, Status.CANCELED, refusal)
            return
        fee = fees.fee(account, self.rates, contract, price, quantity=quantity, maker=maker, ts=ts)
        position = None if profile.cash else account.position_of(order)
        gained = position.realised(order.sign * quantity, price) if position is not None else 0
        profit = fees.profit(account, self.rates, contract, gained, price=price, ts=ts)
        if fee is None or profit is None:
            self.end(ts, order, Status.CANCELED, f"there is no rate to {profile.currency} to book its fill")
            return
        uncovered = isolated.uncovered(terms, position, profit[0]) if profile.isolated and position and gained else 0
        unsure = self.bar is not None and not maker and ambiguous(account, order, market, self.bar)
        account.apply(
            Filled(
                len(account.journal), ts, order.id, order.symbol, order.sign, price, quantity, maker,
                fee[0], terms.fee_currency, profit[0],
                self.liquidation.base_rate(order, contract, price, ts) if terms.converts_base else NO_RATE,
                min(unpriced, quantity), unsure, profit[1] or fee[1], slippage,
                levels, market.bid or 0 if levels or market.partial else 0,
            )
        )  # fmt: skip
        if profile.cash:
            fees.exchange(account, contract, order, price, quantity=quantity, ts=ts)
        account.book(ts, "realised", profile.currency, profit[0], cause=order.id)
        account.book(ts, "insurance", profile.currency, uncovered, cause=order.symbol)
        account.book(ts, "fee", terms.fee_currency, -fee[0], cause=order.id)
        financing.insure(account, order.symbol, ts)
        self.linked.follow_fill(order, ts, cut)

    def _paid(
        self, order: Order, contract: Contract, price: int, quantity: int, *, ts: int, maker: bool
    ) -> tuple[int, str]:
        """Cut an exit that buys coins back to the affordable size; return the size to fill and the reason for a cut.

        An exit that can afford nothing is not cut; it is refused like any other order.
        """
        if not self.account.profile.cash or order.sign < 0 or not order.reduce_only:
            return quantity, ""
        fee = contract.maker_fee if maker else contract.taker_fee
        paid = margin.affordable(self.account, contract, order, price, steps=quantity, fee=fee)
        if paid in (0, quantity):
            return quantity, ""
        reason = f"cut to what the free {contract.quote} pays"
        self.account.amend(ts, order, reason, quantity=order.filled + paid)
        return paid, reason


def sees(order: Order, opened: int) -> bool:
    """Return whether an order was submitted early enough to trade at a price formed at that instant."""
    return order.submitted <= opened
