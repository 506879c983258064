"""Latency, jitter, stress and impact: computed by hand; draws depend on seed, account and order only."""

import math
from dataclasses import replace
from decimal import Decimal as D
from statistics import fmean, median

import pytest

from mikrobot.domain.trading import Side
from mikrobot.paper.orders import OrderRequest
from mikrobot.paper.slippage import Latency, Pressure, Slippage, Stress, normal
from tests.unit.paper.venue import EURUSD, NETTING, Venue

OFF = Slippage(jitter=0.0, impact=0.0)
DEEP = replace(EURUSD, sigma_d=0.01, adv=1e9)


def fill_price(slippage: Slippage, quantity: str = "100000", **contract: float) -> D:
    profile = replace(NETTING, slippage=slippage, unlimited_depth=True, leverage=D(1000))
    venue = Venue(profile, contracts=(replace(DEEP, **contract),)).quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", quantity)
    return DEEP.price(venue.fills()[0].price)


def test_without_models_a_taker_pays_the_quote() -> None:
    assert fill_price(OFF) == D("1.10010")


def test_impact_is_the_square_root_of_the_share_of_the_daily_volume() -> None:
    """1.0 x 0.01 x sqrt(100,000 / 10^9) = 0.0001 of 110,010 ticks: 11.001, rounded up against the taker to 12."""
    assert fill_price(replace(OFF, impact=1.0)) == D("1.10022")
    assert fill_price(replace(OFF, impact=1.0), "400000") == D("1.10033")  # twice: 22.002
    assert fill_price(replace(OFF, impact=1.0), adv=0.0) == D("1.10010")


def test_impact_is_not_charged_on_displayed_size() -> None:
    profile = replace(NETTING, slippage=replace(OFF, impact=1.0), unlimited_depth=True)
    venue = Venue(profile, contracts=(DEEP,)).quote("EURUSD", "1.10000", "1.10010", "60000")
    venue.send("a", "EURUSD", "buy", "100000")
    # 40,000 beyond it: 0.01 x sqrt(0.00004) = 0.0000632 of 110,010 ticks: 6.96
    assert [(fill.quantity, fill.price) for fill in venue.fills()] == [(60, 110_010), (40, 110_017)]


def test_the_impact_of_earlier_orders_decays() -> None:
    """A second 100,000 immediately pays sqrt(200,000): 15.56; after ten minutes sqrt(100,000 (1 + 1/e)): 12.87."""
    for wait, ticks in ((0, 16), (600_000, 13), (86_400_000, 12)):
        profile = replace(NETTING, slippage=replace(OFF, impact=1.0), leverage=D(1000))
        venue = Venue(profile, contracts=(DEEP,)).quote("EURUSD", "1.10000", "1.10010")
        venue.send("a", "EURUSD", "buy", "100000")
        venue.at(venue.ts + wait).send("b", "EURUSD", "buy", "100000")
        assert venue.fills()[1].price == 110_010 + ticks


def test_pressure_is_kept_by_side() -> None:
    pressure = Pressure()
    pressure.add(0, 1, 100.0)
    pressure.add(600_000, -1, 50.0)
    assert pressure.at(600_000, 1) == pytest.approx(100 / math.e)
    assert pressure.at(1_200_000, -1) == pytest.approx(50 / math.e)


def test_one_account_does_not_move_the_price_of_another() -> None:
    profile = replace(NETTING, slippage=replace(OFF, impact=1.0))
    venue = Venue(profile, contracts=(DEEP,)).quote("EURUSD", "1.10000", "1.10010")
    other = venue.exchange.open("b", profile, seed=7)
    other.deposit(venue.ts, "USD", D(10_000))
    venue.send("x", "EURUSD", "buy", "100000")
    venue.exchange.submit("b", venue.ts, OrderRequest("x", "EURUSD", Side.BUY, D(100_000)))
    venue.exchange.settle(venue.ts)
    assert other.balances == venue.account.balances
    assert other.positions == venue.account.positions


def test_jitter_is_against_the_taker_and_has_its_configured_size() -> None:
    """E|N| = sqrt(2 / pi) = 0.798: 0.25 x 10 / 2 x 0.798 = 1.0 tick on average, before it is rounded up."""
    slippage = Slippage()
    drawn = [slippage.spread_ticks(0, 10, normal(1, "a", str(n), "jitter"), 0.0) for n in range(4000)]
    assert min(drawn) >= 0
    assert fmean(drawn) == pytest.approx(1.25 * math.sqrt(2 / math.pi), rel=0.05)
    assert fill_price(Slippage(impact=0.0)) >= D("1.10010")


def test_jitter_grows_with_volatility_up_to_four_times() -> None:
    slippage = Slippage(sigma_ref=1e-4)
    calm, wild, wilder = (slippage.spread_ticks(0, 10, 1.0, sigma) for sigma in (1e-4, 3e-4, 9e-4))
    assert (calm, wild, wilder) == (1.25, pytest.approx(3.75), 5.0)


def test_symmetric_jitter_may_improve_the_price() -> None:
    assert Slippage(symmetric=True).spread_ticks(0, 10, -1.0, 0.0) == -1.25


def test_stress_multiplies_spread_and_volatility_within_its_window() -> None:
    """The spread grows from 10 to 30: the taker pays half of the increase of 20, and jitter is 0.25 x 15 x 3."""
    slippage = Slippage(windows=(Stress(100, 200),))
    assert slippage.spread_ticks(99, 10, 1.0, 0.0) == 1.25
    assert slippage.spread_ticks(100, 10, 1.0, 0.0) == 10 + 11.25
    assert slippage.spread_ticks(200, 10, 1.0, 0.0) == 1.25


def test_a_limit_is_never_worse_than_its_limit() -> None:
    profile = replace(NETTING, slippage=Slippage(jitter=50.0, impact=0.0))
    venue = Venue(profile, contracts=(DEEP,)).quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "1000", "limit", price="1.10012")
    assert venue.fills()[0].price == 110_012


def test_latency_has_its_base_and_its_median() -> None:
    drawn = [Latency.fx().draw(1, "a", str(n)) for n in range(4000)]
    assert min(drawn) > 50
    assert median(drawn) == pytest.approx(70, abs=1)
    assert fmean(drawn) == pytest.approx(50 + 20 * math.exp(0.125), abs=1)
    assert Latency(5.0).draw(1, "a", "x") == 5


def test_draws_depend_on_seed_account_order_and_purpose_alone() -> None:
    assert normal(1, "a", "x", "jitter") == normal(1, "a", "x", "jitter")
    others = [(2, "a", "x", "jitter"), (1, "b", "x", "jitter"), (1, "a", "y", "jitter"), (1, "a", "x", "latency")]
    assert len({normal(1, "a", "x", "jitter"), *(normal(*other) for other in others)}) == 5


def test_an_order_trades_at_the_quote_of_its_arrival() -> None:
    venue = Venue(replace(NETTING, latency=Latency(50.0))).quote("EURUSD", "1.10000", "1.10010")
    sent = venue.ts
    venue.send("a", "EURUSD", "buy", "1000")
    assert venue.fills() == []
    venue.ts = sent + 49
    venue.quote("EURUSD", "1.10100", "1.10110")  # at the instant of its arrival, so the order trades at it
    assert [(fill.ts, fill.price) for fill in venue.fills()] == [(sent + 50, 110_110)]
