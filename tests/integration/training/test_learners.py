import os
import subprocess
import sys

import numpy as np
import pytest

from mikrobot.models import graph
from mikrobot.training.learners import (
    BOOSTING,
    FOREST,
    NETWORK,
    SUPPORT,
    Samples,
    boosted,
    forest,
    network,
    support_vectors,
)

WIDTH = 8
LEARNERS = [(boosted, BOOSTING), (forest, FOREST), (network, NETWORK), (support_vectors, SUPPORT)]
EACH = pytest.mark.parametrize(("learn", "parameters"), LEARNERS, ids=lambda value: getattr(value, "__name__", ""))


def samples(n: int, seed: int) -> Samples:
    """Samples whose outcome depends on the first input; the last input is always missing, the others sometimes."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, WIDTH)).astype(np.float32)
    outcome = inputs[:, 0] + rng.logistic(size=n) > 0
    inputs[rng.random(inputs.shape) < 0.05] = np.nan
    inputs[:, -1] = np.nan
    return Samples(inputs, outcome, rng.uniform(0.5, 1.5, n), np.zeros(n))


@pytest.fixture(scope="module")
def spans() -> tuple[Samples, Samples]:
    return samples(4000, 1), samples(1500, 2)


def predicted(learned, inputs):
    return graph.Scorer(graph.joined([learned.member], WIDTH), WIDTH)(inputs)


@EACH
def test_it_learns_from_the_first_input(spans, learn, parameters):
    learned = learn(*spans, 1, parameters)
    assert np.corrcoef(predicted(learned, spans[1].inputs), spans[1].outcome)[0, 1] > 0.3
    if np.isfinite(learned.importance).all():
        assert learned.importance.argmax() == 0
        assert learned.importance.sum() == pytest.approx(1.0)


@EACH
def test_the_same_samples_and_seed_give_the_same_bytes(spans, learn, parameters):
    first, second = (graph.joined([learn(*spans, 1, parameters).member], WIDTH) for _ in range(2))
    assert first == second


@EACH
def test_a_row_without_any_value_has_an_answer(spans, learn, parameters):
    answer = predicted(learn(*spans, 1, parameters), np.full((1, WIDTH), np.nan, np.float32))
    assert 0.0 < answer[0] < 1.0


def test_boosting_starts_from_the_margin(spans):
    train, watched = (
        Samples(s.inputs, s.outcome, s.weight, np.nan_to_num(1.0 * s.inputs[:, 0]).astype(np.float64)) for s in spans
    )
    learned = boosted(train, watched, 1, BOOSTING)
    assert (
        abs(predicted(learned, watched.inputs) - 0.5).mean()
        < abs(predicted(boosted(*spans, 1, BOOSTING), watched.inputs) - 0.5).mean() / 2
    )


@pytest.mark.parametrize(("given", "sleeps"), [({}, True), ({"OMP_WAIT_POLICY": "ACTIVE"}, False)])
def test_the_threads_of_the_learners_wait_asleep_unless_asked_otherwise(given, sleeps):
    """OpenMP reads its variables when it is loaded, and then shows the ones that it took."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    shown = subprocess.run(
        [sys.executable, "-c", "import mikrobot.training.learners"],
        env=environment | {"OMP_DISPLAY_ENV": "verbose"} | given, capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    assert "GOMP_SPINCOUNT = " in shown
    assert ("GOMP_SPINCOUNT = '0'" in shown) == sleeps


def test_thinning_keeps_the_order_and_the_ends():
    thin = samples(1000, 3).thinned(10)
    assert len(thin) == 10
    assert np.array_equal(thin.inputs[[0, -1]], samples(1000, 3).inputs[[0, -1]], equal_nan=True)
