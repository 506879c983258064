import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest

from mikrobot.decision.checks import Comparison
from mikrobot.decision.outlook import Outlook
from mikrobot.decision.product_owner import decide_trade
from mikrobot.decision.signals import NoSignal, Signal
from mikrobot.decision.strategies.m5_bos import M5Bos
from mikrobot.decision.strategies.simple_break import SimpleBreak
from mikrobot.decision.strategies.strategy import Mandate
from mikrobot.domain.errors import BarError, StrategyError
from mikrobot.domain.news import Impact, NewsCalendar, NewsEvent
from mikrobot.domain.risk_profiles import RISK_PROFILES
from mikrobot.domain.trading import Decision, OrderIntent, Side
from mikrobot.paper.venue import VENUE_RULES as ACCOUNTS
from mikrobot.paper.venue import AccountSnapshot, contract_of

CLOSE = datetime(2024, 3, 11, 9, 30, tzinfo=UTC)
STRATEGY = "simple_break@8c1f3a52"
BY = "bos 7, learned from EURUSD"
EURUSD = Outlook("EURUSD", CLOSE, 1.1, 0.00008, 0.001, 1.1005, 1.099, 0.61, 0.2, BY, 1.1, 1.1, 1.1)
USDJPY = Outlook("USDJPY", CLOSE, 150.0, nan, 0.1, 150.05, nan, 0.61, nan, BY, 150.0, 150.0, 150.0)
BTCUSDT = Outlook(
    "BTCUSDT", CLOSE, 60_000.0, 0.01, 40.0, 60_040.0, 59_900.0, 0.3, 0.7, BY, 60_000.0, 60_000.0, 60_000.0
)


def standing(
    symbol: str, balance: str = "10000.00", lost: str = "0.00", engaged: tuple[str, ...] = ()
) -> AccountSnapshot:
    """Return an account snapshot whose `balance` is what remains after `lost` was lost today."""
    left, gone = Decimal(balance), Decimal(lost)
    contract = contract_of(symbol)
    profile = ACCOUNTS["fx" if symbol in ("EURUSD", "USDJPY") else "crypto"]
    return AccountSnapshot(contract, profile, left, left, frozenset(engaged), left + gone, max(gone, Decimal(0)))


def judged(outlook: Outlook, profile: str = "session1", **rest: Any) -> tuple[Decision, OrderIntent | None]:
    return answered(outlook, SimpleBreak().signal(outlook, {}), profile, **rest)


def answered(
    outlook: Outlook,
    answer: Signal | NoSignal,
    profile: str = "session1",
    news: NewsCalendar | None = None,
    **rest: Any,
) -> tuple[Decision, OrderIntent | None]:
    account = standing(outlook.symbol, **rest)
    return decide_trade("run", outlook, answer, account, profile=RISK_PROFILES[profile], strategy=STRATEGY, news=news)


def ordered(outlook: Outlook, profile: str = "session1", **rest: Any) -> OrderIntent:
    decision, order = judged(outlook, profile, **rest)
    assert order is not None, decision.reasons
    return order


def refusal(outlook: Outlook, profile: str = "session1", **rest: Any) -> str:
    """Return the only check that refused the trade."""
    decision, order = judged(outlook, profile, **rest)
    (reason,) = (reason for reason in decision.reasons if " refused: " in reason)
    assert order is None
    assert not decision.approved
    return reason


