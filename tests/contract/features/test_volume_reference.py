"""Volume features compared with independent definitions, on generated and on real crypto bars."""

from math import floor

import numpy as np
import pandas as pd
import pytest
import talib
from numpy.typing import NDArray

from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.habit import relative_volume
from mikrobot.features.library.indicators import atr
from mikrobot.features.library.profile import profile
from mikrobot.features.library.volume import accumulation, money_flow, obv, obv_balance, volume_roc, vwap
from mikrobot.features.pipeline import FeaturePipeline

from .conftest import SHARED, generated

VOLUME = Catalog(
    atr(length=14),
    vwap(width=2.0),
    obv(),
    accumulation(),
    obv_balance(length=60),
    money_flow(length=20),
    volume_roc(length=10),
    relative_volume(),
    profile(length=240),
)
CASES = ["EURUSD, made up", "BTCUSDT, made up", "BTCUSDT", "ETHUSDT"]
SPANS = {"BTCUSDT": "2023-03-20", "ETHUSDT": "2025-01-31"}
"""First days: before the outage of 2023-03-24 and the end of free trading, and before 2025-02-03."""

SPAN = 14_000
ALIKE = 1 - 1e-9
"""Ratio from which two volumes count as equal: rows that a bar crosses differ by rounding only."""

START = 300
"""Bars skipped at the start, so that the stream starts in the middle of a day."""


def bars_of(case: str) -> tuple[str, pd.DataFrame]:
    symbol = case.partition(",")[0]
    if symbol != case:
        frame = generated(seed=23, bars=SPAN, tick=1e-6)
        rng = np.random.default_rng(8)
        volume = np.where(rng.random(SPAN) < 0.02, 0.0, rng.lognormal(2, 2, SPAN))
        flow = {"trades": np.ceil(volume), "taker_volume": volume * rng.random(SPAN)}
        return symbol, frame.assign(volume=volume, **flow)
    path = SHARED / f"crypto/{symbol}_M1.parquet"
    if not path.exists():
        pytest.skip(f"no {path}")
    frame = pd.read_parquet(path, filters=[("ts", ">=", pd.Timestamp(SPANS[symbol], tz="UTC"))]).head(SPAN)
    return symbol, frame.rename(columns={"ts": "open_time"}).reindex(columns=list(BAR_COLUMNS))


@pytest.fixture(scope="module", params=CASES)
def both(request: pytest.FixtureRequest) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bars, with their trading day, and their feature rows without the prefix of the timeframe."""
    symbol, frame = bars_of(request.param)
    frame = frame.iloc[START:].reset_index(drop=True)
    rows = FeaturePipeline([symbol], VOLUME).frame(symbol, frame)
    zone = "America/New_York" if symbol == "EURUSD" else "UTC"
    local = frame["open_time"].dt.tz_convert(zone).dt.tz_localize(None)
    turn = pd.Timedelta(hours=7 if symbol == "EURUSD" else 0)
    days = (local + turn).dt.floor("D").astype("int64").to_numpy()
    return frame.assign(day=days), rows.rename(columns=lambda name: name.removeprefix("m1_"))


def assert_column(rows: pd.DataFrame, column: str, expected: NDArray[np.float64], tolerance: float = 1e-9) -> None:
    typical = np.nanmedian(np.abs(expected))
    np.testing.assert_allclose(rows[column], expected, rtol=tolerance, atol=tolerance * typical, err_msg=column)


def by_day(bars: pd.DataFrame, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the running sum of each trading day; NaN on the first day, which is incomplete."""
    total = pd.Series(values).groupby(bars["day"].to_numpy()).cumsum().to_numpy()
    return np.where(bars["day"] == bars["day"].iloc[0], np.nan, total)


def average_true_range(bars: pd.DataFrame) -> NDArray[np.float64]:
    return talib.ATR(*(bars[name].to_numpy() for name in ("high", "low", "close")), 14)


