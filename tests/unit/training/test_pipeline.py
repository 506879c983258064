from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from mikrobot.domain.errors import ModelError
from mikrobot.training.dataset import Dataset
from mikrobot.training.pipeline import check
from mikrobot.training.splits import walk_forward


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
