"""Financing of open positions: swap at the FX rollover, and funding of perpetuals.

Each charge is one cash entry, converted at the rate of that instant and rounded once. What an isolated
account cannot pay, the insurance fund pays.
"""

from collections.abc import Mapping
from decimal import Decimal

from mikrobot.domain.errors import DataError
from mikrobot.paper import margin
from mikrobot.paper.account import Account
from mikrobot.paper.book import Market
from mikrobot.paper.contracts import Kind
from mikrobot.paper.conversion import Rates
from mikrobot.paper.money import half_even, scale

POINTS_A_PIP = 10


def charge_swap(account: Account, markets: Mapping[str, Market], rates: Rates, ts: int, *, weekday: int) -> None:
    """Book the swap of every open position: points x point size x quantity, three nights on the triple day.

    Parameters
    ----------
    account : Account
    markets : mapping of str to Market
    rates : Rates
    ts : int
        Time of the rollover, ms.
    weekday : int
        Weekday of the rollover in New York, Monday 0.

    Raises
    ------
    DataError
        If the rate that converts the swap is missing, because the account was added before its markets had prices.
    """
    for position in list(account.positions.values()):
        market = markets[position.symbol]
        contract = market.contract
        if contract.swap is None or account.profile.cash:
            continue
        points = contract.swap.long if position.sign > 0 else contract.swap.short
        nights = 3 if weekday == contract.swap.triple_day else 1
        amount = points * nights * contract.pip / POINTS_A_PIP * contract.quantity(abs(position.quantity))
        num, den = amount.as_integer_ratio()
        rate = margin.quote_rate(account, contract, market.mark(position.sign), num, rates=rates, ts=ts)
        if rate is None:
            raise DataError(
                f"account {account.id}: there is no rate from {contract.quote} to {account.currency} at the rollover "
                f"of {position.symbol}; give the markets their last prices before you add the account"
            )
        owed = half_even(num * rate.value[0] * scale(account.currency), den * rate.value[1])
        account.book(ts, "swap", account.currency, owed, cause=position.ticket or position.symbol)
        insure(account, position.symbol, ts)


def charge_funding(account: Account, market: Market, rates: Rates, ts: int, *, rate: Decimal, mark: int | None) -> None:
    """Book the funding of every open perpetual of a symbol: quantity x mark x rate; longs pay a positive rate.

    Raises
    ------
    DataError
        If the rate that converts it to the account currency is missing.
    """
    contract = market.contract
    if contract.kind is not Kind.PERP:
        return
    twice = 2 * mark if mark is not None else market.mark_bid + market.mark_ask
    (a, b), (c, d) = rate.as_integer_ratio(), contract.value
    for position in list(account.positions.values()):
        if position.symbol == contract.symbol:
            due = position.quantity * twice * a * c
            converted = margin.quote_rate(account, contract, market.mark(position.sign), -due, rates=rates, ts=ts)
            if converted is None:
                raise DataError(
                    f"account {account.id}: there is no rate from {contract.quote} to {account.currency} at the "
                    f"funding of {position.symbol}; give the markets their last prices before you add the account"
                )
            num, den = converted.value
            paid = half_even(due * num * scale(account.currency), 2 * b * d * den)
            account.book(ts, "funding", account.currency, -paid, cause=position.ticket or position.symbol)
            insure(account, contract.symbol, ts)


def insure(account: Account, symbol: str, ts: int) -> None:
    """Let the insurance fund pay what neither free cash nor the margin of an isolated position could pay."""
    if account.profile.isolated:
        account.book(ts, "insurance", account.currency, max(-account.free_cash, 0), cause=symbol)
