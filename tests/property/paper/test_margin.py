"""Margin and cash on generated markets.

No position opens without margin, and inside a bar an account is stopped out at its stop-out level. A
cash account locks no more than its balance, and its exits buy back as much as they can afford.
"""

from dataclasses import dataclass, replace
from decimal import Decimal as D
from fractions import Fraction
from itertools import accumulate

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mikrobot.domain.trading import Side
from mikrobot.paper import margin
from mikrobot.paper.account import Account
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.journal import Booked, Filled, Moved
from mikrobot.paper.orders import Bracket, OrderRequest, OrderType
from mikrobot.paper.profiles import Profile
from tests.property.paper.audit import stop_outs_fill_at_their_level
from tests.property.paper.world import BTC, EURUSD, NETTING, Run, Shown
from tests.soak import examples

many = settings(max_examples=examples(1000), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PLAIN = replace(EURUSD, swap=None)
FREE_OF_CHARGE = replace(NETTING, commission_per_lot=D(0))
TICK, STEP = Fraction(1, 100_000), 1000


@dataclass(frozen=True)
class Ask:
    """A market move followed by an order; sizes in thousands, distances in ticks."""

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


@many
@given(asks, st.integers(500, 5000))
def test_no_fill_opens_more_than_the_account_has_margin_for(path: list[Ask], money: int) -> None:
    exchange = Exchange([PLAIN])
    account = exchange.open("a", FREE_OF_CHARGE)
    account.deposit(0, "USD", D(money))
    bid, ts, checked = 110_000, 0, 0
    for number, ask in enumerate(path):
        bid, ts = bid + ask.move, ts + 10
        exchange.quote(ts, "EURUSD", bid, bid + ask.spread)
        checked = covered(account, checked, bid, bid + ask.spread)
        exchange.submit("a", ts + 1, request(f"o{number}", ask, bid))
        exchange.settle(ts + 1)
        checked = covered(account, checked, bid, bid + ask.spread)


def covered(account: Account, checked: int, bid: int, ask: int) -> int:
    """Check that margin after each opening fill since a record is covered by cash and unrealised profit."""
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
            if record.seq >= checked and (flips or grows):
                mark = (bid if before > 0 else ask) * TICK
                profit = mark * before - kept if grows else Fraction(record.realised, 100)
                assert abs(cost) / 30 <= balance + profit + Fraction(1, 100)
    return account.seq


def _part(cost: Fraction, before: int, after: int) -> Fraction:
    return cost * after / before if before else Fraction(0)


bars = st.lists(st.tuples(st.integers(-4000, 4000), st.integers(0, 3000), st.integers(0, 3000)), min_size=2, max_size=8)


def margin_run(profile: Profile, sizes: list[int], moves: list[tuple[int, int, int]], spread: int) -> Run:
    """Open large positions at the closes of the first bars, then play the remaining bars."""
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


@many
@given(sizes, bars, st.integers(0, 30))
def test_a_bar_stops_an_account_out_at_its_level_and_inside_the_bar(
    sizes: list[int], moves: list[tuple[int, int, int]], spread: int
) -> None:
    run = margin_run(FREE_OF_CHARGE, sizes, moves, spread)
    stop_outs_fill_at_their_level(run)
    for record in run.accounts[0].journal:
        if isinstance(record, Filled) and record.order.startswith("stop_out"):
            _, high, low, _, wide = next(
                shown.bar for shown in run.shown["EURUSD"] if shown.ts == record.ts and shown.bar
            )
            assert low + (wide if record.sign > 0 else 0) <= record.price <= high + (wide if record.sign > 0 else 0)


CASH = Profile("cash", cash=True)
COIN = replace(BTC, maker_fee=D("0.001"))


def levels(start: int, depth: list[tuple[int, int]], sign: int) -> list[tuple[int, int]]:
    """Return the levels of a book; `depth` gives each level's distance from the previous one and its size."""
    prices = accumulate(depth, lambda price, level: price + sign * (1 + level[0]), initial=start)
    return [(price, size) for price, (_, size) in zip(prices, depth, strict=False)]


depths = st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 900)), min_size=1, max_size=4)


