from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from mikrobot.models.bos import BosInputs
from mikrobot.models.labels.task import Task
from mikrobot.training.dataset import Dataset
from mikrobot.training.estimators import boost
from mikrobot.training.evaluation import fit_baselines
from mikrobot.training.pipeline import Fitted, assess, fit
from mikrobot.training.splits import Split, walk_forward

INPUTS = BosInputs(5)


def fitted_on(data: Dataset, seed: int = 7) -> tuple[Fitted, Split]:
    split = walk_forward(data.time, data.end, timedelta(minutes=5))
    diffusion = fit_baselines(data, split.train, Task())
    return fit(data, split, INPUTS, diffusion, seed, lambda stage, share: None), split


def test_a_planted_edge_is_found(make_dataset: Callable[..., Dataset]) -> None:
    data = make_dataset(edge=1.5)
    found, split = fitted_on(data)
    skill = assess(found, data, split, seed=1)["uplift"]["over_atr"]
    assert skill["auc"]["value"] > 0.05
    assert skill["brier_skill"]["value"] > 0.03


@pytest.mark.parametrize("seed", [3, 4])
def test_without_an_edge_none_is_found(make_dataset: Callable[..., Dataset], seed: int) -> None:
    data = make_dataset(seed=seed)
    found, split = fitted_on(data)
    skill = assess(found, data, split, seed=1)["uplift"]["over_atr"]
    assert skill["auc"]["value"] < 0.01
    assert skill["brier_skill"]["value"] < 0.01


def test_the_same_data_and_seed_give_the_same_bytes(make_dataset: Callable[..., Dataset]) -> None:
    data = make_dataset(3000, edge=0.5)
    pair = (slice(0, 2000), slice(2000, 3000))
    inputs, broken, weight = ((column[pair[0]], column[pair[1]]) for column in (data.inputs, data.outcome, data.weight))
    boosters = (boost(inputs, broken, weight, INPUTS.names, seed, lambda share: None) for seed in (7, 7, 8))
    one, again, other = (bytes(booster.save_raw("ubj")) for booster in boosters)
    assert one == again
    assert one != other


def test_what_comes_after_the_training_span_changes_no_learner(make_dataset: Callable[..., Dataset]) -> None:
    data = make_dataset(edge=0.5)
    found, split = fitted_on(data)
    data.inputs[split.test] = 0.0
    data.distance[split.test] = 1.0
    data.outcome[split.test] = True
    again, _ = fitted_on(data)
    assert bytes(found.booster.save_raw("ubj")) == bytes(again.booster.save_raw("ubj"))
    assert found.calibration == again.calibration
    assert found.diffusion == again.diffusion
    sample = data.inputs[split.train[:50]]
    np.testing.assert_array_equal(found.forest.predict_proba(sample), again.forest.predict_proba(sample))
