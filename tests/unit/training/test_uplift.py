from dataclasses import astuple

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mikrobot.training.uplift import uplift

RNG = np.random.default_rng(11)
N = 8000
TRUTH = RNG.beta(1, 5, N)
OUTCOME = RNG.random(N) < TRUTH
TIMES = np.datetime64("2024-03-04", "us") + np.arange(N) * np.timedelta64(2, "m")


def test_more_information_than_the_baseline_has_an_uplift_above_zero() -> None:
    blurred = np.clip(TRUTH + RNG.normal(0, 0.15, N), 0.01, 0.99)
    estimate = uplift(TRUTH, blurred, OUTCOME, TIMES, seed=1)
    for measure in (estimate.auc, estimate.brier_skill):
        low, value, high = measure.low, measure.value, measure.high
        assert low is not None
        assert high is not None
        assert 0 < low < value < high
    assert estimate.auc.value == pytest.approx(roc_auc_score(OUTCOME, TRUTH) - roc_auc_score(OUTCOME, blurred))


def test_noise_over_the_baseline_is_not_taken_for_skill() -> None:
    estimate = uplift(np.clip(TRUTH + RNG.normal(0, 0.02, N), 0.001, 1), TRUTH, OUTCOME, TIMES, seed=1)
    assert estimate.brier_skill.value == pytest.approx(0, abs=0.01)
    assert estimate.auc.low is not None
    assert estimate.auc.low < 0


def test_the_interval_is_that_of_a_plain_bootstrap_over_days() -> None:
    """The plain bootstrap repeats each day as often as it was drawn, with scikit-learn's AUC."""
    blurred = np.clip(TRUTH + RNG.normal(0, 0.15, N), 0.01, 0.99)
    day = TIMES.astype("datetime64[D]")
    days = np.unique(day)
    drawn = np.random.default_rng(1).multinomial(len(days), np.full(len(days), 1 / len(days)), 60)
    differences = []
    for counts in drawn:
        weight = counts[np.searchsorted(days, day)]
        differences.append(
            roc_auc_score(OUTCOME, TRUTH, sample_weight=weight) - roc_auc_score(OUTCOME, blurred, sample_weight=weight)
        )
    estimate = uplift(TRUTH, blurred, OUTCOME, TIMES, seed=1, draws=60).auc
    expected = np.quantile(differences, (0.025, 0.975))
    assert [estimate.low, estimate.high] == pytest.approx(expected.tolist(), abs=2e-4)


def test_ties_count_half() -> None:
    rounded = np.round(TRUTH, 1)
    estimate = uplift(rounded, TRUTH, OUTCOME, TIMES, seed=1).auc.value
    assert estimate == pytest.approx(roc_auc_score(OUTCOME, rounded) - roc_auc_score(OUTCOME, TRUTH))


def test_few_days_give_no_interval() -> None:
    few = TIMES[0] + np.timedelta64(3, "D") > TIMES
    estimate = uplift(TRUTH[few], np.full(few.sum(), 0.2), OUTCOME[few], TIMES[few], seed=1)
    assert (estimate.auc.low, estimate.auc.high) == (None, None)


def test_the_order_of_the_samples_does_not_matter() -> None:
    shuffled = RNG.permutation(N)
    one = uplift(TRUTH, np.round(TRUTH, 1), OUTCOME, TIMES, seed=1)
    other = uplift(TRUTH[shuffled], np.round(TRUTH, 1)[shuffled], OUTCOME[shuffled], TIMES[shuffled], seed=1)
    assert astuple(one.auc) == pytest.approx(astuple(other.auc))
    assert astuple(one.brier_skill) == pytest.approx(astuple(other.brier_skill))


def test_equal_predictors_differ_significantly_no_more_often_than_stated() -> None:
    """Two predictors with the same information: a 95 % interval should miss 0 in one of twenty cases."""
    false_alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth = rng.beta(1, 5, 6000)
        one, other = (np.clip(truth + rng.normal(0, 0.1, 6000), 0.001, 0.999) for _ in range(2))
        times = TIMES[0] + np.arange(6000) * np.timedelta64(10, "m")
        estimate = uplift(one, other, rng.random(6000) < truth, times, seed=seed, draws=200).auc
        assert estimate.low is not None
        assert estimate.high is not None
        false_alarms += not estimate.low < 0 < estimate.high
    assert false_alarms <= 6  # more than 6 of 40 at a rate of 1 in 20: once in 300
