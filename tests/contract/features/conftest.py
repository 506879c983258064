from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mikrobot.features.pipeline import FeaturePipeline

REAL = Path(__file__).parents[4] / "shared/data/fx/EURUSD_M1.parquet"
WEEKEND = 2 * 1440


def made_up(seed: int, bars: int, price: float = 1.1, tick: float = 1e-5) -> pd.DataFrame:
    """Bars on a tick grid with plateaus, flat minutes, bursts, lost minutes and a weekend."""
    rng = np.random.default_rng(seed)
    scale = tick * rng.choice([0.3, 3.0, 12.0], p=[0.2, 0.7, 0.1], size=bars)
    close = price + np.cumsum(scale * rng.standard_normal(bars))
    open_ = np.r_[price, close[:-1]]
    high = np.maximum(open_, close) + scale * rng.exponential(size=bars)
    low = np.minimum(open_, close) - scale * rng.exponential(size=bars)
    minutes = np.cumsum(np.where(rng.random(bars) < 0.97, 1, rng.integers(2, 12, size=bars)))
    minutes[bars // 2 :] += WEEKEND
    prices = pd.DataFrame({"open": open_, "high": high, "low": low, "close": close}).div(tick).round().mul(tick)
    times = pd.Timestamp("2024-03-01T00:00", tz="UTC") + pd.to_timedelta(minutes, unit="min")
    prices.insert(0, "open_time", times.astype("datetime64[us, UTC]"))
    return prices.assign(volume=rng.integers(0, 50, size=bars).astype("float64"), spread=8 * tick)


@pytest.fixture(scope="session")
def bars() -> pd.DataFrame:
    """Ten days of made-up minutes, as many as the slowest average of hours needs; volume and spread known."""
    return made_up(seed=11, bars=14_000)


@pytest.fixture(scope="session")
def real_bars() -> pd.DataFrame:
    """Real EURUSD minutes of 2019 with their holes; volume and spread unknown."""
    if not REAL.exists():
        pytest.skip(f"no {REAL}")
    frame = pd.read_parquet(REAL, columns=["ts", "open", "high", "low", "close"]).rename(columns={"ts": "open_time"})
    frame = frame[frame["open_time"] >= "2019-01-01"].iloc[:100_000]
    return frame.assign(volume=np.nan, spread=np.nan)


@pytest.fixture(scope="session")
def matrix(bars: pd.DataFrame) -> pd.DataFrame:
    """Feature rows of the made-up bars, in batch."""
    return FeaturePipeline(["MADEUP"]).frame("MADEUP", bars)


@pytest.fixture(scope="session")
def real_matrix(real_bars: pd.DataFrame) -> pd.DataFrame:
    """Feature rows of the real bars, in batch."""
    return FeaturePipeline(["EURUSD"]).frame("EURUSD", real_bars)
