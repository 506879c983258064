"""Fitting the volatility forecasts on a market whose volatility is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.studies import volatility
from mikrobot.domain.errors import DataError
from mikrobot.features.library import volatility as constants


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve days of a walk: ten steps a minute, twice as large in every second hour of the day."""
    rng, minutes = np.random.default_rng(4), 12 * 1440
    times = pd.date_range("2024-03-04", periods=minutes, freq="min", tz="UTC", unit="us")
    sigma = np.where(times.hour % 2, 2e-4, 1e-4)
    steps = np.cumsum(rng.standard_normal((minutes, 10)) * sigma[:, None] / np.sqrt(10), axis=1)
    opened = np.r_[0.0, np.cumsum(steps[:-1, -1])]
    way = np.exp(np.column_stack((opened, opened[:, None] + steps)))
    bars = pd.DataFrame({"ts": times, "open": way[:, 0], "high": way.max(1), "low": way.min(1), "close": way[:, -1]})
    path = tmp_path_factory.mktemp("bars") / "WALK_M1.parquet"
    bars.to_parquet(path)
    return path


def test_the_realised_deviation_is_that_of_the_walk(file):
    span = volatility.rows(file, "2024-03-06", "2024-03-16")
    quiet = span["close_time"].dt.hour % 2 == 0
    middle = quiet & span["close_time"].dt.minute.between(5, 40)
    deviation = np.exp(volatility.realised(span, 15)[middle])
    mean_range = np.sqrt(2 / np.pi) * np.sum(np.arange(1, 16) ** -0.5)  # of 15 steps, Feller (1951)
    assert np.mean(deviation) == pytest.approx((1e-4 * mean_range + 2e-5) / (1.6 * np.sqrt(15)), rel=0.03)


def test_a_horizon_with_a_missing_minute_has_no_outcome(file):
    span = volatility.rows(file, "2024-03-06", "2024-03-16").drop(index=100).reset_index(drop=True)
    assert np.flatnonzero(np.isnan(volatility.realised(span, 5))).tolist()[:5] == [95, 96, 97, 98, 99]


def test_fitted_weights_explain_the_span_without_bias(file):
    span = volatility.rows(file, "2024-03-11", "2024-03-16")
    weights = volatility.fit_har_s([span], 15)
    share, error = volatility.explained(span, volatility.forecast(span, weights, 15), 15)
    ignorant, _ = volatility.explained(span, np.full(len(span), np.nanmean(volatility.realised(span, 15))), 15)
    assert share > ignorant + 0.2
    assert abs(error) < 0.01
    assert volatility.fit_har([span], 15).sum() == pytest.approx(1.0, abs=0.3)


def test_the_volatility_ahead_ranks_breaks_better_than_a_constant(file):
    span = volatility.rows(file, "2024-03-11", "2024-03-16")
    ahead = np.where((span["close_time"] + pd.Timedelta(minutes=7)).dt.hour % 2, 2e-4, 1e-4)
    ignorant = volatility.break_auc(span, np.ones(len(span)), 5, 15)
    assert volatility.break_auc(span, ahead, 5, 15) > ignorant + 0.01


def test_the_command_prints_constants_by_the_names_of_the_module(file, capsys):
    volatility.main(["--fit", str(file), "2024-03-06", "2024-03-12", "--judge", str(file), "2024-03-12", "2024-03-16"])
    lines = capsys.readouterr().out.splitlines()
    printed = [line.split(" = ")[0] for line in lines if " = " in line]
    assert printed == ["HAR_15", "HAR_S_5", "HAR_S_15", "HAR_S_60"]
    sizes = [line.count(",") + 1 for line in lines if " = " in line]
    assert sizes == [len(getattr(constants, name)) for name in printed]
    assert sum("AUC ATR" in line for line in lines) == 3


def test_a_span_without_bars_is_refused_by_name(file):
    with pytest.raises(DataError, match=r"WALK_M1.parquet: expected bars from 2030-01-01 to 2030-02-01"):
        volatility.rows(file, "2030-01-01", "2030-02-01")
