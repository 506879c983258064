"""The event loop: bars without quotes, the order of events, several accounts, and restarts."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from mikrobot.domain.errors import BarError, DataError, UnknownSymbol, UsageError
from mikrobot.paper import journal
from mikrobot.paper.account import Account
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.orders import Status
from mikrobot.paper.profiles import Limits, Profile
from mikrobot.paper.slippage import Latency
from tests.unit.paper.venue import CONTRACTS, DAY, HEDGING, MINUTE, MONDAY, NETTING, Venue

QUIET = (110_000, 110_000, 110_000, 110_000, 10)


def on_bars() -> Venue:
    venue = Venue(waits_for_open=True)
    venue.exchange.bar(MONDAY + MINUTE, "EURUSD", *QUIET, opened=MONDAY)
    venue.ts = MONDAY + MINUTE
    return venue


def test_an_order_at_a_close_fills_at_the_open_of_the_next_bar() -> None:
    venue = on_bars()
    venue.send("a", "EURUSD", "buy", "1000")
    assert venue.status("a") is Status.NEW
    venue.exchange.bar(MONDAY + 2 * MINUTE, "EURUSD", 110_050, 110_060, 110_040, 110_055, 10, opened=MONDAY + MINUTE)
    assert [(fill.ts, fill.price) for fill in venue.fills()] == [(MONDAY + 2 * MINUTE, 110_060)]


def test_an_order_does_not_trade_in_a_bar_that_opened_before_its_submission() -> None:
    venue = on_bars().at(MONDAY + MINUTE + 30_000)
    venue.send("a", "EURUSD", "buy", "1000")
    venue.exchange.bar(MONDAY + 2 * MINUTE, "EURUSD", 110_050, 110_060, 110_040, 110_055, 10, opened=MONDAY + MINUTE)
    assert venue.fills() == []
    venue.exchange.bar(
        MONDAY + 3 * MINUTE, "EURUSD", 110_080, 110_080, 110_080, 110_080, 10, opened=MONDAY + 2 * MINUTE
    )
    assert [fill.price for fill in venue.fills()] == [110_090]


def test_a_stop_entry_that_the_open_gaps_through_fills_at_the_open() -> None:
    venue = on_bars()
    venue.send("a", "EURUSD", "buy", "1000", "stop", stop="1.10030")
    venue.exchange.bar(MONDAY + 2 * MINUTE, "EURUSD", 110_050, 110_060, 110_040, 110_055, 10, opened=MONDAY + MINUTE)
    assert [fill.price for fill in venue.fills()] == [110_060]


def test_an_entry_beyond_its_own_stop_exits_at_the_same_open() -> None:
    """The loss is the spread: 1.09710 - 1.09700."""
    venue = on_bars()
    venue.send_bracket("B", "EURUSD", "buy", "100000", "1.09800", "1.10300")
    venue.exchange.bar(MONDAY + 2 * MINUTE, "EURUSD", 109_700, 110_400, 109_650, 110_000, 10, opened=MONDAY + MINUTE)
    assert [(fill.order, fill.price) for fill in venue.fills()] == [("B", 109_710), ("B.sl", 109_700)]
    assert venue.balance() == D("9990.00")


def test_market_data_are_processed_before_orders_that_arrive_at_the_same_instant() -> None:
    venue = Venue(replace(NETTING, latency=Latency(10.0))).quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "1000")
    venue.ts += 9
    venue.quote("EURUSD", "1.10100", "1.10110")
    assert [fill.price for fill in venue.fills()] == [110_110]


def test_orders_that_arrive_together_are_processed_in_the_order_of_submission() -> None:
    venue = Venue(replace(NETTING, latency=Latency(10.0))).quote("EURUSD", "1.10000", "1.10010", "1000")
    venue.send("first", "EURUSD", "buy", "1000", "limit", price="1.10010")
    venue.send("second", "EURUSD", "buy", "1000", "limit", price="1.10010")
    venue.at(venue.ts + 10)
    assert (venue.status("first"), venue.status("second")) == (Status.FILLED, Status.WORKING)


def test_an_event_older_than_the_newest_one_is_refused() -> None:
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    with pytest.raises(BarError, match="sort the feed by time"):
        venue.exchange.quote(venue.ts - 1, "EURUSD", 110_000, 110_010)


@pytest.mark.parametrize(
    "prices", [(1, 1, 2, 1, 0), (2, 1, 1, 1, 0), (1, 2, 1, 3, 0), (0, 1, 0, 1, 0), (1, 1, 1, 1, -1)]
)
def test_a_corrupt_bar_is_refused_by_symbol_and_time(prices: tuple[int, ...]) -> None:
    with pytest.raises(BarError, match=f"EURUSD at {MONDAY}: expected 0 < low <= open, close <= high"):
        Venue().exchange.bar(MONDAY, "EURUSD", *prices)


def test_unknown_symbols_and_accounts_are_refused() -> None:
    venue = Venue()
    with pytest.raises(UnknownSymbol, match="unknown symbol 'X'; the venue lists EURUSD"):
        venue.exchange.quote(MONDAY, "X", 1, 2)
    with pytest.raises(UsageError, match="no account 'b'; the accounts are a"):
        venue.exchange.cancel("b", MONDAY, "x")
    with pytest.raises(UsageError, match="account a exists already"):
        venue.exchange.open("a", NETTING)
    with pytest.raises(UsageError, match="has no currency"):
        venue.exchange.open("c", replace(NETTING, currency=""))


def traded(venue: Venue) -> Venue:
    venue.quote("EURUSD", "1.10000", "1.10010").quote("USDJPY", "150.000", "150.010")
    venue.send_bracket("B", "EURUSD", "buy", "100000", "1.09800", "1.10300")
    venue.send("ts", "USDJPY", "buy", "20000", "stop", stop="150.500")
    venue.quote("USDJPY", "150.490", "150.510").quote("EURUSD", "1.10100", "1.10110")
    venue.send("rest", "EURUSD", "sell", "50000", "limit", price="1.10200")
    return venue


@pytest.mark.parametrize("profile", [NETTING, HEDGING], ids=["netting", "hedging"])
def test_an_account_rebuilt_from_its_journal_continues_like_the_uninterrupted_one(profile: Profile) -> None:
    venue = traded(Venue(profile))
    text = journal.lines(venue.account.journal)
    rebuilt = Account.rebuilt("a", profile, venue.exchange.contracts, journal.parse(text), seed=7)
    assert journal.lines(rebuilt.journal) == text
    restarted = Exchange(CONTRACTS)
    restarted.quote(venue.ts - 1, "USDJPY", 150_490, 150_510)
    restarted.quote(venue.ts, "EURUSD", 110_100, 110_110)
    restarted.restore(rebuilt)
    for exchange in (venue.exchange, restarted):
        exchange.quote(venue.ts + 1, "EURUSD", 110_200, 110_210)
        exchange.quote(venue.ts + 2, "EURUSD", 109_700, 109_710)
    assert journal.lines(rebuilt.journal) == journal.lines(venue.account.journal)
    assert len(rebuilt.journal) > len(journal.parse(text))
    assert rebuilt.balances == venue.account.balances
    assert rebuilt.positions == venue.account.positions


def test_a_journal_with_a_gap_a_repeat_or_a_change_is_refused() -> None:
    venue = traded(Venue())
    records = venue.account.journal
    for broken in (records[1:], records[:5] + records[6:], [*records, records[-1]]):
        with pytest.raises(DataError, match="expected journal record"):
            Account.rebuilt("a", NETTING, venue.exchange.contracts, broken)
    with pytest.raises(DataError, match="journal line 2: expected a record"):
        journal.parse(journal.lines(records[:1]) + "nonsense\n")


@pytest.mark.parametrize(("field", "value"), [("type", "guess"), ("tif", "whenever"), ("symbol", "XAUUSD")])
def test_a_journal_with_unknown_values_is_refused(field: str, value: str) -> None:
    venue = traded(Venue())
    records = [
        record._replace(**{field: value}) if isinstance(record, journal.Submitted) else record
        for record in venue.account.journal
    ]
    with pytest.raises(DataError, match=rf"refers to an unknown order, symbol or value \('{value}'\)"):
        Account.rebuilt("a", NETTING, venue.exchange.contracts, records)


def test_a_terminal_state_is_never_left() -> None:
    venue = traded(Venue())
    order = next(order for order in venue.account.orders.values() if order.status is Status.FILLED)
    for to in Status:
        with pytest.raises(DataError, match="the state filled cannot change to"):
            venue.account.move(venue.ts, order, to)


def test_displayed_size_ahead_in_the_queue_trades_first() -> None:
    venue = Venue(replace(NETTING, queue=True)).quote("EURUSD", "1.10000", "1.10010", "5000")
    venue.send("a", "EURUSD", "buy", "2000", "limit", price="1.10000")
    venue.quote("EURUSD", "1.09990", "1.10000", "4000")
    assert venue.fills() == []
    venue.quote("EURUSD", "1.09990", "1.10000", "2000")
    assert [fill.quantity for fill in venue.fills()] == [1]


def test_a_profile_may_improve_a_limit_that_the_quote_gapped_through() -> None:
    venue = Venue(replace(NETTING, improve=True)).quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "2000", "limit", price="1.09900")
    venue.quote("EURUSD", "1.09500", "1.09510")
    assert [fill.price for fill in venue.fills()] == [109_510]


def test_a_dealer_with_unlimited_depth_fills_the_rest_at_the_last_level() -> None:
    venue = Venue(replace(NETTING, unlimited_depth=True)).quote("EURUSD", "1.10000", "1.10010", "60000")
    venue.send("a", "EURUSD", "buy", "100000")
    assert [(fill.quantity, fill.price) for fill in venue.fills()] == [(60, 110_010), (40, 110_010)]
    assert venue.status("a") is Status.FILLED


def test_days_and_weeks_begin_with_a_bar_as_with_a_quote() -> None:
    limited = replace(NETTING, limits=Limits(daily_loss_pct=D(5)))
    venue = Venue(limited)
    venue.exchange.bar(MONDAY + MINUTE, "EURUSD", 110_000, 110_010, 109_990, 110_000)
    assert venue.notes() == ["day", "week"]
    venue.exchange.bar(MONDAY + DAY + MINUTE, "EURUSD", 110_000, 110_010, 109_990, 110_000)
    assert venue.notes() == ["day", "week", "day"]
