"""Losses stop openings for a while; profits and openings never do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mikrobot.decision.loss_guards import COOLDOWN, LOSS_GUARD, TOTAL_LOSS, LossGuards
from mikrobot.decision.trading_state import permission
from mikrobot.domain.risk_profiles import RISK_PROFILES
from mikrobot.domain.trading import Side
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.paper import limits
from mikrobot.paper.account import Account
from mikrobot.paper.results import TradeResult
from mikrobot.paper.venue import CURRENCY, VENUE_RULES

START = datetime(2025, 3, 14, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OPENING = 1_000_000
PROFILE = replace(RISK_PROFILES["session1"], cooldown_minutes=10, losses_in_row=3, pause_minutes=30)


def result(minute: int, net: int, symbol: str = "EURUSD", *, by_stop: bool = False) -> TradeResult:
    return TradeResult(int((START + minute * MINUTE).timestamp()) * 1000, symbol, net, by_stop)


def begun(*nets: int) -> list[list[TradingState]]:
    """Return the states that trades begin, one trade every minute that no stop closed."""
    guards = LossGuards(PROFILE, OPENING)
    return [guards.take(result(minute, net)) for minute, net in enumerate(nets)]


def test_a_losing_stop_cools_its_symbol_down_for_the_minutes_of_the_profile() -> None:
    guards = LossGuards(PROFILE, OPENING)
    (state,) = guards.take(result(0, -1234, by_stop=True))
    assert (state.permission, state.by, state.symbol) == (Permission.REDUCING, COOLDOWN, "EURUSD")
    assert (state.since, state.until) == (START, START + 10 * MINUTE)
    assert state.reason == "a stop-loss exit with -12.34 USD"
    allowed = [permission(guards.states, "EURUSD", Side.BUY, START + n * MINUTE) for n in (0, 9, 10)]
    assert allowed == [Permission.REDUCING, Permission.REDUCING, Permission.ACTIVE]
    assert permission(guards.states, "BTCUSDT", Side.BUY, START) is Permission.ACTIVE


@pytest.mark.parametrize(
    ("net", "by_stop"), [(-500, False), (0, True), (500, True)], ids=["not by a stop", "even", "a trailed profit"]
)
def test_other_exits_cool_nothing_down(net: int, by_stop: bool) -> None:
    assert LossGuards(PROFILE, OPENING).take(result(0, net, by_stop=by_stop)) == []


def test_three_losses_in_a_row_pause_every_symbol() -> None:
    *none, (pause,) = begun(-1, -2, -300)
    assert none == [[], []]
    assert (pause.by, pause.symbol, pause.permission) == (LOSS_GUARD, None, Permission.REDUCING)
    assert (pause.since, pause.until) == (START + 2 * MINUTE, START + 32 * MINUTE)
    assert pause.reason == "3 losses in a row, the last one -3.00 USD in EURUSD"


def test_a_guard_is_armed_again_by_a_new_loss_and_never_by_a_winner() -> None:
    assert [len(states) for states in begun(-1, -1, -1, 500, -1, -1)] == [0, 0, 1, 0, 0, 0]
    assert [len(states) for states in begun(-1, -1, -1, -1)] == [0, 0, 1, 1]


def test_a_winner_does_not_end_a_pause() -> None:
    guards = LossGuards(PROFILE, OPENING)
    for minute, net in enumerate((-1, -1, -1, 900)):
        guards.take(result(minute, net))
    assert permission(guards.states, "EURUSD", Side.SELL, START + 4 * MINUTE) is Permission.REDUCING


def test_a_pause_that_is_over_does_not_come_back_without_a_loss() -> None:
    guards = LossGuards(PROFILE, OPENING)
    for minute in range(3):
        guards.take(result(minute, -1))
    assert permission(guards.states, "EURUSD", Side.BUY, START + 40 * MINUTE) is Permission.ACTIVE
    guards.take(result(41, 700))
    assert permission(guards.states, "EURUSD", Side.BUY, START + 41 * MINUTE) is Permission.ACTIVE


def test_guards_of_a_profile_without_them_begin_nothing() -> None:
    guards = LossGuards(replace(PROFILE, cooldown_minutes=0, losses_in_row=0), OPENING)
    assert not any(guards.take(result(minute, -100, by_stop=True)) for minute in range(9))


def test_a_total_loss_ends_the_openings_of_a_run_once() -> None:
    guards = LossGuards(replace(PROFILE, losses_in_row=0, total_loss_pct=Decimal(10)), OPENING)
    assert guards.take(result(0, -99_999)) == []
    (state,) = guards.take(result(1, -1))
    assert (state.by, state.symbol, state.until) == (TOTAL_LOSS, None, None)
    assert state.reason == "the closed trades lost 10 % of the opening balance"
    assert guards.take(result(2, -1)) == []
    guards.take(result(3, 500_000))
    assert permission(guards.states, "EURUSD", Side.BUY, START + 1000 * MINUTE) is Permission.REDUCING


@pytest.mark.parametrize("nets", [(300_000, -150_000), (-90_000, 5_000_000)])
def test_a_total_loss_is_measured_from_the_opening_and_a_profit_is_none(nets: tuple[int, ...]) -> None:
    guards = LossGuards(replace(PROFILE, losses_in_row=0, total_loss_pct=Decimal(10)), OPENING)
    assert not any(guards.take(result(minute, net)) for minute, net in enumerate(nets))


@pytest.mark.parametrize("market", ["crypto", "fx"])
@pytest.mark.parametrize(
    ("equity", "reason"),
    [(9_501, ""), (9_500, "daily loss limit of 5 % reached"), (10_500, ""), (30_000, "")],
)
def test_an_account_stops_at_its_daily_loss_and_at_no_profit(market: str, equity: int, reason: str) -> None:
    account = Account(market, VENUE_RULES[market], {})
    account.deposit(0, CURRENCY, Decimal(10_000))
    account.marks = {"day": 1_000_000, "week": 1_000_000}
    assert limits.breach(account, equity * 100) == reason


@given(st.lists(st.tuples(st.integers(0, 10**7), st.booleans()), max_size=30))
def test_profits_of_any_size_never_block(trades: list[tuple[int, bool]]) -> None:
    guards = LossGuards(PROFILE, OPENING)
    for minute, (net, by_stop) in enumerate(trades):
        assert guards.take(result(minute, net, by_stop=by_stop)) == []
    assert guards.states == ()
