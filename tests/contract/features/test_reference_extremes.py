"""Extremes, round prices and the path compared with their definitions over the whole series."""

from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import talib

from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.extremes import day, extremes, round_number
from mikrobot.features.library.indicators import atr, log_return
from mikrobot.features.library.path import autocorrelation, efficiency, streak, variance_ratio
from mikrobot.features.pipeline import FeaturePipeline

NEW_YORK = ZoneInfo("America/New_York")
FAMILY = Catalog(
    atr(length=14),
    *log_return.each(length=(1, 5)),
    *extremes.each(length=(60, 240, 1440)),
    day(),
    *round_number.each(multiple=(1, 5, 10)),
    *efficiency.each(length=(10, 30)),
    variance_ratio(length=60),
    autocorrelation(half_life=60),
    streak(),
)
MARKETS = pytest.mark.parametrize("computed", ["EURUSD", "BTCUSDT"], indirect=True)


@pytest.fixture(scope="module")
def computed(request, bars):
    """The same generated bars as FX and as crypto, with their rows and their ATR."""
    frame = bars.reset_index(drop=True)
    rows = FeaturePipeline([request.param], FAMILY).frame(request.param, frame)
    return request.param, frame, rows, talib.ATR(*(frame[name].to_numpy() for name in ("high", "low", "close")), 14)


def assert_equal(rows: pd.DataFrame, column: str, expected: np.ndarray) -> None:
    np.testing.assert_allclose(rows[column], expected, rtol=1e-9, atol=1e-9, err_msg=column)
    assert np.isfinite(expected).sum() > 5_000


@MARKETS
@pytest.mark.parametrize("length", [60, 240, 1440])
def test_extremes_are_those_of_the_last_sixty_blocks_of_minutes(computed, length):
    _, frame, rows, unit = computed
    block = (frame["open_time"].astype("int64") // (60_000_000 * length // 60)).to_numpy()
    starts = np.flatnonzero(np.r_[True, np.diff(block) > 0])
    since = np.searchsorted(starts, np.arange(len(frame)), side="right") - 60  # number of the oldest block
    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    above, below = np.full((2, len(frame)), np.nan)
    whole = frame["open_time"].iloc[0].minute % (length // 60) == 0
    for t in range(len(frame)):
        if since[t] >= (0 if whole else 1):
            window = slice(starts[since[t]], t + 1)
            above[t] = (high[window].max() - close[t]) / unit[t]
            below[t] = (close[t] - low[window].min()) / unit[t]
    assert_equal(rows, f"m1_extreme_{length}_above", above)
    assert_equal(rows, f"m1_extreme_{length}_below", below)


def trading_days(symbol: str, times: pd.Series) -> np.ndarray:
    if symbol == "BTCUSDT":
        return times.dt.date.to_numpy()
    return (times.dt.tz_convert(NEW_YORK).dt.tz_localize(None) + pd.Timedelta(hours=7)).dt.date.to_numpy()


@MARKETS
def test_days_are_those_of_the_market_and_none_is_shown_that_was_joined_midway(computed):
    symbol, frame, rows, unit = computed
    days = trading_days(symbol, frame["open_time"])
    first, order = days[0], sorted(set(days))
    by_day = frame.groupby(days)
    so_far = by_day["high"].cummax().where(days != first), by_day["low"].cummin().where(days != first)
    before = {later: earlier for earlier, later in pairwise(order[1:])}
    high, low = by_day["high"].max(), by_day["low"].min()
    previous = (
        np.array([high.get(before.get(name), np.nan) for name in days]),
        np.array([low.get(before.get(name), np.nan) for name in days]),
    )
    close = frame["close"].to_numpy()
    assert_equal(rows, "m1_day_above", (so_far[0] - close).to_numpy() / unit)
    assert_equal(rows, "m1_day_below", (close - so_far[1]).to_numpy() / unit)
    assert_equal(rows, "m1_day_previous_above", (previous[0] - close) / unit)
    assert_equal(rows, "m1_day_previous_below", (close - previous[1]) / unit)
    assert (rows["m1_day_previous_above"] < 0).any()


@MARKETS
@pytest.mark.parametrize("multiple", [1, 5, 10])
def test_round_prices_are_multiples_of_a_share_of_the_power_of_ten(computed, multiple):
    symbol, frame, rows, unit = computed
    close = frame["close"].to_numpy()
    step = (0.001 if symbol == "EURUSD" else 0.01) * multiple  # the closes are about 1.1
    whole = np.floor(np.round(close / step, 9))
    assert_equal(rows, f"m1_round_{multiple}_below", (close - whole * step) / unit)
    assert_equal(rows, f"m1_round_{multiple}_above", ((whole + 1) * step - close) / unit)


@MARKETS
def test_the_path_equals_the_plain_formulas(computed):
    _, frame, rows, _ = computed
    logs = np.log(frame["close"])
    change, change_5 = logs.diff(), logs.diff(5)
    for length in (10, 30):
        way = change.abs().rolling(length).sum()
        assert_equal(rows, f"m1_efficiency_{length}", (logs.diff(length).abs() / way).to_numpy())
    ratio = (change_5**2).rolling(60).mean() / (5 * (change**2).rolling(60).mean())
    assert_equal(rows, "m1_variance_ratio_60", ratio.where(change_5.rolling(60).count() == 60).to_numpy())
    weights = 0.5 ** (np.arange(4_000) / 60)
    moves = change.to_numpy()
    for t in (6_000, 9_999, 13_999):
        recent, before = moves[t - 3_999 : t + 1][::-1], moves[t - 4_000 : t][::-1]
        expected = (weights @ (recent * before)) / (weights @ recent**2)
        assert rows["m1_autocorrelation_60"].iloc[t] == pytest.approx(expected, rel=1e-9, abs=1e-12)
