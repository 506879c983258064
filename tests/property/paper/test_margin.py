"""Margin on made-up markets: nothing opens without it, and inside a bar an account is stopped out at its level."""

from dataclasses import dataclass, replace
from decimal import Decimal as D
from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mikrobot.domain.trading import Side
from mikrobot.paper.account import Account
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.journal import Booked, Filled
from mikrobot.paper.orders import OrderRequest, OrderType
from mikrobot.paper.profiles import Profile
from tests.property.paper.audit import stop_outs_fill_at_their_level
from tests.property.paper.world import EURUSD, NETTING, Run, Shown

thousand = settings(max_examples=1000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PLAIN = replace(EURUSD, swap=None)
FREE_OF_CHARGE = replace(NETTING, commission_per_lot=D(0))
TICK, STEP = Fraction(1, 100_000), 1000


@dataclass(frozen=True)
class Ask:
    """A move of the market, and an order after it: sizes in thousands, distances in ticks."""

    move: int
    spread: int
    side: Side
    type: OrderType
    size: int
    near: int


asks = st.lists(
    st.builds(
        Ask,
        move=st.integers(-900, 900),
        spread=st.integers(0, 30),
        side=st.sampled_from(Side),
        type=st.sampled_from(OrderType),
        size=st.integers(1, 400),
        near=st.integers(1, 800),
    ),
    min_size=2,
    max_size=12,
)


def request(name: str, ask: Ask, bid: int) -> OrderRequest:
    sign, best = ask.side.sign, bid + ask.spread if ask.side is Side.BUY else bid
    behind, before = EURUSD.price(best + sign * ask.near), EURUSD.price(best - sign * ask.near)
    prices = {
        OrderType.MARKET: {},
        OrderType.LIMIT: {"price": before},
        OrderType.STOP: {"stop": behind},
        OrderType.STOP_LIMIT: {"stop": behind, "price": EURUSD.price(best + 2 * sign * ask.near)},
        OrderType.TRAILING_STOP: {"trail": EURUSD.price(ask.near)},
    }[ask.type]
    return OrderRequest(name, "EURUSD", ask.side, D(ask.size * STEP), ask.type, **prices)


@thousand
@given(asks, st.integers(500, 5000))
def test_no_fill_opens_more_than_the_account_has_margin_for(path: list[Ask], money: int) -> None:
    exchange = Exchange([PLAIN])
    account = exchange.open("a", FREE_OF_CHARGE)
    account.deposit(0, "USD", D(money))
    bid, ts, seen = 110_000, 0, 0
    for number, ask in enumerate(path):
        bid, ts = bid + ask.move, ts + 10
        exchange.quote(ts, "EURUSD", bid, bid + ask.spread)
        seen = covered(account, seen, bid, bid + ask.spread)
        exchange.submit("a", ts + 1, request(f"o{number}", ask, bid))
        exchange.settle(ts + 1)
        seen = covered(account, seen, bid, bid + ask.spread)


def covered(account: Account, seen: int, bid: int, ask: int) -> int:
    """Follow the journal, and check each opening fill since a record: margin after it against cash and old profit."""
    balance, held, cost = Fraction(0), 0, Fraction(0)
    for record in account.journal:
        if isinstance(record, Booked):
            balance += Fraction(record.amount, 100)
        elif isinstance(record, Filled):
            before, signed, price = held, record.sign * record.quantity * STEP, record.price * TICK
            held += signed
            flips, grows = before * held < 0, abs(held) > abs(before) and before * held >= 0
            kept = cost if grows else Fraction(0)
            cost = cost + price * signed if grows else price * held if flips else _part(cost, before, held)
            if record.seq >= seen and (flips or grows):
                mark = (bid if before > 0 else ask) * TICK
                profit = mark * before - kept if grows else Fraction(record.realised, 100)
                assert abs(cost) / 30 <= balance + profit + Fraction(1, 100)
    return account.seq


def _part(cost: Fraction, before: int, after: int) -> Fraction:
    return cost * after / before if before else Fraction(0)


bars = st.lists(st.tuples(st.integers(-4000, 4000), st.integers(0, 3000), st.integers(0, 3000)), min_size=2, max_size=8)


def drawn_out(profile: Profile, sizes: list[int], moves: list[tuple[int, int, int]], spread: int) -> Run:
    """Open positions at the closes of the first bars, nearly all that the margin allows, and let the price run."""
    run = Run(Exchange([PLAIN]))
    account = run.exchange.open(profile.name, profile)
    account.deposit(0, "USD", D(3000))
    opened, ts = 110_000, 0
    for number, (move, up, down) in enumerate(moves):
        close, ts = max(opened + move, 20_000), ts + 60_000
        bar = (opened, max(opened, close) + up, min(opened, close) - down, close, spread)
        run.shown["EURUSD"].append(Shown(ts, bar=bar, opened=ts))
        run.exchange.bar(ts, "EURUSD", *bar)
        if number < len(sizes):
            side = Side.BUY if sizes[number] > 0 else Side.SELL
            asked = OrderRequest(f"o{number}", "EURUSD", side, D(abs(sizes[number]) * STEP))
            run.exchange.submit(profile.name, ts + 1, asked)
            run.exchange.settle(ts + 1)
        opened = close
    return run


sizes = st.lists(st.integers(-80, 80).filter(bool), min_size=1, max_size=3)


@thousand
@given(sizes, bars, st.integers(0, 30))
def test_a_bar_stops_an_account_out_at_its_level_and_inside_the_bar(
    sizes: list[int], moves: list[tuple[int, int, int]], spread: int
) -> None:
    run = drawn_out(FREE_OF_CHARGE, sizes, moves, spread)
    stop_outs_fill_at_their_level(run)
    for record in run.accounts[0].journal:
        if isinstance(record, Filled) and record.order.startswith("stop_out"):
            _, high, low, _, wide = next(
                shown.bar for shown in run.shown["EURUSD"] if shown.ts == record.ts and shown.bar
            )
            assert low + (wide if record.sign > 0 else 0) <= record.price <= high + (wide if record.sign > 0 else 0)
