"""Margin, equity and locked cash of an account at given market prices.

FX margin is based on the base currency, converted at the opening, and stays constant until the
position changes (MT5, SYMBOL_CALC_MODE_FOREX). The margin of a perpetual is its notional at entry
divided by the leverage. Does not close anything.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from mikrobot.paper.account import Account
from mikrobot.paper.book import Market
from mikrobot.paper.contracts import Contract
from mikrobot.paper.conversion import PAR, Rate, Rates
from mikrobot.paper.isolated import position_margin
from mikrobot.paper.money import Exact, half_even, scale
from mikrobot.paper.orders import Order, Status
from mikrobot.paper.positions import Position
from mikrobot.paper.profiles import Profile

_AT_WORK = frozenset({Status.WORKING, Status.TRIGGERED, Status.PARTIALLY_FILLED})


def used(account: Account) -> int:
    """Return the margin of all open positions, minor units."""
    positions = account.positions
    if not positions:
        return 0
    if len(positions) > 1:
        return sum(margins(account).values())
    (held,) = positions.values()
    return position_margin(account.working_orders[held.symbol].terms, held)


def used_after(account: Account, order: Order, signed: int, price: int, *, base_rate: Exact) -> int:
    """Return the margin of all open positions after a fill of signed steps, minor units."""
    key = account.key_of(order)
    before = account.positions.get(key)
    after = replace(before) if before is not None else Position(order.symbol, key)
    after.trade(signed, price, base_rate)
    return sum(_by_symbol(account, (account.positions | {key: after}).values()).values())


def margins(account: Account) -> dict[str, int]:
    """Return the margin used by symbol, minor units.

    For hedged positions it is that of the larger side, or of both sides if each is isolated.
    """
    return _by_symbol(account, account.positions.values())


def _by_symbol(account: Account, positions: Iterable[Position]) -> dict[str, int]:
    sides: dict[tuple[str, int], int] = {}
    for position in positions:
        key = (position.symbol, position.sign)
        one = position_margin(account.working_orders[position.symbol].terms, position)
        sides[key] = sides.get(key, 0) + one
    symbols = {symbol for symbol, _ in sides}
    total = sum if account.profile.isolated else max
    return {s: total((sides.get((s, 1), 0), sides.get((s, -1), 0))) for s in sorted(symbols)}


def unrealised(account: Account, position: Position, market: Market, rates: Rates, *, ts: int) -> int:
    """Return the profit of closing a position at the market, minor units of the account currency.

    It is 0 until the market has a quote and a conversion rate, for example after a restart.
    """
    price = market.mark(position.sign)
    if not price:
        return 0
    gained = position.unrealised(price)
    rate = quote_rate(account, market.contract, price, gained, rates=rates, ts=ts)
    if rate is None:
        return 0
    num, den = account.working_orders[position.symbol].terms.gain
    return half_even(gained * num * rate.value[0], den * rate.value[1])


def quote_rate(
    account: Account, contract: Contract, price: int, amount: Exact, *, rates: Rates, ts: int
) -> Rate | None:
    """Return the value of one unit of the quote currency in account currency, for an amount received or owed.

    If the account currency is the base, the contract's own price converts.
    """
    currency = account.profile.currency
    if contract.quote == currency:
        return PAR
    if contract.base == currency:
        num, den = contract.tick.as_integer_ratio()
        return Rate((den, price * num), False)
    return rates.rate(contract.quote, currency, ts, receives=amount > 0)


def base_rate(account: Account, contract: Contract, price: int, sign: int, *, rates: Rates, ts: int) -> Rate | None:
    """Return the value of one unit of base in account currency, which margin needs.

    It comes from the pair of the two currencies, else from the contract's own price and the rate of
    its quote currency; at the ask for a buy, at the bid for a sell.
    """
    direct = rates.rate(contract.base, account.currency, ts, receives=sign < 0)
    if direct is not None and not direct.stale:
        return direct
    onward = rates.rate(contract.quote, account.currency, ts, receives=sign < 0)
    if onward is None:
        return direct
    num, den = contract.tick.as_integer_ratio()
    return Rate((price * num * onward.value[0], den * onward.value[1]), onward.stale)


def equity(account: Account, markets: Mapping[str, Market], rates: Rates, ts: int) -> int:
    """Return the balance plus the unrealised profit of all open positions, minor units."""
    worth = account.balances.get(account.profile.currency, 0)
    for position in account.positions.values():
        worth += unrealised(account, position, markets[position.symbol], rates, ts=ts)
    return worth


def holdings_gain(account: Account, markets: Mapping[str, Market]) -> list[tuple[str, int]]:
    """Return the unrealised profit of the coins that a cash account bought, compared with their average cost.

    Returns
    -------
    list of (str, int)
        Each quote currency once, with the profit in minor units. Bought coins that left the account
        in another way than a sale of their symbol are not counted.
    """
    gains: dict[str, int] = {}
    for symbol, coins in account.holdings.items():
        market, contract = markets[symbol], account.contracts[symbol]
        num, den = contract.step.as_integer_ratio()
        there = account.balances.get(contract.base, 0) * den // (num * scale(contract.base))
        if coins.quantity and market.mark_bid:
            gain = coins.unrealised(market.mark_bid) * Fraction(min(there, coins.quantity), coins.quantity)
            gains[contract.quote] = gains.get(contract.quote, 0) + contract.amount(gain, contract.quote)
    return list(gains.items())


def level_reached(equity: int, used: int, percent: Decimal) -> bool:
    """Return whether the margin level ``100 * equity / used`` is at or below a percentage."""
    return used > 0 and equity * 100 <= percent * used


def locked(account: Account, aside: Order | None = None) -> dict[str, int]:
    """Return the amounts that the working orders of a cash account lock, by currency in minor units.

    A buy locks its price times its unfilled quantity plus the fee in quote currency; a sell locks its
    unfilled quantity. Of two orders that cancel each other, only the larger amount counts. Reduce-only
    orders, such as the exits of a bracket, come after all others, by time priority. Each locks at most
    the balance that the orders before it leave.

    Parameters
    ----------
    account : Account
    aside : Order, optional
        Order to leave out, together with its rival; if it is reduce-only, all later reduce-only orders
        are left out too.
    """
    left, sums = dict(account.balances), dict[str, int]()
    own = "" if aside is None else _pair(aside)
    for claim in _claims(account):
        if aside is not None and aside.reduce_only and claim.reduces and claim.pair == own:
            break
        there = left.get(claim.currency, 0)
        amount = min(claim.amount, max(there, 0)) if claim.reduces else claim.amount
        left[claim.currency] = there - amount
        if claim.pair != own:
            sums[claim.currency] = sums.get(claim.currency, 0) + amount
    return sums


def withdrawable(account: Account, currency: str) -> int:
    """Return the amount of a currency that may be withdrawn, minor units.

    Of a cash account it is the balance less what orders lock, apart from reduce-only orders, which are
    cut to what is left. Of a margin account it is the balance; its positions may then be stopped out. The
    margin of an isolated position, which no stop-out protects, stays.
    """
    balance = account.balances.get(currency, 0)
    if account.profile.cash:
        return balance - sum(
            [lock.amount for lock in _claims(account) if lock.currency == currency and not lock.reduces]
        )
    return account.free_cash if account.profile.isolated and currency == account.currency else balance


def free_for(account: Account, order: Order, currency: str) -> int:
    """Return the balance of a cash account less the amounts that other orders lock.

    The order itself and its rival do not count, because a fill of one ends the other. For a reduce-only
    order, later reduce-only orders do not count either.
    """
    return account.balances.get(currency, 0) - locked(account, order).get(currency, 0)


def affordable(account: Account, contract: Contract, order: Order, price: int, *, steps: int, fee: Decimal) -> int:
    """Return how many size steps, at most `steps`, a cash account can buy with its free balance, fee included.

    Parameters
    ----------
    account : Account
    contract : Contract
    order : Order
        Order for which the free balance is computed.
    price : int
        Ticks.
    steps : int
    fee : Decimal
        Share of the notional.
    """
    free = free_for(account, order, contract.quote)
    return max(bisect_right(range(steps + 1), free, key=lambda bought: cost(contract, price * bought, fee)) - 1, 0)


def sellable(account: Account, contract: Contract, order: Order) -> int:
    """Return the size steps of coins that a cash account has free to sell."""
    num, den = contract.step.as_integer_ratio()
    return max(free_for(account, order, contract.base) * den // (num * scale(contract.base)), 0)


def order_lock(contract: Contract, order: Order) -> tuple[str, int]:
    """Return the currency that an order locks, and the amount in minor units."""
    if order.sign < 0:
        num, den = contract.step.as_integer_ratio()
        return contract.base, half_even(order.leaves * num * scale(contract.base), den)
    fee = contract.maker_fee if order.rests_as_limit else highest_fee(contract)
    highest = order.price or order.stop or (order.activation and order.trails_from(order.activation))
    return contract.quote, cost(contract, highest * order.leaves, fee)


def highest_fee(contract: Contract) -> Decimal:
    """Return the highest fee of a fill as a share of the notional; a stop-limit may be taker or maker."""
    return max(contract.maker_fee, contract.taker_fee)


def cost(contract: Contract, tick_steps: int, fee: Decimal) -> int:
    """Return a notional plus its fee in minor units of the quote currency, each rounded as when booked."""
    return contract.amount(tick_steps, contract.quote) + contract.amount(
        tick_steps, contract.quote, fee.as_integer_ratio()
    )


class _Claim(NamedTuple):
    """Claim of an order, or of two rivals, on one currency in minor units; sorts by priority."""

    reduces: bool
    seq: int
    pair: str
    currency: str
    amount: int


def _claims(account: Account) -> list[_Claim]:
    """Return the claims of the working orders, highest priority first."""
    claims: dict[tuple[str, str], _Claim] = {}
    for order in account.live.values():
        if order.status in _AT_WORK:
            pair, (currency, amount) = _pair(order), order_lock(account.contracts[order.symbol], order)
            other = claims.get((pair, currency), _Claim(True, order.seq, pair, currency, 0))
            claims[pair, currency] = _Claim(
                other.reduces and order.reduce_only,
                min(other.seq, order.seq), pair, currency, max(other.amount, amount),
            )  # fmt: skip
    return sorted(claims.values())


def _pair(order: Order) -> str:
    """Return a key that an order shares with its rival."""
    return min(order.id, order.rival) if order.rival else order.id


def maintenance_rate(contract: Contract, notional: Decimal) -> Decimal:
    """Return the maintenance margin rate of a notional in quote currency.

    >>> from mikrobot.paper.contracts import Kind, Tier
    >>> tiers = (Tier(Decimal(50000), Decimal("0.004")), Tier(None, Decimal("0.005")))
    >>> perp = Contract("P", Kind.PERP, "BTC", "USDT", Decimal("0.1"), Decimal("0.001"), maintenance=tiers)
    >>> maintenance_rate(perp, Decimal(50000)), maintenance_rate(perp, Decimal(50001))
    (Decimal('0.004'), Decimal('0.005'))
    """
    for tier in contract.maintenance:
        if tier.limit is None or notional <= tier.limit:
            return tier.rate
    return contract.maintenance[-1].rate


def liquidation_price(contract: Contract, profile: Profile, position: Position) -> Fraction:
    """Return the mark price in ticks at which an isolated position is liquidated.

    For entry price E, leverage L and maintenance margin rate mmr, it is ``E (1 - 1/L) / (1 - mmr)`` for a
    long and ``E (1 + 1/L) / (1 + mmr)`` for a short position. The rate depends on the notional at entry.
    A margin deficit from earlier losses moves the price nearer to the entry.

    >>> from mikrobot.paper.contracts import Kind
    >>> from mikrobot.paper.profiles import ISOLATED_PERP
    >>> perp = Contract("P", Kind.PERP, "BTC", "USDT", Decimal("0.1"), Decimal("0.001"))
    >>> round(liquidation_price(perp, ISOLATED_PERP, Position("P", quantity=1000, cost=500_000 * 1000)))
    451807
    """
    entry = Fraction(position.cost) / position.quantity
    num, den = contract.value
    lost = Fraction(position.deficit * den, scale(profile.currency) * num * abs(position.quantity))
    if position.base_value:  # quoted in a currency without par, so the deficit is a share of the value at the entry
        lost = (
            entry
            * position.deficit
            / (Fraction(position.base_value) * Fraction(contract.step) * scale(profile.currency))
        )
    notional = abs(Fraction(position.cost)) * Fraction(num, den)
    rate = Fraction(maintenance_rate(contract, Decimal(notional.numerator) / notional.denominator))
    share = Fraction(contract.margin_rate) / Fraction(profile.leverage)
    return (entry * (1 - position.sign * share) + position.sign * lost) / (1 - position.sign * rate)
