import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    brier_score_loss,
    f1_score,
    log_loss,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
)

from mikrobot.training.evaluation_figures import ReliabilityBin
from mikrobot.training.scores import calibration_error, calibration_noise, reliability, scores

RNG = np.random.default_rng(11)
N = 8000
TRUTH = RNG.beta(1, 5, N)
OUTCOME = RNG.random(N) < TRUTH


def test_the_truth_scores_better_than_the_base_rate_and_is_calibrated() -> None:
    metrics = scores(TRUTH, OUTCOME)
    assert metrics["brier_skill"] > 0.05
    assert metrics["ece"] < 0.02
    assert metrics["auc"] == pytest.approx(roc_auc_score(OUTCOME, TRUTH))


@pytest.mark.parametrize("digits", [1, 2, 15])
def test_the_scores_are_those_of_scikit_learn(digits: int) -> None:
    """With one digit there are eleven probabilities, so most pairs are ties, and some are 0 or 1."""
    probability = np.round(np.clip(TRUTH * 2.0, 0.0, 1.0), digits)
    predicted = probability >= 0.5
    precision, recalls, _ = precision_recall_curve(OUTCOME, probability)
    expected = {
        "auc": roc_auc_score(OUTCOME, probability),
        "accuracy": np.mean(predicted == OUTCOME),
        "precision": precision_score(OUTCOME, predicted),
        "recall": recall_score(OUTCOME, predicted),
        "f1": f1_score(OUTCOME, predicted),
        "precision_at_recall": precision[recalls >= 0.6].max(),
        "brier": brier_score_loss(OUTCOME, probability),
        "log_loss": log_loss(OUTCOME, probability),
    }
    metrics = scores(probability, OUTCOME)
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=1e-12)


def test_the_base_rate_itself_has_no_skill() -> None:
    metrics = scores(np.full(N, OUTCOME.mean()), OUTCOME)
    assert metrics["auc"] == 0.5
    assert metrics["brier_skill"] == pytest.approx(0)
    assert (metrics["precision"], metrics["recall"], metrics["f1"]) == (0, 0, 0)


def test_calibration_error_is_the_distance_from_the_observed_frequency() -> None:
    assert calibration_error(np.full(N, 0.9), OUTCOME) == pytest.approx(0.9 - OUTCOME.mean(), abs=1e-9)


@pytest.mark.parametrize("sorted_by_outcome", [False, True])
def test_equal_probabilities_are_never_parted(sorted_by_outcome: bool) -> None:
    """In an earlier version, a constant .5 had an error of 0 or .5, depending on the order of the outcomes."""
    outcome = np.arange(4000) % 2 == 0
    outcome = np.sort(outcome) if sorted_by_outcome else outcome
    assert calibration_error(np.full(4000, 0.5), outcome) == 0
    assert reliability(np.full(4000, 0.5), outcome) == (ReliabilityBin(samples=4000, predicted=0.5, happened=0.5),)


@given(st.integers(0, 2**32 - 1), st.integers(1, 500), st.integers(0, 3), st.integers(1, 30))
def test_the_order_of_the_samples_changes_nothing(seed: int, n: int, digits: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, outcome, order = np.round(rng.random(n), digits), rng.random(n) < 0.4, rng.permutation(n)
    assert calibration_error(predicted[order], outcome[order], bins) == calibration_error(predicted, outcome, bins)
    curve = reliability(predicted, outcome, bins)
    assert reliability(predicted[order], outcome[order], bins) == curve
    assert sum(part.samples for part in curve) == n
    assert len(curve) <= min(bins, n)


def test_a_calibrated_model_shows_the_expected_calibration_noise() -> None:
    expected = calibration_noise(reliability(TRUTH, OUTCOME))
    drawn = [calibration_error(TRUTH, RNG.random(N) < TRUTH) for _ in range(50)]
    assert np.mean(drawn) == pytest.approx(expected, rel=0.1)


def test_the_reliability_curve_of_the_truth_is_the_diagonal() -> None:
    curve = reliability(TRUTH, OUTCOME, bins=10)
    assert sum(part.samples for part in curve) == N
    predicted = [part.predicted for part in curve]
    assert predicted == sorted(predicted)
    assert [part.happened for part in curve] == pytest.approx(predicted, abs=0.05)
