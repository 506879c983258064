"""Pricing of orders against the market.

Finds the stops and limits that the market has reached, moves trailing stops, computes slippage, and
detects bars in which the order of stop and target is ambiguous. Does not fill anything.
"""

from collections.abc import Callable, Iterable

from mikrobot.paper.account import Account
from mikrobot.paper.book import Market
from mikrobot.paper.orders import Order, OrderType, Status
from mikrobot.paper.slippage import against, normal


def reached(orders: Iterable[Order], depth: Callable[[Order, Market], int], market: Market) -> list[Order]:
    """Return the orders that the market has reached, furthest passed first, then by time priority.

    Parameters
    ----------
    orders : iterable of Order
    depth : callable
        `beyond` for stops, `through` for limits.
    market : Market
    """
    ranked = [(-passed, order.seq, order) for order in orders if (passed := depth(order, market)) >= 0]
    if len(ranked) > 1:
        ranked.sort(key=lambda entry: entry[:2])
    return [order for _, _, order in ranked]


def beyond(order: Order, market: Market) -> int:
    """Return the ticks by which the market is beyond a stop; -1 if it has not reached the stop."""
    price = market.best(order.sign)
    return max(order.sign * (price - order.stop), -1) if price is not None and order.stop else -1


def through(order: Order, market: Market) -> int:
    """Return the ticks by which the market is better than a limit; -1 if it is worse."""
    price = market.best(order.sign)
    return max(order.sign * (order.price - price), -1) if price is not None else -1


def draw(account: Account, order: Order, market: Market, ts: int) -> None:
    """Move an activated trailing stop with the market, never away from it."""
    best = market.best(order.sign)
    if best is None or not order.activated(best):
        return
    drawn = order.trails_from(best)
    if drawn > 0 and (not order.stop or order.sign * (order.stop - drawn) > 0):
        account.amend(ts, order, "trails", stop=drawn)


def slip(account: Account, order: Order, market: Market, price: int, *, unpriced: int, ts: int) -> int:
    """Return the slippage of a taker beyond a price level, in ticks.

    Parameters
    ----------
    account : Account
    order : Order
    market : Market
    price : int
        Price level, in ticks.
    unpriced : int
        Size steps beyond the displayed sizes, on which market impact is charged; beyond a partial book, at
        least the ticks by which it continues (`Market.continued`).
    ts : int
    """
    contract, slippage = market.contract, account.profile.slippage
    drawn = normal(account.seed, account.id, order.id, "jitter")
    spread = (market.mark_ask or price) - (market.mark_bid or price)
    ticks = slippage.spread_ticks(ts, spread, drawn, market.sigma)
    if unpriced:
        pressure = account.working_orders[order.symbol].pressure
        pressure.decay_ms = slippage.decay_ms
        units = float(contract.quantity(unpriced)) + pressure.at(ts, order.sign)
        impact = slippage.impact_ticks(price, units, contract.sigma_d, contract.adv)
        ticks += max(impact, market.continued(order.sign, unpriced))
    return against(ticks)


def ambiguous(account: Account, order: Order, market: Market, bar: tuple[int, int, int]) -> bool:
    """Return whether a stop filled inside a bar (open, low, high in bid ticks) that also reached its target."""
    if not order.rival or not order.triggered:
        return False
    rival, (opened, low, high) = account.orders[order.rival], bar
    if rival.type is not OrderType.LIMIT or rival.status is Status.HELD:
        return False
    if order.sign < 0:
        return opened > order.stop and high >= rival.price
    return opened + market.spread < order.stop and low + market.spread <= rival.price
