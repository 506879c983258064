from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from mikrobot.domain.errors import ModelError
from mikrobot.training.learners import BOOSTING, Samples
from mikrobot.training.tuning import search

HORIZON = timedelta(minutes=5)


def span(n: int = 1600, seed: int = 3) -> tuple[Samples, np.ndarray, np.ndarray]:
    """One sample per minute; the first input has little information, and the others have none."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, 6)).astype(np.float32)
    outcome = rng.random(n) < 1 / (1 + np.exp(-0.7 * inputs[:, 0]))
    time = np.datetime64("2024-03-04T00:01", "us") + np.arange(n) * np.timedelta64(1, "m")
    return Samples(inputs, outcome, np.ones(n), np.zeros(n)), time, time + np.timedelta64(5, "m")


def test_the_best_trial_is_taken_and_the_defaults_are_the_first():
    best = search(*span(), HORIZON, trials=10, budget_s=600, seed=7)
    assert best.loss < best.default_loss < np.log(2)
    assert best.parameters != BOOSTING
    assert best.parameters.keys() == BOOSTING.keys()


def test_trials_that_are_behind_are_pruned_once_there_are_some_to_compare():
    assert search(*span(), HORIZON, trials=5, budget_s=600, seed=7).pruned == 0
    assert 0 < search(*span(), HORIZON, trials=10, budget_s=600, seed=7).pruned <= 5


def test_the_same_seed_finds_the_same_and_each_trial_is_reported():
    reports: list[tuple[int, int]] = []
    first = search(*span(), HORIZON, trials=6, budget_s=600, seed=7, progress=lambda *counts: reports.append(counts))
    assert reports == [(number, 6) for number in range(1, 7)]
    assert search(*span(), HORIZON, trials=6, budget_s=600, seed=7) == first
    assert search(*span(), HORIZON, trials=6, budget_s=600, seed=8).parameters != first.parameters


@pytest.mark.parametrize(("trials", "budget_s"), [(0, 600), (50, 1e-9)], ids=["none asked", "no time"])
def test_without_a_trial_the_defaults_are_taken(trials, budget_s):
    best = search(*span(), HORIZON, trials=trials, budget_s=budget_s, seed=7)
    assert (best.trials, best.pruned, best.parameters) == (0, 0, BOOSTING)


def test_no_further_trial_is_begun_once_the_time_is_up():
    assert 1 <= search(*span(), HORIZON, trials=1_000_000, budget_s=0.5, seed=7).trials < 1_000


def test_a_fold_with_one_outcome_is_named():
    train, time, end = span()
    outcome = train.outcome.copy()
    outcome[-400:] = True
    with pytest.raises(ModelError, match=r"fold 3 of 3 of the training span, 2024-03-04T.* in \d+ samples; train on"):
        search(replace(train, outcome=outcome), time, end, HORIZON, trials=3, budget_s=600, seed=7)
