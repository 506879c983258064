"""Volatility and its season compared with their definitions, computed bar by bar."""

from collections import defaultdict
from itertools import combinations
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.grid import tick
from mikrobot.features.library.season import season
from mikrobot.features.library.volatility import (
    HAR_15,
    HAR_S_5,
    HAR_S_15,
    HAR_S_60,
    NOISE_IN_MOVES,
    SPREAD_IN_DEVIATIONS,
    activity,
    bar,
    ewma_volatility,
    har,
    har_s,
)
from mikrobot.features.pipeline import FeaturePipeline

NEW_YORK = ZoneInfo("America/New_York")
FORECAST = Catalog(
    tick(), bar(), *ewma_volatility.each(half_life=(10, 30, 120, 1440)), har(), season(), activity(), har_s()
)
HALF_A_YEAR = pd.Timedelta(days=244)
"""Shift from the bars' first day to late October, so that they cover the other clock change."""


@pytest.fixture(scope="module", params=["clocks go forward", "clocks go back", "EURUSD 2019"])
def computed(request):
    """Bars with their forecast columns."""
    if request.param == "EURUSD 2019":
        frame = request.getfixturevalue("real_bars").iloc[:12_000]
    else:
        frame = request.getfixturevalue("bars").iloc[:12_000]
    frame = frame.reset_index(drop=True)
    if request.param == "clocks go back":
        frame = frame.assign(open_time=frame["open_time"] + HALF_A_YEAR)
    return frame, FeaturePipeline(["A"], FORECAST).frame("A", frame)


def average(values: np.ndarray, half_life: float) -> np.ndarray:
    """Return the exponential average, a plain mean as long as that gives a new value more weight."""
    share, averages = 1 - 0.5 ** (1 / half_life), [values[0]]
    for n, x in enumerate(values[1:], 2):
        weight = max(share, 1 / n)
        averages.append(averages[-1] * (1 - weight) + x * weight)
    return np.array(averages)


