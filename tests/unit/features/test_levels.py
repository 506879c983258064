"""Retests, grabs, support and resistance on hand-made bars, with an ATR of 1 in the spread column."""

import numpy as np
import pandas as pd
import pytest

from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.levels import INVALID, NONE, PATIENCE, RETESTED, SWINGS, WAITING, grab, levels, retest
from mikrobot.features.library.structure import breaks, swing
from mikrobot.features.pipeline import FeaturePipeline

NAN = float("nan")
LEVELS = Catalog(
    swing(side=2),
    breaks(side=2, atr="spread"),
    grab(side=2),
    retest(side=2, atr="spread"),
    levels(side=2, atr="spread"),
)
BROKEN = [1, 2, 5, 3, 2, 6.5]
"""Closes: the third is a swing high, and the last one breaks it."""


def values(bars: pd.DataFrame, column: str, atr: float = 1.0) -> list[float]:
    rows = FeaturePipeline(["EURUSD"], LEVELS).frame("EURUSD", bars.assign(spread=atr))
    return rows[f"m1_{column}"].tolist()


def assert_values(bars: pd.DataFrame, column: str, expected: list[float], atr: float = 1.0) -> None:
    np.testing.assert_allclose(values(bars, column, atr), expected, rtol=1e-9, atol=1e-12, err_msg=column)


def test_a_grab_is_a_wick_beyond_a_level_that_stays(draw):
    #            0  1  2  3  4  5    6  7
    bars = draw(close=[1, 2, 5, 3, 2, 4.0, 5, 6], high=[1, 2, 5, 3, 2, 5.5, 6, 6], low=[1, 2, 5, 3, 2, 4.0, 5, 6])
    assert_values(bars, "grab_2_above", [0, 0, 0, 0, 0, 1, 1, 0])
    assert_values(bars, "break_2_bos", [0, 0, 0, 0, 0, 0, 0, 1])


def test_a_grab_below_mirrors_one_above(draw):
    bars = draw(close=[9, 8, 5, 7, 8, 6.0], low=[9, 8, 5, 7, 8, 4.5], high=[9, 8, 5, 7, 8, 6.0])
    assert_values(bars, "grab_2_below", [0, 0, 0, 0, 0, 1])


def test_the_first_bar_that_comes_near_the_broken_level_and_holds_is_its_retest(draw):
    bars = draw(close=[*BROKEN, 6, 5.5, 5.1, 6], high=[*BROKEN, 6.5, 6, 5.5, 6], low=[*BROKEN, 5.3, 5.15, 5, 5])
    assert_values(bars, "retest_2_stage", [NONE] * 5 + [WAITING, WAITING, RETESTED, RETESTED, RETESTED])
    assert_values(bars, "retest_2_here", [0, 0, 0, 0, 0, 0, 0, 1, 0, 0])
    assert_values(bars, "retest_2_distance", [NAN] * 5 + [1.5, 1, 0.5, 0.1, 1])


def test_near_is_measured_in_the_atr_of_the_break(draw):
    bars = draw(close=[*BROKEN, 6, 5.5], high=[*BROKEN, 6.5, 6], low=[*BROKEN, 5.3, 5.2])
    rows = FeaturePipeline(["A"], LEVELS).frame("A", bars.assign(spread=[1, 1, 1, 1, 1, 2, 9, 9]))
    assert rows["m1_retest_2_here"].tolist() == [0, 0, 0, 0, 0, 0, 1, 0]


def test_a_close_back_inside_is_no_retest(draw):
    bars = draw(close=[*BROKEN, 4.9, 6], high=[*BROKEN, 6, 6], low=[*BROKEN, 4.9, 5])
    assert_values(bars, "retest_2_stage", [NONE] * 5 + [WAITING, INVALID, INVALID])
    assert_values(bars, "retest_2_here", [0] * 8)


@pytest.mark.parametrize(("after", "stage"), [(PATIENCE, RETESTED), (PATIENCE + 1, NONE)])
def test_a_retest_is_waited_for_twenty_bars(draw, after, stage):
    rise = [7 + t / 10 for t in range(after - 1)]
    bars = draw(close=[*BROKEN, *rise, 5.1])
    assert values(bars, "retest_2_stage")[-2:] == [WAITING if stage == RETESTED else NONE, stage]


def test_a_retest_from_below_mirrors_one_from_above(draw):
    bars = draw(close=[9, 8, 5, 7, 8, 3, 4], high=[9, 8, 5, 7, 8, 3, 4.9], low=[9, 8, 5, 7, 8, 3, 3])
    assert_values(bars, "retest_2_here", [0, 0, 0, 0, 0, 0, -1])
    assert_values(bars, "retest_2_distance", [NAN, NAN, NAN, NAN, NAN, 2, 1])


def test_support_and_resistance_are_the_nearest_swings(draw):
    # Highs of 8 and 8.2 are confirmed at bars 4 and 8, a low of 4 at bar 6.
    #            0  1  2  3  4  5  6  7    8  9   10
    bars = draw([6, 7, 8, 5, 4, 6, 8.2, 7, 6, 9, 8.2])
    assert_values(bars, "levels_2_above_distance", [NAN, NAN, NAN, NAN, 4, 2, NAN, 1, 2, NAN, NAN])
    assert_values(bars, "levels_2_above_touches", [0, 0, 0, 0, 1, 1, 0, 1, 2, 0, 0])
    assert_values(bars, "levels_2_below_distance", [NAN] * 6 + [0.2, 3, 2, 0.8, 0])
    assert_values(bars, "levels_2_below_touches", [0] * 6 + [1, 1, 1, 2, 2])


def test_swings_further_apart_than_a_quarter_of_an_atr_are_two_levels(draw):
    bars = draw([6, 7, 8, 5, 4, 6, 8.2, 7, 6, 9])
    assert values(bars, "levels_2_below_touches", atr=0.8)[-1] == 2
    assert values(bars, "levels_2_below_touches", atr=0.7)[-1] == 1


def test_the_oldest_swing_gives_way(draw):
    # One high at 50, then a zigzag with more swings at 3 and 5 than are stored.
    zigzag = [5.0, 4, 3, 4] * SWINGS
    bars = draw([40, 45, 50, 45, 40, *zigzag])
    distances = values(bars, "levels_2_above_distance")
    assert max(d for d in distances[5:40] if d == d) > 40
    assert all(d != d or d < 3 for d in distances[-40:])
