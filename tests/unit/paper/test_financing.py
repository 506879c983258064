"""Swap and funding, each amount computed by hand."""

from dataclasses import replace
from decimal import Decimal

import pytest

from mikrobot.domain.errors import DataError
from mikrobot.paper.account import Account
from mikrobot.paper.contracts import next_rollover
from mikrobot.paper.exchange import Exchange
from tests.unit.paper.venue import DAY, HOUR, ISOLATED, MINUTE, MONDAY, PERP, Venue

FREE = replace(PERP, maker_fee=Decimal(0), taker_fee=Decimal(0))
ROLLOVER = MONDAY + 21 * HOUR  # 17:00 in New York, where daylight saving time began the day before


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


def test_wednesday_charges_three_nights_and_the_weekend_none() -> None:
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


def test_yen_swap_of_a_cross_is_converted_at_the_less_favourable_side() -> None:
    """-9 x 0.001 x 100,000 EUR = -900 yen, bought at a USDJPY bid of 150.000: -6.00 dollars."""
    venue = Venue().quote("USDJPY", "149.000", "149.010").quote("EURJPY", "162.000", "162.020")
    venue.send("a", "EURJPY", "sell", "100000")
    venue.at(ROLLOVER - MINUTE).quote("USDJPY", "150.000", "150.300")
    assert venue.at(ROLLOVER).booked("swap") == [Decimal("-6.00")]


def test_a_swap_without_a_rate_raises_an_error_and_books_nothing() -> None:
    """This happens after a restart that adds the account before its markets have prices."""
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


def test_the_rollover_follows_new_york_time_through_the_change_to_daylight_saving_time() -> None:
    """The rollover is at 22:00 UTC on Friday 2024-03-08 and at 21:00 UTC on the next Monday."""
    friday, _ = next_rollover(MONDAY - 4 * DAY + 22 * HOUR)
    assert friday == MONDAY - 3 * DAY + 22 * HOUR
    assert next_rollover(friday) == (ROLLOVER, 0)


def test_funding_is_quantity_times_mark_times_rate_and_longs_pay_a_positive_rate() -> None:
    """0.5 x 50,000.0 x 0.0001 = 2.50."""
    for side, paid in (("buy", "-2.50"), ("sell", "2.50")):
        venue = Venue(ISOLATED, {"USDT": "10000"}).quote("BTCPERP", "49999.9", "50000.1")
        venue.send("a", "BTCPERP", side, "0.5")
        venue.exchange.funding(venue.ts, "BTCPERP", Decimal("0.0001"))
        assert venue.booked("funding") == [Decimal(paid)]


def test_funding_in_another_currency_is_converted_at_the_rate_of_that_instant() -> None:
    """2 x 0.05 BTC x 0.001 = 0.0001 BTC at the ask of 60,000.2 BTCUSDT: 6.00002."""
    contracts = (
        replace(FREE, symbol="ETHBTC", base="ETH", quote="BTC", tick=Decimal("0.00001"), converts=False),
        replace(FREE, symbol="BTCUSDT", quote="USDT", tick=Decimal("0.1"), converts=True),
    )
    venue = Venue(ISOLATED, {"USDT": "10000"}, contracts).quote("BTCUSDT", "60000.0", "60000.2")
    venue.quote("ETHBTC", "0.05000", "0.05000").send("a", "ETHBTC", "buy", "2")
    venue.exchange.funding(venue.ts, "ETHBTC", Decimal("0.001"), 5_000)
    assert venue.booked("funding") == [Decimal("-6.00002")]


def test_funding_beyond_the_free_cash_is_taken_from_the_margin_and_moves_the_liquidation_price() -> None:
    """Long 1 from 50,000.0 has a margin of 5,000; 0.0225 x 50,000 = 1,125 are paid: 100 in cash, 1,025 of the margin.

    (50,000 x 0.9 + 1,025) / (1 - 0.004) = 46,209.8; there it loses 3,790.20 of the 3,975 left.
    """
    venue = Venue(ISOLATED, {"USDT": "5100"}, (FREE,)).quote("BTCPERP", "49999.9", "50000.0")
    venue.send("a", "BTCPERP", "buy", "1")
    for rate in ("0.0075", "0.015"):
        venue.exchange.funding(venue.ts, "BTCPERP", Decimal(rate), 500_000)
    assert venue.booked("funding") == [Decimal(-375), Decimal(-750)]
    assert (venue.balance("USDT"), venue.account.free_cash) == (Decimal(3975), 0)
    assert venue.quote("BTCPERP", "46209.9", "46210.0").notes() == []
    assert venue.quote("BTCPERP", "46209.8", "46209.9").notes() == ["liquidation"]
    assert venue.balance("USDT") == Decimal("184.80")


def test_funding_beyond_the_margin_is_paid_by_the_insurance_fund() -> None:
    """0.12 x 50,000 = 6,000, of which 5,000 are there; with no margin left the next price liquidates the position."""
    venue = Venue(ISOLATED, {"USDT": "5000"}, (FREE,)).quote("BTCPERP", "49999.9", "50000.0")
    venue.send("a", "BTCPERP", "buy", "1")
    venue.exchange.funding(venue.ts, "BTCPERP", Decimal("0.12"), 500_000)
    assert venue.booked("insurance") == [Decimal(1000)]
    assert venue.quote("BTCPERP", "49999.9", "50000.0").notes() == ["liquidation"]
    assert venue.balance("USDT") == 0


def test_a_replayed_journal_has_the_margin_that_funding_left() -> None:
    venue = Venue(ISOLATED, {"USDT": "5100"}, (FREE,)).quote("BTCPERP", "49999.9", "50000.0")
    venue.send("a", "BTCPERP", "buy", "1")
    venue.exchange.funding(venue.ts, "BTCPERP", Decimal("0.0225"), 500_000)
    rebuilt = Account.rebuilt("a", ISOLATED, venue.exchange.contracts, venue.account.journal)
    assert rebuilt.positions == venue.account.positions
    assert rebuilt.positions["BTCPERP"].deficit == 1025 * 10**8


def test_funding_is_charged_before_an_order_that_arrives_at_the_same_instant() -> None:
    venue = Venue(ISOLATED, {"USDT": "10000"}).quote("BTCPERP", "49999.9", "50000.1")
    venue.exchange.funding(venue.ts, "BTCPERP", Decimal("0.0001"), 500_000)
    venue.send("a", "BTCPERP", "buy", "0.5")
    assert venue.booked("funding") == []
