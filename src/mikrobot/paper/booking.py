"""What one fill brings and costs in the account's money, each amount rounded once.

Where a rate is missing there is no amount: the fill must not happen. Does not write to the account,
except for the two legs of a spot trade.
"""

from typing import NamedTuple

from mikrobot.paper import margin
from mikrobot.paper.account import Account
from mikrobot.paper.contracts import Contract
from mikrobot.paper.conversion import Rates
from mikrobot.paper.money import Exact, half_even, scale
from mikrobot.paper.orders import Order


class Amount(NamedTuple):
    """Minor units of a currency.

    Attributes
    ----------
    minor : int
    currency : str
    stale : bool
        Converted at a rate older than a minute, as there was no other.
    """

    minor: int
    currency: str
    stale: bool


def profit(
    account: Account, rates: Rates, contract: Contract, gained: Exact, price: int, ts: int
) -> Amount | None:  # fmt: skip
    """Return what a profit in ticks times steps is worth to a margin account; None without a rate."""
    currency = account.profile.currency
    if not gained:
        return Amount(0, currency, False)
    rate = margin.quote_rate(account, contract, price, gained, rates, ts)
    if rate is None:
        return None
    num, den = account.desks[contract.symbol].terms.gain
    return Amount(half_even(gained * num * rate.value[0], den * rate.value[1]), currency, rate.stale)


def fee(
    account: Account, rates: Rates, contract: Contract, price: int, quantity: int, maker: bool, ts: int
) -> Amount | None:
    """Return the venue's share of the notional and the commission per lot, positive when paid; None without a rate."""
    profile, terms = account.profile, account.desks[contract.symbol].terms
    num, den = terms.maker if maker else terms.taker
    if profile.cash:
        return Amount(half_even(price * quantity * num, den), contract.quote, False)
    owed, stale = 0, False
    if num:
        rate = margin.quote_rate(account, contract, price, -1, rates, ts)
        if rate is None:
            return None
        owed, stale = half_even(price * quantity * num * rate.value[0], den * rate.value[1]), rate.stale
    num, den = terms.commission
    if num:
        paid = rates.rate(profile.commission_currency or profile.currency, profile.currency, ts, receives=False)
        if paid is None:
            return None
        owed += half_even(quantity * num * paid.value[0], den * paid.value[1])
        stale = stale or paid.stale
    return Amount(owed, profile.currency, stale)


def exchange(account: Account, contract: Contract, order: Order, price: int, quantity: int, ts: int) -> None:
    """Book both legs of a spot trade."""
    num, den = contract.step.as_integer_ratio()
    base = half_even(quantity * num * scale(contract.base), den)
    paid = contract.amount(price * quantity, contract.quote)
    account.book(ts, "trade", contract.quote, -order.sign * paid, order.id)
    account.book(ts, "trade", contract.base, order.sign * base, order.id)
