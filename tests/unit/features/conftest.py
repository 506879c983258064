from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pandas as pd
import pytest

DrawBars = Callable[..., pd.DataFrame]


@pytest.fixture
def draw() -> DrawBars:
    """Return a factory of bars from closes, with optional highs, lows and opens, one minute apart from `start`."""

    def bars(
        close: Sequence[float],
        high: Sequence[float] | None = None,
        low: Sequence[float] | None = None,
        open: Sequence[float] | None = None,
        start: datetime = datetime(2024, 1, 2, 10, tzinfo=UTC),
        minutes: Sequence[int] | None = None,
    ) -> pd.DataFrame:
        times = pd.DatetimeIndex([start] * len(close)) + pd.to_timedelta(minutes or range(len(close)), unit="min")
        frame = pd.DataFrame({"open_time": times.astype("datetime64[us, UTC]"), "open": open or close})
        frame = frame.assign(
            high=high or close,
            low=low or close,
            close=close,
            **dict.fromkeys(("volume", "spread", "trades", "taker_volume"), float("nan")),
        )
        return frame.astype(dict.fromkeys(("open", "high", "low", "close"), "float64"))

    return bars
