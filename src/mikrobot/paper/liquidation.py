"""Margin call, stop-out and liquidation, and the price bounds within which none of them can happen.

The bounds, called fences, are computed from the account's equity. The margin is checked only when a
price reaches a fence, which keeps most events cheap. Does not match orders; it requests that
positions be closed.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Protocol

from mikrobot.paper import fees, margin
from mikrobot.paper.account import Account
from mikrobot.paper.book import Market
from mikrobot.paper.contracts import Contract
from mikrobot.paper.conversion import Rates
from mikrobot.paper.money import Exact, half_even, scale
from mikrobot.paper.orders import Order, Status
from mikrobot.paper.positions import Position
from mikrobot.paper.terms import share_of
from mikrobot.paper.working_orders import FAR

NO_RATE = (0, 1)


class Closer(Protocol):
    """Interface for ending orders and closing positions at the market."""

    def end(self, ts: int, order: Order, status: Status, reason: str) -> None:
        """End an order."""

    def close(self, position: Position, ts: int, reason: str) -> None:
        """Close a position."""


class Liquidation:
    """Check whether one account has enough margin for its open positions."""

    def __init__(self, account: Account, markets: Mapping[str, Market], rates: Rates, closer: Closer) -> None:
        self._account, self._markets, self._rates, self._closer = account, markets, rates, closer
        self._fenced: list[str] = []
        self._call = share_of(max(account.profile.margin_call_pct, account.profile.stop_out_pct))

    def check(self, market: Market, ts: int) -> None:
        """Check the margin if the market has reached a fence; stop out or liquidate if needed."""
        account, working = self._account, self._account.working_orders[market.contract.symbol]
        if account.profile.cash:
            return
        bid, ask = market.mark_bid, market.mark_ask
        if not account.exposed and working.margin_low < bid and ask < working.margin_high:
            return
        account.exposed = True
        if account.profile.isolated:
            self._liquidate(market, ts)
        else:
            self._stop_out(ts)

    def fence(self, ts: int) -> None:
        """Recompute the fences if balance or positions have changed, or a fence was reached."""
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

    def stop_out_between(self, market: Market, ts: int, start: int, end: int, *, spread: int) -> int | None:
        """Return the first bid between two bids at which the account is stopped out.

        Parameters
        ----------
        market : Market
        ts : int
        start, end : int
            Bids in ticks.
        spread : int
            Ticks from the bid to the ask.

        Returns
        -------
        int or None
            None if the stop-out level is not reached at the end, or is reached at the start already.
        """
        account, working = self._account, self._account.working_orders[market.contract.symbol]
        if account.profile.cash or account.profile.isolated or not account.positions:
            return None
        if working.margin_low < min(start, end) and max(start, end) + spread < working.margin_high:
            return None
        shown = (market.mark_bid, market.mark_ask)
        level = None
        if self._stopped(market, ts, end, spread) and not self._stopped(market, ts, start, spread):
            level = self._first_stopped(market, ts, start, end, spread=spread)
        market.mark_bid, market.mark_ask = shown
        return level

    def refusal(self, order: Order, contract: Contract, price: int, quantity: int, *, ts: int, maker: bool) -> str:
        """Return why a fill must not happen (cash, margin or a rate is missing), or an empty string."""
        account = self._account
        if account.profile.cash:
            return self._unpaid(order, contract, price, quantity, maker=maker)
        if order.reduce_only:
            return ""
        return opening_objection(
            account, self._markets, self._rates, order, contract=contract, price=price, quantity=quantity, ts=ts
        )

    def base_rate(self, order: Order, contract: Contract, price: int, ts: int) -> tuple[int, int]:
        """Return the value of one unit of base that margin needs, (0, 1) if there is no rate."""
        account = self._account
        rate = margin.base_rate(account, contract, price, order.sign, rates=self._rates, ts=ts)
        return rate.value if rate is not None else NO_RATE

    def _unpaid(self, order: Order, contract: Contract, price: int, quantity: int, *, maker: bool) -> str:
        currency = contract.base if order.sign < 0 else contract.quote
        fee = contract.maker_fee if maker else contract.taker_fee
        needed = _base(contract, quantity) if order.sign < 0 else margin.cost(contract, price * quantity, fee)
        return "" if needed <= margin.free_for(self._account, order, currency) else f"not enough {currency}"

    def _first_stopped(self, market: Market, ts: int, solvent: int, stopped: int, *, spread: int) -> int:
        """Return, by bisection, the bid nearest to a solvent bid at which the account is stopped out."""
        while abs(stopped - solvent) > 1:
            middle = (solvent + stopped) // 2
            if self._stopped(market, ts, middle, spread):
                stopped = middle
            else:
                solvent = middle
        return stopped

    def _stopped(self, market: Market, ts: int, bid: int, spread: int) -> bool:
        """Return whether the stop-out level is reached at a bid; this sets the market's marks to that bid."""
        market.mark_bid, market.mark_ask = bid, bid + spread
        return margin.level_reached(*self._state(ts), self._account.profile.stop_out_pct)

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
            account.note(ts, "liquidation", f"{contract.symbol} at {price}, from {float_free(limit)}")
            for order in account.working(contract.symbol):
                if order.alive:
                    self._closer.end(ts, order, Status.CANCELED, "liquidation")
            self._closer.close(position, ts, "liquidation")

    def _state(self, ts: int) -> tuple[int, int]:
        account = self._account
        return margin.equity(account, self._markets, self._rates, ts), margin.used(account)

    def _profit(self, position: Position, ts: int) -> int:
        return margin.unrealised(self._account, position, self._markets[position.symbol], self._rates, ts=ts)

    def _set(self, symbol: str, low: int, high: int) -> None:
        working = self._account.working_orders[symbol]
        if (working.margin_low, working.margin_high) != (low, high):
            working.margin_low, working.margin_high = low, high
            working.fence()

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
        """Return the equity of an account whose positions are all quoted in its currency, minor units."""
        account = self._account
        worth = account.balances.get(account.profile.currency, 0)
        for position in account.positions.values():
            price = self._markets[position.symbol].mark(position.quantity)
            num, den = account.working_orders[position.symbol].terms.gain
            worth += half_even(position.unrealised(price) * num, den) if price else 0
        return worth

    def _fence_shared(self, ts: int) -> None:
        """Give each open symbol an equal share of the loss that is possible before a margin level is reached."""
        account = self._account
        slack = 0
        if not account.called and all(
            [account.working_orders[symbol].terms.margin_on == "cost" for symbol in self._fenced]
        ):
            num, den = self._call
            slack = self._own_worth() - margin.used(account) * num // den - len(account.positions) - 1
        if slack <= 0:
            for symbol in self._fenced:
                self._set(symbol, FAR, 0)
            return
        for symbol in self._fenced:
            self._set(symbol, *self._prices(symbol, slack // len(self._fenced)))

    def _prices(self, symbol: str, slack: int) -> tuple[int, int]:
        """Return the bid and the ask at which the positions of a symbol have lost the given slack."""
        account, market = self._account, self._markets[symbol]
        long, short = account.sides(symbol)
        unit, den = account.working_orders[symbol].terms.gain
        share = slack * den // (2 if long and short else 1)
        low = market.mark_bid + (-share // (long * unit) if long else -FAR)
        high = market.mark_ask - (-share // (short * unit) if short else -FAR)
        return max(low, -1), high


def opening_objection(
    account: Account, markets: Mapping[str, Market], rates: Rates,
    order: Order, *, contract: Contract, price: int, quantity: int, ts: int,
) -> str:  # fmt: skip
    """Return why a margin account may not open the position of a fill, or an empty string.

    The margin of all positions after the fill must not exceed the funds that back it. A hedge that
    needs no additional margin is always allowed.
    """
    position = account.position_of(order)
    signed = order.sign * quantity
    closed = abs(position.closes(signed)) if position is not None else 0
    if closed == quantity:
        return ""
    if reason := _rate_missing(account, rates, order, ts):
        return reason
    rate: Exact = 0
    if account.working_orders[order.symbol].terms.converts_base:
        base = margin.base_rate(account, contract, price, order.sign, rates=rates, ts=ts)
        rate = Fraction(*base.value) if base is not None else rate
    needed = margin.used_after(account, order, signed, price, base_rate=rate)
    if not closed and needed <= margin.used(account):
        return ""
    own = _worth(account, markets, rates, ts)
    if position is not None and closed:
        own += _close_gain(account, markets, rates, position, price=price, ts=ts)
    return "" if needed <= own else f"not enough free margin: {needed} needed in total, {own} available (minor units)"


def _rate_missing(account: Account, rates: Rates, order: Order, ts: int) -> str:
    """Return the missing or stale rate that prevents opening a position, or an empty string."""
    for currency in account.working_orders[order.symbol].terms.foreign:
        for sells in (True, False):
            quoted = rates.rate(currency, account.currency, ts, receives=sells)
            if quoted is None or quoted.stale:
                state = "no" if quoted is None else "only a stale"
                return f"there is {state} rate from {currency} to {account.currency}"
    return ""


def _worth(account: Account, markets: Mapping[str, Market], rates: Rates, ts: int) -> int:
    """Return the funds that back positions, minor units: the equity; if isolated, the free cash and all margins."""
    if account.profile.isolated:
        return account.free_cash + margin.used(account)
    if not account.positions:
        return account.balances.get(account.currency, 0)
    return margin.equity(account, markets, rates, ts)


def _close_gain(
    account: Account, markets: Mapping[str, Market], rates: Rates, position: Position, *, price: int, ts: int
) -> int:
    """Return how much closing a position at a price adds to `_worth`, at most its gain at the market price."""
    market = markets[position.symbol]
    marked = margin.unrealised(account, position, market, rates, ts=ts)
    booked = fees.profit(account, rates, market.contract, position.unrealised(price), price=price, ts=ts)
    gain = marked if booked is None else min(marked, booked[0])
    if account.profile.isolated:
        return max(gain, -account.backing(position)) - position.deficit
    return gain - marked


def float_free(price: Fraction) -> str:
    """Return a rational price in ticks as a fraction in text form."""
    return f"{price.numerator}/{price.denominator}"


def _base(contract: Contract, quantity: int) -> int:
    num, den = contract.step.as_integer_ratio()
    return quantity * num * scale(contract.base) // den
