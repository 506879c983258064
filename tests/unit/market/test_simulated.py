"""Stylised facts of the simulated market; the bounds include the values of real bars.

Real bars: EURUSD 2018-2020 (HistData) and BTCUSDT 2024-2025 (Binance).
"""

import tracemalloc
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from mikrobot.domain.errors import FeedError, UnknownSymbol
from mikrobot.domain.instruments.registry import instrument
from mikrobot.market.sessions import is_open
from mikrobot.market.simulated import EPOCH, SimulatedSource
from mikrobot.market.stochastic_model import CHARACTERS
from mikrobot.runtime import ManualClock

DAY = timedelta(days=1)
HALF_A_YEAR = EPOCH + 180 * DAY


def market(*symbols, seed=7, now=HALF_A_YEAR):
    return SimulatedSource(symbols, seed, ManualClock(now))


@pytest.fixture(scope="module")
def bars():
    source = market("EURUSD", "BTCUSDT")
    return {symbol: source.history(symbol, EPOCH, HALF_A_YEAR) for symbol in source.symbols()}


@pytest.fixture(params=["EURUSD", "BTCUSDT"])
def frame(request, bars):
    return bars[request.param].assign(symbol=request.param)


def returns(frame):
    """Return log returns in basis points between consecutive minutes, and their times."""
    step = np.diff(frame["open_time"].to_numpy("datetime64[us]")) == np.timedelta64(1, "m")
    return np.diff(np.log(frame["close"]))[step] * 1e4, frame["open_time"].iloc[1:][step]


def autocorrelation(values, lag):
    centred = values - values.mean()
    return float((centred[lag:] * centred[:-lag]).mean() / centred.var())


def swings(extremes, n):
    """Return which bars are swing highs: no lower than the n before, higher than the n after."""
    before = extremes.rolling(n + 1).max()
    after = extremes[::-1].rolling(n).max()[::-1].shift(-1)
    return (extremes == before) & (extremes > after)


def breaks(frame, n=5):
    """Return the share of bars that close beyond the last confirmed and unbroken swing of n bars."""
    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    tops, bottoms = swings(frame["high"], n).to_numpy(), swings(-frame["low"], n).to_numpy()
    count, above, below = 0, np.nan, np.nan
    for t in range(2 * n, len(close)):
        if close[t] > above:
            count, above = count + 1, np.nan
        if close[t] < below:
            count, below = count + 1, np.nan
        above = high[t - n] if tops[t - n] else above
        below = low[t - n] if bottoms[t - n] else below
    return count / len(close)


def test_every_character_can_be_simulated():
    source = market(*CHARACTERS)
    for symbol in source.symbols():
        assert len(source.history(symbol, EPOCH, EPOCH + 3 * DAY)) > 2000


def test_a_source_that_is_followed_keeps_only_the_days_of_its_latest_request():
    source = market("BTCUSDT")
    source.history("BTCUSDT", EPOCH, EPOCH + DAY)
    tracemalloc.start()
    for number in range(60):
        source.history("BTCUSDT", EPOCH + number * DAY, EPOCH + (number + 1) * DAY)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1_000_000  # 60 days take 5 MB


def test_a_day_that_was_forgotten_is_simulated_again_with_the_same_bars():
    source = market("EURUSD")
    before = source.history("EURUSD", EPOCH + 5 * DAY, EPOCH + 8 * DAY)
    source.history("EURUSD", EPOCH + 40 * DAY, EPOCH + 41 * DAY)
    assert_frame_equal(source.history("EURUSD", EPOCH + 5 * DAY, EPOCH + 8 * DAY), before)


def test_bars_depend_on_seed_and_symbol_alone():
    alone = market("EURUSD").history("EURUSD", EPOCH, EPOCH + 5 * DAY)
    among_others = market("BTCUSDT", "EURUSD", now=EPOCH + 9 * DAY)
    among_others.history("BTCUSDT", EPOCH, EPOCH + 2 * DAY)
    assert_frame_equal(alone, among_others.history("EURUSD", EPOCH, EPOCH + 5 * DAY))
    other = market("EURUSD", seed=8).history("EURUSD", EPOCH, EPOCH + 5 * DAY)
    assert not np.array_equal(alone["close"].head(1000), other["close"].head(1000))


