"""The join of predictions with their outcomes: none before the end of its horizon."""

import numpy as np
import pytest

from mikrobot.models.labels.samples import Prices
from mikrobot.models.task import Task
from mikrobot.monitoring.outcomes import Outcomes, join

TASK = Task("bos", 5, 5, "close")
START = 29_000_000


def prices(closes: list[float]) -> Prices:
    values = np.array(closes)
    return Prices(START + np.arange(len(values)), values + 0.1, values - 0.1, values)


def joined(
    closes: list[float], minutes: list[int], ups: list[bool], levels: list[float], probabilities: list[float]
) -> Outcomes:
    return join(
        TASK, prices(closes), START + np.array(minutes), np.array(ups), level=np.array(levels),
        probability=np.array(probabilities),
    )  # fmt: skip


CLOSES = [100.0, 100.2, 100.4, 101.5, 100.6, 100.4, 100.2, 100.0, 99.8, 99.9]


def test_each_prediction_has_the_outcome_of_its_side() -> None:
    outcomes = joined(CLOSES, [0, 0, 4], [True, False, False], [101.0, 99.0, 99.9], [0.7, 0.2, 0.4])
    assert outcomes.minute.tolist() == [START, START, START + 4]
    assert outcomes.side.tolist() == [1, -1, -1]
    assert outcomes.outcome.tolist() == [True, False, True]
    assert outcomes.probability.tolist() == [0.7, 0.2, 0.4]


@pytest.mark.parametrize("made", [5, 6])
def test_a_break_before_the_end_of_its_horizon_is_no_outcome_yet(made: int) -> None:
    """The level of both is broken within the bars, but the horizon of the second has not passed."""
    closes = [*CLOSES, 99.0]
    outcomes = joined(closes, [made], [False], [99.5], [0.4])
    assert len(outcomes) == (1 if made == 5 else 0)


def test_of_two_predictions_for_a_close_the_last_one_counts() -> None:
    assert joined(CLOSES, [1, 1], [True, True], [101.0, 101.0], [0.1, 0.8]).probability.tolist() == [0.8]


def test_predictions_without_a_bar_have_no_outcome() -> None:
    assert len(joined(CLOSES, [-3, 40], [True, True], [101.0, 101.0], [0.1, 0.8])) == 0
    none = join(
        TASK, prices([]), np.array([START]), np.array([True]), level=np.array([1.0]), probability=np.array([0.5])
    )
    assert len(none) == 0
