"""Margin call, stop-out and liquidation, and the prices up to which none of them can happen.

Checks the account at the prices where it matters: between fences set from its equity, an event
costs nothing. Does not match; it asks for positions to be closed.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Protocol

from mikrobot.paper import margin
from mikrobot.paper.account import Account
from mikrobot.paper.book import Market
from mikrobot.paper.contracts import Contract
from mikrobot.paper.conversion import Rates
from mikrobot.paper.desk import FAR
from mikrobot.paper.journal import Filled
from mikrobot.paper.money import Exact, half_even, scale
from mikrobot.paper.orders import Order, OrderType, Status
from mikrobot.paper.positions import Position
from mikrobot.paper.terms import share_of

NO_RATE = (0, 1)


class Closer(Protocol):
    """What ends orders and closes positions at the market."""

    def end(self, ts: int, order: Order, status: Status, reason: str) -> None:
        """End an order."""

    def close(self, position: Position, ts: int, reason: str) -> None:
        """Close a position."""


class Solvency:
    """Watches whether one account can answer for what it has open."""

    def __init__(self, account: Account, markets: Mapping[str, Market], rates: Rates, closer: Closer) -> None:
        self._account, self._markets, self._rates, self._closer = account, markets, rates, closer
        self._fenced: list[str] = []
        self._call = share_of(account.profile.margin_call_pct)

    def check(self, market: Market, ts: int) -> None:
        """Look at the margin if the market has come to a fence, and act on what is found."""
        account, desk = self._account, self._account.desks[market.contract.symbol]
        if account.profile.cash:
            return
        bid, ask = market.mark_bid, market.mark_ask
        if not account.exposed and desk.margin_low < bid and ask < desk.margin_high:
            return
        account.exposed = True
        if account.profile.isolated:
            self._liquidate(market, ts)
        else:
            self._stop_out(ts)

    def fence(self, ts: int) -> None:
        """Set the fences anew if balance or positions have changed since, or one was reached."""
        account = self._account
        if not account.exposed:
            return
        account.exposed = False
        before, self._fenced = self._fenced, []
        if not account.profile.cash:
            self._fenced = list(dict.fromkeys([position.symbol for position in account.positions.values()]))
        for symbol in before:
            if symbol not in self._fenced:
                self._set(symbol, -1, FAR)
        if account.profile.isolated:
            self._fence_isolated()
        elif self._fenced:
            self._fence_shared(ts)

    def refusal(self, order: Order, contract: Contract, price: int, quantity: int, ts: int) -> str:
        """Return why a fill must not happen now, or an empty string: money or a rate is missing."""
        account = self._account
        if account.profile.cash:
            return self._unpaid(order, contract, price, quantity)
        if order.type is OrderType.MARKET or order.reduce_only:
            return ""
        return opening_objection(account, self._markets, self._rates, order, contract, price, quantity, ts)

    def base_rate(self, order: Order, contract: Contract, price: int, ts: int) -> tuple[int, int]:
        """Return the value of a unit of base that margin has to remember, (0, 1) where there is no rate."""
        account = self._account
        rate = margin.base_rate(account, contract, price, order.sign, self._rates, ts)
        return rate.value if rate is not None else NO_RATE

    def _unpaid(self, order: Order, contract: Contract, price: int, quantity: int) -> str:
        account = self._account
        locked = margin.locked(account)
        if order in account.desks[order.symbol].limits or order in account.desks[order.symbol].stops:
            currency, own = margin.order_lock(contract, order)
            locked[currency] -= own
        if order.sign < 0:
            needed, currency = _base(contract, quantity), contract.base
        else:
            needed, currency = margin.cost(contract, price * quantity, contract.taker_fee), contract.quote
            if order.rests_as_limit:
                needed = margin.cost(contract, price * quantity, contract.maker_fee)
        free = account.balances.get(currency, 0) - locked.get(currency, 0)
        return "" if needed <= free else f"not enough {currency}"

    def _stop_out(self, ts: int) -> None:
        account, profile = self._account, self._account.profile
        equity, used = self._state(ts)
        if margin.level_reached(equity, used, profile.margin_call_pct):
            if not account.called:
                account.note(ts, "margin_call", f"equity {equity}, margin {used}")
        elif account.called:
            account.note(ts, "margin_call_over", f"equity {equity}, margin {used}")
        if not margin.level_reached(equity, used, profile.stop_out_pct):
            return
        account.note(ts, "stop_out", f"equity {equity}, margin {used}")
        for order in account.working():
            if order.alive and not order.reduce_only:
                self._closer.end(ts, order, Status.CANCELED, "stop-out")
        stuck: set[int] = set()
        while account.positions and margin.level_reached(equity, used, profile.stop_out_pct):
            left = [position for position in account.positions.values() if id(position) not in stuck]
            if not left:
                return
            worst = min(left, key=lambda position: self._profit(position, ts))
            before = worst.quantity
            self._closer.close(worst, ts, "stop_out")
            if worst.quantity == before:
                stuck.add(id(worst))
            equity, used = self._state(ts)

    def _liquidate(self, market: Market, ts: int) -> None:
        account, contract = self._account, market.contract
        for position in list(account.positions.values()):
            price = market.mark(position.sign)
            if position.symbol != contract.symbol:
                continue
            limit = margin.liquidation_price(contract, account.profile, position)
            if position.sign * (price - limit) > 0:
                continue
            backed = margin.position_margin(account.desks[contract.symbol].terms, position)
            account.note(ts, "liquidation", f"{contract.symbol} at {price}, from {float_free(limit)}")
            for order in account.working(contract.symbol):
                if order.alive:
                    self._closer.end(ts, order, Status.CANCELED, "liquidation")
            start = account.seq
            self._closer.close(position, ts, "liquidation")
            lost = -sum(record.realised for record in account.journal[start:] if isinstance(record, Filled))
            account.book(ts, "insurance", account.currency, max(lost - backed, 0), contract.symbol)

    def _state(self, ts: int) -> tuple[int, int]:
        account = self._account
        return margin.equity(account, self._markets, self._rates, ts), margin.used(account)

    def _profit(self, position: Position, ts: int) -> int:
        return margin.unrealised(self._account, position, self._markets[position.symbol], self._rates, ts)

    def _set(self, symbol: str, low: int, high: int) -> None:
        desk = self._account.desks[symbol]
        if (desk.margin_low, desk.margin_high) != (low, high):
            desk.margin_low, desk.margin_high = low, high
            desk.fence()

    def _fence_isolated(self) -> None:
        for symbol in self._fenced:
            low, high = -1, FAR
            for position in self._account.positions.values():
                if position.symbol == symbol:
                    price = margin.liquidation_price(self._account.contracts[symbol], self._account.profile, position)
                    low = max(low, price.__floor__()) if position.sign > 0 else low
                    high = min(high, price.__ceil__()) if position.sign < 0 else high
            self._set(symbol, low, high)

    def _own_worth(self) -> int:
        """Return the equity of an account that holds nothing quoted in another currency, minor units."""
        account = self._account
        worth = account.balances.get(account.profile.currency, 0)
        for position in account.positions.values():
            price = self._markets[position.symbol].mark(position.quantity)
            num, den = account.desks[position.symbol].terms.gain
            worth += half_even(position.unrealised(price) * num, den) if price else 0
        return worth

    def _fence_shared(self, ts: int) -> None:
        """Give each open symbol an equal share of what may be lost before a level is reached."""
        account = self._account
        slack = 0
        if not account.called and all([account.desks[symbol].terms.margin_on == "cost" for symbol in self._fenced]):
            num, den = self._call
            slack = self._own_worth() - margin.used(account) * num // den - len(account.positions) - 1
        if slack <= 0:
            for symbol in self._fenced:
                self._set(symbol, FAR, 0)
            return
        for symbol in self._fenced:
            self._set(symbol, *self._prices(symbol, slack // len(self._fenced)))

    def _prices(self, symbol: str, slack: int) -> tuple[int, int]:
        """Return the bid and the ask at which the positions of a symbol have lost that much."""
        account, market = self._account, self._markets[symbol]
        long, short = account.sides(symbol)
        unit, den = account.desks[symbol].terms.gain
        share = slack * den // (2 if long and short else 1)
        low = market.mark_bid + (-share // (long * unit) if long else -FAR)
        high = market.mark_ask - (-share // (short * unit) if short else -FAR)
        return max(low, -1), high


def opening_objection(
    account: Account, markets: Mapping[str, Market], rates: Rates,
    order: Order, contract: Contract, price: int, quantity: int, ts: int,
) -> str:  # fmt: skip
    """Return why a margin account may not open what a fill would open, or an empty string."""
    position = account.position_of(order)
    opened = quantity - (abs(position.closes(order.sign * quantity)) if position is not None else 0)
    if not opened:
        return ""
    rate: Exact = 0
    for currency in account.desks[order.symbol].terms.foreign:
        for sells in (True, False):
            quoted = rates.rate(currency, account.currency, ts, receives=sells)
            if quoted is None or quoted.stale:
                state = "no" if quoted is None else "only a stale"
                return f"there is {state} rate from {currency} to {account.currency}"
    if account.desks[order.symbol].terms.converts_base:
        base = margin.base_rate(account, contract, price, order.sign, rates, ts)
        rate = Fraction(*base.value) if base is not None else rate
    needed = margin.required(account.desks[order.symbol].terms, opened, price, rate)
    if account.profile.netting and position is not None and position.closes(order.sign * quantity):
        return ""
    used = margin.used(account)
    own = account.balances.get(account.currency, 0)
    if not account.profile.isolated and account.positions:
        own = margin.equity(account, markets, rates, ts)
    return "" if needed <= own - used else f"not enough free margin: {needed} needed, {own - used} free (minor units)"


def float_free(price: Fraction) -> str:
    """Return a rational price in ticks as text."""
    return f"{price.numerator}/{price.denominator}"


def _base(contract: Contract, quantity: int) -> int:
    num, den = contract.step.as_integer_ratio()
    return quantity * num * scale(contract.base) // den
