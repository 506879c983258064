"""Properties of execution and account over made-up markets, their prices and sizes on the grid."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.analytics.trades import closed_trades
from mikrobot.domain.market import Bar, Instrument, instrument
from mikrobot.domain.trading import Fill, FillReason, Order, Side
from mikrobot.paper import costs
from mikrobot.paper.broker import execute
from mikrobot.paper.portfolio import Account, rebuild

START = datetime(2024, 3, 11, 23, 30, tzinfo=UTC)  # midnight falls into every longer run
OPENING = Decimal(10_000)
HALF_CENT = Fraction(1, 200)
FIRST_TICK = {"EURUSD": 110_000, "USDJPY": 150_000, "BTCUSDT": 6_000_000}

many = settings(max_examples=150, deadline=None)


@dataclass(frozen=True)
class Plan:
    """An order to submit at a close if the symbol is free; distances in ticks from the close."""

    side: Side
    steps: int
    stop: int
    target: int
    minutes: int


@dataclass(frozen=True)
class Move:
    """One bar in ticks, relative to the close before, and what is submitted at its close."""

    pause: int
    gap: int
    body: int
    up: int
    down: int
    spread: int
    plan: Plan | None


@dataclass(frozen=True)
class Run:
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    bars: tuple[Bar, ...]  # of each fill, the bar that filled it
    states: tuple[tuple[int, int, Account], ...]  # orders and fills so far, and the account, at each close

    @property
    def account(self) -> Account:
        return self.states[-1][2]


ticks = st.integers(0, 60)
signed = st.integers(-60, 60)
plans = st.builds(
    Plan,
    side=st.sampled_from(Side),
    steps=st.integers(1, 500),
    stop=st.integers(1, 80),
    target=st.integers(1, 120),
    minutes=st.integers(1, 30),
)
moves = st.builds(
    Move,
    pause=st.sampled_from([0, 0, 0, 0, 1, 40, 3000]),
    gap=signed,
    body=signed,
    up=ticks,
    down=ticks,
    spread=st.integers(0, 20),
    plan=st.none() | plans,
)
markets = st.dictionaries(st.sampled_from(sorted(FIRST_TICK)), st.lists(moves, min_size=2, max_size=14), min_size=1)


def bars_of(symbol: str, path: Sequence[Move]) -> list[Bar]:
    tick, close, opened, bars = instrument(symbol).tick, FIRST_TICK[symbol], START, list[Bar]()
    for move in path:
        open_ = close + move.gap
        close = open_ + move.body
        high, low = max(open_, close) + move.up, min(open_, close) - move.down
        opened += timedelta(minutes=move.pause)
        prices = (float(price * tick) for price in (open_, high, low, close))
        bars.append(Bar(symbol, opened, *prices, spread=float(move.spread * tick)))
        opened = bars[-1].close_time
    return bars


def planned(plan: Plan, bar: Bar) -> Order:
    known = instrument(bar.symbol)
    close = known.quantize(bar.close)
    return Order(
        id=f"{bar.symbol}/{bar.close_time:%d%H%M}",
        decision_id=f"{bar.symbol}/{bar.close_time:%d%H%M}",
        symbol=bar.symbol,
        side=plan.side,
        lots=plan.steps * known.size_step,
        stop=close - plan.side.sign * plan.stop * known.tick,
        target=close + plan.side.sign * plan.target * known.tick,
        submitted_at=bar.close_time,
        expires_at=bar.close_time + timedelta(minutes=plan.minutes),
    )


def traded(timeline: Iterable[tuple[Bar, Order | None]]) -> Run:
    """Trade bars in time order, submitting each bar's order at its close when the symbol is free."""
    account, bars, orders, fills, states = Account(OPENING), list[Bar](), list[Order](), list[Fill](), []
    for bar, order in timeline:
        account, filled = execute(account, bar)
        fills += filled
        bars += [bar] * len(filled)
        if order is not None and bar.symbol not in account.engaged(bar.close_time):
            account = account.submit(order)
            orders.append(order)
        states.append((len(orders), len(fills), account))
    return Run(tuple(orders), tuple(fills), tuple(bars), tuple(states))


