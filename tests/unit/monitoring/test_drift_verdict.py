"""The drift verdict on rows whose drift is known: none, a shift, a change of volatility."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from mikrobot.domain.errors import DataError
from mikrobot.features.catalog import CATALOG
from mikrobot.monitoring.drift_reference import DriftReference, make_reference
from mikrobot.monitoring.drift_verdict import WindowDrift, judge

START = datetime(2023, 1, 2, tzinfo=UTC)
WEEK = timedelta(days=7)
REFERENCE_ENDS = START + 52 * WEEK
SLOW = [f"slow_{at}" for at in range(20)]
"""Autocorrelated columns, in which every week differs from the year."""
ROWS_A_WEEK = 1008


def rows(weeks: int, seed: int, persistence: float = 0.995) -> pd.DataFrame:
    """Return stationary rows, every ten minutes: autoregressive columns, and returns whose volatility clusters."""
    rng = np.random.default_rng(seed)
    count = weeks * ROWS_A_WEEK
    frame = pd.DataFrame(
        {name: lfilter([1], [1, -persistence], rng.normal(size=count + 2_000))[2_000:] for name in SLOW}
    )
    log_volatility = lfilter([1], [1, -0.999], rng.normal(0, 0.01, size=count + 5_000))[5_000:]
    frame["m1_return_1"] = np.exp(log_volatility) * rng.normal(size=count) * 1e-4
    frame.insert(0, "close_time", pd.date_range(START + timedelta(minutes=10), periods=count, freq="10min"))
    return frame


def reference_of(frame: pd.DataFrame) -> DriftReference:
    return make_reference(frame, [*SLOW, "m1_return_1"], START, REFERENCE_ENDS, window=WEEK)


def judged(frame: pd.DataFrame) -> list[WindowDrift]:
    return judge(reference_of(frame), frame, frame["close_time"].iloc[-1].to_pydatetime())


@pytest.mark.parametrize("seed", range(4))
def test_a_stationary_year_of_autocorrelated_rows_has_at_most_one_verdict(seed: int) -> None:
    windows = judged(rows(104, seed))
    assert len(windows) == 52
    assert sum(window.onset for window in windows) <= 1


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("persistence", [0.9, 0.98])
def test_a_shift_by_a_standard_deviation_in_half_of_the_columns_is_drift_in_the_second_week(
    seed: int, persistence: float
) -> None:
    frame = rows(62, seed, persistence)
    shifted = frame["close_time"] > REFERENCE_ENDS + 4 * WEEK
    for name in SLOW[::2]:
        frame.loc[shifted, name] += frame[name].std()
    windows = judged(frame)
    assert [window.verdict for window in windows[:6]] == ["stable"] * 5 + ["drift"]
    assert windows[5].onset
    assert not any(window.onset for window in windows[6:])
    assert any(f"{name} (+" in reason for name in SLOW[::2] for reason in windows[5].reasons)


@pytest.mark.parametrize(("factor", "direction"), [(2.0, "+"), (0.5, "-")])
def test_a_volatility_that_doubles_or_halves_is_drift_within_three_weeks(factor: float, direction: str) -> None:
    frame = rows(62, 0)
    before = judged(frame)
    frame.loc[frame["close_time"] > REFERENCE_ENDS + 4 * WEEK, "m1_return_1"] *= factor
    windows = judged(frame)
    assert "drift" in [window.verdict for window in windows[4:7]]
    assert windows[6].volatility == pytest.approx(factor * before[6].volatility, rel=1e-6)
    assert any(f", {direction}" in reason for window in windows[4:7] for reason in window.reasons)


def test_one_odd_week_is_no_drift() -> None:
    frame = rows(62, 1)
    odd = (frame["close_time"] > REFERENCE_ENDS + 4 * WEEK) & (frame["close_time"] <= REFERENCE_ENDS + 5 * WEEK)
    frame.loc[odd, SLOW] += 3 * frame[SLOW].std()
    windows = judged(frame)
    assert windows[4].share > 0.5
    assert [window.verdict for window in windows] == ["stable"] * 10


def test_missing_values_count_as_a_value() -> None:
    frame = rows(62, 2)
    frame.loc[frame["close_time"] > REFERENCE_ENDS, SLOW] = np.nan
    windows = judged(frame)
    assert windows[1].verdict == "drift"
    assert windows[1].share > 0.9


def test_a_window_is_judged_by_its_own_past_only() -> None:
    frame = rows(62, 3)
    shorter = frame[frame["close_time"] <= REFERENCE_ENDS + 6 * WEEK]
    assert judged(frame)[:6] == judged(shorter)


def test_a_week_with_few_rows_is_not_judged() -> None:
    frame = rows(62, 3)
    holiday = (frame["close_time"] > REFERENCE_ENDS + WEEK) & (frame["close_time"] <= REFERENCE_ENDS + 2 * WEEK)
    windows = judged(frame[~holiday])
    assert len(windows) == 9
    assert windows[1].since == REFERENCE_ENDS + 2 * WEEK


def test_columns_that_move_with_the_price_or_the_calendar_are_left_out() -> None:
    frame = rows(13, 0)
    moving = [spec.name for spec in CATALOG.specs if spec.moves_with]
    frame[moving] = 1.0
    reference = make_reference(frame, [*moving, "slow_0"], START, START + 13 * WEEK, window=WEEK)
    assert list(reference.columns) == ["slow_0"]
    assert {reference.left_out[name] for name in ("m1_sma_9", "m1_minute_sin", "m1_obv")} == {
        "moves with the price level",
        "moves with the calendar",
        "moves with the volume since the trading day opened",
    }


def test_too_short_a_reference_is_refused() -> None:
    with pytest.raises(DataError, match=r"has 5 windows of 7 days with 200 rows; give at least 12, or shorter"):
        make_reference(rows(13, 0), SLOW, START, START + 5 * WEEK, window=WEEK)
