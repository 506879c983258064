import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mikrobot.models.labels import bos, complete, uniqueness

START = np.datetime64("2024-03-11T09:01", "us")
MINUTE = np.timedelta64(1, "m")
NONE = np.nan


def at(*minutes: int) -> np.ndarray:
    return START + np.array(minutes) * MINUTE


def one_level(price: float, bars: int, column: int = 0) -> np.ndarray:
    """A level that stands after the first bar only."""
    levels = np.full((bars, 2), NONE)
    levels[0, column] = price
    return levels


@pytest.mark.parametrize(
    ("closes", "broken"),
    [
        ([10, 11, 12, 13.1, 12, 12], True),
        ([10, 11, 12, 13.0, 12, 12], False),
        ([10, 11, 12, 12.0, 12, 13.1], False),
        ([13.1, 11, 12, 12.0, 12, 12], False),
        ([10, 11, 12, 12.0, 13.1, 12], True),
    ],
    ids=["third close beyond", "touches only", "after the horizon", "at t itself", "last close of the horizon"],
)
def test_a_level_above_is_broken_by_a_close_beyond_it_within_the_horizon(closes: list[float], broken: bool) -> None:
    found = bos(at(*range(6)), np.array(closes, dtype=float), one_level(13.0, 6), horizon_minutes=4)
    assert found.broken.tolist() == [broken]
    assert found.side.tolist() == [1]
    assert found.end.tolist() == [(START + 4 * MINUTE).item()]


def test_a_level_below_is_broken_downwards() -> None:
    closes = np.array([10.0, 9.0, 8.0, 10.0])
    found = bos(at(0, 1, 2, 3), closes, one_level(8.5, 4, column=1), horizon_minutes=3)
    assert (found.side.tolist(), found.broken.tolist()) == ([-1], [True])


def test_the_level_stays_frozen_when_a_new_one_forms() -> None:
    closes = np.array([10.0, 10.0, 12.0, 12.0])
    levels = np.array([[13.0, NONE], [11.0, NONE], [NONE, NONE], [NONE, NONE]])
    found = bos(at(0, 1, 2, 3), closes, levels, horizon_minutes=2)
    assert (found.row.tolist(), found.broken.tolist()) == ([0, 1], [False, True])


def test_a_horizon_that_misses_a_minute_is_dropped() -> None:
    closes = np.full(6, 10.0)
    found = bos(at(0, 1, 2, 60, 61, 62), closes, np.full((6, 2), 11.0), horizon_minutes=2)
    assert found.row.tolist() == [0, 0, 3, 3]


def test_no_horizon_reaches_past_the_end_of_the_data() -> None:
    assert len(bos(at(0, 1, 2), np.ones(3), np.full((3, 2), 2.0), horizon_minutes=3)) == 0


def test_arrays_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="3 times"):
        bos(at(0, 1, 2), np.ones(3), np.ones((2, 2)), horizon_minutes=1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_labels_equal_those_of_a_loop_over_bars(seed: int, horizon: int) -> None:
    rng = np.random.default_rng(seed)
    minutes = np.cumsum(rng.choice([1, 1, 1, 1, 1, 3], 60))
    closes = np.round(rng.normal(10, 1, 60), 1)
    levels = np.where(rng.random((60, 2)) < 0.3, NONE, np.round(closes[:, None] + [1, -1] * rng.random((60, 2)), 1))
    expected = []
    for t in range(60):
        ahead = [u for u in range(60) if minutes[t] < minutes[u] <= minutes[t] + horizon]
        for side, level in zip((1, -1), levels[t], strict=True):
            if len(ahead) == horizon and not np.isnan(level):
                expected.append((t, side, any(side * closes[u] > side * level for u in ahead)))
    found = bos(at(*minutes), closes, levels, horizon)
    assert list(zip(found.row.tolist(), found.side.tolist(), found.broken.tolist(), strict=True)) == expected


def test_completeness_of_a_single_bar_is_denied() -> None:
    assert complete(at(0), 1).tolist() == [False]


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
