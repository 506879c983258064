"""Figures of returns against formulas written out in plain numpy, to 1e-9."""

import numpy as np
import pandas as pd
import pytest

from mikrobot.analytics.returns import drawdown_figures, relative_figures, return_figures

TOLERANCE = 1e-9
CASES = [(252, 0.0), (252, 0.04), (365, 0.0), (365, 0.02)]


def series(values):
    return pd.Series(values, index=pd.date_range("2024-01-01", periods=len(values), freq="D", tz="UTC"))


def made_up(seed, n=250):
    rng = np.random.default_rng(seed)
    return series(rng.standard_t(4, n) * 0.008 + 0.0004)


def percentile(values, share):
    """Linear interpolation between order statistics, written out."""
    ordered = np.sort(values)
    position = share * (len(ordered) - 1)
    low = int(np.floor(position))
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])


def naive(values, periods, annual_rate):
    n, rate = len(values), (1 + annual_rate) ** (1 / periods) - 1
    growth = np.cumprod(1 + values)
    excess = values - rate
    mean = excess.sum() / n
    deviation = np.sqrt(((values - values.mean()) ** 2).sum() / (n - 1))
    downside = np.sqrt((np.minimum(excess, 0) ** 2).sum() / n)
    peaks = np.maximum.accumulate(np.concatenate([[1.0], growth]))[1:]
    cagr = growth[-1] ** (periods / n) - 1
    return {
        "total_return": growth[-1] - 1,
        "cagr": cagr,
        "volatility": deviation * np.sqrt(periods),
        "sharpe": mean / deviation * np.sqrt(periods),
        "sortino": mean * periods / (downside * np.sqrt(periods)),
        "calmar": cagr / -(growth / peaks - 1).min(),
        "value_at_risk": percentile(values, 0.05),
        "tail_ratio": abs(percentile(values, 0.95)) / abs(percentile(values, 0.05)),
    }


@pytest.mark.parametrize(("periods", "annual_rate"), CASES)
@pytest.mark.parametrize("seed", range(20))
def test_return_figures_equal_plain_numpy(seed, periods, annual_rate):
    returns = made_up(seed)
    figures = return_figures(returns, periods, annual_rate)
    expected = naive(returns.to_numpy(), periods, annual_rate)
    assert figures.keys() == expected.keys()
    for name, value in expected.items():
        assert figures[name].value == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE), name


@pytest.mark.parametrize(("periods", "annual_rate"), CASES)
@pytest.mark.parametrize("seed", range(20))
def test_alpha_and_beta_equal_least_squares(seed, periods, annual_rate):
    rate = (1 + annual_rate) ** (1 / periods) - 1
    market = made_up(seed + 100)
    own = 0.7 * market + made_up(seed, len(market)) * 0.5
    figures = relative_figures(own, market, periods, annual_rate)
    design = np.column_stack([market.to_numpy() - rate, np.ones(len(market))])
    (beta, alpha), *_ = np.linalg.lstsq(design, own.to_numpy() - rate, rcond=None)
    assert figures["beta"].value == pytest.approx(beta, abs=TOLERANCE)
    assert figures["alpha"].value == pytest.approx((1 + alpha) ** periods - 1, abs=TOLERANCE)


@pytest.mark.parametrize("seed", range(20))
def test_drawdown_equals_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    equity = 1000 * np.cumprod(1 + rng.normal(0, 0.01, 400))
    times = pd.date_range("2024-01-01", periods=400, freq="7h", tz="UTC")
    peak, peak_at, deepest, longest, fell = 1000.0, times[0], 0.0, pd.Timedelta(0), False
    for at, value in zip(times, equity, strict=True):
        if value < peak:
            deepest = max(deepest, (peak - value) / peak)
            longest = max(longest, at - peak_at)
        else:
            longest = max(longest, at - peak_at) if fell else longest
            peak, peak_at = value, at
        fell = value < peak
    figures = drawdown_figures(pd.Series(equity, times), 1000.0)
    assert figures["max_drawdown"].value == pytest.approx(deepest, abs=TOLERANCE)
    assert figures["drawdown_days"].value == pytest.approx(longest / pd.Timedelta(days=1), abs=TOLERANCE)
