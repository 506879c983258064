"""Execution of virtual market orders with a bracket, on closed bars.

A bar's prices are bid; ask is bid + spread over the whole bar. An order submitted at the close of
a bar is filled at the open of the symbol's next one, whenever that comes. Inside a bar the extreme
that hurts the position comes first: open, low, high, close for a long one, open, high, low, close
for a short one. Pure: an account and a bar in, fills out; no latency, slippage or partial fills.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from mikrobot.domain.errors import BarError
from mikrobot.domain.market import Bar, instrument
from mikrobot.domain.trading import Fill, FillReason, Order, Position, Side
from mikrobot.paper import costs
from mikrobot.paper.portfolio import Account


def execute(account: Account, bar: Bar) -> tuple[Account, tuple[Fill, ...]]:
    """Fill what one closed bar fills on the account.

    Call once for every bar of a symbol, in time order, before anything is decided at its close.
    In this order: the waiting order enters at the open; a position leaves at the open when the
    stop lies beyond it, when the target is reached by it, or when its time is up; then at its stop,
    then at its target inside the bar. A bar that holds both gives the stop, marked ambiguous. An
    order that finds no bar before its ``expires_at`` is void.

    Parameters
    ----------
    account : Account
    bar : Bar
        Closed. Fills at its open carry its ``open_time``, fills inside it its ``close_time``, the
        instant they are known at.

    Returns
    -------
    Account
        With the fills booked.
    tuple of Fill
        In order of execution; ids are those of the order with ``/entry`` or ``/exit``. Entries, stops
        and time exits are at market prices of the bar; a target is always filled at its own limit.

    Raises
    ------
    BarError
        If a price or the spread of the bar is not finite, or its extremes do not hold its open and close.
    """
    symbol, fills = bar.symbol, list[Fill]()
    if symbol not in account.waiting and symbol not in account.positions:
        return account, ()
    _check(bar)
    order = account.waiting.get(symbol)
    if order is not None and order.submitted_at <= bar.open_time < order.expires_at:
        fills.append(_entry(order, bar))
        account = account.book(fills[-1])
    position = account.positions.get(symbol)
    if position is not None and position.entry.filled_at <= bar.open_time:
        leaving = _exit(position, bar)
        if leaving is not None:
            fills.append(leaving)
            account = account.book(leaving)
    return account, tuple(fills)


def _check(bar: Bar) -> None:
    if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high < math.inf:
        raise BarError(
            f"{bar.symbol} {bar.open_time:%Y-%m-%d %H:%M}: expected finite prices with 0 < low <= open, close <= high, "
            f"found open {bar.open}, high {bar.high}, low {bar.low}, close {bar.close}; correct the bar at its source"
        )


def _price(bar: Bar, side: Side, bid: float) -> Decimal:
    known = instrument(bar.symbol)
    return costs.executed(known, side, bid, costs.spread(known, bar.spread))


def _entry(order: Order, bar: Bar) -> Fill:
    price = _price(bar, order.side, bar.open)
    return Fill(
        id=f"{order.id}/entry",
        order_id=order.id,
        symbol=order.symbol,
        side=order.side,
        lots=order.lots,
        price=price,
        reason=FillReason.ENTRY,
        fee=costs.fee(instrument(order.symbol), order.lots, price),
        pnl=Decimal(0),
        filled_at=bar.open_time,
    )


@dataclass(frozen=True, slots=True)
class _Exit:
    reason: FillReason
    price: Decimal
    at: datetime
    ambiguous: bool = False


def _exit(position: Position, bar: Bar) -> Fill | None:
    order, known = position.order, instrument(bar.symbol)
    leaving = _at_open(order, bar) or _inside(order, bar)
    if leaving is None:
        return None
    return Fill(
        id=f"{order.id}/exit",
        order_id=order.id,
        symbol=order.symbol,
        side=order.side.opposite,
        lots=order.lots,
        price=leaving.price,
        reason=leaving.reason,
        fee=costs.fee(known, order.lots, leaving.price),
        pnl=costs.profit(known, order.side, order.lots, position.entry.price, leaving.price),
        filled_at=leaving.at,
        ambiguous=leaving.ambiguous,
    )


def _at_open(order: Order, bar: Bar) -> _Exit | None:
    price = _price(bar, order.side.opposite, bar.open)
    if _stopped(order, price):
        return _Exit(FillReason.STOP, price, bar.open_time)
    if _reached(order, price):
        return _Exit(FillReason.TARGET, order.target, bar.open_time)
    if bar.open_time >= order.expires_at:
        return _Exit(FillReason.TIME, price, bar.open_time)
    return None


def _inside(order: Order, bar: Bar) -> _Exit | None:
    adverse, favourable = (bar.low, bar.high) if order.side is Side.BUY else (bar.high, bar.low)
    reached = _reached(order, _price(bar, order.side.opposite, favourable))
    if _stopped(order, _price(bar, order.side.opposite, adverse)):
        return _Exit(FillReason.STOP, order.stop, bar.close_time, ambiguous=reached)
    return _Exit(FillReason.TARGET, order.target, bar.close_time) if reached else None


def _stopped(order: Order, price: Decimal) -> bool:
    return order.side.sign * (price - order.stop) <= 0


def _reached(order: Order, price: Decimal) -> bool:
    return order.side.sign * (price - order.target) >= 0
