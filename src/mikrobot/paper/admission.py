"""Check an arriving order against trading hours, market price, loss limits and available funds.

Returns the reason for a rejection. Does not change orders or accounts.
"""

from collections.abc import Mapping

from mikrobot.paper import limits, margin
from mikrobot.paper.account import Account
from mikrobot.paper.book import Market
from mikrobot.paper.contracts import Contract
from mikrobot.paper.conversion import Rates
from mikrobot.paper.liquidation import opening_objection
from mikrobot.paper.orders import Order, OrderType, Status
from mikrobot.paper.requests import misplaced


def objection(
    account: Account, markets: Mapping[str, Market], rates: Rates, order: Order, *, ts: int, opening: bool
) -> str:
    """Return the reason for rejecting an order, or an empty string.

    Parameters
    ----------
    account : Account
    markets : mapping of str to Market
    rates : Rates
    order : Order
    ts : int
        Arrival time, milliseconds.
    opening : bool
        True if the order waited for this opening price, so that the price may have passed its stop.
    """
    market = markets[order.symbol]
    return (
        _untradable(market, ts)
        or _out_of_place(account, market, order, opening=opening)
        or _too_small(market, order)
        or (_unfunded(account, market, order) if account.profile.cash else "")
        or _unbacked(account, markets, rates, order, ts=ts)
    )


def modification_objection(
    account: Account, markets: Mapping[str, Market], rates: Rates, order: Order, *, changed: Order, ts: int
) -> str:
    """Return the reason for refusing new terms, or an empty string; the checks of a new order apply too.

    Parameters
    ----------
    account : Account
    markets : mapping of str to Market
    rates : Rates
    order, changed : Order
        The order with its current terms, and with its new terms.
    ts : int
    """
    market = markets[order.symbol]
    reason = _impossible(market, order, changed) or _legs_crossed(account, changed)
    if reason or order.status is Status.HELD:
        return reason
    opening = order.status is Status.NEW and not market.quoting
    return objection(account, markets, rates, changed, ts=ts, opening=opening)


def _untradable(market: Market, ts: int) -> str:
    symbol = market.contract.symbol
    if not market.contract.is_open(ts):
        return f"{symbol} is closed at this hour"
    if not market.mark_bid and not market.mark_ask:
        return f"{symbol} has not been quoted yet"
    return f"{symbol} is quoted for conversion only" if market.converts_only else ""


def _out_of_place(account: Account, market: Market, order: Order, *, opening: bool) -> str:
    """Return which price of an order is on the wrong side of the market, or an empty string."""
    contract = market.contract
    best = market.best(order.sign)
    if best is None:
        return ""
    if order.stop and not opening and not order.triggered and (reason := _wrong_side(order, contract, best)):
        return reason
    if order.children and not opening and (reason := _exits_reached(account, market, order)):
        return reason
    if order.post_only and order.sign * (order.price - best) >= 0:
        return f"post-only at {contract.price(order.price)} would cross the market at {contract.price(best)}"
    return ""


def _too_small(market: Market, order: Order) -> str:
    """Return why an opening order is below the minimum notional of its contract, or an empty string."""
    contract = market.contract
    if not contract.min_notional or order.reduce_only:
        return ""
    price = order.price or order.stop or market.best(order.sign) or market.mark(-order.sign)
    notional = contract.price(price) * contract.quantity(order.quantity)
    if notional >= contract.min_notional:
        return ""
    return f"a notional of {notional} {contract.quote} is below the minimum of {contract.min_notional}"


def _unbacked(account: Account, markets: Mapping[str, Market], rates: Rates, order: Order, *, ts: int) -> str:
    """Return why a margin account may not open the position of an order, or an empty string."""
    if account.profile.cash or order.reduce_only:
        return ""
    market = markets[order.symbol]
    price = order.price or order.stop or market.best(order.sign) or market.mark(-order.sign)
    return _limited(account, markets, rates, order, ts=ts) or opening_objection(
        account, markets, rates, order, contract=market.contract, price=price, quantity=order.leaves, ts=ts
    )


def _impossible(market: Market, order: Order, changed: Order) -> str:
    """Return why an order of this type and state cannot have the new terms, or an empty string."""
    if changed.quantity < order.filled or (changed.quantity == order.filled and order.filled):
        return f"{market.contract.quantity(order.filled)} of it has filled already"
    trails = order.type is OrderType.TRAILING_STOP
    if (changed.price and not order.price) or (changed.stop and not order.stop and not trails):
        return f"a {order.type.value} order has no such price"
    return "its stop has triggered already" if order.triggered and changed.stop != order.stop else ""


def _legs_crossed(account: Account, changed: Order) -> str:
    """Return which prices of a bracket the new terms would put in the wrong order, or an empty string."""
    entry = account.orders[changed.parent] if changed.parent else changed
    exits = [changed if name == changed.id else account.orders[name] for name in entry.children]
    stop = next((leg.stop for leg in exits if leg.alive and leg.stop), 0)
    target = next((leg.price for leg in exits if leg.alive and leg.price), 0)
    return misplaced(entry.sign, stop, 0 if entry.filled else entry.price or entry.stop, target) if exits else ""


def _wrong_side(order: Order, contract: Contract, best: int) -> str:
    stops = order.type in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
    if not stops or order.sign * (best - order.stop) < 0:
        return ""
    side, place = ("buy", "above the ask") if order.sign > 0 else ("sell", "below the bid")
    return f"a {side} stop must be {place} {contract.price(best)}, not at {contract.price(order.stop)}"


def _exits_reached(account: Account, market: Market, order: Order) -> str:
    """Return which exit of a market entry the market has reached already, or an empty string."""
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


def _limited(account: Account, markets: Mapping[str, Market], rates: Rates, order: Order, *, ts: int) -> str:
    rules = account.profile.limits
    if not (rules.daily_loss_pct or rules.weekly_loss_pct or rules.total_loss_pct):
        return ""
    position = account.position_of(order)
    if position is not None and abs(position.closes(order.sign * order.leaves)) == order.leaves:
        return ""
    return limits.breach(account, margin.equity(account, markets, rates, ts))


def _unfunded(account: Account, market: Market, order: Order) -> str:
    """Return which currency a cash account lacks for an order, or an empty string.

    The exits of a bracket and other reduce-only orders pass; they are cut to the available balance
    when they fill.
    """
    contract = market.contract
    if order.parent or order.reduce_only:
        return ""
    currency = contract.base if order.sign < 0 else contract.quote
    needed = margin.order_lock(contract, order)[1] if order.sign < 0 else _purchase(market, order)
    free = margin.free_for(account, order, currency)
    return "" if needed <= free else f"not enough {currency}: {needed} needed, {free} free (minor units)"


def _purchase(market: Market, order: Order) -> int:
    """Return the maximum cost of a buy, minor units of the quote currency."""
    contract, notional, left = market.contract, 0, order.leaves
    highest = order.price or order.stop
    if order.type is OrderType.TRAILING_STOP and not highest:
        highest = order.trails_from(order.activation or market.mark_ask)
    if highest:
        crosses = market.ask is not None and market.ask <= order.price
        fee = contract.maker_fee if order.rests_as_limit and not crosses else margin.highest_fee(contract)
        return margin.cost(contract, highest * left, fee)
    for price, size in market.depth(1):
        taken = left if size is None else min(left, size)
        notional, left = notional + price * taken, left - taken
    return margin.cost(contract, notional, contract.taker_fee)
