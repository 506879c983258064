"""The trials: each finds its effect on samples that have it, and nothing on samples that do not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.studies import trials
from mikrobot import settings as configuration
from mikrobot.training.dataset import Dataset
from mikrobot.training.recipes import Recipe, recipe_of
from mikrobot.training.splits import Split

COUNT = 12_000


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mikrobot.training.learners.MOST_ROUNDS", 20)


@pytest.fixture
def recipe() -> Recipe:
    return replace(recipe_of("bos", configuration.load()), compared={})


def samples(recipe: Recipe, chance: np.ndarray) -> tuple[Dataset, Split]:
    """Samples of the working hours of New York, whose outcomes have these chances and depend on no input."""
    rng = np.random.default_rng(3)
    hours = pd.bdate_range("2024-01-01", periods=COUNT // 96).to_numpy() + np.timedelta64(12, "h")
    time = (hours[:, None] + np.arange(96) * np.timedelta64(5, "m")).ravel().astype("datetime64[us]")
    one = np.ones(COUNT)
    inputs = rng.normal(size=(COUNT, len(recipe.inputs.names))).astype(np.float32)
    inputs[:, recipe.inputs.names.index(str(recipe.starts_from))] = 1.0
    data = Dataset(
        inputs=inputs, outcome=rng.random(COUNT) < chance, side=np.ones(COUNT, np.int8), weight=one, time=time,
        end=time + np.timedelta64(5, "m"), symbol=np.full(COUNT, "EURUSD"), distance=1e-4 * one, sigma_atr=1e-4 * one,
        sigma_forecast=np.tile([1e-4, 2e-4, 3e-4], COUNT // 3) * rng.uniform(0.9, 1.1, COUNT), close=one,
        move=0.0 * one,
    )  # fmt: skip
    thirds = np.array_split(np.arange(COUNT), 3)
    starts = [data.time[own[0]] for own in thirds[1:]]
    return data, Split(*thirds, *starts)


def test_informative_inputs_are_found(recipe: Recipe) -> None:
    data, split = samples(recipe, np.full(COUNT, 0.5))
    after_news = data.inputs[:, recipe.inputs.names.index("news_since")] > 0
    informative = replace(data, outcome=np.random.default_rng(4).random(COUNT) < np.where(after_news, 0.7, 0.3))
    assert trials.added(recipe, informative, split, configuration.load(), prefix=trials.NEWS)["auc"]["low"] > 0.0
    assert trials.added(recipe, informative, split, configuration.load(), prefix=trials.LEAD)["auc"]["low"] <= 0.0
    assert trials.added(recipe, data, split, configuration.load(), prefix=trials.NEWS)["auc"]["low"] <= 0.0


def test_thirds_that_differ_are_better_calibrated_by_themselves(recipe: Recipe) -> None:
    data, split = samples(recipe, np.tile([0.1, 0.4, 0.7], COUNT // 3))
    study = trials.regimes(recipe, data, split, configuration.load())
    assert study["brier_skill"]["low"] > 0.1