def test_a_probable_break_upwards_is_bought() -> None:
    """EURUSD 1.10000, ATR 0.00100: stop distance 0.00150, target 2.5 x as far.

    One lot loses (0.00150 + 0.00008) x 100,000 + 2 x 3.50 = 165.00; 1 % of 10,000.00 is 100.00;
    100 / 165 = 0.606 lots, so 0.60, which lose 99.00.
    """
    decision, order = judged(EURUSD)
    assert order == OrderIntent(
        id="EURUSD/20240311T0930/buy",
        decision_id="run/EURUSD/20240311T0930/simple_break",
        symbol="EURUSD",
        side=Side.BUY,
        lots=Decimal("0.60"),
        stop=Decimal("1.09850"),
        target=Decimal("1.10375"),
        submitted_at=CLOSE,
        expires_at=CLOSE + timedelta(minutes=30),
    )
    assert decision == Decision(
        id="run/EURUSD/20240311T0930/simple_break",
        symbol="EURUSD",
        close_time=CLOSE,
        approved=True,
        side=Side.BUY,
        reasons=(
            "answered by bos 7, learned from EURUSD",
            "level passed: above 1.1005, below 1.099",
            "probability passed: up 0.61, down 0.2, entry needs 0.55",
            "side passed: buy, as up 0.61, down 0.2",
            "position passed: none is open on EURUSD",
            "open_trades passed: 0 open, at most 2 with this one",
            "limits passed: no loss limit of the account is reached",
            "news passed: the run has no calendar of news",
            "stop passed: stop 1.09850 and target 1.10375, 0.00150 and 0.00375 from 1.10000",
            "spread passed: 0.00008 is 5.3% of the stop distance 0.00150, must stay below 20%",
            "costs passed: the target earns 225.00 with 0.60 lots, the round trip costs 9.60: "
            "spread 4.80, commissions 4.20, slippage 0.60",
            "size passed: 0.60 lots lose 99.00 at the stop, 100.00 is allowed, at least 0.01 lots are traded",
            "daily_loss passed: 0.00 lost today and 99.00 at risk, cap 500.00",
        ),
        strategy=STRATEGY,
        comparisons=(
            *(None, Comparison(0.61, ">=", 0.55, "probability"), None, None),
            *(Comparison(1.0, "<=", 2.0, "trades"), None, None, None),
            Comparison(float(Decimal("0.00008") / Decimal("0.0015")), "<", 0.2, "of the stop distance"),
            Comparison(225.0, ">", 9.6, "USD"),
            Comparison(0.6, ">=", 0.01, "lots"),
            Comparison(99.0, "<=", 500.0, "USD"),
        ),
    )


def test_a_refusal_has_its_distance_to_passing() -> None:
    decision, _ = judged(replace(EURUSD, probability_up=0.5))
    assert decision.terminal_reason == "probability"
    assert decision.refusal == next(check for check in decision.checks if not check.passed)
    assert decision.refusal.value == 0.5
    assert decision.refusal.threshold == 0.55
    assert decision.refusal.distance == 0.05


def test_the_numbers_of_every_check_agree_with_its_result() -> None:
    outlooks = [
        EURUSD, USDJPY, BTCUSDT, replace(EURUSD, spread=0.0004), replace(EURUSD, probability_up=nan),
        replace(EURUSD, atr=0.00002), replace(BTCUSDT, atr=0.5),
    ]  # fmt: skip
    balances: list[dict[str, Any]] = [{}, {"balance": "4.00"}, {"lost": "9000.00"}, {"engaged": ("XAUUSD", "GBPUSD")}]
    checks = [check for o in outlooks for rest in balances for check in judged(o, **rest)[0].checks]
    with_numbers = [check for check in checks if check.compared is not None]
    assert {check.name for check in with_numbers if not check.passed} == {
        "probability", "open_trades", "spread", "costs", "size", "daily_loss"
    }  # fmt: skip
    assert all(check.compared.holds == check.passed for check in with_numbers)
    assert all((check.distance == 0) == check.passed for check in with_numbers if check.value != check.threshold)


def test_a_probable_break_downwards_is_sold_with_its_exits_measured_from_the_ask() -> None:
    """A short exits at the ask: 1.10008 + 0.00150 and 1.10008 - 0.00375."""
    order = ordered(replace(EURUSD, probability_up=0.2, probability_down=0.61))
    assert (order.side, order.id) == (Side.SELL, "EURUSD/20240311T0930/sell")
    assert (order.stop, order.target, order.lots) == (Decimal("1.10158"), Decimal("1.09633"), Decimal("0.60"))


def test_a_crypto_size_includes_the_fees_and_is_a_multiple_of_its_own_step() -> None:
    """Ask 60,000.01, ATR 40: stop 60,060.01, so one BTC loses 60.01 + 30.000005 + 30.030005 = 120.04001.

    100 / 120.04001 = 0.833055..., so 0.83305 BTC; half of the margin at a leverage of 10 would allow 0.83333.
    """
    order = ordered(BTCUSDT)
    assert (order.side, order.stop, order.target) == (Side.SELL, Decimal("60060.01"), Decimal("59850.01"))
    assert order.lots == Decimal("0.83305")