def timeline_of(market: dict[str, list[Move]]) -> list[tuple[Bar, Order | None]]:
    timeline = [
        (bar, planned(move.plan, bar) if move.plan else None)
        for symbol, path in market.items()
        for bar, move in zip(bars_of(symbol, path), path, strict=True)
    ]
    return sorted(timeline, key=lambda entry: (entry[0].close_time, entry[0].symbol))


def quotes(bar: Bar, side: Side) -> tuple[Decimal, Decimal, Decimal]:
    """Return open, high and low on the side that an execution of `side` trades at."""
    spread = Decimal(repr(bar.spread)) if side is Side.BUY else Decimal(0)
    tick = instrument(bar.symbol).tick
    opened, high, low = ((Decimal(repr(price)) + spread).quantize(tick) for price in (bar.open, bar.high, bar.low))
    return opened, high, low


def beyond(fill: Fill, price: Decimal) -> bool:
    """Whether a price is at least as good for the exit as what it was filled at."""
    return fill.side.sign * (fill.price - price) >= 0


def exact(amount: Fraction, known: Instrument, price: Decimal) -> Fraction:
    return amount / Fraction(price) if known.quote == "JPY" else amount


@many
@given(markets)
def test_cash_is_conserved_to_the_cent(market: dict[str, list[Move]]) -> None:
    run = traded(timeline_of(market))
    assert run.account.balance - OPENING == sum(fill.pnl for fill in run.fills) - sum(fill.fee for fill in run.fills)
    for fill in run.fills:
        assert fill.fee >= 0
        assert fill.fee == fill.fee.quantize(costs.CENT)
        assert fill.pnl == fill.pnl.quantize(costs.CENT)
        assert fill.reason is not FillReason.ENTRY or fill.pnl == 0


@many
@given(markets)
def test_each_cash_entry_is_the_exact_one_rounded_once(market: dict[str, list[Move]]) -> None:
    run = traded(timeline_of(market))
    for trade in closed_trades(run.orders, run.fills):
        known, size = (
            instrument(trade.order.symbol),
            Fraction(trade.order.lots) * Fraction(instrument(trade.order.symbol).lot),
        )
        moved = trade.order.side.sign * (Fraction(trade.exit.price) - Fraction(trade.entry.price)) * size
        assert abs(Fraction(trade.exit.pnl) - exact(moved, known, trade.exit.price)) <= HALF_CENT
        for fill in (trade.entry, trade.exit):
            owed = Fraction(fill.lots) * Fraction("3.5") if known.asset == "fx" else size * Fraction(fill.price) / 1000
            assert abs(Fraction(fill.fee) - owed) <= HALF_CENT


@many
@given(markets)
def test_positions_are_the_sum_of_the_fills(market: dict[str, list[Move]]) -> None:
    run = traded(timeline_of(market))
    for _, count, account in run.states:
        for symbol in market:
            net = sum(fill.side.sign * fill.lots for fill in run.fills[:count] if fill.symbol == symbol)
            position = account.positions.get(symbol)
            assert net == (position.order.side.sign * position.order.lots if position else 0)
    assert len({fill.id for fill in run.fills}) == len(run.fills)
    for trade in closed_trades(run.orders, run.fills):
        assert trade.entry.filled_at <= trade.exit.filled_at
        assert trade.entry.filled_at >= trade.order.submitted_at
        assert trade.exit.side is trade.order.side.opposite


@many
@given(markets)
def test_no_fill_beats_its_limit_or_leaves_the_band_of_its_bar(market: dict[str, list[Move]]) -> None:
    run = traded(timeline_of(market))
    by_id = {order.id: order for order in run.orders}
    for fill, bar in zip(run.fills, run.bars, strict=True):
        order, (opened, high, low) = by_id[fill.order_id], quotes(bar, fill.side)
        if fill.reason is FillReason.TARGET:
            assert fill.price == order.target
            assert low <= fill.price <= high or beyond(fill, opened)
        else:
            assert low <= fill.price <= high
        if fill.reason in (FillReason.ENTRY, FillReason.TIME):
            assert fill.price == opened
        if fill.reason is FillReason.STOP:
            assert order.side.sign * (order.stop - fill.price) >= 0
            assert fill.price in (order.stop, opened)


