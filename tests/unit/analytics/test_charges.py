"""Charges by kind, with amounts computed by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as D

from mikrobot.analytics.assessment import assess
from mikrobot.analytics.charges import Charge, by_kind, charges
from mikrobot.paper.slippage import NO_SLIPPAGE, Stress
from tests.unit.paper.venue import DAY, HOUR, ISOLATED, MINUTE, MONDAY, NETTING, Venue

ROLLOVER = MONDAY + 21 * HOUR
WIDENED = replace(NETTING, slippage=replace(NO_SLIPPAGE, windows=(Stress(0, 1 << 62, 3.0),)))
"""Stress alone: a taker pays (3 - 1) / 2 = 1 spread beyond the quote."""


def test_swap_counts_three_nights_on_wednesday_and_received_swap_is_negative() -> None:
    """100,000 long pays 6.50 a night and 19.50 on Wednesday; 100,000 short on the next day receives 1.20."""
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "100000")
    venue.at(ROLLOVER + 2 * DAY).send("b", "EURUSD", "sell", "200000")
    booked = list(charges(venue.at(ROLLOVER + 3 * DAY).account))
    assert booked == [
        Charge(datetime(2024, 3, 11, 21, tzinfo=UTC), "swap", D("6.50")),
        Charge(datetime(2024, 3, 12, 21, tzinfo=UTC), "swap", D("6.50")),
        Charge(datetime(2024, 3, 13, 21, tzinfo=UTC), "swap", D("19.50")),
        Charge(datetime(2024, 3, 14, 21, tzinfo=UTC), "swap", D("-1.20")),
    ]
    assert by_kind(booked) == {"swap": D("31.30")}


def test_funding_is_paid_by_the_long_at_a_positive_rate() -> None:
    """0.5 BTC x 60,000.0 x 0.0001 = 3.00000000 USDT."""
    venue = Venue(ISOLATED).quote("BTCPERP", "59999.9", "60000.1")
    venue.send("a", "BTCPERP", "buy", "0.5")
    venue.exchange.funding(venue.ts + 1, "BTCPERP", D("0.0001"))
    assert by_kind(charges(venue.account)) == {"funding": D("3.00000000")}


def test_insurance_covers_the_loss_of_a_liquidation_beyond_its_margin() -> None:
    """1 BTC at 50,000 with 10 x leverage gaps to 40,000: of the loss of 10,000 the margin covers 5,000."""
    venue = Venue(ISOLATED).quote("BTCPERP", "49999.9", "50000.0")
    venue.send("a", "BTCPERP", "buy", "1")
    venue.quote("BTCPERP", "40000.0", "40000.1")
    assert by_kind(charges(venue.account)) == {"insurance": D("-5000.00000000")}


def test_slippage_is_the_cost_of_a_taker_beyond_the_quote() -> None:
    """10 ticks x 0.00001 x 100,000 = 10.00 at the entry, and the same at the exit."""
    venue = Venue(WIDENED).quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "100000")
    venue.send("b", "EURUSD", "sell", "100000")
    assert [fill.price for fill in venue.fills()] == [110_020, 109_990]
    assert [(charge.kind, charge.amount) for charge in charges(venue.account)] == [("slippage", D("10.00"))] * 2
    assert venue.balance() == D("9970.00")  # and 10.00 of spread


def test_slippage_in_yen_is_converted_at_the_price_of_the_fill() -> None:
    """20 ticks x 0.001 x 100,000 = 2,000 yen; at 150.040 a dollar: 13.33."""
    venue = Venue(WIDENED).quote("USDJPY", "150.000", "150.020")
    venue.send("a", "USDJPY", "buy", "100000")
    assert [charge.amount for charge in charges(venue.account)] == [D("13.33")]


def test_slippage_of_a_cross_is_converted_through_the_base() -> None:
    """20 ticks x 0.001 x 100,000 = 2,000 yen, converted at the USDJPY bid of 150.000."""
    venue = Venue(WIDENED).quote("USDJPY", "150.000", "150.010").quote("EURJPY", "162.000", "162.020")
    venue.at(venue.ts + MINUTE // 2).send("a", "EURJPY", "buy", "100000")
    assert [charge.amount for charge in charges(venue.account)] == [D("13.33")]


def test_a_resting_limit_order_has_no_slippage() -> None:
    venue = Venue(WIDENED).quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "100000", "limit", price="1.09900")
    venue.quote("EURUSD", "1.09880", "1.09890")
    assert [fill.slippage for fill in venue.fills()] == [0]
    assert list(charges(venue.account)) == []


def test_an_assessment_lists_the_kinds_that_occurred_after_commission_and_spread() -> None:
    at = datetime(2024, 3, 11, 21, tzinfo=UTC)
    booked = [Charge(at, "swap", D("6.50")), Charge(at, "slippage", D("20.00")), Charge(at, "swap", D("19.50"))]
    assert assess([], {}, D(10_000), charges=booked).costs == {
        "commission": D(0),
        "spread, inside the prices": D(0),
        "slippage, inside the prices": D("20.00"),
        "swap": D("26.00"),
    }
