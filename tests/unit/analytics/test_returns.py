import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mikrobot.analytics.figures import MEASURES
from mikrobot.analytics.returns import (
    daily_equity,
    daily_returns,
    drawdown_figures,
    per_period,
    relative_figures,
    return_figures,
)


def series(values: list[float], start: str = "2025-01-06") -> pd.Series:
    return pd.Series(values, pd.date_range(start, periods=len(values), freq="D", tz="UTC"), dtype="float64")


def test_the_last_mark_of_a_day_counts() -> None:
    times = pd.to_datetime(["2025-01-06 08:00", "2025-01-06 23:59", "2025-01-07 10:00"], utc=True)
    daily = daily_equity(pd.Series([100.0, 110.0, 99.0], times), "fx")
    assert daily.tolist() == [110.0, 99.0]
    assert daily_returns(daily, 100.0).round(12).tolist() == [0.1, -0.1]


def test_an_fx_weekend_belongs_to_monday_and_a_crypto_one_to_itself() -> None:
    marks = series([1.0, 2.0, 3.0, 4.0], start="2025-01-10")  # Friday to Monday
    assert [f"{day:%a}" for day in daily_equity(marks, "fx").index] == ["Fri", "Mon"]
    assert daily_equity(marks, "fx").tolist() == [1.0, 4.0]
    assert len(daily_equity(marks, "crypto")) == 4


def test_days_without_a_mark_are_no_market_days() -> None:
    marks = pd.Series([1.0, 2.0], pd.to_datetime(["2020-06-30", "2025-06-30"], utc=True))
    assert len(daily_equity(marks, "crypto")) == 2


def test_the_risk_free_rate_compounds_to_the_year() -> None:
    assert (1 + per_period(0.05, 252)) ** 252 == pytest.approx(1.05)


