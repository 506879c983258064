"""Metamorphic tests: mirrored prices, scaled sizes and repeated quotes."""

from dataclasses import dataclass
from decimal import Decimal as D
from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mikrobot.domain.trading import Side
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.journal import Filled
from mikrobot.paper.orders import Bracket, OrderRequest, OrderType
from mikrobot.paper.profiles import Profile
from tests.property.paper.world import EURUSD
from tests.soak import examples

many = settings(max_examples=examples(1000), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
RICH = Profile("rich", currency="USD", leverage=D(10_000), commission_per_lot=D("3.50"), unlimited_depth=True)
MIDDLE = 220_000
"""Sum of a price in ticks and its mirror image."""


@dataclass(frozen=True)
class Step:
    """A quote or a bar followed by an order; distances in ticks from the bid."""

    move: int
    spread: int
    up: int
    down: int
    is_bar: bool
    kind: int
    side: Side
    size: int
    near: int
    far: int


steps = st.lists(
    st.builds(
        Step,
        move=st.integers(-40, 40),
        spread=st.integers(0, 12),
        up=st.integers(0, 40),
        down=st.integers(0, 40),
        is_bar=st.booleans(),
        kind=st.integers(0, 5),
        side=st.sampled_from(Side),
        size=st.integers(1, 50),
        near=st.integers(1, 60),
        far=st.integers(1, 60),
    ),
    min_size=4,
    max_size=14,
)


def run(path: list[Step], *, mirrored: bool = False, times: int = 1, twice: bool = False) -> tuple[list[Filled], D]:
    """Play a path; if mirrored, every price p becomes `MIDDLE` - p, so that bid and ask swap."""
    exchange = Exchange([EURUSD])
    account = exchange.open("a", RICH)
    account.deposit(0, "USD", D(1_000_000))
    bid, ts = 110_000, 0
    for number, step in enumerate(path):
        opened, bid, ts = bid, bid + step.move, ts + 10
        for at in (ts, ts + 1) if twice and not step.is_bar else (ts,):
            if step.is_bar:
                high, low = max(opened, bid) + step.up, min(opened, bid) - step.down
                bar = (opened, high, low, bid)
                if mirrored:
                    bar = tuple(MIDDLE - price - step.spread for price in (opened, low, high, bid))
                exchange.bar(at, "EURUSD", *bar, step.spread)
            else:
                ask = bid + step.spread
                shown = (MIDDLE - ask, MIDDLE - bid) if mirrored else (bid, ask)
                exchange.quote(at, "EURUSD", *shown)
        exchange.submit("a", ts + 2, order(f"o{number}", step, bid, mirrored=mirrored, times=times))
        exchange.settle(ts + 2)
    fills = [record for record in account.journal if isinstance(record, Filled)]
    return fills, account.balance("USD")


def order(name: str, step: Step, bid: int, *, mirrored: bool, times: int) -> OrderRequest | Bracket:
    side, sign = step.side, step.side.sign
    base = bid + step.spread if sign > 0 else bid

    def price(ticks: int) -> D:
        return (MIDDLE - ticks if mirrored else ticks) * EURUSD.tick

    if mirrored:
        side = side.opposite
    size = EURUSD.quantity(step.size * times)
    match step.kind:
        case 0:
            return OrderRequest(name, "EURUSD", side, size, OrderType.LIMIT, price(base - sign * step.near))
        case 1:
            return OrderRequest(name, "EURUSD", side, size, OrderType.STOP, stop=price(base + sign * step.near))
        case 2:
            return OrderRequest(name, "EURUSD", side, size, OrderType.TRAILING_STOP, trail=step.near * EURUSD.tick)
        case 3:
            stop, target = base - sign * (step.near + 12), base + sign * (step.far + 12)
            return Bracket(name, OrderRequest(name, "EURUSD", side, size), price(stop), price(target))
        case _:
            return OrderRequest(name, "EURUSD", side, size)


@many
@given(steps)
def test_a_mirrored_market_mirrors_every_fill_and_keeps_the_profit(path: list[Step]) -> None:
    there, money = run(path)
    back, mirrored_money = run(path, mirrored=True)
    assert [(f.order, f.sign, f.quantity, f.maker, f.realised, f.ambiguous) for f in there] == [
        (f.order, -f.sign, f.quantity, f.maker, f.realised, f.ambiguous) for f in back
    ]
    assert [f.price for f in there] == [MIDDLE - f.price for f in back]
    assert money == mirrored_money


@many
@given(steps, st.integers(2, 9))
def test_profit_and_fees_scale_with_the_size(path: list[Step], times: int) -> None:
    once, more = run(path)[0], run(path, times=times)[0]
    slack = Fraction(times + 1, 2)
    assert [(f.order, f.price, f.maker) for f in once] == [(f.order, f.price, f.maker) for f in more]
    for one, large in zip(once, more, strict=True):
        assert large.quantity == times * one.quantity
        assert abs(large.realised - times * one.realised) <= slack
        assert abs(large.fee - times * one.fee) <= slack


@many
@given(steps)
def test_a_repeated_quote_changes_no_fill(path: list[Step]) -> None:
    once, twice = run(path), run(path, twice=True)
    assert [unnumbered(fill) for fill in once[0]] == [unnumbered(fill) for fill in twice[0]]
    assert once[1] == twice[1]


def unnumbered(fill: Filled) -> Filled:
    return fill._replace(seq=0)