def test_the_vwap_and_its_bands_equal_the_sums_of_the_day(both):
    bars, rows = both
    volume, close = bars["volume"].to_numpy(), bars["close"].to_numpy()
    typical = ((bars["high"] + bars["low"] + bars["close"]) / 3).to_numpy()
    centre = typical.mean()  # near the prices, so that the squares keep their digits
    traded = by_day(bars, volume)
    with np.errstate(invalid="ignore", divide="ignore"):
        away = by_day(bars, volume * (typical - centre)) / traded
        squares = by_day(bars, volume * (typical - centre) ** 2) / traded - away**2
    price, deviation = centre + away, np.sqrt(squares.clip(0))
    assert_column(rows, "vwap", price)
    assert_column(rows, "vwap_upper", price + 2 * deviation, 1e-8)
    assert_column(rows, "vwap_lower", price - 2 * deviation, 1e-8)
    assert_column(rows, "vwap_distance", (close - price) / average_true_range(bars), 1e-7)
    wide = np.nan_to_num(deviation) > 1e-7 * price
    assert wide.mean() > 0.5
    score = (close - price)[wide] / deviation[wide]
    np.testing.assert_allclose(rows["vwap_score"][wide], score, rtol=1e-4, atol=1e-6)


def test_on_balance_volume_moves_as_talibs_from_the_opening_of_the_day(both):
    bars, rows = both
    total = talib.OBV(bars["close"].to_numpy(), bars["volume"].to_numpy())
    assert_column(rows, "obv", by_day(bars, np.diff(total, prepend=total[0])), 1e-6)


def test_accumulation_moves_as_talibs_from_the_opening_of_the_day(both):
    bars, rows = both
    total = talib.AD(*(bars[name].to_numpy() for name in ("high", "low", "close", "volume")))
    assert_column(rows, "accumulation", by_day(bars, np.diff(total, prepend=0.0)), 1e-6)


def test_balances_are_shares_of_the_volume_of_their_window(both):
    bars, rows = both
    high, low, close, volume = (bars[name] for name in ("high", "low", "close", "volume"))
    place = ((2 * close - high - low) / (high - low).where(high > low)).fillna(0.0)
    for column, signed, length, first in (
        ("obv_balance_60", np.sign(close.diff()) * volume, 60, 60),
        ("money_flow_20", place * volume, 20, 19),
    ):
        windows = np.lib.stride_tricks.sliding_window_view(np.c_[signed, volume], length, axis=0).sum(axis=2)
        with np.errstate(invalid="ignore"):
            expected = np.r_[np.full(length - 1, np.nan), windows[:, 0] / windows[:, 1]]
        expected[:first] = np.nan
        assert_column(rows, column, expected)


def test_the_rate_of_change_is_talibs(both):
    bars, rows = both
    assert_column(rows, "volume_roc_10", talib.ROC(bars["volume"].to_numpy(), 10))


