"""One close is decided again with other numbers, by the account and the memory that the strategy had."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from mikrobot.decision.nearest_change import Change
from mikrobot.decision.outlook import Outlook
from mikrobot.domain.market import Bar
from mikrobot.domain.risk_profiles import RISK_PROFILES
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.live.second_opinion import Opinion, Reached, SecondOpinion
from mikrobot.live.strategies import opened
from mikrobot.live.trader import Trader
from mikrobot.paper.venue import Venue
from mikrobot.settings import Settings

START = datetime(2024, 3, 11, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PROBABLE = Outlook("EURUSD", START, 1.1, 0.00008, 0.001, 1.2, 1.0, 0.6, 0.1, "bos 1", 1.1, 1.1, 1.1)


def trader(second: SecondOpinion, balance: str = "10000") -> Trader:
    venue = Venue(["EURUSD"], 7)
    venue.open(START, Decimal(balance))
    watched = Trader("r1", venue, RISK_PROFILES["session1"], second.watched(opened(Settings())))
    watched.play([Bar("EURUSD", START - MINUTE, 1.1, 1.1, 1.1, 1.1, spread=0.00008)], START)
    second.begin(watched)
    return watched


def asked(outlook: Outlook, **given: str) -> Opinion:
    second = SecondOpinion("EURUSD", START)
    ((decision, _),) = trader(second, **given).decide_and_place(outlook)
    opinion = second.opinions["simple_break"]
    assert opinion.decision == decision
    return opinion


def needed(opinion: Opinion) -> dict[str, float]:
    return {change.name: change.needed for change in opinion.changes}


def test_an_improbable_break_needs_a_lower_threshold_or_a_higher_probability() -> None:
    opinion = asked(replace(PROBABLE, probability_up=0.5))
    assert needed(opinion) == {"entry_probability": 0.5, "probability_up": 0.55, "probability_down": 0.55}
    assert opinion.changes[0] == Change("setting", "entry_probability", 0.55, 0.5)


def test_every_change_is_approved_when_it_is_made() -> None:
    opinion = asked(replace(PROBABLE, spread=0.0005))
    assert opinion.decision.terminal_reason == "spread"
    assert {"spread", "atr", "simple_break.stop_atr"} <= needed(opinion).keys()
    inputs = {change.name: change.needed for change in opinion.changes if change.kind == "input"}
    for name, number in inputs.items():
        assert asked(replace(PROBABLE, **{"spread": 0.0005, name: number})).decision.approved


def test_a_small_account_needs_more_risk() -> None:
    opinion = asked(PROBABLE, balance="150")
    assert opinion.decision.terminal_reason == "size"
    assert "profile.risk_pct" in needed(opinion)


def test_an_approved_decision_needs_no_change() -> None:
    assert asked(PROBABLE).decision.approved
    assert asked(PROBABLE).changes == ()


def test_no_single_change_ends_a_halt() -> None:
    second = SecondOpinion("EURUSD", START)
    halted = trader(second)
    halted.permits.by_operators = [TradingState(Permission.HALTED, "operator ana", "news", START - MINUTE)]
    ((decision, _),) = halted.decide_and_place(PROBABLE)
    assert decision.terminal_reason == "state"
    assert second.opinions["simple_break"].changes == ()


def test_another_close_is_not_examined_and_a_later_one_ends_the_run() -> None:
    second = SecondOpinion("EURUSD", START + MINUTE)
    watched = trader(second)
    list(watched.decide_and_place(PROBABLE))
    assert second.opinions == {}
    with pytest.raises(Reached):
        list(watched.decide_and_place(replace(PROBABLE, close_time=START + 2 * MINUTE)))
