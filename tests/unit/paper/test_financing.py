"""Swap and funding, each worked out by hand."""

from decimal import Decimal

import pytest

from mikrobot.domain.errors import DataError
from mikrobot.paper.account import Account
from mikrobot.paper.contracts import next_rollover
from mikrobot.paper.exchange import Exchange
from tests.unit.paper.venue import DAY, HOUR, ISOLATED, MINUTE, MONDAY, Venue

ROLLOVER = MONDAY + 21 * HOUR  # 17:00 in New York, which has had summer time since the day before


def test_swap_is_points_times_point_times_quantity_each_night() -> None:
    """-6.5 points x 0.00001 x 200,000 EUR = -13.00."""
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "200000")
    venue.at(ROLLOVER - 1)
    assert venue.booked("swap") == []
    venue.at(ROLLOVER)
    assert venue.booked("swap") == [Decimal("-13.00")]
    venue.at(ROLLOVER + DAY - 1)
    assert venue.booked("swap") == [Decimal("-13.00")]


def test_wednesday_counts_three_nights_and_the_weekend_none() -> None:
    """Monday to Friday: -13 x (1 + 1 + 3 + 1 + 1) = -91.00, seven nights."""
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "200000")
    venue.at(MONDAY + 7 * DAY - 1)
    assert venue.booked("swap") == [Decimal(amount) for amount in ("-13.00", "-13.00", "-39.00", "-13.00", "-13.00")]
    assert venue.balance() == Decimal("9909.00")


def test_a_short_has_its_own_points_and_may_receive() -> None:
    """1.2 x 0.00001 x 200,000 = 2.40."""
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "sell", "200000")
    assert venue.at(ROLLOVER).booked("swap") == [Decimal("2.40")]


def test_yen_swap_is_converted_at_the_rollover() -> None:
    """11 points x 0.001 x 100,000 USD = 1,100 yen; at a bid of 150.250: 7.32 dollars."""
    venue = Venue().quote("USDJPY", "150.000", "150.010")
    venue.send("a", "USDJPY", "buy", "100000")
    venue.at(ROLLOVER - MINUTE).quote("USDJPY", "150.250", "150.260")
    assert venue.at(ROLLOVER).booked("swap") == [Decimal("7.32")]


def test_yen_swap_of_a_cross_is_bought_at_the_side_that_costs() -> None:
    """-9 x 0.001 x 100,000 EUR = -900 yen; found at USDJPY 150.000 bid: -6.00 dollars."""
    venue = Venue().quote("USDJPY", "149.000", "149.010").quote("EURJPY", "162.000", "162.020")
    venue.send("a", "EURJPY", "sell", "100000")
    venue.at(ROLLOVER - MINUTE).quote("USDJPY", "150.000", "150.300")
    assert venue.at(ROLLOVER).booked("swap") == [Decimal("-6.00")]


def test_a_swap_without_a_rate_is_refused_by_name_and_books_nothing() -> None:
    """As after a restart at which the account was taken in before its markets had prices."""
    venue = Venue().quote("USDJPY", "149.000", "149.010").quote("EURJPY", "162.000", "162.020")
    venue.send("a", "EURJPY", "sell", "100000")
    exchange = Exchange(venue.exchange.contracts.values())
    restarted = exchange.restore(
        Account.rebuilt("a", venue.account.profile, exchange.contracts, venue.account.journal, seed=7)
    )
    exchange.quote(ROLLOVER - MINUTE, "EURJPY", 162_000, 162_020)
    with pytest.raises(DataError, match="there is no rate from JPY to USD at the rollover of EURJPY"):
        exchange.settle(ROLLOVER)
    assert restarted.balances == venue.account.balances


def test_a_position_closed_before_the_rollover_pays_nothing() -> None:
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "200000")
    venue.at(ROLLOVER - 1).send("b", "EURUSD", "sell", "200000")
    assert venue.at(ROLLOVER + HOUR).booked("swap") == []


def test_rollover_keeps_to_new_york_through_the_change_of_its_clock() -> None:
    """Friday 2024-03-08 is 22:00 UTC, the Monday after it 21:00 UTC."""
    friday, _ = next_rollover(MONDAY - 4 * DAY + 22 * HOUR)
    assert friday == MONDAY - 3 * DAY + 22 * HOUR
    assert next_rollover(friday) == (ROLLOVER, 0)


def test_funding_is_quantity_times_mark_times_rate_and_longs_pay_a_positive_one() -> None:
    """0.5 x 50,000.0 x 0.0001 = 2.50."""
    for side, paid in (("buy", "-2.50"), ("sell", "2.50")):
        venue = Venue(ISOLATED, {"USDT": "10000"}).quote("BTCPERP", "49999.9", "50000.1")
        venue.send("a", "BTCPERP", side, "0.5")
        venue.exchange.funding(venue.ts, "BTCPERP", Decimal("0.0001"))
        assert venue.booked("funding") == [Decimal(paid)]


def test_funding_goes_before_an_order_that_arrives_at_the_same_instant() -> None:
    venue = Venue(ISOLATED, {"USDT": "10000"}).quote("BTCPERP", "49999.9", "50000.1")
    venue.exchange.funding(venue.ts, "BTCPERP", Decimal("0.0001"), 500_000)
    venue.send("a", "BTCPERP", "buy", "0.5")
    assert venue.booked("funding") == []
