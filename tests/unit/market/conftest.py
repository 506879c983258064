from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.market import BAR_COLUMNS


@pytest.fixture
def make_bars() -> Callable[..., pd.DataFrame]:
    """Return a factory of valid M1 bar frames: a small random walk by start and seed."""

    def make(n: int, start: datetime = datetime(2025, 1, 6, tzinfo=UTC), seed: int = 1) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        path = 1.1 + np.cumsum(rng.normal(0, 1e-4, (n, 4)).ravel()).reshape(n, 4)
        times = pd.DatetimeIndex([start + timedelta(minutes=i) for i in range(n)]).as_unit("us")
        columns = (times, path[:, 0], path.max(axis=1), path.min(axis=1), path[:, 3])
        frame = pd.DataFrame(dict(zip(BAR_COLUMNS, columns, strict=False)))
        volume, spread = rng.integers(1, 90, n).astype(float), rng.uniform(1e-5, 9e-5, n)
        return frame.assign(volume=volume, spread=spread, trades=volume // 2, taker_volume=volume * rng.random(n))

    return make
