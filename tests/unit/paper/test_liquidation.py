"""Margin level, margin call, stop-out and liquidation, each computed by hand."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from mikrobot.paper import margin
from mikrobot.paper.account import Account
from mikrobot.paper.contracts import Tier
from mikrobot.paper.exchange import Exchange
from mikrobot.paper.orders import Status
from mikrobot.paper.positions import Position
from tests.unit.paper.venue import CONTRACTS, HEDGING, ISOLATED, NETTING, PERP, Venue


def test_the_margin_call_comes_at_a_level_of_100_percent_once() -> None:
    """200,000 at 1.10010 need a margin of 7,334.00; 10,000 falls to that after a loss of 2,666.00: bid 1.08677."""
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "200000")
    assert margin.margins(venue.account) == {"EURUSD": 733_400}
    assert venue.quote("EURUSD", "1.08678", "1.08688").notes() == []
    assert venue.quote("EURUSD", "1.08677", "1.08687").notes() == ["margin_call"]
    assert venue.quote("EURUSD", "1.08670", "1.08680").notes() == ["margin_call"]
    assert venue.quote("EURUSD", "1.09000", "1.09010").notes() == ["margin_call", "margin_call_over"]


def test_the_stop_out_comes_at_50_percent_and_closes_at_the_market() -> None:
    """50 % of 7,334.00 is 3,667.00, a loss of 6,333.00: (1.06843 - 1.10010) x 200,000 = -6,334.00."""
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "200000")
    venue.send("pending", "EURUSD", "buy", "1000", "limit", price="1.00000")
    venue.quote("EURUSD", "1.06844", "1.06854")
    assert venue.account.net("EURUSD") == 200
    venue.quote("EURUSD", "1.06843", "1.06853")
    assert venue.account.net("EURUSD") == 0
    assert venue.balance() == D("3666.00")
    assert venue.status("pending") is Status.CANCELED
    assert venue.notes() == ["margin_call", "stop_out"]


def test_the_largest_loss_is_closed_first_and_the_level_is_checked_again() -> None:
    """Margin 3,667 + 4,334; at -5,700 EUR and -700 GBP the level is 3,600 / 8,001 = 45 %; without EUR it is 83 %."""
    venue = Venue().quote("EURUSD", "1.10000", "1.10010").quote("GBPUSD", "1.30000", "1.30020")
    venue.send("e", "EURUSD", "buy", "100000")
    venue.send("g", "GBPUSD", "buy", "100000")
    venue.quote("GBPUSD", "1.29320", "1.29340").quote("EURUSD", "1.04310", "1.04320")
    assert [fill.symbol for fill in venue.fills()] == ["EURUSD", "GBPUSD", "EURUSD"]
    assert (venue.account.net("EURUSD"), venue.account.net("GBPUSD")) == (0, 100)
    assert venue.balance() == D("4300.00")


def test_a_withdrawal_forces_a_margin_check_at_the_next_price() -> None:
    """Margin 7,334.00, spread loss 20.00: a balance of 6,000 is a level of 82 %, one of 3,000 a level of 41 %."""
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "200000")
    venue.account.deposit(venue.ts, "USD", D(-4000))
    assert venue.quote("EURUSD", "1.10000", "1.10010").notes() == ["margin_call"]
    venue.account.deposit(venue.ts, "USD", D(-3000))
    assert venue.quote("EURUSD", "1.10000", "1.10010").notes() == ["margin_call", "stop_out"]
    assert venue.account.net("EURUSD") == 0


def test_a_restart_between_two_prices_does_not_delay_the_stop_out() -> None:
    venue = Venue().quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "200000")
    restarted = Exchange(CONTRACTS)
    account = restarted.restore(Account.rebuilt("a", NETTING, restarted.contracts, venue.account.journal))
    restarted.quote(venue.ts + 1, "EURUSD", 106_843, 106_853)
    assert account.net("EURUSD") == 0
    assert account.balance("USD") == D("3666.00")


def test_a_stop_loss_stays_working_if_a_stop_out_leaves_its_position_open() -> None:
    venue = Venue(HEDGING).quote("EURUSD", "1.10000", "1.10010").quote("GBPUSD", "1.30000", "1.30020")
    venue.send("e", "EURUSD", "buy", "100000")
    venue.send_bracket("g", "GBPUSD", "buy", "100000", "1.20000", "1.40000")
    venue.quote("GBPUSD", "1.29320", "1.29340").quote("EURUSD", "1.04310", "1.04320")
    assert (venue.status("g.sl"), venue.status("g.tp")) == (Status.WORKING, Status.WORKING)


def test_a_hedged_pair_needs_the_margin_of_its_larger_side() -> None:
    """200,000 x 1.10010 / 30 = 7,334.00, compared with 100,000 x 1.10000 / 30 = 3,666.67."""
    venue = Venue(HEDGING).quote("EURUSD", "1.10000", "1.10010")
    venue.send("long", "EURUSD", "buy", "200000")
    venue.send("short", "EURUSD", "sell", "50000")
    venue.send("more", "EURUSD", "sell", "50000")
    assert margin.margins(venue.account) == {"EURUSD": 733_400}
    assert sorted(venue.account.positions) == ["long", "more", "short"]


def test_a_ticket_closes_its_own_position_and_no_more() -> None:
    venue = Venue(HEDGING).quote("EURUSD", "1.10000", "1.10010")
    venue.send("one", "EURUSD", "buy", "100000")
    venue.send("two", "EURUSD", "buy", "50000")
    venue.send("out", "EURUSD", "sell", "200000", ticket="two")
    assert list(venue.account.positions) == ["one"]
    assert venue.account.orders["out"].filled == 50


def test_margin_of_a_cross_is_that_of_its_base_when_it_was_opened() -> None:
    """100,000 EUR at an ask of 1.10010 / 30 = 3,667.00; later EURUSD prices do not change it."""
    venue = Venue().quote("EURUSD", "1.10000", "1.10010").quote("USDJPY", "150.000", "150.010")
    venue.quote("EURJPY", "165.000", "165.020").send("a", "EURJPY", "buy", "100000")
    venue.quote("EURUSD", "1.20000", "1.20010")
    assert margin.margins(venue.account) == {"EURJPY": 366_700}


@pytest.mark.parametrize(("side", "entry", "price"), [("buy", 500_000, 451_807), ("sell", 500_000, 547_809)])
def test_the_liquidation_price_of_an_isolated_position(side: str, entry: int, price: int) -> None:
    """50,000 x (1 - 0.1) / (1 - 0.004) = 45,180.72; 50,000 x (1 + 0.1) / (1 + 0.004) = 54,780.88."""
    sign = 1 if side == "buy" else -1
    held = Position("BTCPERP", quantity=sign * 1000, cost=sign * 1000 * entry)
    assert round(margin.liquidation_price(PERP, ISOLATED, held)) == price


def test_a_larger_notional_has_the_maintenance_rate_of_its_tier() -> None:
    """1 BTC at 50,000 is in the second tier: 50,000 x 0.9 / (1 - 0.01) = 45,454.5."""
    tiers = (Tier(D(40_000), D("0.004")), Tier(None, D("0.01")))
    held = Position("BTCPERP", quantity=1000, cost=1000 * 500_000)
    assert round(margin.liquidation_price(replace(PERP, maintenance=tiers), ISOLATED, held)) == 454_545


def test_an_isolated_position_is_liquidated_at_its_price_and_not_before() -> None:
    """1 BTC from 50,000.0 at a leverage of 10: at 45,180.7 the loss is 4,819.30, fees 25 and 22.59035."""
    venue = Venue(ISOLATED, {"USDT": "10000"}).quote("BTCPERP", "49999.9", "50000.0")
    venue.send("a", "BTCPERP", "buy", "1")
    assert venue.quote("BTCPERP", "45180.8", "45180.9").account.net("BTCPERP") == 1000
    assert venue.quote("BTCPERP", "45180.7", "45180.8").account.net("BTCPERP") == 0
    assert venue.balance("USDT") == D("5133.10965000")
    assert venue.notes() == ["liquidation"]


def test_an_isolated_position_cannot_lose_more_than_its_margin() -> None:
    """A gap to 40,000 loses 10,000 with a margin of 5,000: the insurance fund pays the other 5,000."""
    venue = Venue(ISOLATED, {"USDT": "10000"}).quote("BTCPERP", "49999.9", "50000.0")
    venue.send("a", "BTCPERP", "buy", "1")
    venue.quote("BTCPERP", "40000.0", "40000.1")
    assert venue.booked("insurance") == [D("5000.00000000")]
    assert venue.balance("USDT") == D("4955.00000000")  # 10,000 - 5,000 - 25 - 20


def test_the_fee_of_a_liquidation_without_cash_is_paid_by_the_insurance_fund() -> None:
    """The opening fee of 25 leaves no cash; a gap to 40,000 loses 10,000 with a margin of 5,000, and the fee is 20."""
    venue = Venue(ISOLATED, {"USDT": "5025"}).quote("BTCPERP", "49999.9", "50000.0")
    venue.send("a", "BTCPERP", "buy", "1")
    venue.quote("BTCPERP", "40000.0", "40000.1")
    assert venue.booked("insurance") == [D(5000), D(20)]
    assert venue.balance("USDT") == 0


def test_an_isolated_hedge_needs_the_margin_of_both_sides() -> None:
    """5,000 of margin and a fee of 25 for each side; free are 10,050, or a millionth less."""
    for money, state in (("10050", Status.FILLED), ("9999.999999", Status.REJECTED)):
        venue = Venue(replace(ISOLATED, netting=False), {"USDT": money}).quote("BTCPERP", "50000.0", "50000.0")
        venue.send("long", "BTCPERP", "buy", "1")
        venue.send("short", "BTCPERP", "sell", "1")
        assert venue.status("short") is state


def test_daily_and_weekly_loss_limits_prevent_new_positions() -> None:
    limits = replace(NETTING.limits, daily_loss_pct=D(5), weekly_loss_pct=D(10))
    venue = Venue(replace(NETTING, limits=limits)).quote("EURUSD", "1.10000", "1.10010")
    day = 86_400_000

    def lose(name: str, pips: int) -> None:
        venue.quote("EURUSD", "1.10000", "1.10010")
        venue.send(f"{name}.in", "EURUSD", "buy", "100000")
        low = D("1.10010") - pips * D("0.0001")
        venue.quote("EURUSD", str(low), str(low + D("0.0001"))).send(f"{name}.out", "EURUSD", "sell", "100000")

    lose("one", 49)  # -490.00 of 10,000.00: 4.9 %
    lose("two", 11)  # -600.00: 6.0 %
    lose("three", 1)
    assert venue.status("two.out") is Status.FILLED
    assert venue.status("three.in") is Status.REJECTED
    assert venue.reasons()[0] == "daily loss limit of 5 % reached"
    venue.at(venue.ts + day)
    lose("four", 41)  # a new day; -1,010.00 in the week: 10.1 %
    venue.at(venue.ts + day)
    lose("five", 1)
    assert (venue.status("four.in"), venue.status("five.in")) == (Status.FILLED, Status.REJECTED)
    assert venue.reasons()[-2] == "weekly loss limit of 10 % reached"
    venue.at(venue.ts + 5 * day)
    lose("six", 1)
    assert venue.status("six.in") is Status.FILLED


def test_a_large_profit_never_triggers_a_loss_limit() -> None:
    limits = replace(NETTING.limits, daily_loss_pct=D(5), weekly_loss_pct=D(10), total_loss_pct=D(10))
    venue = Venue(replace(NETTING, limits=limits)).quote("EURUSD", "1.10000", "1.10010")
    venue.send("a", "EURUSD", "buy", "100000")
    venue.quote("EURUSD", "1.15000", "1.15010").send("b", "EURUSD", "sell", "100000")
    venue.send("c", "EURUSD", "buy", "100000")
    assert venue.status("c") is Status.FILLED
