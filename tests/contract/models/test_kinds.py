"""The contract of every kind of model in the catalog; a new entry is tested by itself."""

import numpy as np
import pytest

from mikrobot.features.catalog import CATALOG
from mikrobot.models.catalog import MODELS, TRADED, kind_of
from mikrobot.models.inputs import LEVELS, SideInputs
from mikrobot.models.kind import ModelKind
from mikrobot.models.labels.samples import Prices
from mikrobot.models.task import Task
from mikrobot.settings import SWINGS, Settings
from mikrobot.training.learners import LEARNERS
from mikrobot.training.recipes import recipe_of

FIGURES = {"auc", "accuracy", "precision", "recall", "f1", "brier", "log_loss", "ece"}
BARS = 2_000


@pytest.fixture(params=MODELS)
def kind(request: pytest.FixtureRequest) -> ModelKind:
    return kind_of(request.param)


@pytest.fixture(params=SWINGS)
def inputs(request: pytest.FixtureRequest, kind: ModelKind) -> SideInputs:
    return kind.inputs(kind.swing or request.param, "close")


def task_of(kind: ModelKind) -> Task:
    return Task(kind.name, kind.swing or 5, kind.horizon or 5)


def test_the_traded_kind_is_in_the_catalog() -> None:
    assert TRADED in MODELS


def test_a_kind_is_complete(kind: ModelKind) -> None:
    assert MODELS[kind.name].rpartition(".")[2] == kind.name
    assert kind.card.question.endswith("?")
    assert all(kind.card.limits)
    assert {target.figure for target in kind.card.targets} <= FIGURES
    assert kind.members
    assert {spec.name for spec in (*kind.members, *kind.compared)} <= set(LEARNERS)


def test_its_inputs_come_from_columns_of_the_catalog(inputs: SideInputs) -> None:
    assert set(inputs.columns) <= set(CATALOG.columns)
    assert set(LEVELS) <= set(inputs.names)


def test_its_recipe_starts_from_one_of_its_inputs(kind: ModelKind) -> None:
    for horizon in (1, 5, 15, 60):
        recipe = recipe_of(kind.name, Settings(horizon_minutes=horizon))
        assert recipe.starts_from is None or recipe.starts_from in recipe.inputs.names
        assert set(recipe.task.columns) <= set(CATALOG.columns)


def test_a_row_alone_has_the_inputs_that_it_has_among_many(inputs: SideInputs) -> None:
    values = np.random.default_rng(1).uniform(0.5, 1.5, (50, len(inputs.columns)))
    side = np.where(np.arange(50) % 2, 1, -1).astype(np.int8)
    together = inputs(values, side)
    alone = np.concatenate([inputs(values[n : n + 1], side[n : n + 1]) for n in range(50)])
    np.testing.assert_array_equal(alone, together)
    assert not np.isinf(together).any()


def test_a_row_without_values_asks_nothing(inputs: SideInputs) -> None:
    nothing = np.full((2, len(inputs.columns)), np.nan)
    assert np.isnan(inputs(nothing, np.array([1, -1], dtype=np.int8))[:, 0]).all()


def test_its_label_looks_forward_only_and_no_further_than_its_horizon(kind: ModelKind) -> None:
    """The outcome of a sample is the same whatever comes after its end, and its end lies after its bar."""
    rng = np.random.default_rng(4)
    close = 100 + np.cumsum(rng.normal(0, 0.05, BARS))
    minute = np.arange(BARS, dtype=np.int64)
    prices = Prices(minute, close + 0.03, close - 0.03, close)
    levels = np.stack([close + rng.exponential(0.1, BARS), close - rng.exponential(0.1, BARS)], axis=1)
    task, atr = task_of(kind), np.full(BARS, 0.1)
    labels = task.label(prices, levels, atr)
    assert 0 < labels.outcome.sum() < len(labels.outcome)
    closes = minute[labels.row]
    ends = labels.end.astype("datetime64[m]").astype(np.int64)
    assert (ends > closes).all()
    assert (ends - closes <= task.horizon).all()
    cut = BARS // 2
    shorter = task.label(
        Prices(*(part[:cut] for part in (minute, close + 0.03, close - 0.03, close))), levels[:cut], atr[:cut]
    )
    finished = ends < cut - task.horizon
    count = int(finished.sum())
    np.testing.assert_array_equal(shorter.row[:count], labels.row[finished])
    np.testing.assert_array_equal(shorter.outcome[:count], labels.outcome[finished])
