"""A venue restored from its journals at any minutes behaves like an uninterrupted one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.analytics.trades import closed_trades
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import Bar
from mikrobot.domain.order_books import BookState, ClosingBook
from mikrobot.domain.trading import FillReason, OrderIntent, Side
from mikrobot.paper.book import Level
from mikrobot.paper.fills import fills_of
from mikrobot.paper.journal import Filled, Record, lines, parse
from mikrobot.paper.venue import Venue
from tests.soak import examples

START = datetime(2024, 3, 11, 23, 20, tzinfo=UTC)  # every run includes midnight
MINUTES = 90
MINUTE = timedelta(minutes=1)
SYMBOLS = {"EURUSD": 1.1, "USDJPY": 150.0, "BTCUSDT": 60_000.0}
OPENING = Decimal("10000.00")
many = settings(max_examples=examples(1000), deadline=None, derandomize=True)


def market(rng: Random) -> Iterator[list[Bar]]:
    """Yield the bars of each minute; some bars are missing, and some open with a gap."""
    prices = dict(SYMBOLS)
    for minute in range(MINUTES):
        bars = []
        for symbol, price in prices.items():
            first, step = price * (1 + rng.choice((0, 0, 0, 2e-3)) * rng.uniform(-1, 1)), price * 3e-4
            last = first + rng.gauss(0, step)
            high, low = max(first, last) + abs(rng.gauss(0, step)), min(first, last) - abs(rng.gauss(0, step))
            prices[symbol] = last
            if rng.random() < 0.9:
                bars.append(Bar(symbol, START + minute * MINUTE, first, high, low, last))
        yield bars


def book(rng: Random, bar: Bar) -> ClosingBook | None:
    """Return a thin order book about the open of a bar of the coin, or none; some are not live."""
    if bar.symbol != "BTCUSDT" or rng.random() < 0.2:
        return None
    state: BookState = "live" if rng.random() < 0.9 else "suspect"
    middle, count = bar.open * (1 + rng.gauss(0, 2e-4)), rng.randint(1, 20)
    bids, asks = (
        tuple((round(middle + sign * (number + rng.random()), 2), rng.uniform(1e-6, 0.1)) for number in range(1, count))
        for sign in (-1, 1)
    )
    return ClosingBook(bar.symbol, bar.open_time, state, "", bids, asks)


def order(rng: Random, bar: Bar) -> OrderIntent:
    """Return a bracket around the close; its size may exceed what the account can margin."""
    listed, side = instrument(bar.symbol), rng.choice((Side.BUY, Side.SELL))
    distance = listed.quantize(bar.close * rng.uniform(1e-4, 2e-3))
    close, at = listed.quantize(bar.close), bar.close_time
    lots = listed.quantize_size(10 ** rng.uniform(-2, 0.5)) or listed.size_step
    return OrderIntent(
        f"{bar.symbol}/{at:%H%M}", "d", bar.symbol, side, lots, close - side.sign * distance,
        close + side.sign * 2 * distance, at, at + rng.randint(1, 40) * MINUTE,
    )  # fmt: skip


def traded(seed: int, restarts: set[int], *, books: bool = False) -> tuple[dict[str, list[Record]], Venue]:
    """Trade a generated market; after each minute in `restarts`, restore the accounts from journal text."""
    rng, ledger, last, shown = Random(seed), dict[str, str](), dict[str, Bar](), Random(seed + 2)
    venue = Venue(SYMBOLS, seed)
    venue.open(START, OPENING)
    for minute, bars in enumerate(market(Random(seed + 1))):
        at = START + (minute + 1) * MINUTE
        for bar in bars:
            venue.play(bar, book(shown, bar) if books else None)
            last[bar.symbol] = bar
        venue.leave_expired(at)
        for bar in bars:
            if rng.random() < 0.2 and bar.symbol not in venue.standing(bar.symbol, at).engaged:
                venue.place(order(rng, bar))
        for name, records in venue.unrecorded().items():
            ledger[name] = ledger.get(name, "") + lines(records)
        if minute in restarts:
            venue = Venue(SYMBOLS, seed)
            kept = {name: parse(text) for name, text in ledger.items()}
            venue.restore(kept, sorted(last.values(), key=lambda bar: bar.close_time), at)
    return {name: parse(text) for name, text in ledger.items()}, venue


@many
@given(st.integers(0, 10_000), st.sets(st.integers(0, MINUTES - 1), min_size=1, max_size=6), st.booleans())
def test_a_venue_restored_at_any_minutes_writes_a_byte_identical_journal(
    seed: int, restarts: set[int], books: bool
) -> None:
    calm, _ = traded(seed, set(), books=books)
    disturbed, _ = traded(seed, restarts, books=books)
    assert {name: lines(records) for name, records in disturbed.items()} == {
        name: lines(records) for name, records in calm.items()
    }


@many
@given(st.integers(0, 10_000), st.booleans())
def test_the_ledger_fills_account_for_all_cash_changes(seed: int, books: bool) -> None:
    journals, venue = traded(seed, set(), books=books)
    fills = fills_of(journals)
    cash = sum((fill.pnl - fill.fee for fill in fills), Decimal(0))
    insured = sum(account.totals.get(("insurance", "USD"), 0) for account in venue.exchange.accounts.values())
    balances = sum((account.balance("USD") for account in venue.exchange.accounts.values()), Decimal(0))
    assert balances == OPENING + cash + Decimal(insured) / 100
    open_ = {position.symbol for account in venue.exchange.accounts.values() for position in account.positions.values()}
    entries = {fill.order_id for fill in fills}
    assert len(entries) - len(trades_of(journals)) == len(open_)


@many
@given(st.integers(0, 10_000))
def test_orders_take_no_more_than_an_order_book_displays_and_at_its_levels(seed: int) -> None:
    journals, _ = traded(seed, set(), books=True)
    taken: dict[tuple[int, int, tuple[Level, ...]], int] = {}
    for record in journals["crypto"]:
        if isinstance(record, Filled) and record.bid:
            shown = record.price - record.sign * record.slippage
            assert record.slippage >= 0
            assert not record.levels or record.levels[0][0] == shown
            key = (record.ts, record.sign, record.levels)
            taken[key] = taken.get(key, 0) + (record.quantity if record.levels else 0)
    assert all(not levels or quantity <= (levels[0][1] or 0) for (_, _, levels), quantity in taken.items())
    for fill in fills_of(journals):
        if fill.spread is not None:
            assert fill.reason in (FillReason.ENTRY, FillReason.TIME)
            assert sum(lots for _, lots in fill.levels) <= fill.lots
            worst = max if fill.side is Side.BUY else min
            assert fill.levels[-1][0] == worst(price for price, _ in fill.levels)


def trades_of(journals: dict[str, list[Record]]) -> list[str]:
    """Return the ids of the brackets that were entered and closed, each once."""
    fills = fills_of(journals)
    at = START
    orders = [
        OrderIntent(name, "d", "EURUSD", Side.BUY, Decimal(1), Decimal(1), Decimal(2), at, at)
        for name in {fill.order_id for fill in fills}
    ]
    return [trade.order.id for trade in closed_trades(orders, fills)]
