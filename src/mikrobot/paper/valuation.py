"""Value the accounts of a venue and their positions at the last prices. Changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from mikrobot.domain.trading import Side
from mikrobot.paper import limits, margin, money
from mikrobot.paper.account import Account
from mikrobot.paper.journal import Filled
from mikrobot.paper.positions import Position
from mikrobot.paper.venue import CURRENCY, Venue, milliseconds


@dataclass(frozen=True, slots=True)
class Holding:
    """An open position.

    Attributes
    ----------
    symbol : str
    market : str
        Name of the account.
    side : Side
    lots : Decimal
    price : Decimal
        Mean entry price, rounded to the tick.
    pnl : Decimal
        Unrealised profit, dollars.
    """

    symbol: str
    market: str
    side: Side
    lots: Decimal
    price: Decimal
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class Valuation:
    """The accounts of a venue at an instant; money in dollars.

    Attributes
    ----------
    balances : dict of str to Decimal
        Cash by market (the name of the account).
    equity : Decimal
        Cash plus the unrealised profit of every position.
    holdings : tuple of Holding
    earned : dict of str to Decimal
        By symbol: realised profit less commission since the account opened, plus the unrealised profit.
    limits : dict of str to str
        By market: the loss limit that prevents new positions.
    """

    balances: dict[str, Decimal]
    equity: Decimal
    holdings: tuple[Holding, ...]
    earned: dict[str, Decimal]
    limits: dict[str, str]

    @property
    def balance(self) -> Decimal:
        """Return the cash of all markets."""
        return sum(self.balances.values(), Decimal(0))


def value(venue: Venue, at: datetime) -> Valuation:
    """Value the accounts of a venue at an instant, after all events up to it have been processed."""
    exchange, now = venue.exchange, milliseconds(at)
    equities = {
        name: margin.equity(account, exchange.markets, exchange.rates, now) for name, account in _accounts(venue)
    }
    breaches = {name: limits.breach(account, equities[name]) for name, account in _accounts(venue)}
    holdings = tuple(_holdings(venue, now))
    return Valuation(
        {name: account.balance(CURRENCY) for name, account in _accounts(venue)},
        sum(map(_dollars, equities.values()), Decimal(0)),
        holdings,
        _earned(venue, holdings),
        {name: breach for name, breach in breaches.items() if breach},
    )


def _accounts(venue: Venue) -> Iterator[tuple[str, Account]]:
    yield from venue.exchange.accounts.items()


def _holdings(venue: Venue, now: int) -> Iterator[Holding]:
    exchange = venue.exchange
    for _, account in _accounts(venue):
        for position in account.positions.values():
            market = exchange.markets[position.symbol]
            yield _holding(venue, position, margin.unrealised(account, position, market, exchange.rates, ts=now))


def _holding(venue: Venue, position: Position, unrealised: int) -> Holding:
    contract, traded = venue.exchange.contracts[position.symbol], venue.instruments[position.symbol]
    return Holding(
        position.symbol,
        traded.market,
        Side.BUY if position.quantity > 0 else Side.SELL,
        traded.quantize_size(contract.quantity(abs(position.quantity)) / contract.lot),
        contract.price(round(Fraction(position.cost) / position.quantity)),
        _dollars(unrealised),
    )


def _earned(venue: Venue, holdings: tuple[Holding, ...]) -> dict[str, Decimal]:
    earned = dict.fromkeys(venue.markets, Decimal("0.00"))
    for _, account in _accounts(venue):
        for record in account.journal:
            if isinstance(record, Filled):
                earned[record.symbol] += _dollars(record.realised - record.fee)
    for holding in holdings:
        earned[holding.symbol] += holding.pnl
    return earned


def _dollars(minor: int) -> Decimal:
    return money.decimal(minor, CURRENCY)
