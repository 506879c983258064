"""Exits of brackets on netting accounts close what their entry opened, and nothing that another order opened.

The generated prices and sizes are so few that an entry and the orders that net its position away often fill in
one event.
"""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal as D

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mikrobot.domain.trading import Side
from mikrobot.paper.account import Account
from mikrobot.paper.contracts import Contract
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.journal import Filled
from mikrobot.paper.orders import Bracket, OrderRequest, OrderType, Status
from mikrobot.paper.profiles import Profile
from tests.property.paper.world import EURUSD, NETTING, PERP, PROFILES
from tests.soak import examples

many = settings(max_examples=examples(1000), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

FIRST, APART = 110_000, 50
ARMED = {Status.WORKING, Status.TRIGGERED, Status.PARTIALLY_FILLED}


@dataclass(frozen=True)
class Turn:
    """A quote, then an order near it; `place` and `exit` count grid prices, sizes count steps."""

    place: int
    displayed: int | None
    side: Side
    size: int
    type: OrderType
    near: int
    exit: int
    bracket: bool
    reduces: bool


turns = st.lists(
    st.builds(
        Turn,
        place=st.integers(0, 5),
        displayed=st.sampled_from([None, None, 1, 2]),
        side=st.sampled_from(Side),
        size=st.integers(1, 2),
        type=st.sampled_from([OrderType.MARKET, OrderType.LIMIT, OrderType.STOP]),
        near=st.integers(1, 2),
        exit=st.integers(1, 3),
        bracket=st.booleans(),
        reduces=st.booleans(),
    ),
    min_size=4,
    max_size=16,
)


@pytest.mark.parametrize(("contract", "profile"), [(EURUSD, NETTING), (PERP, PROFILES["isolated"])])
@many
@given(path=turns)
def test_an_exit_is_armed_only_while_its_entry_has_something_to_close(
    contract: Contract, profile: Profile, path: list[Turn]
) -> None:
    exchange = Exchange([contract])
    account = exchange.open("a", profile)
    account.deposit(0, profile.currency, D(1_000_000))
    for number, turn in enumerate(path):
        bid, ts = FIRST + turn.place * APART, 10 * number + 10
        exchange.quote(ts, contract.symbol, bid, bid + 1, turn.displayed, turn.displayed)
        armed_orders_reduce(account)
        exchange.submit("a", ts + 1, _request(contract, f"o{number}", turn, bid))
        exchange.settle(ts + 1)
        armed_orders_reduce(account)
    exits_close_their_own(account)


def _request(contract: Contract, name: str, turn: Turn, bid: int) -> OrderRequest | Bracket:
    sign = turn.side.sign
    away = sign * turn.near * APART
    terms: dict[str, D] = {}
    anchor = bid
    if turn.type is OrderType.LIMIT:
        anchor = bid - away
        terms["price"] = contract.price(anchor)
    elif turn.type is OrderType.STOP:
        anchor = bid + away
        terms["stop"] = contract.price(anchor)
    quantity = contract.quantity(turn.size)
    if not turn.bracket:
        return OrderRequest(
            name, contract.symbol, turn.side, quantity, turn.type, reduce_only=turn.reduces, **terms
        )  # fmt: skip
    entry = OrderRequest(f"{name}.entry", contract.symbol, turn.side, quantity, turn.type, **terms)
    stop, target = anchor - sign * turn.exit * APART - 25, anchor + sign * turn.exit * APART + 25
    return Bracket(name, entry, contract.price(stop), None if turn.reduces else contract.price(target))


def armed_orders_reduce(account: Account) -> None:
    """Check that every armed reduce-only order has a position to reduce, unless its entry may fill further."""
    for order in account.working():
        entry = account.orders.get(order.parent)
        if order.reduce_only and order.status in ARMED and not (entry is not None and entry.alive):
            assert account.net(order.symbol) * order.sign < 0, order


def exits_close_their_own(account: Account) -> None:
    """Check that no exit fills more than its entry opened since the account was last flat."""
    net, open_ = 0, defaultdict[str, int](int)
    for fill in (record for record in account.journal if isinstance(record, Filled)):
        order, before = account.orders[fill.order], net
        net += fill.sign * fill.quantity
        if order.parent:
            assert fill.quantity <= open_[order.parent], fill
            open_[order.parent] -= fill.quantity
        if before * net <= 0:
            open_.clear()
        if net * fill.sign > 0:
            open_[order.id] += min(fill.quantity, abs(net))
