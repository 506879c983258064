import numpy as np
import pytest

from mikrobot.models.labels.breaks import bos, nowcast
from mikrobot.models.labels.samples import Prices

NONE = np.nan


def walk(closes: list[float], highs: list[float] | None = None, lows: list[float] | None = None) -> Prices:
    """Bars that close at minutes 100, 101 and so on."""
    close = np.array(closes, dtype=float)
    high, low = (close if values is None else np.array(values, dtype=float) for values in (highs, lows))
    return Prices(100 + np.arange(len(close)), high, low, close)


def after_the_first(price: float, bars: int, column: int = 0) -> np.ndarray:
    """A level that exists after the first bar only."""
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
    labels = bos(walk(closes), after_the_first(13.0, 6), horizon_minutes=4)
    assert (labels.side.tolist(), labels.outcome.tolist(), labels.level.tolist()) == ([1], [broken], [13.0])
    assert labels.end.tolist() == [np.datetime64(104, "m").astype("datetime64[us]").item()]


def test_a_level_below_is_broken_downwards() -> None:
    labels = bos(walk([10, 9, 8, 10]), after_the_first(8.5, 4, column=1), horizon_minutes=3)
    assert (labels.side.tolist(), labels.outcome.tolist()) == ([-1], [True])


def test_a_wick_breaks_in_its_own_mode_only() -> None:
    prices = walk([10, 10, 10], highs=[10, 11, 10], lows=[10, 9, 10])
    levels = np.array([[10.5, 9.5], [NONE, NONE], [NONE, NONE]])
    assert bos(prices, levels, 2, "wick").outcome.tolist() == [True, True]
    assert bos(prices, levels, 2, "close").outcome.tolist() == [False, False]


def test_a_wick_that_touches_breaks_nothing() -> None:
    prices = walk([10, 10], highs=[10, 10.5], lows=[10, 9.5])
    assert bos(prices, np.full((2, 2), [10.5, 9.5]), 1, "wick").outcome.tolist() == [False, False]


def test_the_level_stays_frozen_when_a_new_one_forms() -> None:
    levels = np.array([[13.0, NONE], [11.0, NONE], [NONE, NONE], [NONE, NONE]])
    labels = bos(walk([10, 10, 12, 12]), levels, horizon_minutes=2)
    assert (labels.row.tolist(), labels.outcome.tolist()) == ([0, 1], [False, True])


def test_the_distance_is_that_of_the_level_ahead() -> None:
    labels = bos(walk([10, 10]), np.full((2, 2), [11.0, 8.0]), horizon_minutes=1)
    assert labels.distance.tolist() == pytest.approx([np.log(1.1), np.log(1.25)])


def test_a_horizon_across_a_session_gap_is_dropped() -> None:
    prices = Prices(np.array([0, 1, 2, 60, 61, 62]), *(np.full(6, 10.0) for _ in range(3)))
    assert bos(prices, np.full((6, 2), 11.0), horizon_minutes=2).row.tolist() == [0, 0, 3, 3]


def test_the_close_of_the_forming_bar_decides_a_nowcast() -> None:
    """Minutes 101 to 105 form one M5 bar; only its close at 105 counts, not the earlier close of 14."""
    closes = [10, 10, 14, 10, 10, 13.5, 10, 10, 10, 10, 12]
    labels = nowcast(walk(closes), np.full((11, 2), [13.0, NONE]))
    assert labels.row.tolist() == [1, 2, 3, 4, 6, 7, 8, 9]
    assert labels.outcome.tolist() == [True] * 4 + [False] * 4
    left = labels.end.astype("datetime64[m]").astype(int) - (100 + labels.row)
    assert left.tolist() == [4, 3, 2, 1, 4, 3, 2, 1]


def test_a_nowcast_may_begin_beyond_the_level() -> None:
    labels = nowcast(walk([10, 10, 14, 10, 10, 10]), np.full((6, 2), [13.0, NONE]))
    assert (labels.distance < 0).tolist() == [False, True, False, False]
    assert not labels.outcome.any()


def test_a_forming_bar_whose_last_minute_is_missing_has_no_nowcast() -> None:
    prices = Prices(np.array([101, 102, 103, 104, 106, 107]), *(np.full(6, 10.0) for _ in range(3)))
    assert len(nowcast(prices, np.full((6, 2), [13.0, NONE]))) == 0


@pytest.mark.parametrize(("levels", "horizon"), [((2, 2), 1), ((3, 1), 1), ((3, 2), 0)])
def test_arrays_of_different_lengths_are_refused(levels: tuple[int, int], horizon: int) -> None:
    with pytest.raises(ValueError, match="expected two levels for each of 3 bars"):
        bos(walk([1, 2, 3]), np.ones(levels), horizon)