@many
@given(st.integers(1, 900), st.integers(0, 20_000), st.integers(1, 900_000), st.integers(0, 500_000), depths)
def test_an_exit_on_a_cash_account_buys_back_as_much_as_it_can_afford(
    sold: int, money: int, near: int, gap: int, depth: list[tuple[int, int]]
) -> None:
    """The expected fills are computed independently, level by level, from balance, book and quantity sold."""
    exchange = Exchange([COIN])
    account = exchange.open("a", CASH)
    account.deposit(0, "BTC", COIN.quantity(sold))
    account.deposit(0, "USDT", D(money))
    exchange.quote(1, "BTCUSDT", 5_000_000, 5_000_001)
    stop = 5_000_001 + near
    entry = OrderRequest("e", "BTCUSDT", Side.SELL, COIN.quantity(sold))
    exchange.submit("a", 2, Bracket("b", entry, COIN.price(stop), COIN.price(4_000_000)))
    exchange.settle(2)
    free, left, bought = account.balances["USDT"], sold, []
    assert margin.locked(account)["USDT"] <= free
    asks = levels(stop + gap, depth, 1)
    exchange.book(3, "BTCUSDT", [(4_500_000, 1)], asks)
    for price, size in asks:
        steps = max(n for n in range(min(size, left) + 1) if _cost(price * n) <= free)
        free, left = free - _cost(price * steps), left - steps
        bought += [(price, steps)] if steps else []
        if steps < size:
            break
    exits = [record for record in account.journal if isinstance(record, Filled) and record.order == "b.sl"]
    assert [(record.price, record.quantity) for record in exits] == bought
    assert account.balances["USDT"] == free
    assert margin.locked(account).get("USDT", 0) <= free


def _cost(tick_steps: int) -> int:
    """Return a notional plus a fee of 0.1 %, each rounded, in minor units of USDT."""
    notional = Fraction(tick_steps) * Fraction(COIN.tick) * Fraction(COIN.step) * 10**8
    return round(notional) + round(notional / 1000)


@dataclass(frozen=True)
class Trade:
    """A market move followed by a bracket or a single order; sizes in steps, distances in ticks."""

    move: int
    side: Side
    size: int
    type: OrderType
    stop: int
    target: int
    size_shown: int


trades = st.lists(
    st.builds(
        Trade,
        move=st.integers(-200_000, 200_000),
        side=st.sampled_from(Side),
        size=st.integers(1, 2000),
        type=st.sampled_from([OrderType.MARKET, OrderType.LIMIT, OrderType.STOP]),
        stop=st.integers(-1, 200_000),
        target=st.integers(1, 200_000),
        size_shown=st.integers(1, 3000),
    ),
    min_size=3,
    max_size=14,
)


@many
@given(trades, st.integers(0, 60_000))
def test_a_cash_account_never_locks_more_than_its_balance(path: list[Trade], money: int) -> None:
    """A resting limit order keeps its locked cash: exits never cause its cancellation."""
    exchange = Exchange([COIN])
    account = exchange.open("a", CASH)
    account.deposit(0, "BTC", D(2))
    account.deposit(0, "USDT", D(money))
    bid, ts = 5_000_000, 0
    for number, trade in enumerate(path):
        bid, ts = max(bid + trade.move, 2_000_000), ts + 10
        exchange.quote(ts, "BTCUSDT", bid, bid + 1, trade.size_shown, trade.size_shown)
        locks_are_covered(account)
        sign = trade.side.sign
        price = COIN.price(bid + (sign if trade.type is OrderType.STOP else -sign) * 50_000)
        terms = {OrderType.LIMIT: {"price": price}, OrderType.STOP: {"stop": price}}.get(trade.type, {})
        asked = OrderRequest(f"o{number}", "BTCUSDT", trade.side, COIN.quantity(trade.size), trade.type, **terms)
        if trade.stop < 0:
            exchange.submit("a", ts + 1, asked)
        else:
            anchor = bid if not terms else int(price / COIN.tick)
            stop, target = anchor - sign * (2 + trade.stop), anchor + sign * (2 + trade.target)
            exchange.submit("a", ts + 1, Bracket(f"b{number}", asked, COIN.price(stop), COIN.price(target)))
        exchange.settle(ts + 1)
        locks_are_covered(account)
    for record in account.journal:
        if isinstance(record, Moved) and record.reason.startswith("not enough") and record.after == "canceled":
            order = account.orders[record.order]
            assert order.parent or order.type is not OrderType.LIMIT


def locks_are_covered(account: Account) -> None:
    """Check that no locked amount exceeds the balance of its currency."""
    for currency, amount in margin.locked(account).items():
        assert amount <= account.balances.get(currency, 0)