def test_jpy_pairs_are_sized_with_conversion() -> None:
    """An earlier version sized JPY pairs without conversion.

    One lot loses 0.158 x 100,000 = 15,800 yen, at the stop of 149.850 that is 105.44 dollars; with
    7.00 of commission 112.44; 100 / 112.44 = 0.889, so 0.88 lots.
    """
    order = ordered(USDJPY)
    assert (order.stop, order.target, order.lots) == (Decimal("149.850"), Decimal("150.375"), Decimal("0.88"))


def test_without_a_level_there_is_no_side_whatever_the_probability() -> None:
    bare = replace(EURUSD, level_above=nan, level_below=nan)
    assert refusal(bare) == "level refused: above none, below none"
    assert judged(bare)[0].side is None


def test_a_side_without_a_level_is_not_taken() -> None:
    one_sided = replace(EURUSD, level_above=nan, probability_up=0.9, probability_down=0.6)
    assert ordered(one_sided).side is Side.SELL


def test_a_break_that_is_not_probable_enough_is_not_traded() -> None:
    below = replace(EURUSD, probability_up=0.549)
    assert refusal(below) == "probability refused: up 0.549, down 0.2, entry needs 0.55"
    assert judged(below)[0].side is None
    assert ordered(replace(EURUSD, probability_up=0.55)).side is Side.BUY


def test_of_two_probable_breaks_the_more_probable_one_is_taken() -> None:
    assert ordered(replace(EURUSD, probability_up=0.7, probability_down=0.71)).side is Side.SELL
    assert ordered(replace(EURUSD, probability_up=0.71, probability_down=0.7)).side is Side.BUY


def test_two_equally_probable_breaks_are_not_traded() -> None:
    even = replace(EURUSD, probability_up=0.7, probability_down=0.7)
    assert refusal(even) == "side refused: up 0.7, down 0.7, both are equal"


def test_a_symbol_with_a_position_is_not_traded() -> None:
    assert refusal(EURUSD, engaged=("EURUSD",)) == "position refused: a position or order is open on EURUSD"


@pytest.mark.parametrize(("profile", "limit"), [("session1", 2), ("lightning", 5), ("ftmo", 2)])
def test_no_more_trades_are_opened_than_the_profile_allows(profile: str, limit: int) -> None:
    others = ("GBPUSD", "USDJPY", "USDCHF", "AUDUSD", "BTCUSDT")
    assert ordered(EURUSD, profile, engaged=others[: limit - 1])
    refused = refusal(EURUSD, profile, engaged=others[:limit])
    assert refused == f"open_trades refused: {limit} open, at most {limit} with this one"


def test_loss_of_the_day_and_risk_of_the_trade_stay_within_the_cap() -> None:
    """Cap: 5 % of 10,000.00 = 500.00. 1 % of the remaining 9,595.70 buys 0.58 lots, which risk 95.70; total 500.00."""
    assert ordered(EURUSD, balance="9595.70", lost="404.30").lots == Decimal("0.58")
    assert refusal(EURUSD, balance="9595.69", lost="404.31") == (
        "daily_loss refused: 404.31 lost today and 95.70 at risk, cap 500.00"
    )


def test_an_account_at_a_loss_limit_opens_nothing() -> None:
    at_limit = replace(standing("EURUSD"), limit="weekly loss limit of 10 % reached")
    answer, profile = SimpleBreak().signal(EURUSD, {}), RISK_PROFILES["session1"]
    decision, order = decide_trade("run", EURUSD, answer, at_limit, profile=profile, strategy=STRATEGY)
    assert order is None
    assert "limits refused: weekly loss limit of 10 % reached" in decision.reasons


def test_a_large_profit_never_blocks() -> None:
    """An earlier version compared losses by absolute value, so that profits blocked trading."""
    assert ordered(EURUSD, lost="-900.00")


def test_a_spread_of_a_fifth_of_the_stop_distance_is_too_wide() -> None:
    assert ordered(replace(EURUSD, spread=0.00029))
    assert refusal(replace(EURUSD, spread=0.0003)) == (
        "spread refused: 0.00030 is 20.0% of the stop distance 0.00150, must stay below 20%"
    )


def test_a_target_that_earns_no_more_than_the_round_trip_costs_is_refused_with_the_numbers() -> None:
    """A quiet minute: ATR 0.00005, so 0.00008 to the stop and, at 1:1, to the target: 0.8 pips.

    The commissions are 0.7 pips; the spread of half a tick counts as one tick, and the jitter as another. Half of
    the margin buys 1.36 lots: they earn 10.88 and cost 1.36 + 9.52 + 1.36.
    """
    quiet = replace(EURUSD, atr=0.00005, spread=0.000005)
    assert refusal(quiet, "lightning") == (
        "costs refused: the target earns 10.88 with 1.36 lots, the round trip costs 12.24: "
        "spread 1.36, commissions 9.52, slippage 1.36"
    )
    assert ordered(replace(quiet, atr=0.00007), "lightning")


