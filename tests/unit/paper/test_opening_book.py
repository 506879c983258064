"""Orders that take the order book displayed at the open of their bar: levels, partial display, exact cents."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from mikrobot.domain.market import Bar
from mikrobot.domain.order_books import BookState, ClosingBook
from mikrobot.domain.trading import Fill, FillReason, OrderIntent, Side
from mikrobot.paper import venue as rules
from mikrobot.paper.account import Account
from mikrobot.paper.book import Depth, Market
from mikrobot.paper.displayed import depth_of
from mikrobot.paper.fills import fills_of
from mikrobot.paper.journal import Filled, lines, parse
from mikrobot.paper.orders import Status, TimeInForce
from mikrobot.paper.slippage import NO_SLIPPAGE, Slippage, Stress
from mikrobot.paper.venue import VENUE_RULES, Venue, contract_of
from tests.unit.paper.venue import ISOLATED, MINUTE, MONDAY
from tests.unit.paper.venue import Venue as Exchange

NINE = datetime(2024, 3, 11, 9, tzinfo=UTC)
SYMBOL = "BTCUSDT"
FLAT = (60_000.00, 60_000.00, 60_000.00, 60_000.00)
BIDS = ((60_000.00, 0.04), (59_999.50, 0.02), (59_998.00, 1.0))
ASKS = ((60_000.10, 0.03), (60_000.60, 0.02), (60_003.00, 0.05))


def set_slippage(monkeypatch: pytest.MonkeyPatch, slippage: Slippage) -> None:
    changed = {name: replace(profile, slippage=slippage) for name, profile in VENUE_RULES.items()}
    monkeypatch.setattr(rules, "VENUE_RULES", changed)


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn slippage off, so that every price can be computed by hand."""
    set_slippage(monkeypatch, NO_SLIPPAGE)


def bar(minute: int, prices: tuple[float, ...] = FLAT) -> Bar:
    first, high, low, last = prices
    return Bar(SYMBOL, NINE + timedelta(minutes=minute), first, high, low, last, spread=0.01)


def book(minute: int, *, state: BookState = "live", bids=BIDS, asks=ASKS) -> ClosingBook:
    return ClosingBook(SYMBOL, NINE + timedelta(minutes=minute), state, "", bids, asks)


def opened() -> Venue:
    """Return a venue with 10,000 dollars that has seen the bar before nine."""
    venue = Venue((SYMBOL,), seed=7)
    venue.open(NINE, D("10000.00"))
    venue.play(bar(-1))
    return venue


def order(lots: str, side: Side = Side.BUY, minutes: int = 30) -> OrderIntent:
    stop, target = (D(59_000), D(62_000)) if side is Side.BUY else (D(61_000), D(58_000))
    return OrderIntent("o", "d", SYMBOL, side, D(lots), stop, target, NINE, NINE + timedelta(minutes=minutes))


def filled(venue: Venue) -> list[Filled]:
    return [record for record in venue.exchange.accounts["crypto"].journal if isinstance(record, Filled)]


def ledger_fills(venue: Venue) -> list[Fill]:
    return fills_of({name: account.journal for name, account in venue.exchange.accounts.items()})


def entered(lots: str, opening: ClosingBook | None, side: Side = Side.BUY) -> Venue:
    """Place an order at nine and play the bar that opens then."""
    venue = opened()
    venue.place(order(lots, side))
    venue.play(bar(0), opening)
    return venue


def test_a_small_order_fills_at_the_best_ask_of_the_book_instead_of_the_open() -> None:
    assert [fill.price for fill in filled(entered("0.01", None))] == [6_000_001]
    venue = entered("0.01", book(0))
    assert [(fill.price, fill.levels, fill.bid) for fill in filled(venue)] == [
        (6_000_010, ((6_000_010, 3000),), 6_000_000)
    ]
    (entry,) = ledger_fills(venue)
    assert (entry.price, entry.levels, entry.spread) == (D("60000.10"), ((D("60000.10"), D("0.01")),), D("0.10"))
    assert entry.filled_at == NINE


