from collections.abc import Callable

import numpy as np
import pytest

from mikrobot.models.bos import BosInputs
from mikrobot.training.dataset import Dataset

MakeDataset = Callable[..., Dataset]


@pytest.fixture
def make_dataset() -> MakeDataset:
    """A factory of samples with a random distance to the level, and an optional edge in the sixth input."""

    def make(n: int = 8000, edge: float = 0.0, seed: int = 3) -> Dataset:
        rng = np.random.default_rng(seed)
        inputs = rng.normal(size=(n, len(BosInputs(5).names))).astype(np.float32)
        inputs[:, 0] = rng.exponential(2.0, n)
        inputs[rng.random((n, inputs.shape[1])) < 0.02] = np.nan
        inputs[:, 0] = np.where(np.isfinite(inputs[:, 0]), inputs[:, 0], 1.0)
        logit = -0.5 - inputs[:, 0] + edge * np.nan_to_num(inputs[:, 5])
        time = np.datetime64("2024-03-04T00:01", "us") + np.arange(n) * np.timedelta64(1, "m")
        return Dataset(
            inputs=inputs,
            outcome=rng.random(n) < 1 / (1 + np.exp(-logit)),
            side=np.ones(n, dtype=np.int8),
            weight=np.ones(n),
            time=time,
            end=time + np.timedelta64(5, "m"),
            symbol=np.full(n, "EURUSD"),
            distance=1e-4 * inputs[:, 0].astype(np.float64),
            sigma_atr=np.full(n, 1e-4),
            sigma_forecast=np.full(n, np.nan),
            close=np.full(n, 1.1),
            move=1e-4 * rng.normal(size=n),
        )

    return make
