"""The skill of the predictions of a run, joined with the bars that it traded."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.trading import Prediction, Side
from mikrobot.models.task import Task
from mikrobot.workflows.prediction_skill import skills_of

START, TASK = datetime(2024, 3, 11, tzinfo=UTC), Task()
LEVEL = 1.101


def bars(count: int = 600) -> pd.DataFrame:
    """Bars whose close goes beyond the level in every second half hour."""
    at = pd.date_range(START, periods=count, freq="min", unit="us")
    close = np.where(np.arange(count) // 30 % 2, 1.102, 1.1)
    return pd.DataFrame({"open_time": at, **dict.fromkeys(("open", "high", "low", "close"), close)}).assign(
        timeframe="M1"
    )


def prediction(number: int, probability: float, version: str = "3") -> Prediction:
    close_time = START + timedelta(minutes=number + 1)
    features = {TASK.columns[0]: LEVEL, TASK.columns[1]: np.nan}
    return Prediction("EURUSD", Side.BUY, close_time, probability, "bos", version, "0" * 12, features)


def test_each_version_has_the_skill_of_its_own_predictions() -> None:
    up = [number for number in range(500)]
    right = [prediction(n, 0.9 if (n + 1) // 30 % 2 or (n + 5) // 30 % 2 else 0.1) for n in up]
    first, second = skills_of(TASK, {"EURUSD": bars()}, [*right, prediction(501, 0.5, "4")], entry=0.6)
    assert (first.symbol, first.model, first.outcomes) == ("EURUSD", "bos 3", 500)
    assert first.blocks >= 100
    assert first.auc.startswith("1.000")
    assert first.brier == pytest.approx(0.01)
    assert (second.model, second.outcomes, second.blocks, second.auc) == ("bos 4", 1, 0, "")


def test_a_prediction_whose_horizon_has_not_passed_has_no_outcome() -> None:
    (only,) = skills_of(TASK, {"EURUSD": bars()}, [prediction(n, 0.5) for n in (590, 597, 598)], entry=0.6)
    assert only.outcomes == 1


def test_a_symbol_without_bars_is_left_out() -> None:
    assert skills_of(TASK, {}, [prediction(1, 0.5)], entry=0.6) == []
