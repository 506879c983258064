from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mikrobot.domain.errors import ModelError
from mikrobot.models.graph import Scorer
from mikrobot.settings import Settings
from mikrobot.training.dataset import Dataset
from mikrobot.training.evaluation import fit_baselines, predict_baselines
from mikrobot.training.fitting import Fitted, answers, fit
from mikrobot.training.learners import forest
from mikrobot.training.pipeline import assess, check
from mikrobot.training.recipes import recipe_of
from mikrobot.training.splits import Split, walk_forward

RECIPE = recipe_of("bos", Settings())


def checked(data: Dataset) -> None:
    check(data, walk_forward(data.time, data.end, timedelta(minutes=5)))


def test_enough_samples_of_both_outcomes_pass(make_dataset: Callable[..., Dataset]) -> None:
    checked(make_dataset(2000))


def test_too_little_history_is_refused(make_dataset: Callable[..., Dataset]) -> None:
    with pytest.raises(ModelError, match=r"train span of EURUSD, 2024-03-04T.*at least 50 samples, found 0; train on"):
        checked(make_dataset(200))


@pytest.mark.parametrize("outcome", [True, False])
def test_one_outcome_only_is_refused(make_dataset: Callable[..., Dataset], outcome: bool) -> None:
    data = make_dataset(2000)
    one_sided = replace(data, outcome=np.full(len(data), outcome))
    with pytest.raises(ModelError, match=f"train span of EURUSD.*all 1201 samples have the outcome {outcome}"):
        checked(one_sided)


def fitted_on(data: Dataset, seed: int = 7) -> tuple[Fitted, Split]:
    split = walk_forward(data.time, data.end, timedelta(minutes=5))
    diffusion = fit_baselines(data, split.train, RECIPE.task, RECIPE.inputs)
    return fit(RECIPE, data, split, diffusion, settings=Settings(seed=seed), progress=lambda stage, share: None), split


def skill(data: Dataset) -> float:
    fitted, split = fitted_on(data)
    return float(assess(RECIPE, fitted, data, split, seed=1).uplift["over_atr"].auc.value)


def test_a_planted_edge_is_found(make_dataset: Callable[..., Dataset]) -> None:
    assert skill(make_dataset(edge=1.5)) > 0.05


@pytest.mark.parametrize("seed", [3, 4])
def test_without_an_edge_none_is_found(make_dataset: Callable[..., Dataset], seed: int) -> None:
    assert skill(make_dataset(seed=seed)) < 0.01


def test_what_comes_after_the_training_span_changes_no_learner(make_dataset: Callable[..., Dataset]) -> None:
    data = make_dataset(edge=0.5)
    fitted, split = fitted_on(data)
    data.inputs[split.test] = 0.0
    data.outcome[split.test] = True
    again, _ = fitted_on(data)
    assert fitted.graph == again.graph
    assert (fitted.calibration, fitted.start, fitted.diffusion) == (again.calibration, again.start, again.diffusion)


def test_the_validation_span_is_answered_as_it_would_be_served(make_dataset: Callable[..., Dataset]) -> None:
    data = make_dataset(3000, edge=0.5)
    fitted, split = fitted_on(data)
    np.testing.assert_array_equal(fitted.validated, answers(RECIPE, fitted, data, split.validation))


def test_another_seed_gives_another_model(make_dataset: Callable[..., Dataset]) -> None:
    data = make_dataset(3000, edge=0.5)
    assert fitted_on(data)[0].graph == fitted_on(data)[0].graph != fitted_on(data, seed=8)[0].graph


def test_weak_members_are_combined_with_the_baseline(make_dataset: Callable[..., Dataset]) -> None:
    """The outcome depends only on the distance, which a forest of stumps cannot follow; the served model can."""
    stumps = {"n_estimators": 5, "max_depth": 1, "max_features": None}
    recipe = replace(recipe_of("false_break", Settings()), members={"stumps": (forest, stumps)})
    data = make_dataset()
    inputs = np.random.default_rng(1).normal(size=(len(data), len(recipe.inputs.names))).astype(np.float32)
    inputs[:, recipe.inputs.names.index(str(recipe.starts_from))] = data.distance * 1e4
    data = replace(data, inputs=inputs)
    split = walk_forward(data.time, data.end, timedelta(minutes=5))
    diffusion = fit_baselines(data, split.train, recipe.task, recipe.inputs)
    fitted = fit(recipe, data, split, diffusion, settings=Settings(), progress=lambda stage, share: None)
    outcome, width = data.outcome[split.test], inputs.shape[1]
    alone = roc_auc_score(outcome, Scorer(fitted.graph, width)(inputs[split.test]))
    baseline = roc_auc_score(outcome, predict_baselines(diffusion, data.only(split.test), recipe.inputs)["atr"])
    served = roc_auc_score(outcome, answers(recipe, fitted, data, split.test))
    assert served > alone + 0.015
    assert served == pytest.approx(baseline, abs=0.01)


def test_trees_that_correct_the_baseline_count_it_once(make_dataset: Callable[..., Dataset]) -> None:
    fitted, _ = fitted_on(make_dataset(3000))
    assert fitted.start is not None
    assert fitted.start.share == 1.0
