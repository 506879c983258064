"""The assumed price path inside a bar without finer data: the adverse extreme comes first.

For a long position the path is open, low, high, close; for a short one it is open, high, low, close.
A flat or hedged account gets the path that leaves it with less equity. Between two points the price
passes every tick, so that stops fill at their price unless the open gaps through them.
"""

from typing import NamedTuple

from mikrobot.paper import margin
from mikrobot.paper.account import Account
from mikrobot.paper.book import Depth, Market
from mikrobot.paper.journal import Filled
from mikrobot.paper.matching import Matching
from mikrobot.paper.working_orders import FAR, WorkingOrders


class BarTicks(NamedTuple):
    """A bar of bid prices and its spread, in ticks."""

    open: int
    high: int
    low: int
    close: int
    spread: int


def play(
    matching: Matching, market: Market, ts: int, opened: int, *, bar: BarTicks, depth: Depth | None = None
) -> None:
    """Process one bar for one account along the assumed price path.

    Parameters
    ----------
    matching : Matching
    market : Market
        Its price moves along the path.
    ts : int
        Close time of the bar, ms; events inside the bar are known at this time.
    opened : int
        Open time of the bar, ms; waiting orders submitted later wait for the next bar.
    bar : BarTicks
    depth : Depth, optional
        Order book at the open. Orders that waited for the open and take liquidity trade at its levels;
        triggers, resting limits and the path follow the prices of the bar, which formed later.
    """
    working = matching.account.working_orders[market.contract.symbol]
    open_, high, low, _, spread = bar
    matching.bar = (open_, low, high)
    market.spread = spread
    market.point(ts, open_, open_ + spread)
    if matching.account.expiring:
        matching.expire(ts)
    if working.touched(open_, open_, spread):
        matching.on_market(market, ts)
    if working.waiting:
        matching.meet_waiting(working, ts, opened, None if depth is None else market.opened_by(opened, depth))
    if working.touched(low, high, spread):
        _follow(matching, market, ts, bar, low_first=_low_first(matching, working, market, ts, bar=bar))
    matching.bar = None


def _low_first(matching: Matching, working: WorkingOrders, market: Market, ts: int, *, bar: BarTicks) -> bool:
    long, short = matching.account.sides(market.contract.symbol)
    if not (working.stops or working.limits):
        return long >= short
    if not matching.account.profile.cash and not (long and short) and (long or short):
        return long > short
    version, ends = market.version, []
    for low_first in (True, False):
        twin = matching.fork()
        twin.bar = matching.bar
        _follow(twin, market, ts, bar, low_first=low_first)
        ends.append((_worth(twin, market, ts), _first_fill(twin.account)))
        market.point(ts, bar.open, bar.open + bar.spread)
        market.version = version
    return ends[0] <= ends[1]


def _worth(matching: Matching, market: Market, ts: int) -> int:
    """Return the equity in minor units; for a cash account, the value of the symbol's two currencies."""
    account, contract = matching.account, market.contract
    if not account.profile.cash:
        return margin.equity(account, matching.markets, matching.rates, ts)
    held = account.net(contract.symbol) * market.mark_bid
    return account.balances.get(contract.quote, 0) + contract.amount(held, contract.quote)


def _first_fill(account: Account) -> int:
    """Return the time priority of the order that filled first on a copy of the account."""
    filled = (record.order for record in account.journal if isinstance(record, Filled))
    return next((account.orders[name].seq for name in filled), FAR)


def _follow(matching: Matching, market: Market, ts: int, bar: BarTicks, *, low_first: bool) -> None:
    first, second = (bar.low, bar.high) if low_first else (bar.high, bar.low)
    now = bar.open
    for target in (first, second, bar.close):
        _glide(matching, market, ts, now, target=target, spread=bar.spread)
        now = target


def _glide(matching: Matching, market: Market, ts: int, start: int, *, target: int, spread: int) -> None:
    """Move the bid from one point to another, pausing at each price that concerns the account.

    Between two such prices it also pauses at the stop-out level, so that positions close at that level.
    """
    working = matching.account.working_orders[market.contract.symbol]
    if not working.touched(min(start, target), max(start, target), spread):
        market.point(ts, target, target + spread)
        return
    now, sign = start, 1 if target > start else -1
    while now != target:
        reached = target
        for price in _marks(working, spread):
            if sign * now < sign * price < sign * reached:
                reached = price
        level = matching.liquidation.stop_out_between(market, ts, now, reached, spread=spread)
        now = reached if level is None else level
        market.point(ts, now, now + spread)
        if working.touched(now, now, spread):
            matching.on_market(market, ts)


def _marks(working: WorkingOrders, spread: int) -> list[int]:
    """Return the bids at which an order or the margin must be checked."""
    prices = [working.margin_low, working.margin_high - spread]
    prices += [order.stop if order.sign < 0 else order.stop - spread for order in working.stops if order.stop]
    prices += [order.price if order.sign < 0 else order.price - spread for order in working.limits]
    return prices
