import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mikrobot.models.labels.samples import Prices, after_bars, after_minutes, uniqueness


def test_prices_are_stamped_with_the_minute_of_their_close() -> None:
    opened = pd.date_range("1970-01-01T00:09", periods=2, freq="min", tz="UTC", unit="us")
    bars = pd.DataFrame({"open_time": opened, "open": [1.0, 2.0], "high": 3.0, "low": 0.5, "close": [2.0, 1.0]})
    prices = Prices.of(bars)
    assert prices.minute.tolist() == [10, 11]
    assert (prices.high.tolist(), prices.close.tolist()) == ([3.0, 3.0], [2.0, 1.0])


def test_a_missing_minute_inside_the_horizon_is_no_session_gap() -> None:
    assert after_minutes(np.array([0, 2, 4, 5]), 5).tolist() == [3, -1, -1, -1]


def test_a_horizon_that_ends_without_a_bar_is_dropped() -> None:
    assert after_minutes(np.array([0, 1, 3, 4]), 2).tolist() == [-1, 2, -1, -1]


@pytest.mark.parametrize(("pause", "kept"), [(5, True), (6, False)])
def test_a_session_gap_is_more_than_five_minutes(pause: int, kept: bool) -> None:
    minutes = np.array([0, 1, 1 + pause, 2 + pause])
    assert bool(after_minutes(minutes, 2 + pause)[0] == 3) is kept
    assert bool(after_bars(minutes, 3)[0] == 3) is kept


def test_no_horizon_reaches_past_the_end_of_the_data() -> None:
    assert after_minutes(np.arange(3), 3).tolist() == [-1, -1, -1]
    assert after_bars(np.arange(3), 3).tolist() == [-1, -1, -1]


def test_no_bars_have_no_horizons() -> None:
    assert after_minutes(np.empty(0, np.int64), 5).tolist() == []
    assert after_bars(np.empty(0, np.int64), 5).tolist() == []


def test_a_label_that_shares_every_minute_with_another_weighs_half() -> None:
    assert uniqueness(np.array([5, 5]), np.array([8, 8])).tolist() == [0.5, 0.5]


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 20)), min_size=1, max_size=40))
def test_weights_add_up_the_shares_of_each_minute(spans: list[tuple[int, int]]) -> None:
    starts = np.array([start for start, _ in spans])
    ends = starts + [length for _, length in spans]
    weights = uniqueness(starts, ends)
    covered = len({minute for start, end in zip(starts, ends, strict=True) for minute in range(start, end)})
    assert (weights > 0).all()
    assert (weights <= 1 + 1e-12).all()
    assert weights @ (ends - starts) == pytest.approx(covered)
