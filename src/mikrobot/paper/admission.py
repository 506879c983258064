"""Whether a venue takes an order, looked at when it arrives: session, price, side, limits and money.

A rejection moves no cash. Does not change anything.
"""

from collections.abc import Mapping
from dataclasses import replace

from mikrobot.paper import limits, margin
from mikrobot.paper.account import Account
from mikrobot.paper.book import Market
from mikrobot.paper.contracts import Contract
from mikrobot.paper.conversion import Rates
from mikrobot.paper.money import half_even, scale
from mikrobot.paper.orders import Order, OrderType, Status
from mikrobot.paper.solvency import opening_objection


def objection(
    account: Account, markets: Mapping[str, Market], rates: Rates, order: Order, ts: int, *, opening: bool
) -> str:
    """Return why an order is rejected, or an empty string.

    Parameters
    ----------
    account : Account
    markets : mapping of str to Market
    rates : Rates
    order : Order
    ts : int
        Milliseconds, of the arrival.
    opening : bool
        Whether the order waited for this price, so that a stop may lie behind it.
    """
    market = markets[order.symbol]
    contract, best = market.contract, market.best(order.sign)
    if not contract.is_open(ts):
        return f"{order.symbol} is closed at this hour"
    if not market.mark_bid and not market.mark_ask:
        return f"{order.symbol} has not been quoted yet"
    if order.stop and best is not None and not opening and (reason := _wrong_side(order, contract, best)):
        return reason
    if order.children and best is not None and not opening and (reason := _exits_reached(account, market, order)):
        return reason
    if order.post_only and best is not None and order.sign * (order.price - best) >= 0:
        return f"post-only at {contract.price(order.price)} would cross the market at {contract.price(best)}"
    if account.profile.cash:
        return _unfunded(account, market, order)
    if order.reduce_only:
        return ""
    price = order.price or order.stop or best or market.mark(-order.sign)
    return _limited(account, markets, rates, order, ts) or opening_objection(
        account, markets, rates, order, contract, price, order.quantity, ts
    )


def unpayable(account: Account, contract: Contract, order: Order, quantity: int, price: int, stop: int) -> str:
    """Return what a cash account lacks to give a working order new terms, or an empty string."""
    if not account.profile.cash:
        return ""
    locked = margin.locked(account)
    currency, own = margin.order_lock(contract, order)
    _, needed = margin.order_lock(contract, replace(order, quantity=quantity, price=price, stop=stop))
    counted = locked.get(currency, 0) - (own if order.status not in (Status.NEW, Status.HELD) else 0)
    free = account.balances.get(currency, 0) - counted
    return "" if needed <= max(free, own) else f"not enough {currency}: {needed} needed, {free} free (minor units)"


def unmodifiable(market: Market, order: Order, quantity: int, price: int, stop: int) -> str:
    """Return why an order cannot have these terms, or an empty string."""
    if quantity < order.filled or (quantity == order.filled and order.filled):
        return f"{market.contract.quantity(order.filled)} of it has filled already"
    if (price and not order.price) or (stop and not order.stop and order.type is not OrderType.TRAILING_STOP):
        return f"a {order.type.value} order has no such price"
    best = market.best(order.sign)
    stops = order.type in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
    if stops and stop != order.stop and best is not None and order.sign * (best - stop) >= 0:
        return "the stop would lie on the wrong side of the market"
    return ""


def _wrong_side(order: Order, contract: Contract, best: int) -> str:
    stops = order.type in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
    if not stops or order.sign * (best - order.stop) < 0:
        return ""
    side, place = ("buy", "above the ask") if order.sign > 0 else ("sell", "below the bid")
    return f"a {side} stop lies {place} {contract.price(best)}, not at {contract.price(order.stop)}"


def _exits_reached(account: Account, market: Market, order: Order) -> str:
    """Return which exit of an entry that trades at once the market has reached already."""
    closing = market.best(-order.sign)
    if order.type is not OrderType.MARKET or closing is None:
        return ""
    for leg in map(account.orders.__getitem__, order.children):
        name, price = ("take profit", leg.price) if leg.price else ("stop loss", leg.stop)
        beyond = closing - price if leg.price else price - closing
        if order.sign * beyond >= 0:
            placed, now = market.contract.price(price), market.contract.price(closing)
            return f"the {name} at {placed} is on the wrong side of the market at {now}"
    return ""


def _limited(account: Account, markets: Mapping[str, Market], rates: Rates, order: Order, ts: int) -> str:
    rules = account.profile.limits
    if not (rules.daily_loss_pct or rules.weekly_loss_pct or rules.total_loss_pct):
        return ""
    position = account.position_of(order)
    if position is not None and abs(position.closes(order.sign * order.quantity)) == order.quantity:
        return ""
    return limits.breach(account, margin.equity(account, markets, rates, ts))


def _unfunded(account: Account, market: Market, order: Order) -> str:
    """Return what a cash account lacks: there is no shorting and no credit."""
    contract, locked = market.contract, margin.locked(account)
    if order.sign < 0:
        currency = contract.base
        num, den = contract.step.as_integer_ratio()
        needed = half_even(order.quantity * num * scale(currency), den)
    else:
        currency = contract.quote
        needed = _purchase(market, order)
    free = account.balances.get(currency, 0) - locked.get(currency, 0)
    return "" if needed <= free else f"not enough {currency}: {needed} needed, {free} free (minor units)"


def _purchase(market: Market, order: Order) -> int:
    """Return the most that a purchase can cost, minor units of the quote currency."""
    contract, notional, left = market.contract, 0, order.quantity
    highest = order.price or order.stop or (order.trail and market.mark_ask + order.trail)
    if highest:
        notional = highest * left
        crosses = market.ask is not None and order.type is OrderType.LIMIT and market.ask <= order.price
        rests = order.type in (OrderType.LIMIT, OrderType.STOP_LIMIT) and not crosses
        return margin.cost(contract, notional, contract.maker_fee if rests else contract.taker_fee)
    for price, size in market.depth(1):
        taken = left if size is None else min(left, size)
        notional, left = notional + price * taken, left - taken
    return margin.cost(contract, notional, contract.taker_fee)
