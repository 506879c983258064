"""Bars of Binance, made up, as a file and as a frame."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

MINUTES = 4 * 1440


@pytest.fixture(scope="session")
def coin_bars() -> pd.DataFrame:
    """Four days of BTCUSDT on its grid, with a hole of two hours and some minutes without a trade."""
    rng = np.random.default_rng(11)
    path = 6_000_000 + np.cumsum(rng.integers(-900, 901, (MINUTES, 4)).ravel()).reshape(-1, 4)
    volume = rng.integers(1, 4_000_000, MINUTES)
    trades = np.minimum(rng.integers(4, 900, MINUTES), volume)
    taker = (volume * rng.random(MINUTES)).astype(np.int64)
    quiet = rng.random(MINUTES) < 0.02
    path[quiet] = path[quiet, :1]
    frame = pd.DataFrame(
        {
            "ts": pd.date_range("2024-03-04", periods=MINUTES, freq="min", tz="UTC").as_unit("ms"),
            "open": path[:, 0] / 100,
            "high": path.max(axis=1) / 100,
            "low": path.min(axis=1) / 100,
            "close": path[:, 3] / 100,
            "volume": np.where(quiet, 0, volume) / 100_000,
            "trades": np.where(quiet, 0, trades),
            "taker_buy_volume": np.where(quiet, 0, taker) / 100_000,
        }
    )
    return frame.drop(index=range(700, 820)).reset_index(drop=True)


@pytest.fixture(scope="session")
def coin_file(coin_bars: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bars as a file in the shared schema."""
    file = tmp_path_factory.mktemp("coins") / "BTCUSDT_M1.parquet"
    coin_bars.to_parquet(file, index=False)
    return file