@pytest.mark.parametrize(
    ("values", "undefined"),
    [
        ([], {"total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "value_at_risk", "tail_ratio"}),
        ([0.01], {"cagr", "volatility", "sharpe", "sortino", "calmar", "value_at_risk", "tail_ratio"}),
        ([0.01, -0.02], {"cagr", "volatility", "sharpe", "sortino", "calmar", "value_at_risk", "tail_ratio"}),
        ([0.0] * 90, {"sharpe", "sortino", "calmar", "tail_ratio"}),
        ([0.001] * 90, {"sharpe", "sortino", "calmar"}),
        ([0.01, -0.02] * 10, {"cagr", "volatility", "sharpe", "sortino", "calmar"}),
        ([0.01, -0.02] * 15, {"cagr", "calmar"}),
        ([0.01, -0.02] * 45, set()),
        (
            [0.01, -1.2, 0.01] * 40,
            {"cagr", "volatility", "sharpe", "sortino", "calmar", "value_at_risk", "tail_ratio"},
        ),
    ],
    ids=["no day", "one day", "two days", "nothing moved", "constant gain", "20 days", "a month", "a quarter", "ruin"],
)
def test_an_undefined_value_is_none_with_a_reason(values: list[float], undefined: set[str]) -> None:
    figures = return_figures(series(values), 252)
    assert {name for name, figure in figures.items() if figure.value is None} == undefined
    assert all(bool(figure.reason) is (figure.value is None) for figure in figures.values())


NEEDED = {name: MEASURES[name].least for name in ("cagr", "volatility", "sharpe", "sortino", "calmar", "alpha", "beta")}


@pytest.mark.parametrize("days", [1, 2, 29, 30, 89, 90])
def test_a_figure_of_too_few_days_gives_the_number_that_it_needs(days: int) -> None:
    returns = series(np.random.default_rng(days).normal(0, 0.02, days).tolist())
    figures = {**return_figures(returns, 365), **relative_figures(returns, returns, 365)}
    for name, least in NEEDED.items():
        assert (figures[name].value is None) == (days < least), name
        assert days >= least or f"{least} are needed" in figures[name].reason


def test_annualised_figures_need_at_least_a_month() -> None:
    assert min(NEEDED.values()) >= 30


@pytest.mark.parametrize("times", [1, 30])
def test_a_ruined_account_has_no_return_ratios(times: int) -> None:
    returns = daily_returns(series([100.0, 50.0, -10.0, -20.0, -60.0] * times), 100.0)
    figures = {**return_figures(returns, 365), **relative_figures(returns, series([0.01, -0.01] * 75), 365)}
    for name, figure in figures.items():
        assert name == "total_return" or (figure.value is None and figure.reason.startswith("ruined")), name
    assert figures["total_return"].value == pytest.approx(-1.6)


@pytest.mark.parametrize("gone", [[7, 20, 33, 41, 58], [0, 1, 2, 3, 4], [30, 31, 32, 33, 34]], ids=str)
def test_beta_against_itself_is_one_with_missing_days(gone: list[int]) -> None:
    levels = series((1000 * np.cumprod(1 + np.random.default_rng(3).normal(0, 0.02, 120))).tolist())
    own, benchmark = (daily_returns(equity, 1000.0) for equity in (levels, levels.drop(levels.index[gone])))
    for figures in (relative_figures(own, benchmark, 365), relative_figures(benchmark, own, 365)):
        assert figures["beta"].value == pytest.approx(1.0, abs=1e-9)
        assert figures["alpha"].value == pytest.approx(0.0, abs=1e-9)


def test_a_constant_benchmark_gives_no_beta() -> None:
    figures = relative_figures(series([0.01, 0.02, -0.01] * 20), series([0.0] * 60), 252)
    assert figures["beta"].value is None
    assert "does not move" in figures["beta"].reason


def test_only_common_days_are_compared() -> None:
    market = series([0.01, -0.02, 0.03] * 12)
    own = pd.concat([2 * market, series([9.0], start="2025-03-01")])
    assert relative_figures(own, market, 252)["beta"].value == pytest.approx(2.0)


def test_an_immediate_drawdown_starts_at_the_opening_balance_and_lasts_to_the_end() -> None:
    figures = drawdown_figures(series([90.0, 95.0, 99.0, 98.0, 97.0]), 100.0)
    assert figures["max_drawdown"].value == pytest.approx(0.1)
    assert figures["drawdown_days"].value == 4.0


def test_years_between_two_segments_do_not_count_as_drawdown() -> None:
    marks = [pd.date_range(f"{year}-06-30", periods=720, freq="min", tz="UTC") for year in (2020, 2025)]
    halves = pd.Series(90.0, marks[0].append(marks[1]))
    assert drawdown_figures(halves, 100.0)["drawdown_days"].value is None
    weeks = [pd.date_range(f"{year}-06-02", periods=5, freq="D", tz="UTC") for year in (2020, 2025)]
    assert drawdown_figures(pd.Series(90.0, weeks[0].append(weeks[1])), 100.0)["drawdown_days"].value == 8.0


def test_a_peak_reached_again_ends_a_drawdown() -> None:
    figures = drawdown_figures(series([100.0, 90.0, 100.0, 90.0, 95.0, 100.0]), 100.0)
    assert figures["drawdown_days"].value == 3.0


def test_an_account_that_only_rises_has_no_drawdown() -> None:
    figures = drawdown_figures(series([101.0, 102.0, 103.0, 104.0, 104.0]), 100.0)
    assert (figures["max_drawdown"].value, figures["drawdown_days"].value) == (0.0, 0.0)


@given(st.lists(st.floats(-1.5, 3.0), max_size=40), st.sampled_from([252, 365]), st.floats(0, 0.2))
def test_no_returns_give_nan_or_infinity(values: list[float], periods: int, rate: float) -> None:
    returns = series(values)
    figures = {**return_figures(returns, periods, rate), **relative_figures(returns, returns, periods, rate)}
    assert all(figure.value is None or math.isfinite(figure.value) for figure in figures.values())
    assert figures.keys() <= MEASURES.keys()


@given(st.lists(st.floats(1.0, 1e6), min_size=5, max_size=40))
def test_a_drawdown_is_a_share_and_no_longer_than_the_span(equity: list[float]) -> None:
    figures = drawdown_figures(series(equity), 1000.0)
    assert 0 <= np.float64(figures["max_drawdown"].value) < 1
    assert 0 <= np.float64(figures["drawdown_days"].value) <= len(equity) - 1
