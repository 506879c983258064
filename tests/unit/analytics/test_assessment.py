import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from mikrobot.analytics.assessment import HOLD, RULES, assess
from mikrobot.analytics.benchmarks import buy_and_hold
from mikrobot.analytics.figures import MEASURES
from mikrobot.analytics.regimes import UNKNOWN, volatility_regimes
from mikrobot.analytics.report import Facts
from mikrobot.analytics.trades import (
    by_exit,
    by_session,
    closed_trades,
    holding_minutes,
    performance,
    r_multiple,
    trade_figures,
)
from mikrobot.domain.trading import Trade

Build = Callable[..., Facts]
Closed = Callable[..., Trade]
OPENING = Decimal("10000")
MONDAY = datetime(2024, 5, 6, tzinfo=UTC)


def of(facts: Facts) -> tuple[Trade, ...]:
    return closed_trades(facts.orders, facts.fills)


def test_every_figure_has_a_label_and_a_convention(made_up_facts: Build) -> None:
    found = assess(of(made_up_facts()), made_up_facts().bars, OPENING)
    assert found.figures.keys() == MEASURES.keys()


def test_figures_agree_with_each_other(made_up_facts: Build) -> None:
    facts = made_up_facts(trades=60, minutes=30_000)
    found = assess(of(facts), facts.bars, OPENING)
    figures = {name: each.value for name, each in found.figures.items()}
    assert figures["total_return"] == pytest.approx(float(found.total.pnl / OPENING), abs=1e-12)
    assert figures["expectancy"] == pytest.approx(float(found.total.pnl) / 60)
    assert figures["profit_factor"] == pytest.approx(found.total.profit_factor)
    assert figures["expectancy_r"] == pytest.approx(found.total.expectancy_r)
    assert figures["max_drawdown"] >= found.total.max_drawdown_pct / 100 - 1e-12
    for group in found.groups.values():
        assert sum(each.pnl for each in group.values()) == found.total.pnl
        assert sum(each.trades for each in group.values()) == 60
    for table in (found.months, found.weeks):
        assert sum(period.pnl for period in table) == found.total.pnl
    for name, interval in found.intervals.items():
        if interval.low is not None:
            assert interval.low <= figures[name] <= interval.high, name


@pytest.mark.parametrize(
    ("trades", "minutes", "bars"),
    [(0, 1440, None), (1, 60, None), (12, 1440, None), (60, 30_000, None), (0, 1440, {}), (12, 1440, {})],
)
def test_nothing_in_the_json_is_nan_or_infinite(
    made_up_facts: Build, trades: int, minutes: int, bars: dict[str, pd.DataFrame] | None
) -> None:
    facts = made_up_facts(trades=trades, minutes=minutes)
    found = assess(of(facts), facts.bars if bars is None else bars, OPENING).to_json()
    json.dumps(found, allow_nan=False)
    figures = found["figures"]
    assert all(figures["reasons"].get(name) for name, value in figures["values"].items() if value is None)


def test_the_conventions_name_the_calendar_of_what_was_traded(made_up_facts: Build) -> None:
    facts = made_up_facts()
    assert "365 periods" in assess(of(facts), facts.bars, OPENING).conventions[0]
    only_fx = {"EURUSD": facts.bars["EURUSD"]}
    assert "252 periods" in assess([], only_fx, OPENING).conventions[0]


def test_buying_and_holding_splits_the_money_and_keeps_what_ended() -> None:
    def frame(start: str, closes: list[float]) -> pd.DataFrame:
        return pd.DataFrame(
            {"open_time": pd.date_range(start, periods=len(closes), freq="min", tz="UTC"), "close": closes}
        )

    bars = {"A": frame("2025-01-06 10:00", [1.0, 2.0]), "B": frame("2025-01-06 10:02", [50.0, 25.0])}
    assert buy_and_hold(bars, OPENING).tolist() == [10_000, 15_000, 15_000, 12_500]
    assert buy_and_hold({}, OPENING).empty


def test_an_account_that_holds_has_a_beta_of_one_and_no_alpha(made_up_facts: Build) -> None:
    facts = made_up_facts(minutes=31 * 1440)
    held = buy_and_hold(facts.bars, OPENING)
    found = assess([], facts.bars, OPENING, rules_only=held)
    assert set(found.benchmarks) == {HOLD, RULES}
    own, other = (found.benchmarks[name].figures for name in (HOLD, RULES))
    assert own["sharpe"] == other["sharpe"]
    assert found.figures["beta"].value == pytest.approx(0.0)


def test_r_is_the_net_result_over_the_loss_at_the_stop(closed: Closed) -> None:
    assert r_multiple(closed("-100")) == pytest.approx(-1.0)  # 0.1 lots, 100 pips
    assert r_multiple(closed("250")) == pytest.approx(2.5)


def test_trades_are_described_one_by_one(closed: Closed) -> None:
    trades = [closed("30", minutes=10), closed("-20", minutes=20), closed("-10", minutes=60)]
    found = {name: each.value for name, each in trade_figures(trades).items()}
    assert found["average_win"] == 30
    assert found["average_loss"] == -15
    assert found["payoff"] == 2.0
    assert (found["holding_median"], found["holding_longest"]) == (20, 60)
    assert holding_minutes(trades[0]) == 10
    assert found["expectancy_r"] == pytest.approx(0.0)


def test_without_trades_every_trade_figure_says_why() -> None:
    found = trade_figures([])
    assert all(each.value is None and each.reason for each in found.values())


@pytest.mark.parametrize(
    ("hour", "session"),
    [
        (0, "Tokyo"),
        (7, "Tokyo"),
        (8, "London"),
        (13, "London and New York"),
        (16, "New York"),
        (21, "Sydney"),
        (23, "Tokyo"),
    ],
)
def test_a_trade_belongs_to_the_session_of_its_entry(closed: Closed, hour: int, session: str) -> None:
    assert by_session(closed("1", MONDAY + timedelta(hours=hour))) == session


def test_trades_are_grouped_by_what_ended_them(closed: Closed) -> None:
    assert by_exit(closed("1")) == "stop"


def test_regimes_follow_the_volatility_before_the_entry_and_do_not_see_what_comes_after(closed: Closed) -> None:
    rng = np.random.default_rng(1)
    scale = np.repeat([1e-5, 1e-4, 1e-3], 1000)
    frame = pd.DataFrame(
        {
            "open_time": pd.date_range(MONDAY, periods=3000, freq="min", unit="us"),
            "close": np.exp(np.cumsum(rng.normal(0, 1, 3000) * scale)),
        }
    )
    at = {name: closed("1", MONDAY + timedelta(minutes=m)) for name, m in (("a", 900), ("b", 1900), ("c", 2900))}
    early = closed("1", MONDAY + timedelta(minutes=30))
    found = volatility_regimes([*at.values(), early], {"EURUSD": frame})
    assert [found[each.order.id] for each in at.values()] == ["quiet", "normal", "volatile"]
    assert found[early.order.id] == UNKNOWN
    assert volatility_regimes([early], {})[early.order.id] == UNKNOWN


def test_performance_in_r_is_none_where_no_trade_has_a_stop_behind_it(closed: Closed) -> None:
    assert performance([closed("-100")], OPENING).expectancy_r == pytest.approx(-1.0)
    assert performance([], OPENING).expectancy_r is None
