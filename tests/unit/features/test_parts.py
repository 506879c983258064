"""Compiled windows and sums compared with plain formulas."""

import numpy as np
import pytest

from mikrobot.features.kernel import parts


@pytest.fixture
def window():
    return np.zeros(1, parts.averaged(5))[0]


def test_a_window_holds_the_last_values_oldest_first(window):
    for x in range(12):
        parts.push(window.window, float(x))
    assert parts.held(window.window).tolist() == [7, 8, 9, 10, 11]
    assert parts.highest(window.window) == 11
    assert parts.lowest(window.window) == 7
    assert parts.mean(window.window) == 9
    assert parts.deviation(window.window, 9.0) == pytest.approx(np.std([7, 8, 9, 10, 11]), rel=1e-15)


def test_a_window_returns_the_displaced_value_and_knows_when_it_is_full(window):
    displaced = [parts.push(window.window, float(x)) for x in range(1, 7)]
    assert displaced == [0, 0, 0, 0, 0, 1]
    assert parts.full(window.window)


def test_a_running_mean_forgets_a_huge_value_without_a_trace(window):
    for x in [1e12, *[1e-3] * 4]:
        parts.average(window, x)
    assert parts.average(window, 1e-3) == pytest.approx(1e-3, rel=1e-12)


def test_a_running_mean_does_not_drift_over_many_bars():
    rng = np.random.default_rng(5)
    values = 1.1 + 1e-5 * rng.standard_normal(200_000).cumsum()
    window = np.zeros(1, parts.rolling(200))[0]
    for x in values:
        last = parts.roll(window, x)
    assert last == pytest.approx(np.mean(values[-200:]), rel=1e-15)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_the_largest_of_the_last_values_is_that_of_the_plain_window(length):
    values = np.random.default_rng(2).integers(-9, 9, 100).astype(float)
    state = np.zeros(1, parts.extreme(length))[0]
    largest = [parts.largest(state, x) for x in values]
    assert np.isnan(largest[: length - 1]).all()
    windows = np.lib.stride_tricks.sliding_window_view(values, length)
    assert largest[length - 1 :] == windows.max(axis=1).tolist()


def test_an_average_is_the_plain_mean_until_its_share_is_smaller():
    state = np.zeros(1, parts.AVERAGE)[0]
    assert [parts.approach(state, x, 0.25) for x in (8.0, 4.0, 0.0, 0.0)] == [8, 6, 4, 3]
    assert parts.approach(state, 7.0, 0.25) == 4
