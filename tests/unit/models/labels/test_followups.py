import numpy as np
import pytest

from mikrobot.models.labels.followups import breaks, false_break, retest
from mikrobot.models.labels.samples import Labels, Prices
from mikrobot.models.task import Task

NONE = np.nan
LEVEL = 100.0


def drawn(bars: list[tuple[float, float, float]], minutes: list[int] | None = None) -> tuple[Prices, np.ndarray]:
    """Bars of (high, low, close); there is a level of 100 above, after the first bar only."""
    high, low, close = np.array(bars, dtype=float).T
    levels = np.full((len(bars), 2), NONE)
    levels[0, 0] = LEVEL
    return Prices(np.arange(len(bars)) if minutes is None else np.array(minutes), high, low, close), levels


BEFORE, BREAK = (99, 97, 98), (103, 98, 102)
BACK = (102, 100.125, 101)
QUIET = (101.875, 100.5, 101)


def judged(*after: tuple[float, float, float], atr: float = 1.0, **options: float) -> Labels:
    """Label the retests of a break that closes at 102, followed by these bars, with a horizon of two bars."""
    prices, levels = drawn([BEFORE, BREAK, *after])
    return retest(prices, levels, np.full(len(prices), atr), horizon_bars=2, **options)


def test_a_break_is_a_close_beyond_a_level_of_the_previous_bar() -> None:
    prices, levels = drawn([BEFORE, (103, 98, 100), BREAK])
    levels[1] = levels[0]
    levels[2, 0] = 101.0
    labels = breaks(prices, levels)
    assert (labels.row.tolist(), labels.side.tolist(), labels.level.tolist()) == ([2], [1], [100.0])


@pytest.mark.parametrize(
    ("first", "second", "paid"),
    [
        (QUIET, (102, 101, 101.5), True),
        (QUIET, QUIET, False),
        ((101.5, 99.9, 101), (102, 101, 102), False),
        ((102, 100, 101), QUIET, False),
        ((102, 100.1, 101), (103, 99, 101), True),
        (QUIET, (101, 100, 100), False),
    ],
    ids=["target later", "time-out", "stop first", "both in one bar", "target first", "stop only"],
)
def test_a_retest_pays_if_the_target_comes_before_the_stop(
    first: tuple[float, float, float], second: tuple[float, float, float], paid: bool
) -> None:
    """The retest closes at 101: target 102, stop 100."""
    labels = judged(BACK, first, second)
    assert (labels.row.tolist(), labels.side.tolist(), labels.outcome.tolist()) == ([2], [1], [paid])


def test_a_bar_near_the_level_is_a_retest_and_one_a_little_further_is_not() -> None:
    """0.2 of an ATR of 5 is 1."""
    assert judged((103, 101.125, 102), QUIET, QUIET, atr=5.0).row.tolist() == []
    assert judged((103, 101.0, 102), QUIET, QUIET, atr=5.0).row.tolist() == [2]
    assert judged((103, 101.0, 102), QUIET, QUIET, atr=4.0).row.tolist() == []


def test_only_the_first_return_is_a_retest() -> None:
    assert judged((102, 101, 101), BACK, BACK, QUIET, QUIET).row.tolist() == [3]


def test_a_return_that_closes_back_inside_is_dropped() -> None:
    assert len(judged((102, 99, 99.9), BACK, QUIET, QUIET)) == 0
    assert len(judged((102, 99, 100.0), BACK, QUIET, QUIET)) == 0
    assert judged((102, 99, 100.1), QUIET, QUIET).row.tolist() == [2]


@pytest.mark.parametrize(("bars", "count"), [(20, 1), (21, 0)])
def test_a_retest_comes_within_twenty_bars(bars: int, count: int) -> None:
    away = [(103.0, 101.0, 102.0)] * (bars - 1)
    assert len(judged(*away, BACK, QUIET, QUIET)) == count


def test_the_next_break_ends_the_wait() -> None:
    prices, levels = drawn([BEFORE, BREAK, (104, 101, 103), BACK, QUIET, QUIET])
    assert retest(prices, levels, np.ones(6), horizon_bars=2).level.tolist() == [100.0]
    levels[1, 0] = 102.5
    assert len(retest(prices, levels, np.ones(6), horizon_bars=2)) == 0


def test_barriers_are_those_asked_for() -> None:
    assert judged(BACK, (101.5, 100.5, 101), QUIET, target_atr=0.5).outcome.tolist() == [True]
    assert judged(BACK, (101.5, 100.5, 101), (102.0, 100.6, 101), stop_atr=0.5).outcome.tolist() == [False]


def test_the_distance_of_a_retest_is_that_of_its_target() -> None:
    assert judged(BACK, QUIET, QUIET).distance.tolist() == pytest.approx([np.log(102 / 101)])


def test_a_break_without_an_atr_has_no_retest() -> None:
    assert len(judged(BACK, QUIET, QUIET, atr=NONE)) == 0


def test_a_break_downwards_mirrors() -> None:
    bars = [(103, 101, 102), (102, 97, 98), (99.875, 98, 99), (99.5, 98, 98.5), (99, 98, 98)]
    prices, levels = drawn(bars)
    levels = levels[:, ::-1]
    labels = retest(prices, levels, np.ones(5), horizon_bars=2)
    assert (labels.row.tolist(), labels.side.tolist(), labels.outcome.tolist()) == ([2], [-1], [True])
    assert labels.distance.tolist() == pytest.approx([np.log(99 / 98)])


@pytest.mark.parametrize(
    ("closes", "false"),
    [([102, 102, 99.9], True), ([102, 100.0, 101], True), ([102, 102, 102, 99], False), ([99, 105, 105], True)],
    ids=["third close inside", "at the level", "after the horizon", "next close inside"],
)
def test_a_break_is_false_if_a_close_of_the_horizon_is_back_inside(closes: list[float], false: bool) -> None:
    prices, levels = drawn([BEFORE, BREAK, *((close, close, close) for close in closes)])
    labels = false_break(prices, levels, horizon_bars=3)
    assert (labels.row.tolist(), labels.outcome.tolist()) == ([1], [false])
    assert labels.distance.tolist() == pytest.approx([np.log(1.02)])


def test_a_horizon_across_a_session_gap_is_dropped() -> None:
    bars = [BEFORE, BREAK, BACK, QUIET, QUIET]
    for minutes, kept in (([0, 1, 2, 3, 4], 1), ([0, 1, 2, 3, 60], 0)):
        prices, levels = drawn(bars, minutes)
        assert len(retest(prices, levels, np.ones(5), horizon_bars=2)) == kept
        assert len(false_break(prices, levels, horizon_bars=3)) == kept


def test_the_label_ends_with_the_last_bar_of_its_horizon() -> None:
    minutes = [0, 1, 2, 4, 5]
    prices, levels = drawn([BEFORE, BREAK, BACK, QUIET, QUIET], minutes)
    assert false_break(prices, levels, 2).end.astype("datetime64[m]").astype(int).tolist() == [4]
    assert retest(prices, levels, np.ones(5), 2).end.astype("datetime64[m]").astype(int).tolist() == [5]


def test_barriers_must_be_positive() -> None:
    with pytest.raises(ValueError, match=r"positive barriers, found 2 ATR values, barriers 0\.0 and 1\.0"):
        retest(*drawn([BEFORE, BREAK]), np.ones(2), target_atr=0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "trend"},
        {"mode": "tick"},
        {"kind": "retest", "mode": "wick"},
        {"kind": "nowcast", "horizon": 15},
    ],
)
def test_an_invalid_task_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Task(**wrong)  # type: ignore[arg-type]
