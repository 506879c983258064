from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.domain.order_books import BOOK_FIELDS, sample_of
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.market.simulated import SimulatedSource
from mikrobot.runtime import ManualClock

SHARED = Path(__file__).parents[4] / "shared/data"
WEEKEND = 2 * 1440
MARKETS = {
    "EURUSD": ("fx", "2019-01-01"),
    "BTCUSDT": ("crypto", "2023-02-20"),
    "ETHUSDT": ("crypto", "2025-01-01"),
}
"""Folder and first day: 2019 with its gaps, the outage of 2023-03-24, and -10 % in a minute on 2025-02-03."""

MARKET_BARS = 100_000


def generated(seed: int, bars: int, price: float = 1.1, tick: float = 1e-5) -> pd.DataFrame:
    """Generate bars on a tick grid with plateaus, flat minutes, bursts, missing minutes and a weekend."""
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
    volume = rng.integers(0, 50, size=bars).astype("float64")
    flow = {"trades": np.ceil(volume / 3), "taker_volume": volume * rng.random(bars)}
    return prices.assign(volume=volume, spread=8 * tick, **flow)


def recorded(symbol: str) -> pd.DataFrame | None:
    """Return real M1 bars of a market, None without the data; values that the source lacks are NaN."""
    folder, first = MARKETS[symbol]
    path = SHARED / folder / f"{symbol}_M1.parquet"
    if not path.exists():
        return None
    start = pd.Timestamp(first, tz="UTC")
    span = [("ts", ">=", start), ("ts", "<", start + pd.Timedelta(days=120))]
    frame = pd.read_parquet(path, filters=span).rename(columns={"ts": "open_time"}).head(MARKET_BARS)
    if folder == "fx":
        frame["volume"] = np.nan
    return frame.reindex(columns=list(BAR_COLUMNS))


def simulated(symbol: str) -> pd.DataFrame:
    """Return as many M1 bars of the simulated market."""
    start = pd.Timestamp("2025-01-06", tz="UTC").to_pydatetime()
    end = start + pd.Timedelta(days=120)
    return SimulatedSource((symbol,), 7, ManualClock(end)).history(symbol, start, end).head(MARKET_BARS)


@pytest.fixture(scope="session", params=MARKETS)
def market_bars(request: pytest.FixtureRequest) -> pd.DataFrame:
    """100,000 M1 bars of a real market, or of the simulated one without the recorded data."""
    frame = recorded(request.param)
    return simulated(request.param) if frame is None else frame


@pytest.fixture(scope="session")
def bars() -> pd.DataFrame:
    """Ten days of generated M1 bars, enough for the slowest average of hours, with volume and spread."""
    return generated(seed=11, bars=14_000)


@pytest.fixture(scope="session")
def real_bars() -> pd.DataFrame:
    """Real EURUSD M1 bars of 2019 with their gaps, without volume and spread."""
    frame = recorded("EURUSD")
    if frame is None:
        pytest.skip(f"no EURUSD minutes in {SHARED}")
    return frame


@pytest.fixture(scope="session")
def lead_bars(bars: pd.DataFrame) -> pd.DataFrame:
    """M1 bars of another generated market, over the same days."""
    return generated(seed=12, bars=len(bars), price=1.3)


@pytest.fixture(scope="session")
def lead_rows(lead_bars: pd.DataFrame) -> pd.DataFrame:
    """The values that a follower reads from that market."""
    return FeaturePipeline(["LEAD"]).lead_rows("LEAD", lead_bars)


@pytest.fixture(scope="session")
def books(bars: pd.DataFrame) -> pd.DataFrame:
    """Order books at the closes of most of the generated bars, some with fewer than ten levels."""
    rng = np.random.default_rng(13)
    rows = []
    for close in bars["close"].tolist():
        bids, asks = (
            [(close + sign * tick * step, rng.random() + 0.1) for step in range(1, int(rng.choice([7, 20])))]
            for sign, tick in ((-1, 1e-5), (1, 1e-5 * rng.random()))
        )
        sample = sample_of(bids, asks)
        assert sample is not None
        rows.append(sample.values)
    frame = pd.DataFrame(rows, columns=list(BOOK_FIELDS))
    frame.insert(0, "open_time", bars["open_time"])
    return frame[rng.random(len(frame)) < 0.9].reset_index(drop=True)


@pytest.fixture(scope="session")
def matrix(bars: pd.DataFrame, lead_rows: pd.DataFrame, books: pd.DataFrame) -> pd.DataFrame:
    """Feature rows of the generated bars, in batch, with another generated market as lead, and with order books."""
    return FeaturePipeline(["MADEUP"]).frame("MADEUP", bars, lead_rows, books=books)


@pytest.fixture(scope="session")
def led(bars: pd.DataFrame, lead_rows: pd.DataFrame) -> pd.DataFrame:
    """The same feature rows without order books."""
    return FeaturePipeline(["MADEUP"]).frame("MADEUP", bars, lead_rows)


@pytest.fixture(scope="session")
def alone(bars: pd.DataFrame) -> pd.DataFrame:
    """The same feature rows without a lead and without order books."""
    return FeaturePipeline(["MADEUP"]).frame("MADEUP", bars)


@pytest.fixture(scope="session")
def real_matrix(real_bars: pd.DataFrame) -> pd.DataFrame:
    """Feature rows of the real bars, in batch."""
    return FeaturePipeline(["EURUSD"]).frame("EURUSD", real_bars)
