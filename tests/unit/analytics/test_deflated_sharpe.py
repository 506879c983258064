"""The deflated Sharpe ratio against the example of its paper, SciPy and simulated trials without skill."""

import math

import numpy as np
import pytest
from scipy import stats

from mikrobot.analytics.deflated_sharpe import deflated, expected_maximum, moments, probability_above, sharpe_ratio

# Bailey and López de Prado (2014): 5 years of 250 days, an annualised Sharpe ratio of 2.5, and 1/2 as the variance of
# the annualised Sharpe ratios of the trials.
DAYS, DAILY, VARIANCE = 1250, 2.5 / math.sqrt(250), 0.5 / 250


@pytest.mark.parametrize(
    ("trials", "skewness", "kurtosis", "published"), [(100, -3, 10, 0.9004), (46, -3, 10, 0.9505), (88, 0, 3, 0.9505)]
)
def test_it_equals_the_values_of_the_paper(trials: int, skewness: float, kurtosis: float, published: float) -> None:
    threshold = expected_maximum(VARIANCE, trials)
    probability = probability_above(DAILY, threshold, returns=DAYS, skewness=skewness, kurtosis=kurtosis)
    assert probability == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize("trials", [5, 50, 500])
def test_the_expected_maximum_is_that_of_normal_draws(trials: int) -> None:
    drawn = np.random.default_rng(3).normal(0, 0.2, (10_000, trials)).max(axis=1).mean()
    assert expected_maximum(0.04, trials) == pytest.approx(drawn, rel=0.03)


def test_one_trial_is_compared_with_no_skill_at_all() -> None:
    assert expected_maximum(0.5, 1) == 0


def test_more_trials_expect_more_and_leave_less_probability() -> None:
    returns = np.random.default_rng(1).normal(0.001, 0.01, 300)
    sharpes = [0.0, 0.05, sharpe_ratio(returns)]
    few, many = deflated(returns, sharpes, 3), deflated(returns, sharpes, 300)
    assert few.expected.value < many.expected.value
    assert few.probability.value > many.probability.value


def test_it_equals_the_formula_written_with_scipy() -> None:
    rng = np.random.default_rng(11)
    returns, sharpes, trials = rng.standard_t(5, 400) * 0.01 + 0.001, rng.normal(0, 0.05, 19).tolist(), 20
    sharpes.append(sharpe_ratio(returns))
    own = returns.mean() / np.std(returns, ddof=1)
    gamma, normal = np.euler_gamma, stats.norm
    expected = np.std(sharpes, ddof=1) * (
        (1 - gamma) * normal.ppf(1 - 1 / trials) + gamma * normal.ppf(1 - 1 / (trials * np.e))
    )
    skewness, kurtosis = stats.skew(returns), stats.kurtosis(returns, fisher=False)
    error = np.sqrt((1 - skewness * own + (kurtosis - 1) / 4 * own**2) / (len(returns) - 1))
    judged = deflated(returns, sharpes, trials)
    assert judged.probability.value == pytest.approx(normal.sf(expected, own, error), rel=1e-9)
    assert (judged.sharpe.value, judged.expected.value) == pytest.approx((own, expected), rel=1e-9)
    assert moments(returns) == pytest.approx((skewness, kurtosis), rel=1e-9)


def test_the_best_of_trials_without_skill_is_rarely_evidence() -> None:
    rng = np.random.default_rng(5)
    falsely = 0
    for _ in range(200):
        trials = rng.normal(0, 0.01, (20, 250))
        sharpes = [sharpe_ratio(trial) for trial in trials]
        falsely += deflated(trials[int(np.argmax(sharpes))], sharpes, 20).probability.value >= 0.95
    assert falsely <= 10


@pytest.mark.parametrize(
    ("returns", "sharpes", "reason"),
    [
        (np.linspace(-0.01, 0.02, 29), [0.1, 0.2], "29 days of returns, 30 are needed"),
        (np.zeros(40), [0.1, 0.2], "the daily returns do not vary"),
        (np.linspace(-0.01, 0.02, 40), [0.1], "fewer than two trials have a Sharpe ratio"),
    ],
)
def test_a_missing_value_has_its_reason(returns: np.ndarray, sharpes: list[float], reason: str) -> None:
    judged = deflated(returns, sharpes, 8)
    assert (judged.probability.value, judged.probability.reason) == (None, reason)
