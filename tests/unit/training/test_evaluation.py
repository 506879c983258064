import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mikrobot.training.evaluation import Diffusion, calibration_error, evaluate, scores, uplift

RNG = np.random.default_rng(11)
N = 8000
TRUTH = RNG.beta(1, 5, N)
BROKEN = RNG.random(N) < TRUTH
TIMES = np.datetime64("2024-03-04", "us") + np.arange(N) * np.timedelta64(2, "m")


def walks(n: int, minutes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances in sigmas, and whether a Gaussian walk closes beyond them within the minutes."""
    rng = np.random.default_rng(seed)
    distance = rng.exponential(2.0, n)
    highest = rng.normal(size=(n, minutes)).cumsum(axis=1).max(axis=1)
    return distance, highest > distance


def test_the_truth_scores_better_than_the_base_rate_and_is_calibrated() -> None:
    found = scores(TRUTH, BROKEN)
    assert found["brier_skill"] > 0.05
    assert found["ece"] < 0.02
    assert found["auc"] == pytest.approx(roc_auc_score(BROKEN, TRUTH))


def test_the_base_rate_itself_has_no_skill() -> None:
    found = scores(np.full(N, BROKEN.mean()), BROKEN)
    assert found["auc"] == 0.5
    assert found["brier_skill"] == pytest.approx(0)
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)


def test_calibration_error_is_the_distance_from_what_happened() -> None:
    assert calibration_error(np.full(N, 0.9), BROKEN) == pytest.approx(0.9 - BROKEN.mean(), abs=1e-9)


@pytest.mark.parametrize("minutes", [5, 15])
def test_the_diffusion_baseline_knows_a_random_walk(minutes: int) -> None:
    distance, broken = walks(80_000, minutes, 1)
    fitted = Diffusion.fit(distance, broken, minutes)
    assert fitted.scale == pytest.approx(1.0, abs=0.05)
    distance, broken = walks(80_000, minutes, 2)
    assert scores(fitted.predict(distance), broken)["ece"] < 0.01


def test_the_diffusion_baseline_falls_with_distance() -> None:
    distance, broken = walks(5000, 5, 1)
    fitted = Diffusion.fit(distance, broken, 5)
    assert (np.diff(fitted.predict(np.linspace(0, 8, 100))) < 0).all()


def test_knowing_more_than_the_baseline_shows_above_zero() -> None:
    blurred = np.clip(TRUTH + RNG.normal(0, 0.15, N), 0.01, 0.99)
    found = uplift(TRUTH, blurred, BROKEN, TIMES, seed=1)
    for measure in found.values():
        low, value, high = measure["low"], measure["value"], measure["high"]
        assert low is not None
        assert high is not None
        assert value is not None
        assert 0 < low < value < high
    assert found["auc"]["value"] == pytest.approx(roc_auc_score(BROKEN, TRUTH) - roc_auc_score(BROKEN, blurred))


def test_noise_over_the_baseline_is_not_taken_for_skill() -> None:
    found = uplift(np.clip(TRUTH + RNG.normal(0, 0.02, N), 0.001, 1), TRUTH, BROKEN, TIMES, seed=1)
    assert found["brier_skill"]["value"] == pytest.approx(0, abs=0.01)
    assert found["auc"]["low"] is not None
    assert found["auc"]["low"] < 0


def test_ties_count_half() -> None:
    rounded = np.round(TRUTH, 1)
    found = uplift(rounded, TRUTH, BROKEN, TIMES, seed=1)["auc"]["value"]
    assert found == pytest.approx(roc_auc_score(BROKEN, rounded) - roc_auc_score(BROKEN, TRUTH))


def test_few_days_give_no_interval() -> None:
    few = TIMES[0] + np.timedelta64(3, "D") > TIMES
    found = uplift(TRUTH[few], np.full(few.sum(), 0.2), BROKEN[few], TIMES[few], seed=1)
    assert (found["auc"]["low"], found["auc"]["high"]) == (None, None)


def test_an_evaluation_is_plain_json_and_the_same_each_time() -> None:
    symbols = np.where(np.arange(N) % 2, "EURUSD", "BTCUSDT")
    made = [evaluate(TRUTH, np.full(N, 0.2), BROKEN, TIMES, symbols, seed=3) for _ in range(2)]
    assert json.loads(json.dumps(made[0], allow_nan=False)) == made[1]
    assert made[0]["majority_accuracy"] == pytest.approx(1 - BROKEN.mean())
    assert sum(part["samples"] for part in made[0]["by_symbol"].values()) == N


def test_a_symbol_with_one_outcome_is_left_out() -> None:
    symbols = np.where(BROKEN, "EURUSD", "BTCUSDT")
    assert evaluate(TRUTH, TRUTH, BROKEN, TIMES, symbols, seed=3)["by_symbol"] == {}