@many
@given(markets)
def test_a_bar_that_holds_stop_and_target_never_gives_the_target(market: dict[str, list[Move]]) -> None:
    run = traded(timeline_of(market))
    by_id = {order.id: order for order in run.orders}
    for fill, bar in zip(run.fills, run.bars, strict=True):
        order, (opened, high, low) = by_id[fill.order_id], quotes(bar, fill.side)
        between = sorted((order.stop, opened, order.target))[1] == opened not in (order.stop, order.target)
        holds = low <= min(order.stop, order.target) and max(order.stop, order.target) <= high
        if fill.reason in (FillReason.STOP, FillReason.TARGET) and between:
            assert fill.ambiguous == holds
        assert not fill.ambiguous or fill.reason is FillReason.STOP


@many
@given(markets, st.data())
def test_later_bars_change_no_earlier_fill(market: dict[str, list[Move]], data: st.DataObject) -> None:
    timeline = timeline_of(market)
    cut = data.draw(st.integers(1, len(timeline)))
    shorter, whole = traded(timeline[:cut]), traded(timeline)
    assert whole.states[:cut] == shorter.states
    assert whole.fills[: len(shorter.fills)] == shorter.fills
    assert all(fill.filled_at <= timeline[cut - 1][0].close_time for fill in shorter.fills)


@many
@given(markets)
def test_rebuilt_at_any_close_the_account_is_the_uninterrupted_one(market: dict[str, list[Move]]) -> None:
    run = traded(timeline_of(market))
    for orders, fills, account in run.states:
        assert rebuild(run.orders[:orders], run.fills[:fills], OPENING) == account


@many
@given(markets, st.data())
def test_a_run_resumed_from_its_records_ends_as_the_uninterrupted_one(
    market: dict[str, list[Move]], data: st.DataObject
) -> None:
    timeline = timeline_of(market)
    cut = data.draw(st.integers(0, len(timeline) - 1))
    whole = traded(timeline)
    orders, fills, _ = whole.states[cut]
    account = rebuild(whole.orders[:orders], whole.fills[:fills], OPENING)
    submitted = {order.id for order in whole.orders}
    for bar, order in timeline[cut + 1 :]:
        account, _ = execute(account, bar)
        if order is not None and order.id in submitted:
            account = account.submit(order)
    assert account == whole.account


@many
@given(st.lists(moves, min_size=2, max_size=14))
def test_a_mirrored_market_mirrors_the_profit(path: list[Move]) -> None:
    """Prices p become c - p, so that bid and ask change places, and buys become sales."""
    timeline, known = timeline_of({"EURUSD": path}), instrument("EURUSD")

    def across(price: Decimal) -> Decimal:
        return Decimal("2.20000") - price

    def mirrored(bar: Bar) -> Bar:
        spread = Decimal(repr(bar.spread))
        open_, high, low, close = (
            float((across(Decimal(repr(price)) + spread)).quantize(known.tick))
            for price in (bar.open, bar.low, bar.high, bar.close)
        )
        return replace(bar, open=open_, high=high, low=low, close=close)

    def reversed_(order: Order) -> Order:
        return replace(order, side=order.side.opposite, stop=across(order.stop), target=across(order.target))

    there = traded(timeline)
    back = traded([(mirrored(bar), reversed_(order) if order else None) for bar, order in timeline])
    assert [(f.id, f.reason, f.pnl, f.fee, f.filled_at, f.ambiguous, f.side) for f in there.fills] == [
        (f.id, f.reason, f.pnl, f.fee, f.filled_at, f.ambiguous, f.side.opposite) for f in back.fills
    ]


@many
@given(markets, st.integers(2, 9))
def test_a_size_so_many_times_as_large_earns_and_pays_so_many_times_as_much(
    market: dict[str, list[Move]], times: int
) -> None:
    timeline = timeline_of(market)
    once = traded(timeline).fills
    larger = traded([(bar, replace(o, lots=o.lots * times) if o else None) for bar, o in timeline]).fills
    slack = costs.CENT / 2 * (times + 1)
    for one, more in zip(once, larger, strict=True):
        assert (more.id, more.price, more.reason, more.filled_at) == (one.id, one.price, one.reason, one.filled_at)
        assert abs(more.pnl - times * one.pnl) <= slack
        assert abs(more.fee - times * one.fee) <= slack