def test_a_perpetual_pays_its_fees_on_both_sides_before_its_target_earns() -> None:
    """Two taker fees of 0.05 % are about 60 dollars per coin, so a target 60 away earns nothing."""
    assert ordered(replace(BTCUSDT, atr=41.0), "lightning")
    assert refusal(replace(BTCUSDT, atr=40.0), "lightning") == (
        "costs refused: the target earns 27.49 with 0.45818 lots, the round trip costs 27.51: "
        "spread 0.01, commissions 27.49, slippage 0.01"
    )


def test_a_size_below_the_minimum_is_not_rounded_up() -> None:
    """1 % of 160.00 is 1.60; one hundredth of a lot loses 1.65."""
    assert refusal(EURUSD, balance="160") == (
        "size refused: 0.00 lots lose 0.00 at the stop, 1.60 is allowed, at least 0.01 lots are traded"
    )
    assert ordered(EURUSD, balance="165").lots == Decimal("0.01")


def test_an_account_without_money_trades_nothing() -> None:
    reasons = judged(EURUSD, balance="-5")[0].reasons
    assert any(reason.startswith("size refused: 0.00 lots") for reason in reasons)


def test_fx_trades_at_most_ten_lots() -> None:
    assert ordered(EURUSD, balance="10000000").lots == 10


def test_a_trade_uses_at_most_half_of_the_free_margin() -> None:
    """A yen stop of 1.5 pips and no spread: one lot loses 10.00 + 7.00.

    1 % of 1,000 would buy 0.58 lots, a leverage of 58. One lot needs a margin of
    100,000 / 30 = 3,333.33 dollars, and half of 1,000 buys 0.15 of it.
    """
    tight = replace(USDJPY, spread=0.0, atr=0.01)
    assert ordered(tight, balance="1000").lots == Decimal("0.15")


@pytest.mark.parametrize("atr", [nan, 0.0, -1.0, inf])
def test_without_a_range_no_stop_can_be_placed(atr: float) -> None:
    assert refusal(replace(EURUSD, atr=atr)).startswith("stop refused: ATR is")


def test_a_stop_below_zero_is_refused() -> None:
    assert refusal(replace(EURUSD, atr=0.8)) == "signal refused: the stop -0.1 is no price"


def test_a_corrupt_spread_raises_an_error() -> None:
    with pytest.raises(BarError, match="EURUSD: expected a finite spread"):
        judged(replace(EURUSD, spread=inf))


@pytest.mark.parametrize("unknown", [nan, -0.0001])
def test_the_typical_spread_applies_if_none_is_quoted_or_bid_and_ask_cross(unknown: float) -> None:
    assert ordered(replace(EURUSD, spread=unknown)) == ordered(EURUSD)


def test_every_failed_check_is_named() -> None:
    wide = replace(EURUSD, spread=0.001)
    refused = [reason.split()[0] for reason in judged(wide, engaged=("EURUSD",))[0].reasons if " refused: " in reason]
    assert refused == ["position", "spread"]


def test_stop_and_target_follow_the_profile() -> None:
    """1.10000 + 0.00150 x 1 and x 2; 0.55 % of 10,000 = 55.00 / 165.00 = 0.33; 0.5 % = 50.00 / 165.00 = 0.30."""
    assert (ordered(EURUSD, "lightning").target, ordered(EURUSD, "lightning").lots) == (
        Decimal("1.10150"),
        Decimal("0.33"),
    )
    assert (ordered(EURUSD, "ftmo").target, ordered(EURUSD, "ftmo").lots) == (
        Decimal("1.10300"),
        Decimal("0.30"),
    )


@pytest.mark.parametrize("hour", [8, 12, 13, 14, 15, 16, 20])
def test_no_hour_of_london_and_new_york_is_rejected(hour: int) -> None:
    """An earlier version always rejected the overlap of the two sessions."""
    assert ordered(replace(EURUSD, close_time=CLOSE.replace(hour=hour)))