def test_symbols_move_independently():
    source = market("EURUSD", "GBPUSD", now=EPOCH + 30 * DAY)
    closes = [source.history(symbol, EPOCH, HALF_A_YEAR).set_index("open_time")["close"] for symbol in source.symbols()]
    both = pd.concat(closes, axis=1).dropna().pct_change().dropna()
    assert abs(both.corr().iloc[0, 1]) < 0.03


def test_returned_bars_never_change_as_time_passes():
    whole = market("BTCUSDT").history("BTCUSDT", EPOCH, EPOCH + 3 * DAY)
    clock = ManualClock(EPOCH)
    source = SimulatedSource(["BTCUSDT"], 7, clock)
    for minutes in (1, 59, 700, 1439, 1440, 1441, 4000):
        clock.time = EPOCH + timedelta(minutes=minutes, seconds=59)
        shown = source.history("BTCUSDT", EPOCH, EPOCH + 30 * DAY)
        assert len(shown) == minutes
        assert_frame_equal(shown, whole.iloc[:minutes])


def test_a_bar_is_returned_at_its_close_and_not_a_microsecond_before():
    clock = ManualClock(EPOCH + timedelta(minutes=10) - timedelta(microseconds=1))
    source = SimulatedSource(["BTCUSDT"], 7, clock)
    assert len(source.history("BTCUSDT", EPOCH, EPOCH + DAY)) == 9
    clock.time = EPOCH + timedelta(minutes=10)
    assert len(source.history("BTCUSDT", EPOCH, EPOCH + DAY)) == 10


def test_fx_bars_are_within_its_week_and_crypto_has_every_minute(bars):
    euro = pd.DatetimeIndex(bars["EURUSD"]["open_time"])
    open_minutes = is_open("fx", pd.date_range(EPOCH, HALF_A_YEAR, freq="min", inclusive="left")).sum()
    assert is_open("fx", euro).all()
    assert 0.99 < len(euro) / open_minutes < 1
    assert len(bars["BTCUSDT"]) == 180 * 1440


def test_takers_buy_more_in_a_rising_minute_without_information_about_the_next(bars):
    assert bars["EURUSD"][["trades", "taker_volume"]].isna().all(axis=None)
    crypto = bars["BTCUSDT"]
    assert (crypto["trades"] == crypto["trades"].round()).all()
    assert crypto["taker_volume"].between(0, crypto["volume"]).all()
    share, change = crypto["taker_volume"] / crypto["volume"], crypto["close"] - crypto["open"]
    assert share[change < 0].mean() < 0.45 < 0.55 < share[change > 0].mean()
    assert abs(np.corrcoef(share[:-1], np.log(crypto["close"]).diff()[1:])[0, 1]) < 0.01


def test_prices_lie_on_the_tick_grid_inside_their_bar(frame):
    tick = instrument(frame["symbol"].iloc[0]).tick
    digits = -tick.as_tuple().exponent
    for name in ("open", "high", "low", "close", "spread"):
        assert (frame[name] == frame[name].round(digits)).all()
    assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
    assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()
    assert (frame["spread"] >= float(tick)).all()


@pytest.mark.parametrize(("symbol", "low", "high"), [("EURUSD", 0.9, 1.5), ("BTCUSDT", 5.0, 9.5)])
def test_minute_volatility_is_that_of_the_market(bars, symbol, low, high):
    assert low < returns(bars[symbol])[0].std() < high  # real: 1.2 and 7.3 bp


def test_tails_are_fat(frame):
    values, _ = returns(frame)
    kurtosis = (values**4).mean() / (values**2).mean() ** 2 - 3
    assert 8 < kurtosis < 120  # real: 38 and 53
    assert 0.30 < np.median(abs(values)) / values.std() < 0.45  # real: 0.37 and 0.41; a Gaussian has 0.67


def test_volatility_clusters_with_a_long_memory(frame):
    size = abs(returns(frame)[0])
    assert 0.22 < autocorrelation(size, 1) < 0.45  # real: 0.34 and 0.37
    assert 0.17 < autocorrelation(size, 10) < 0.36  # real: 0.26 and 0.29
    assert 0.10 < autocorrelation(size, 60) < 0.27  # real: 0.21 and 0.22


