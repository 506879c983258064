"""Isolated accounts on generated gaps, fees and funding: no position costs more than the cash and margin behind it."""

from dataclasses import dataclass, replace
from decimal import Decimal as D

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mikrobot.domain.trading import Side
from mikrobot.paper.account import Account
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.journal import Booked
from mikrobot.paper.orders import OrderRequest, OrderType
from mikrobot.paper.profiles import Profile
from tests.property.paper.world import PERP, PROFILES
from tests.soak import examples

many = settings(max_examples=examples(1000), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
OTHER = replace(PERP, symbol="ETHPERP", base="ETH")
NETTING = PROFILES["isolated"]


@dataclass(frozen=True)
class Turn:
    """A price as a share of the first one, then an order, then funding at a rate; shares in thousandths."""

    price: int
    other: bool
    side: Side
    size: int
    limit: int
    funding: int


turns = st.lists(
    st.builds(
        Turn,
        price=st.integers(800, 1200),
        other=st.booleans(),
        side=st.sampled_from(Side),
        size=st.integers(1, 110),
        limit=st.integers(-20, 20),
        funding=st.integers(-60, 60),
    ),
    min_size=2,
    max_size=12,
)


@pytest.mark.parametrize("profile", [NETTING, replace(NETTING, name="hedging", netting=False)])
@many
@given(path=turns, money=st.integers(100, 1000))
def test_an_isolated_account_is_never_in_debt(profile: Profile, path: list[Turn], money: int) -> None:
    exchange = Exchange([PERP, OTHER])
    account = exchange.open("a", profile)
    account.deposit(0, "USDT", D(money))
    for symbol in ("BTCPERP", "ETHPERP"):
        exchange.quote(1, symbol, 500_000, 500_000)
    for number, turn in enumerate(path):
        ts, bid = 10 * number + 10, 500 * turn.price
        contract = OTHER if turn.other else PERP
        exchange.quote(ts, contract.symbol, bid, bid + 1, None, None)
        covered(account)
        terms = {"price": contract.price(bid + 500 * turn.limit)} if turn.limit else {}
        type_ = OrderType.LIMIT if turn.limit else OrderType.MARKET
        order = OrderRequest(f"o{number}", contract.symbol, turn.side, contract.quantity(turn.size), type_, **terms)
        exchange.submit("a", ts + 1, order)
        exchange.settle(ts + 1)
        covered(account)
        exchange.funding(ts + 2, contract.symbol, D(turn.funding).scaleb(-3))
        covered(account)
    insurance_pays_losses_only(account)


def covered(account: Account) -> None:
    """Check that the balance covers what each position can still lose, which is never more than its margin."""
    assert account.balances.get("USDT", 0) >= 0
    assert account.free_cash >= 0
    for position in account.positions.values():
        margin = abs(position.cost) * 1000  # a tenth of the notional; a tick of a step is worth 0.0001 USDT
        assert 0 <= position.deficit <= margin + 1


def insurance_pays_losses_only(account: Account) -> None:
    """Check that the insurance fund pays at most the losses, fees and funding booked at the same instant."""
    for ts in {record.ts for record in account.journal}:
        entries = [record for record in account.journal if isinstance(record, Booked) and record.ts == ts]
        paid = sum(entry.amount for entry in entries if entry.kind == "insurance")
        owed = -sum(entry.amount for entry in entries if entry.kind != "insurance" and entry.amount < 0)
        assert 0 <= paid <= owed