def test_a_larger_order_walks_the_levels_by_their_displayed_size_to_the_cent() -> None:
    """0.03 at 60000.10, 0.02 at 60000.60 and 0.01 at 60003.00; the fee is 0.05 % of each, rounded to the cent."""
    venue = entered("0.06", book(0))
    assert [(fill.price, fill.quantity, fill.levels) for fill in filled(venue)] == [
        (6_000_010, 3000, ((6_000_010, 3000),)),
        (6_000_060, 2000, ((6_000_060, 2000),)),
        (6_000_300, 1000, ((6_000_300, 5000),)),
    ]
    (entry,) = ledger_fills(venue)
    assert entry.levels == ((D("60000.10"), D("0.03")), (D("60000.60"), D("0.02")), (D("60003.00"), D("0.01")))
    assert (entry.lots, entry.fee) == (D("0.06"), D("0.90") + D("0.60") + D("0.30"))
    paid = D("60000.10") * 3 + D("60000.60") * 2 + D("60003.00")
    assert abs(entry.price - paid / 6) <= D("0.000001")
    assert abs(entry.spread - (entry.price - D("60000.00"))) <= D("0.000002")


def test_an_exit_at_its_time_limit_walks_the_bids_and_books_the_exact_result() -> None:
    """Bought 0.05 for 3000.0150; sold 0.04 at 60000.00 and 0.01 at 59999.50, for 2999.9950: a loss of 0.02 dollars."""
    venue = entered("0.05", book(0))
    venue.leave_expired(NINE + timedelta(minutes=30))
    venue.play(bar(30), book(30))
    entry, leave = ledger_fills(venue)
    assert (leave.reason, leave.filled_at) == (FillReason.TIME, NINE + timedelta(minutes=30))
    assert leave.levels == ((D("60000.00"), D("0.04")), (D("59999.50"), D("0.01")))
    assert (leave.price, leave.spread) == (D("59999.90"), D("0.10"))
    assert leave.pnl == D("-0.01") + D("-0.01")
    account = venue.exchange.accounts["crypto"]
    assert account.balance("USD") == D("10000.00") + leave.pnl - entry.fee - leave.fee
    assert not account.positions


def test_a_short_entry_takes_the_bids() -> None:
    (entry,) = ledger_fills(entered("0.05", book(0), Side.SELL))
    assert entry.levels == ((D("60000.00"), D("0.04")), (D("59999.50"), D("0.01")))


@pytest.mark.parametrize("state", ["lost", "suspect", "syncing"])
def test_a_book_that_is_not_live_changes_nothing(state: BookState) -> None:
    without = entered("0.06", None)
    venue = entered("0.06", book(0, state=state))
    assert lines(venue.exchange.accounts["crypto"].journal) == lines(without.exchange.accounts["crypto"].journal)


@pytest.mark.parametrize("empty", ["bids", "asks"])
def test_a_book_without_a_side_changes_nothing(empty: str) -> None:
    assert [fill.price for fill in filled(entered("0.01", book(0, **{empty: ()})))] == [6_000_001]


def test_without_a_book_the_journal_has_no_fields_of_it() -> None:
    text = lines(entered("0.01", None).exchange.accounts["crypto"].journal)
    assert '"record":"filled"' in text
    assert '"levels"' not in text
    assert '"bid"' not in text


def test_the_levels_survive_the_journal_and_the_account_is_rebuilt_from_it() -> None:
    account = entered("0.06", book(0)).exchange.accounts["crypto"]
    read = parse(lines(account.journal))
    assert read == account.journal
    rebuilt = Account.rebuilt("crypto", account.profile, account.contracts, read, seed=7)
    assert (rebuilt.balances, rebuilt.net(SYMBOL)) == (account.balances, 6000)
    assert lines(rebuilt.journal) == lines(account.journal)


def test_size_beyond_the_displayed_levels_fills_at_the_last_one_and_worse_with_slippage_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """0.10 are displayed over 291 ticks; 0.02 beyond continue by a fifth of that, 59 ticks, rounded up."""
    venue = entered("0.12", book(0))
    assert [(fill.price, fill.quantity, fill.unpriced) for fill in filled(venue)][-1] == (6_000_300, 2000, 2000)
    set_slippage(monkeypatch, Slippage(jitter=0.0))
    venue = entered("0.12", book(0))
    beyond = filled(venue)[-1]
    assert (beyond.price, beyond.quantity, beyond.slippage, beyond.levels) == (6_000_359, 2000, 59, ())
    assert beyond.bid == 6_000_000
    (entry,) = ledger_fills(venue)
    assert (entry.lots, sum(lots for _, lots in entry.levels)) == (D("0.12"), D("0.10"))


