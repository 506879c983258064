"""Indicators compared with independent definitions: TA-Lib over the whole series, and plain formulas."""

import numpy as np
import pandas as pd
import pytest
import talib

from mikrobot.domain.market import Timeframe

TIMEFRAMES = pytest.mark.parametrize("timeframe", [Timeframe.M5, Timeframe.H1])
MARKETS = pytest.mark.parametrize("market", ["made up", "EURUSD 2019"])


@pytest.fixture
def both(market, request):
    """Bars and their feature rows."""
    names = ("bars", "matrix") if market == "made up" else ("real_bars", "real_matrix")
    frame, rows = (request.getfixturevalue(name) for name in names)
    return frame.reset_index(drop=True), rows


def assert_column(rows: pd.DataFrame, column: str, expected: np.ndarray) -> None:
    typical = np.nanmedian(np.abs(expected))  # scale of the tolerance where a column crosses zero
    np.testing.assert_allclose(rows[column], expected, rtol=1e-9, atol=1e-9 * typical, err_msg=column)


def by_talib(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    expected = {f"sma_{n}": talib.SMA(close, n) for n in (9, 21, 50, 200)}
    expected |= {f"ema_{n}": talib.EMA(close, n) for n in (9, 21, 50, 200)}
    expected |= {"rsi_14": talib.RSI(close, 14), "atr_14": talib.ATR(high, low, close, 14)}
    expected |= {"cci_20": talib.CCI(high, low, close, 20)}
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    expected |= {"bollinger_20_upper": upper, "bollinger_20_middle": middle, "bollinger_20_lower": lower}
    expected |= {"bollinger_20_width": (upper - lower) / middle}
    names = ("macd_12_26_9_line", "macd_12_26_9_signal", "macd_12_26_9_histogram")
    expected |= dict(zip(names, talib.MACD(close, 12, 26, 9), strict=True))
    names = ("stochastic_14_k", "stochastic_14_d")
    return expected | dict(zip(names, talib.STOCH(high, low, close, 14, 3, 0, 3, 0), strict=True))


@MARKETS
def test_m1_indicators_equal_talib_over_the_whole_series(both):
    frame, rows = both
    for name, expected in by_talib(frame).items():
        assert_column(rows, f"m1_{name}", expected)


@MARKETS
def test_returns_and_volatility_equal_the_plain_formula(both):
    frame, rows = both
    logs = np.log(frame["close"])
    for bars in (1, 5, 15, 60):
        assert_column(rows, f"m1_return_{bars}", logs.diff(bars).to_numpy())
    changes = logs.diff().to_numpy()
    for bars in (15, 60, 240):
        windows = np.lib.stride_tricks.sliding_window_view(changes[1:], bars)
        assert_column(rows, f"m1_volatility_{bars}", np.r_[[np.nan] * bars, windows.std(axis=1)])


@MARKETS
def test_percent_b_is_where_the_close_lies_between_the_bands(both):
    frame, rows = both
    upper, lower = rows["m1_bollinger_20_upper"], rows["m1_bollinger_20_lower"]
    wide = upper - lower > 1e-7  # narrower bands are rounding
    expected = (frame["close"] - lower) / (upper - lower)
    np.testing.assert_allclose(rows["m1_bollinger_20_percent_b"][wide], expected[wide], rtol=1e-9, atol=1e-9)


def test_time_of_day_is_that_of_the_close(bars, matrix):
    closes = bars["open_time"] + pd.Timedelta(minutes=1)
    angle = 2 * np.pi * (closes.dt.hour * 60 + closes.dt.minute) / 1440
    assert_column(matrix, "m1_minute_sin", np.sin(angle).to_numpy())
    assert_column(matrix, "m1_minute_cos", np.cos(angle).to_numpy())


def test_the_spread_is_measured_in_atr(bars, matrix):
    expected = bars["spread"].to_numpy() / talib.ATR(*(bars[name].to_numpy() for name in ("high", "low", "close")), 14)
    assert_column(matrix, "m1_spread_atr", expected)


def closed_bars(frame: pd.DataFrame, timeframe: Timeframe) -> pd.DataFrame:
    """Return bars of a longer timeframe without an incomplete first one, indexed by close time."""
    start = frame["open_time"].dt.floor(timeframe.delta)
    grouped = frame.groupby(start).agg(
        open=("open", "first"), high=("high", "max"), low=("low", "min"), close=("close", "last")
    )
    joined_midway = frame["open_time"].iloc[0] != start.iloc[0]
    grouped = grouped.iloc[int(joined_midway) :]
    return grouped.set_axis(grouped.index + timeframe.delta)


def held(rows: pd.DataFrame, closed: pd.DataFrame, values: np.ndarray) -> np.ndarray:
    """Return the value of the last bar closed at or before each row's close."""
    last = closed.index.searchsorted(rows["close_time"], side="right") - 1
    return np.where(last >= 0, np.asarray(values, dtype=float)[last.clip(0)], np.nan)


@MARKETS
@TIMEFRAMES
def test_higher_timeframes_equal_talib_on_closed_bars_held(both, timeframe):
    frame, rows = both
    closed = closed_bars(frame, timeframe)
    expected = by_talib(closed)
    for name in ("rsi_14", "atr_14", "ema_9", "ema_21"):
        assert_column(rows, f"{timeframe.value.lower()}_{name}", held(rows, closed, expected[name]))
