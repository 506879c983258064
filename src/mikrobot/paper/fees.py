"""Profit and fees of one fill in account currency, each amount rounded once.

If a conversion rate is missing, the functions return None and the fill must not happen. Does not
write to the account, except for the two legs of a spot trade.
"""

from mikrobot.paper import margin
from mikrobot.paper.account import Account
from mikrobot.paper.contracts import Contract
from mikrobot.paper.conversion import Rates
from mikrobot.paper.money import Exact, half_even, scale
from mikrobot.paper.orders import Order


def profit(
    account: Account, rates: Rates, contract: Contract, gained: Exact, *, price: int, ts: int
) -> tuple[int, bool] | None:
    """Convert a profit in ticks times steps to the currency of a margin account.

    Returns
    -------
    (int, bool) or None
        Minor units, and whether the rate was older than a minute; None if there is no rate.
    """
    if not gained:
        return 0, False
    rate = margin.quote_rate(account, contract, price, gained, rates=rates, ts=ts)
    if rate is None:
        return None
    (c, d), (num, den) = rate.value, account.working_orders[contract.symbol].terms.gain
    return half_even(gained * num * c, den * d), rate.stale


def fee(
    account: Account, rates: Rates, contract: Contract, price: int, *, quantity: int, maker: bool, ts: int
) -> tuple[int, bool] | None:
    """Return the fees of a fill: the venue's share of the notional plus the commission per lot.

    Returns
    -------
    (int, bool) or None
        Minor units of the fee currency, positive if paid, and whether a rate was older than a minute;
        None if there is no rate.
    """
    profile, terms = account.profile, account.working_orders[contract.symbol].terms
    num, den = terms.maker if maker else terms.taker
    if profile.cash:
        return half_even(price * quantity * num, den), False
    owed, stale = 0, False
    if num:
        rate = margin.quote_rate(account, contract, price, -1, rates=rates, ts=ts)
        if rate is None:
            return None
        (c, d), stale = rate.value, rate.stale
        owed = half_even(price * quantity * num * c, den * d)
    num, den = terms.commission
    if num:
        paid = rates.rate(profile.commission_currency or profile.currency, profile.currency, ts, receives=False)
        if paid is None:
            return None
        (c, d), stale = paid.value, stale or paid.stale
        owed += half_even(quantity * num * c, den * d)
    return owed, stale


def exchange(account: Account, contract: Contract, order: Order, price: int, *, quantity: int, ts: int) -> None:
    """Book both legs of a spot trade."""
    num, den = contract.step.as_integer_ratio()
    base = half_even(quantity * num * scale(contract.base), den)
    paid = contract.amount(price * quantity, contract.quote)
    account.book(ts, "trade", contract.quote, -order.sign * paid, cause=order.id)
    account.book(ts, "trade", contract.base, order.sign * base, cause=order.id)