@pytest.mark.parametrize("day", [9, 10])
def test_crypto_trades_at_the_weekend(day: int) -> None:
    """In an earlier version, the weekday check blocked crypto at the weekend."""
    assert ordered(replace(BTCUSDT, close_time=CLOSE.replace(day=day)))


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (Signal(Side.BUY, 1.1), "the stop 1.1 of a buy is not below the close 1.1"),
        (Signal(Side.SELL, 1.09), "the stop 1.09 of a sell is not above the close 1.1"),
        (Signal(Side.BUY, nan), "the stop nan is no price"),
        (Signal(Side.BUY, -1.0), "the stop -1 is no price"),
        (Signal(Side.BUY, 1.09, target=1.1), "the target 1.1 of a buy is not above the close 1.1"),
        (Signal(Side.SELL, 1.11, target=inf), "the target inf is no price"),
        (Signal(Side.BUY, 1.09, minutes=0), "0 minutes are not between 1 and 10080"),
    ],
)
def test_an_impossible_signal_is_rejected_with_its_reason(signal: Signal, reason: str) -> None:
    decision, order = answered(EURUSD, signal)
    assert order is None
    assert decision.side is None
    assert f"signal refused: {reason}" in decision.reasons


def test_a_signal_with_a_target_of_its_own_leaves_there_and_after_its_own_time() -> None:
    decision, order = answered(EURUSD, Signal(Side.BUY, 1.098, target=1.103, minutes=90))
    assert order is not None, decision.reasons
    assert (order.stop, order.target) == (Decimal("1.09800"), Decimal("1.10300"))
    assert order.expires_at == CLOSE + timedelta(minutes=90)


def test_without_a_signal_the_account_is_checked_all_the_same() -> None:
    decision, order = answered(EURUSD, NoSignal("the close is inside the range", "range"), engaged=("EURUSD",))
    assert order is None
    assert decision.reasons[1:3] == (
        "range refused: the close is inside the range",
        "position refused: a position or order is open on EURUSD",
    )


def test_a_stop_entry_is_sized_from_the_price_that_triggers_it() -> None:
    """A buy at the ask 1.10100 has a bid of 1.10092; 1.09992 is 0.00100 below it, the target 2.5 x as far above.

    One lot loses (0.00100 + 0.00008) x 100,000 + 2 x 3.50 = 115.00, so 0.86 lots lose 98.90.
    """
    decision, order = answered(EURUSD, Signal(Side.BUY, stop=1.09992, entry=1.100996, minutes=90))
    assert order is not None, decision.reasons
    assert (order.entry, order.stop, order.target) == (Decimal("1.10100"), Decimal("1.09992"), Decimal("1.10342"))
    assert (order.lots, order.expires_at) == (Decimal("0.86"), CLOSE + timedelta(minutes=90))


def test_a_stop_entry_that_sells_has_its_exits_at_the_ask() -> None:
    """A sell at the bid 1.09900 exits at the ask: 1.09908 + 0.00100 and 1.09908 - 0.00200."""
    decision, order = answered(EURUSD, Signal(Side.SELL, stop=1.1, target=1.097, entry=1.099004))
    assert order is not None, decision.reasons
    assert (order.entry, order.stop, order.target) == (Decimal("1.09900"), Decimal("1.10008"), Decimal("1.09708"))


@pytest.mark.parametrize(
    ("signal", "check"),
    [
        (Signal(Side.BUY, stop=1.09, entry=1.10008), "entry refused: the buy stop 1.10008 is not beyond the price"),
        (Signal(Side.SELL, stop=1.11, entry=1.1), "signal refused: the entry 1.1 of a sell is not below the close 1.1"),
        (Signal(Side.BUY, stop=1.10095, entry=1.101), "stop refused: buy stop 1.10100, "),
        (Signal(Side.BUY, stop=1.101, entry=1.101), "signal refused: the stop 1.101 of a buy is not below the entry"),
        (Signal(Side.BUY, stop=1.09, target=1.1005, entry=1.101), "signal refused: the target 1.1005 of a buy is not"),
        (Signal(Side.BUY, stop=1.09, entry=nan), "signal refused: the entry nan is no price"),
    ],
)
def test_an_impossible_stop_entry_is_refused(signal: Signal, check: str) -> None:
    decision, order = answered(EURUSD, signal)
    assert order is None
    assert any(reason.startswith(check) for reason in decision.reasons), decision.reasons