def test_the_slippage_of_each_level_is_from_the_spread_of_the_book(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stress of 3 adds a whole spread: 10 ticks by the book, 1 tick by the bar."""
    set_slippage(monkeypatch, Slippage(jitter=0.0, impact=0.0, windows=(Stress(0, 1 << 62, 3.0),)))
    assert [fill.slippage for fill in filled(entered("0.05", book(0)))] == [10, 10]
    assert [fill.slippage for fill in filled(entered("0.05", None))] == [1]


def test_stop_and_target_follow_the_prices_of_the_bar() -> None:
    """The book at the open bids below the stop, the bar does not: only the bar triggers it, at the stop's price."""
    venue = opened()
    venue.place(order("0.01"))
    low = ((58_900.00, 1.0),)
    venue.play(bar(0), book(0, bids=low))
    assert [fill.reason for fill in ledger_fills(venue)] == [FillReason.ENTRY]
    venue.play(bar(1, (60_000.00, 60_000.00, 58_990.00, 59_500.00)), book(1, bids=low))
    leave = ledger_fills(venue)[1]
    assert (leave.reason, leave.price, leave.levels, leave.spread) == (FillReason.STOP, D("59000.00"), (), None)


def test_two_orders_at_one_open_do_not_take_the_same_size() -> None:
    venue = Exchange(ISOLATED, waits_for_open=True)
    venue.exchange.bar(MONDAY + MINUTE, "BTCPERP", 600_000, 600_000, 600_000, 600_000, 1, MONDAY)
    venue.ts = MONDAY + MINUTE
    venue.send("a", "BTCPERP", "buy", "0.010")
    venue.send("b", "BTCPERP", "buy", "0.010")
    depth = Depth(((599_999, 50),), ((600_001, 15), (600_002, 50)))
    venue.exchange.bar(MONDAY + 2 * MINUTE, "BTCPERP", 600_000, 600_000, 600_000, 600_000, 1, MONDAY + MINUTE, depth)
    assert [(fill.order, fill.price, fill.quantity) for fill in venue.fills()] == [
        ("a", 600_001, 10), ("b", 600_001, 5), ("b", 600_002, 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tif", "status"), [("gtc", Status.PARTIALLY_FILLED), ("ioc", Status.CANCELED), ("fok", Status.CANCELED)]
)
def test_a_crossing_limit_takes_the_levels_within_its_price_and_no_size_beyond(tif: str, status: Status) -> None:
    venue = Exchange(ISOLATED, waits_for_open=True)
    venue.exchange.bar(MONDAY + MINUTE, "BTCPERP", 600_000, 600_000, 600_000, 600_000, 1, MONDAY)
    venue.ts = MONDAY + MINUTE
    force = next(force for force in TimeInForce if force.name.lower() == tif)
    venue.send("a", "BTCPERP", "buy", "0.050", "limit", price="60000.2", tif=force)
    depth = Depth(((599_999, 50),), ((600_001, 15), (600_002, 20), (600_009, 50)))
    venue.exchange.bar(MONDAY + 2 * MINUTE, "BTCPERP", 600_005, 600_005, 600_005, 600_005, 1, MONDAY + MINUTE, depth)
    walked = [] if tif == "fok" else [(600_001, 15), (600_002, 20)]
    assert [(fill.price, fill.quantity) for fill in venue.fills()] == walked
    assert venue.status("a") is status


def test_the_levels_of_a_book_become_whole_ticks_and_steps_against_the_taker() -> None:
    contract = contract_of(SYMBOL)
    bids = ((100.019, 0.1), (100.011, 0.000009), (99.999, 0.000001))
    asks = ((100.021, 0.1), (100.03, 0.2), (100.04, 0.30000999))
    assert depth_of(contract, book(0, bids=bids, asks=asks)) == Depth(
        ((10_001, 10_000),), ((10_003, 30_000), (10_004, 30_000))
    )


def test_a_market_at_an_open_leaves_the_market_of_the_bar_unchanged() -> None:
    market = Market(contract_of(SYMBOL))
    market.point(5, 100, 101)
    opening = market.opened_by(5, Depth(((90, 1),), ((110, 2),)))
    assert (opening.bid, opening.ask, opening.partial) == (90, 110, True)
    assert (market.bid, market.ask, market.partial) == (100, 101, False)
    assert [opening.continued(1, steps) for steps in (1, 2, 5)] == [1, 1, 3]
    assert market.continued(1, 5) == 0