def naive_bar(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return deviation and move from the second bar."""
    logs = np.log(frame[["open", "high", "low", "close"]])
    apart = frame["open_time"].diff() > pd.Timedelta(hours=1)
    jump = (logs["open"] - logs["close"].shift()).mask(apart, 0.0)
    body = logs["close"] - logs["open"]
    within = 0.5 * (logs["high"] - logs["low"]) ** 2 - (2 * np.log(2) - 1) * body**2
    return np.sqrt(within.clip(lower=0) + jump**2 + 1e-14).to_numpy()[1:], (body + jump).to_numpy()[1:]


def naive_season(times: pd.Series, volatility: np.ndarray) -> np.ndarray:
    """Return the log factor of each bar and of the next 5, 15 and 60 minutes, from dictionaries of past bars."""
    level = average(volatility, 5 * 1440)
    minute, day_hour, week_hour = defaultdict(lambda: 1.0), defaultdict(lambda: 1.0), defaultdict(lambda: 1.0)
    visits = defaultdict(int)
    share, rows, prepared = 1 - 0.5 ** (1 / 60), [], None

    def factor(wall) -> float:
        of_day = wall.hour * 60 + wall.minute
        weights = {-2: 0.05, -1: 0.2, 0: 0.5, 1: 0.2, 2: 0.05}
        smooth = sum(w * minute[(of_day + k) % 1440] for k, w in weights.items())
        usual = week_hour[wall.weekday(), wall.hour] / day_hour[wall.hour]
        return np.log(np.clip(smooth, 0.1, 10) * np.clip(usual, 0.1, 10))

    def learn(table, key, x: float, least: float, prior: int) -> None:
        table[key] += max(least, 1 / (visits[id(table), key] + prior)) * (x - table[key])
        visits[id(table), key] += 1

    for i, time in enumerate(times):
        hour = time.floor("h")
        if hour != prepared:
            prepared = hour
            walls = pd.date_range(hour, periods=120, freq="min").tz_convert(NEW_YORK)
            factors = np.array([factor(wall) for wall in walls])
        after = time.minute + 1
        rows.append([factors[time.minute], *(factors[after : after + h].mean() for h in (5, 15, 60))])
        if i > 0:
            wall, x = time.tz_convert(NEW_YORK), min(volatility[i] / level[i - 1], 6.0)
            learn(minute, wall.hour * 60 + wall.minute, x, share, 3)
            learn(day_hour, wall.hour, x, share / 60, 61)
            learn(week_hour, (wall.weekday(), wall.hour), x, share / 60, 61)
    return np.array(rows)


def naive_tick(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the tick and its noise from the second bar; NaN before bar 119."""
    prices = frame[["open", "high", "low", "close"]].assign(before=frame["close"].shift().fillna(frame["open"]))
    pairs = [*combinations(("open", "high", "low", "close"), 2), ("open", "before")]
    steps = pd.DataFrame({pair: (prices[pair[0]] - prices[pair[1]]).abs() for pair in pairs})
    finest = steps.where(steps.gt(1e-9 * frame["close"], axis=0)).min(axis=1).rolling(120, min_periods=1).min()
    finest[:119] = np.nan
    moves = (prices["close"] - prices["before"]).to_numpy()
    products = np.clip(moves[119:] / finest[119:] * (moves[118:-1] / finest[119:]), -4, 4)
    noise = np.r_[np.full(119, np.nan), np.sqrt(np.clip(-2 * average(products.to_numpy(), 3000), 1 / 6, 1 / 2))]
    tick = (finest / frame["close"]).to_numpy()
    return tick[1:], (tick * noise)[1:]


def naive_activity(
    deviation: np.ndarray, move: np.ndarray, factor: np.ndarray, tick: np.ndarray, noise: np.ndarray
) -> dict[str, np.ndarray]:
    deviation, move = deviation / np.exp(factor), np.abs(move) / np.exp(factor)
    usual_deviation, usual_move = average(deviation, 120), average(move, 120)
    spread = 3 * (noise**2 / tick - tick / 6) / np.exp(factor)
    inner = np.sqrt(np.maximum(1 - NOISE_IN_MOVES * (noise / np.exp(factor) / usual_move) ** 2, 0.25))
    outer = np.maximum(1 - SPREAD_IN_DEVIATIONS * spread / usual_deviation, 0.5)
    moved = np.minimum(move, 8 * usual_move) * np.where(np.isnan(inner), 1, inner)
    size = (np.minimum(deviation, 8 * usual_deviation) * np.where(np.isnan(outer), 1, outer) + moved) / 2
    ranges = {f"m1_activity_range_{n}": np.log(average(size, n)) for n in (3, 10, 30, 120)}
    return ranges | {f"m1_activity_move_{n}": np.log(average(moved, n) + 1e-7) for n in (10, 120, 3000)}


def test_every_forecast_column_equals_its_definition(computed):
    frame, rows = computed
    deviation, move = naive_bar(frame)
    seasons = naive_season(frame["open_time"].iloc[1:], (deviation + np.abs(move)) / 2)
    names = ("m1_season", "m1_season_5", "m1_season_15", "m1_season_60")
    expected = {"m1_bar_deviation": deviation, "m1_bar_move": move, **dict(zip(names, seasons.T, strict=True))}
    expected |= {f"m1_ewma_volatility_{n}": np.sqrt(average(move**2, n)) for n in (10, 30, 120, 1440)}
    tick, noise = naive_tick(frame)
    expected |= {"m1_tick": tick, "m1_tick_noise": noise}
    expected |= naive_activity(deviation, move, seasons[:, 0], tick, noise)
    by_half_life = [expected[f"m1_ewma_volatility_{n}"] for n in (10, 30, 120, 1440)]
    expected["m1_har_15"] = np.array(HAR_15) @ by_half_life
    levels = [values for name, values in expected.items() if "activity" in name]
    for minutes, weights in ((5, HAR_S_5), (15, HAR_S_15), (60, HAR_S_60)):
        ahead = expected[f"m1_season_{minutes}"]
        expected[f"m1_har_s_{minutes}"] = np.exp(np.array(weights[:-1]) @ [*levels, ahead] + weights[-1])
    assert sorted(expected) == sorted(FORECAST.columns)
    for name, values in expected.items():
        is_known = rows[name].notna().to_numpy()
        assert is_known.sum() > 10_000
        np.testing.assert_allclose(rows[name][is_known], values[is_known[1:]], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("changes", ["2024-03-10", "2024-11-03"])
def test_the_season_follows_the_clock_of_new_york_over_its_changes(changes):
    """A market that moves only at 08:30 New York: the forecast must shift by an hour in UTC."""
    sunday = pd.Timestamp(changes, tz="UTC")
    times = pd.date_range(sunday - pd.Timedelta(days=30), sunday + pd.Timedelta(days=2), freq="min", unit="us")
    wall = times.tz_convert(NEW_YORK)
    busy = (wall.hour == 8) & (wall.minute == 30)
    direction = np.where(np.arange(len(times)) % 2, 1.0, -1.0)
    close = 1.1 + 1e-5 * direction * np.where(busy, 20.0, 1.0)
    bars = pd.DataFrame({"open_time": times, **dict.fromkeys(("open", "high", "low", "close"), close)})
    rows = FeaturePipeline(["A"], FORECAST).frame("A", bars.reindex(columns=list(BAR_COLUMNS))).assign(wall=wall)
    monday = rows[rows["wall"].dt.date == (sunday + pd.Timedelta(days=1)).date()].set_index("wall")
    assert monday["m1_season"].idxmax().strftime("%H:%M") in ("08:30", "08:31")
    assert monday["m1_season_5"].idxmax().strftime("%H:%M") in ("08:26", "08:27", "08:28")
    before, usual = monday.at_time("08:27")["m1_har_s_5"], monday.at_time("04:27")["m1_har_s_5"]
    assert before.iloc[0] > 1.3 * usual.iloc[0]


def on_a_grid(close: np.ndarray, *, bounces: bool, seed: int = 1) -> pd.DataFrame:
    """Bars of one trade a minute on a grid of one: rounded prices, or the bid and the ask around them at random."""
    rng = np.random.default_rng(seed)
    mid = np.round(close - 0.5) + 0.5
    price = mid + rng.choice([-0.5, 0.5], len(close)) if bounces else np.round(close)
    times = pd.date_range("2024-03-04", periods=len(close), freq="min", unit="us", tz="UTC")
    bars = pd.DataFrame({"open_time": times, **dict.fromkeys(("open", "high", "low", "close"), price)})
    return bars.reindex(columns=list(BAR_COLUMNS))


@pytest.mark.parametrize(("bounces", "variance"), [(False, 1 / 6), (True, 1 / 2)])
def test_the_noise_of_a_grid_is_that_of_rounding_or_of_a_spread_of_one_tick(bounces, variance):
    close = 1_000 + np.cumsum(np.random.default_rng(3).normal(0, 1.5, 20_000))
    rows = FeaturePipeline(["A"], FORECAST).frame("A", on_a_grid(close, bounces=bounces)).iloc[10_000:]
    bars = on_a_grid(close, bounces=bounces).iloc[10_000:]
    np.testing.assert_allclose(rows["m1_tick"] * bars["close"], 1.0, rtol=1e-9)
    measured = np.median((rows["m1_tick_noise"] / rows["m1_tick"]) ** 2)
    assert measured == pytest.approx(variance, abs=0.12)


@pytest.mark.parametrize("price", [1e-8, 1.0, 1e6])
def test_hostile_days_have_finite_forecasts(price):
    rng = np.random.default_rng(1)
    close = price * np.exp(np.cumsum(rng.choice([0.0, 1e-4, -1e-4, 0.7, -0.7], 6_000, p=[0.9, 0.04, 0.04, 0.01, 0.01])))
    close[2_000:4_000] = close[2_000]  # more than a day without a move
    minutes = np.cumsum(rng.choice([1, 2, 61, 4_000], 6_000, p=[0.97, 0.01, 0.01, 0.01]))
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(minutes, unit="min")
    bars = pd.DataFrame({"open_time": times.astype("datetime64[us, UTC]"), "open": np.r_[price, close[:-1]]})
    bars = bars.assign(high=np.maximum(bars["open"], close), low=np.minimum(bars["open"], close), close=close)
    rows = FeaturePipeline(["A"], FORECAST).frame("A", bars.reindex(columns=list(BAR_COLUMNS)))
    forecasts = rows[list(FORECAST.columns)].iloc[1_440:]
    assert np.isfinite(forecasts).all().all()
    assert (forecasts.filter(like="har_s") > 0).all().all()


def test_bars_drawn_by_hand_have_the_deviation_and_the_move_one_reads_off():
    times = pd.to_datetime(["2024-01-05 21:58", "2024-01-05 21:59", "2024-01-07 22:00"], utc=True).as_unit("us")
    bars = pd.DataFrame(
        {"open_time": times, "open": [1.0, 1.0, 2.0], "high": [1.0, 1.0, 2.2], "low": [1.0, 1.0, 2.0]}
    ).assign(close=[1.0, 1.0, 2.2])
    rows = FeaturePipeline(["A"], Catalog(bar())).frame("A", bars.reindex(columns=list(BAR_COLUMNS)))
    assert rows["m1_bar_deviation"].iloc[1] == pytest.approx(1e-7)
    # The jump from 1 to 2 after the weekend is ignored; the bar moves from its low to its high.
    assert rows["m1_bar_move"].iloc[2] == pytest.approx(np.log(1.1))
    assert rows["m1_bar_deviation"].iloc[2] == pytest.approx(np.log(1.1) * np.sqrt(0.5 - (2 * np.log(2) - 1)))
