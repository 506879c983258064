"""Windows and sums, compiled, against the plain formula."""

import numpy as np
import pytest

from mikrobot.features import parts


@pytest.fixture
def window():
    return np.zeros(1, parts.rolling(5))[0]


def test_a_window_holds_the_last_values_oldest_first(window):
    for x in range(12):
        parts.push(window.window, float(x))
    assert parts.held(window.window).tolist() == [7, 8, 9, 10, 11]
    assert parts.highest(window.window) == 11
    assert parts.lowest(window.window) == 7
    assert parts.mean(window.window) == 9
    assert parts.deviation(window.window, 9.0) == pytest.approx(np.std([7, 8, 9, 10, 11]), rel=1e-15)


def test_a_window_tells_what_it_displaced_and_when_it_is_full(window):
    displaced = [parts.push(window.window, float(x)) for x in range(1, 7)]
    assert displaced == [0, 0, 0, 0, 0, 1]
    assert parts.full(window.window)


def test_a_running_mean_forgets_a_huge_value_without_a_trace(window):
    for x in [1e12, *[1e-3] * 4]:
        parts.roll(window, x)
    assert parts.roll(window, 1e-3) == pytest.approx(1e-3, rel=1e-12)


def test_a_running_mean_does_not_drift_over_many_bars():
    rng = np.random.default_rng(5)
    values = 1.1 + 1e-5 * rng.standard_normal(200_000).cumsum()
    window = np.zeros(1, parts.rolling(200))[0]
    for x in values:
        last = parts.roll(window, x)
    assert last == pytest.approx(np.mean(values[-200:]), rel=1e-15)