def test_part_of_the_clustering_fades_within_half_an_hour(frame):
    size = abs(returns(frame)[0])
    assert 0.08 < autocorrelation(size, 1) - autocorrelation(size, 30) < 0.20  # real: 0.11 and 0.11


def test_the_sign_of_returns_cannot_be_forecast_from_the_last_ones(frame):
    values, _ = returns(frame)
    signs = np.sign(values)
    for lag in (1, 2, 3, 5, 10):
        assert abs(autocorrelation(signs, lag)) < 0.012


def test_fx_follows_london_and_new_york_through_summer_time(bars):
    values, times = returns(bars["EURUSD"])
    for part in (times < "2025-03-09", times > "2025-03-30"):
        hour = times[part].dt.tz_convert("America/New_York").dt.hour.to_numpy()
        by_hour = pd.Series(values[part]).groupby(hour).std()
        overlap, asia = by_hour[[8, 9, 10]].mean(), by_hour[[18, 23, 0]].mean()
        assert 1.7 < overlap / asia < 3.2  # real: 2.6
        assert by_hour[10] > 1.25 * by_hour[12]


def test_crypto_has_a_milder_day(bars):
    values, times = returns(bars["BTCUSDT"])
    by_hour = pd.Series(values).groupby(times.dt.tz_convert("America/New_York").dt.hour.to_numpy()).std()
    assert 1.2 < by_hour[[8, 9, 10]].mean() / by_hour[[0, 4, 23]].mean() < 2.2  # real: 1.6


def test_wicks_are_those_of_a_path(frame):
    body, reach = abs(frame["close"] - frame["open"]), frame["high"] - frame["low"]
    assert 0.53 < body.mean() / reach.mean() < 0.68  # real: 0.57 and 0.64
    volatility = returns(frame)[0].std()
    assert 0.85 < (reach / frame["close"] * 1e4).mean() / volatility < 1.2  # real: 1.07 and 0.98


def test_levels_break_as_often_as_in_the_market(frame):
    assert 0.042 < breaks(frame.head(60_000)) < 0.056  # real: 0.048 and 0.050


def test_spreads_are_typical_by_day_and_wide_at_the_roll(bars):
    frame = bars["EURUSD"]
    local = frame["open_time"].dt.tz_convert("America/New_York")
    at_roll = frame["spread"][(local.dt.hour == 17) & (local.dt.minute < 5)]
    assert 0.00006 < frame["spread"].median() < 0.00010
    assert at_roll.median() > 3 * frame["spread"].median()


def test_spreads_widen_with_volatility(bars):
    frame = bars["EURUSD"]
    reach = frame["high"] - frame["low"]
    assert frame["spread"][reach > reach.quantile(0.99)].mean() > 1.2 * frame["spread"][reach < reach.median()].mean()


def test_volume_rises_with_the_range(frame):
    moved = frame[(frame["high"] > frame["low"]) & (frame["volume"] > 0)]
    correlation = np.corrcoef(np.log(moved["volume"]), np.log(moved["high"] - moved["low"]))[0, 1]
    assert 0.5 < correlation < 0.9  # real: 0.78 and 0.63


def test_weeks_open_with_a_gap(bars):
    frame = bars["EURUSD"]
    opens = frame["open_time"].diff() > pd.Timedelta(days=1)
    gaps = np.log(frame["open"] / frame["close"].shift())[opens] * 1e4
    assert 3 < gaps.std() < 20  # real: 10 bp


def test_before_its_first_bar_there_is_no_span():
    with pytest.raises(FeedError, match="begins on 2025-01-01, and it is 2024-12-31"):
        market("EURUSD", now=datetime(2024, 12, 31, tzinfo=UTC)).span("EURUSD")


def test_unknown_symbols_are_refused():
    with pytest.raises(UnknownSymbol, match="NOPE"):
        market("NOPE")
    with pytest.raises(UnknownSymbol, match="the symbols are EURUSD"):
        market("EURUSD").history("BTCUSDT", EPOCH, HALF_A_YEAR)