@pytest.mark.parametrize(
    ("hour", "traded"), [(7, False), (8, True), (12, True), (13, True), (15, True), (16, True), (20, True), (21, False)]
)
def test_m5_bos_opens_in_london_and_new_york_their_overlap_included(hour: int, traded: bool) -> None:
    outlook = replace(EURUSD, close_time=CLOSE.replace(hour=hour, minute=0))
    profile = M5Bos.mandate.within(RISK_PROFILES["session1"])
    decision, order = decide_trade(
        "run", outlook, Signal(Side.BUY, stop=1.0985), standing("EURUSD"), profile=profile, strategy="m5_bos@0"
    )
    assert (order is not None) == traded
    assert any(reason.startswith(f"session {'passed' if traded else 'refused'}: ") for reason in decision.reasons)


def event(minutes: int, currency: str = "USD", impact: Impact = "high") -> NewsEvent:
    return NewsEvent(CLOSE + timedelta(minutes=minutes), currency, impact, "Employment")


def by_news(*events: NewsEvent) -> tuple[bool, str]:
    """Return whether a trade is approved under a calendar, and what the check states."""
    calendar = NewsCalendar(tuple(sorted(events)), max(events).at)
    decision, order = judged(EURUSD, news=calendar)
    (check,) = [check for check in decision.checks if check.name == "news"]
    assert decision.approved == (order is not None) == check.passed
    return check.passed, check.text


@pytest.mark.parametrize(
    ("minutes", "passed"), [(-31, True), (-30, True), (-29, False), (0, False), (29, False), (30, True)]
)
def test_nothing_is_opened_within_half_an_hour_of_news_of_high_impact(minutes: int, passed: bool) -> None:
    far = event(600)
    stated = f"USD at {CLOSE + timedelta(minutes=minutes):%Y-%m-%d %H:%M}, Employment: {abs(minutes)} minutes away"
    assert by_news(event(minutes), far) == (passed, stated)


@pytest.mark.parametrize("other", [event(1, "JPY"), event(1, impact="medium"), event(1, impact="low")])
def test_other_news_do_not_matter(other: NewsEvent) -> None:
    assert by_news(other, event(60, "JPY")) == (True, "the calendar has none of high impact on EUR or USD")


def test_a_calendar_that_has_ended_states_so() -> None:
    passed, text = by_news(event(-31))
    assert passed
    assert text.endswith(f"31 minutes away; the calendar ends {CLOSE - timedelta(minutes=31):%Y-%m-%d %H:%M}")


def test_a_profile_may_wait_longer_for_news() -> None:
    calendar = NewsCalendar((event(45),), CLOSE + timedelta(days=1))
    careful = replace(RISK_PROFILES["session1"], news_minutes=60)
    answer, account = SimpleBreak().signal(EURUSD, {}), standing("EURUSD")
    decision, order = decide_trade("r", EURUSD, answer, account, profile=careful, strategy=STRATEGY, news=calendar)
    assert (order, decision.terminal_reason) == (None, "news")
    assert decision.refusal is not None
    assert (decision.refusal.value, decision.refusal.threshold) == (45.0, 60.0)


def test_the_smaller_risk_of_profile_and_strategy_holds() -> None:
    narrow = Mandate(risk_pct=Decimal("0.5"), daily_loss_pct=Decimal(3), max_open_trades=1)
    for name, risk in (("session1", "0.5"), ("lightning", "0.5"), ("ftmo", "0.5")):
        assert narrow.within(RISK_PROFILES[name]).risk_pct == Decimal(risk)
    assert Mandate(risk_pct=Decimal(1)).within(RISK_PROFILES["ftmo"]).risk_pct == Decimal("0.5")
    assert Mandate().within(RISK_PROFILES["ftmo"]) == RISK_PROFILES["ftmo"]
    both = narrow.within(RISK_PROFILES["lightning"])
    assert (both.daily_loss_pct, both.max_open_trades, both.sessions) == (Decimal(3), 1, ())


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"sessions": ("Paris",)}, "no session 'Paris' in the mandate; the sessions are Tokyo, London, "),
        ({"risk_pct": Decimal(0)}, "risk_pct of the mandate is 0, expected a positive number"),
        ({"max_open_trades": -1}, "max_open_trades of the mandate is -1"),
    ],
)
def test_an_impossible_mandate_is_refused(limits: dict[str, Any], reason: str) -> None:
    with pytest.raises(StrategyError, match=re.escape(reason)):
        Mandate(**limits)
