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
        ([0.0] * 30, {"sharpe", "sortino", "calmar", "tail_ratio"}),
        ([0.001] * 30, {"sharpe", "sortino", "calmar"}),
        ([0.01, -0.02] * 5, {"value_at_risk", "tail_ratio"}),
        ([0.01, -1.2, 0.01], {"cagr", "calmar", "value_at_risk", "tail_ratio"}),
    ],
    ids=["no day", "one day", "nothing moved", "constant gain", "too few for a tail", "ruin"],
)
def test_what_cannot_be_told_is_none_with_a_reason(values: list[float], undefined: set[str]) -> None:
    found = return_figures(series(values), 252)
    assert {name for name, each in found.items() if each.value is None} == undefined
    assert all(bool(each.reason) is (each.value is None) for each in found.values())


def test_a_benchmark_that_stands_still_has_no_beta() -> None:
    found = relative_figures(series([0.01, 0.02, -0.01]), series([0.0, 0.0, 0.0]), 252)
    assert found["beta"].value is None
    assert "does not move" in found["beta"].reason


def test_only_common_days_are_compared() -> None:
    market = series([0.01, -0.02, 0.03])
    own = pd.concat([2 * market, series([9.0], start="2025-02-01")])
    assert relative_figures(own, market, 252)["beta"].value == pytest.approx(2.0)


def test_a_drawdown_at_once_falls_from_the_opening_balance_and_lasts_to_the_end() -> None:
    found = drawdown_figures(series([90.0, 95.0, 99.0]), 100.0)
    assert found["max_drawdown"].value == pytest.approx(0.1)
    assert found["drawdown_days"].value == 2.0


def test_a_peak_reached_again_ends_a_drawdown() -> None:
    found = drawdown_figures(series([100.0, 90.0, 100.0, 90.0, 95.0, 100.0]), 100.0)
    assert found["drawdown_days"].value == 3.0


def test_an_account_that_only_rises_has_none() -> None:
    found = drawdown_figures(series([101.0, 102.0]), 100.0)
    assert (found["max_drawdown"].value, found["drawdown_days"].value) == (0.0, 0.0)


@given(st.lists(st.floats(-1.5, 3.0), max_size=40), st.sampled_from([252, 365]), st.floats(0, 0.2))
def test_no_returns_give_nan_or_infinity(values: list[float], periods: int, rate: float) -> None:
    returns = series(values)
    found = {**return_figures(returns, periods, rate), **relative_figures(returns, returns, periods, rate)}
    assert all(each.value is None or math.isfinite(each.value) for each in found.values())
    assert found.keys() <= MEASURES.keys()


@given(st.lists(st.floats(1.0, 1e6), min_size=1, max_size=40))
def test_a_drawdown_is_a_share_and_no_longer_than_the_span(equity: list[float]) -> None:
    found = drawdown_figures(series(equity), 1000.0)
    assert 0 <= np.float64(found["max_drawdown"].value) < 1
    assert 0 <= np.float64(found["drawdown_days"].value) <= len(equity) - 1
