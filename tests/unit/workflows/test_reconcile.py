"""A version whose calibration changed during a run is reproduced with the calibration of each side of the change."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.live.trader import ATR
from mikrobot.models.task import Task
from mikrobot.workflows.reconcile import Served
from mikrobot.workflows.registered import Answering

TASK = Task("bos", 5)
UNTIL = datetime(2024, 3, 4, 12, tzinfo=UTC)


def answering(probability: float) -> Answering:
    spec = SimpleNamespace(columns=(ATR,), task=TASK, version="3", symbols=("EURUSD",))
    model: Any = SimpleNamespace(spec=spec, predict=lambda values: np.full((len(values), 2), probability))
    return Answering(model, "bos")


def test_closes_up_to_the_end_of_the_window_are_answered_by_the_training_and_later_ones_by_the_window() -> None:
    closes = pd.DatetimeIndex([UNTIL + timedelta(minutes=n) for n in (-1, 0, 1, 2)])
    rows = pd.DataFrame(dict(zip((ATR, *TASK.columns), (1.0, 11.0, 9.0), strict=True)), index=closes)
    outlooks = Served(answering(0.2), answering(0.6), UNTIL).outlooks(rows, ())
    assert outlooks.index.equals(closes)
    assert outlooks["up"].tolist() == outlooks["down"].tolist() == [0.2, 0.2, 0.6, 0.6]
