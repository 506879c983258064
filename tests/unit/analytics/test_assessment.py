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
    assessment = assess(of(made_up_facts()), made_up_facts().bars, OPENING)
    assert assessment.figures.keys() == MEASURES.keys()


def test_figures_agree_with_each_other(made_up_facts: Build) -> None:
    facts = made_up_facts(trades=60, minutes=30_000)
    assessment = assess(of(facts), facts.bars, OPENING)
    total = assessment.total
    figures = {name: figure.value for name, figure in assessment.figures.items()}
    assert figures["total_return"] == pytest.approx(float(total.pnl / OPENING), abs=1e-12)
    assert figures["expectancy"] == pytest.approx(float(total.pnl) / 60)
    assert figures["profit_factor"] == pytest.approx(total.profit_factor)
    assert figures["expectancy_r"] == pytest.approx(total.expectancy_r)
    assert figures["max_drawdown"] >= total.max_drawdown_pct / 100 - 1e-12
    for group in assessment.groups.values():
        assert sum(performance.pnl for performance in group.values()) == total.pnl
        assert sum(performance.trades for performance in group.values()) == 60
    for table in (assessment.months, assessment.weeks):
        assert sum(period.pnl for period in table) == total.pnl
    for name, interval in assessment.intervals.items():
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
    assessment = assess(of(facts), facts.bars if bars is None else bars, OPENING).to_json()
    json.dumps(assessment, allow_nan=False)
    figures = assessment["figures"]
    assert all(figures["reasons"].get(name) for name, value in figures["values"].items() if value is None)


def test_the_conventions_name_the_calendar_of_the_symbols(made_up_facts: Build) -> None:
    facts = made_up_facts()
    assert "365 periods" in assess(of(facts), facts.bars, OPENING).conventions[0]
    only_fx = {"EURUSD": facts.bars["EURUSD"]}
    assert "252 periods" in assess([], only_fx, OPENING).conventions[0]


def test_buy_and_hold_splits_the_money_and_keeps_the_last_close() -> None:
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
    assessment = assess([], facts.bars, OPENING, rules_only=held)
    assert set(assessment.benchmarks) == {HOLD, RULES}
    own, other = (assessment.benchmarks[name].figures for name in (HOLD, RULES))
    assert own["sharpe"] == other["sharpe"]
    assert assessment.figures["beta"].value == pytest.approx(0.0)


def test_r_is_the_net_result_over_the_loss_at_the_stop(closed: Closed) -> None:
    assert r_multiple(closed("-100")) == pytest.approx(-1.0)  # 0.1 lots, 100 pips
    assert r_multiple(closed("250")) == pytest.approx(2.5)


def test_trade_figures_are_computed_per_trade(closed: Closed) -> None:
    trades = [closed("30", minutes=10), closed("-20", minutes=20), closed("-10", minutes=60)]
    figures = {name: figure.value for name, figure in trade_figures(trades).items()}
    assert figures["average_win"] == 30
    assert figures["average_loss"] == -15
    assert figures["payoff"] == 2.0
    assert (figures["holding_median"], figures["holding_longest"]) == (20, 60)
    assert holding_minutes(trades[0]) == 10
    assert figures["expectancy_r"] == pytest.approx(0.0)


def test_without_trades_every_trade_figure_has_a_reason() -> None:
    figures = trade_figures([])
    assert all(figure.value is None and figure.reason for figure in figures.values())


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


def test_trades_are_grouped_by_their_exit_reason(closed: Closed) -> None:
    assert by_exit(closed("1")) == "stop"


def test_regimes_use_only_the_volatility_before_the_entry(closed: Closed) -> None:
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
    regimes = volatility_regimes([*at.values(), early], {"EURUSD": frame})
    assert [regimes[trade.order.id] for trade in at.values()] == ["quiet", "normal", "volatile"]
    assert regimes[early.order.id] == UNKNOWN
    assert volatility_regimes([early], {})[early.order.id] == UNKNOWN


def test_expectancy_in_r_is_none_without_a_trade(closed: Closed) -> None:
    assert performance([closed("-100")], OPENING).expectancy_r == pytest.approx(-1.0)
    assert performance([], OPENING).expectancy_r is None