def naive_relative(bars: pd.DataFrame) -> NDArray[np.float64]:
    """Return volume relative to the mean of 96 quarter-hours times the relative volume of its last five days."""
    quarter = bars["open_time"].dt.floor("15min")
    joined_midway = bars["open_time"].iloc[0] != quarter.iloc[0]
    means = bars["volume"].groupby(quarter).mean().iloc[int(joined_midway) :]
    level = means.rolling(96).mean().shift(1)
    shares = (means / level.where(level > 0)).dropna()
    local = shares.index.tz_convert("America/New_York")
    slots = pd.Series(local.hour * 4 + local.minute // 15, index=shares.index)
    expected = np.full(len(bars), np.nan)
    for time, rows in quarter.groupby(quarter).groups.items():
        here = time.tz_convert("America/New_York")
        before = shares[(slots == here.hour * 4 + here.minute // 15) & (shares.index < time)]
        if len(before) >= 5 and before.iloc[-5:].sum() > 0:
            usual = means[means.index < time].iloc[-96:].mean() * before.iloc[-5:].mean()
            expected[rows] = bars["volume"].iloc[rows] / usual
    return expected


def test_relative_volume_is_that_of_the_naive_definition(both):
    bars, rows = both
    expected = naive_relative(bars)
    assert np.isfinite(expected).sum() > 2_000
    assert_column(rows, "relative_volume", expected)


def row_volumes(window: pd.DataFrame, width: float) -> dict[int, float]:
    """Return the volume by price row, with each bar spread evenly over its range."""
    volumes: dict[int, float] = {}
    for low, high, volume in zip(window["low"], window["high"], window["volume"], strict=True):
        first, last = floor(low / width), floor(high / width)
        for row in range(first, last + 1):
            overlap = min(high, (row + 1) * width) - max(low, row * width)
            share = overlap / (high - low) if last > first else 1.0
            volumes[row] = volumes.get(row, 0.0) + volume * share
    return {row: volume for row, volume in volumes.items() if volume > 0}


def naive_value_area(volumes: dict[int, float], poc: int) -> tuple[int, int]:
    low = high = poc
    while sum(volumes.get(row, 0.0) for row in range(low, high + 1)) < 0.7 * sum(volumes.values()) * (1 - 1e-12):
        below = volumes.get(low - 1, 0.0) if low > min(volumes) else -1.0
        above = volumes.get(high + 1, 0.0) if high < max(volumes) else -1.0
        low, high = (low - 1, high) if below >= above * ALIKE else (low, high + 1)
    return low, high


def naive_widths(bars: pd.DataFrame) -> list[float]:
    """Return the row width at each bar: set when a day opens or the window first fills, doubled beyond 128 rows."""
    highs, lows = bars["high"].rolling(240).max(), bars["low"].rolling(240).min()
    opens = (bars["day"].diff() != 0).to_numpy()
    widths = [np.nan] * 239
    for bar in range(239, len(bars)):
        high, low = highs.iloc[bar], lows.iloc[bar]
        width = max((high - low) / 24, 1e-6 * low) if opens[bar] or bar == 239 else widths[-1]
        while floor(high / width) - floor(low / width) >= 128:
            width *= 2
        widths.append(width)
    return widths


def test_the_profile_is_that_of_the_naive_definition(both):
    bars, rows = both
    bars_atr, widths = average_true_range(bars), naive_widths(bars)
    chosen = np.r_[239:300, np.random.default_rng(4).integers(300, len(bars), 200)]
    for bar in chosen:
        window, width = bars.iloc[bar - 239 : bar + 1], widths[bar]
        volumes = row_volumes(window, width)
        if not volumes:
            assert rows.filter(like="profile").iloc[bar].isna().all()
            continue
        poc = min(row for row, volume in volumes.items() if volume >= ALIKE * max(volumes.values()))
        low, high = naive_value_area(volumes, poc)
        low_price, high_price, close = low * width, (high + 1) * width, bars["close"].iloc[bar]
        expected = [
            (close - (poc + 0.5) * width) / bars_atr[bar],
            (high_price - close) / bars_atr[bar],
            (close - low_price) / bars_atr[bar],
            (close - low_price) / (high_price - low_price),
        ]
        computed = rows[[f"profile_240_{name}" for name in ("poc_distance", "high_distance", "low_distance", "place")]]
        np.testing.assert_allclose(computed.iloc[bar], expected, rtol=1e-7, atol=1e-7, err_msg=str(bar))


def test_what_is_in_the_catalog_is_what_is_tested_here():
    assert {entry.feature.template for entry in VOLUME.entries} <= {entry.feature.template for entry in CATALOG.entries}


def test_an_unknown_volume_gives_missing_values_with_that_reason(both):
    bars, _ = both
    frame = bars[list(BAR_COLUMNS)].assign(volume=np.nan, trades=np.nan, taker_volume=np.nan)
    rows = FeaturePipeline(["EURUSD"], VOLUME).compute("EURUSD", frame)[:, 1:]
    assert np.isnan(rows).all()
    assert all("the source has no volume" in spec.may_be_missing for spec in VOLUME.specs[1:])
