"""Realised and promised skill: against scikit-learn, against simulation, and against plain definitions."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mikrobot.monitoring.skill import FEWEST_BLOCKS, Skill, promise, skill

HORIZON = 5


def sample(seed: int, count: int = 4_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return calibrated probabilities, their outcomes and the minutes at which they were made."""
    rng = np.random.default_rng(seed)
    probability = rng.beta(1, 6, count).round(3)
    return probability, rng.random(count) < probability, np.arange(count)


def measured(probability: np.ndarray, outcome: np.ndarray, minute: np.ndarray) -> Skill:
    realised = skill(probability, outcome, minute, HORIZON, entry=0.3)
    assert realised is not None
    return realised


@pytest.mark.parametrize("seed", range(3))
def test_the_realised_figures_are_those_of_their_definitions(seed: int) -> None:
    probability, outcome, minute = sample(seed)
    realised = measured(probability, outcome, minute)
    assert realised.auc.value == pytest.approx(roc_auc_score(outcome, probability), abs=1e-12)
    assert realised.brier.value == pytest.approx(np.mean((probability - outcome) ** 2))
    assert realised.bias.value == pytest.approx(probability.mean() - outcome.mean())
    assert realised.slope.value == pytest.approx(np.polyfit(probability, probability - outcome, 1)[0])
    chosen = probability >= 0.3
    assert (realised.confident, realised.precision.value) == (chosen.sum(), pytest.approx(outcome[chosen].mean()))
    assert realised.blocks == len(minute) // HORIZON


def test_calibrated_probabilities_realise_what_they_promise() -> None:
    realised = measured(*sample(7, 200_000))
    assert abs(realised.brier_excess.deviations) < 3
    assert abs(realised.bias.deviations) < 3
    assert abs(realised.slope.deviations) < 3
    assert realised.auc_promised == pytest.approx(realised.auc.value, abs=3 * realised.auc.error)


def test_the_promise_is_the_mean_over_possible_outcomes() -> None:
    """Over many draws of the outcomes, the realised skill is the promised one."""
    probability, _, _ = sample(3, 600)
    rng = np.random.default_rng(5)
    draws = [rng.random(600) < probability for _ in range(400)]
    promised = promise(probability, 0.3)
    assert np.mean([roc_auc_score(outcome, probability) for outcome in draws]) == pytest.approx(
        promised["auc"], abs=0.005
    )
    brier = np.mean([np.mean((probability - outcome) ** 2) for outcome in draws])
    assert brier == pytest.approx(promised["brier"], rel=0.02)


@pytest.mark.parametrize("figure", ["auc", "brier", "bias"])
def test_intervals_cover_the_truth_although_the_outcomes_of_a_block_are_one(figure: str) -> None:
    """All predictions of a block share their outcome; counting them singly would give far too narrow intervals."""
    rng, values, errors = np.random.default_rng(11), [], []
    for _ in range(200):
        block_probability = rng.beta(2, 4, 300)
        outcome = np.repeat(rng.random(300) < block_probability, HORIZON)
        realised = measured(np.repeat(block_probability, HORIZON), outcome, np.arange(300 * HORIZON))
        estimate = getattr(realised, figure)
        values.append(estimate.value)
        errors.append(estimate.error)
    middle = 0.0 if figure == "bias" else np.mean(values)
    covered = np.mean([abs(value - middle) <= 1.96 * error for value, error in zip(values, errors, strict=True)])
    assert 0.9 <= covered <= 0.99


def test_too_few_blocks_or_one_outcome_have_no_skill() -> None:
    probability, outcome, _ = sample(1, 10_000)
    assert skill(probability, outcome, np.arange(10_000) // 1_000, HORIZON, entry=0.3) is None
    assert skill(probability, np.zeros(10_000, bool), np.arange(10_000), HORIZON, entry=0.3) is None
    few = HORIZON * (FEWEST_BLOCKS - 1)
    assert skill(probability[:few], outcome[:few], np.arange(few), HORIZON, entry=0.3) is None
