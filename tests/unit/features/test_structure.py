"""Swings and breaks on hand-made bars, with two bars on each side of a swing."""

import numpy as np
import pandas as pd
import pytest

from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.indicators import atr
from mikrobot.features.library.structure import breaks, sequence, swing, wick_breaks
from mikrobot.features.pipeline import FeaturePipeline

NAN = float("nan")
STRUCTURE = Catalog(
    atr(length=1),
    swing(side=2),
    breaks(side=2, atr="atr_1"),
    wick_breaks(side=2, atr="atr_1"),
    sequence(side=2, atr="atr_1"),
)


def values(bars: pd.DataFrame, column: str) -> list[float]:
    rows = FeaturePipeline(["EURUSD"], STRUCTURE).frame("EURUSD", bars)
    return rows[f"m1_{column}"].tolist()


def assert_values(bars: pd.DataFrame, column: str, expected: list[float]) -> None:
    np.testing.assert_allclose(values(bars, column), expected, rtol=1e-12, err_msg=column)


def test_a_swing_high_is_known_two_bars_after_its_pivot(draw):
    bars = draw([1, 2, 5, 3, 2, 3, 4])
    assert_values(bars, "swing_2_high", [NAN, NAN, NAN, NAN, 5, 5, 5])
    assert_values(bars, "swing_2_high_age", [NAN, NAN, NAN, NAN, 2, 3, 4])


def test_a_swing_low_mirrors_a_swing_high(draw):
    bars = draw([9, 8, 5, 7, 8, 7, 6])
    assert_values(bars, "swing_2_low", [NAN, NAN, NAN, NAN, 5, 5, 5])
    assert_values(bars, "swing_2_low_age", [NAN, NAN, NAN, NAN, 2, 3, 4])


def test_the_last_bar_of_a_plateau_is_the_swing(draw):
    bars = draw([1, 2, 5, 5, 3, 2, 2])
    assert_values(bars, "swing_2_high", [NAN, NAN, NAN, NAN, NAN, 5, 5])
    assert_values(bars, "swing_2_high_age", [NAN, NAN, NAN, NAN, NAN, 2, 3])


def test_a_swing_is_measured_by_wicks_and_a_break_by_the_close(draw):
    #                     0  1  2  3  4  5  6  7
    bars = draw(close=[1, 2, 2, 2, 2, 3, 5, 6], high=[1, 2, 5, 3, 2, 6, 5, 6], low=[1, 2, 2, 2, 2, 3, 5, 6])
    assert_values(bars, "break_2_above", [NAN, NAN, NAN, NAN, 5, 5, 5, NAN])
    assert_values(bars, "break_2_bos", [0, 0, 0, 0, 0, 0, 0, 1])


def test_a_broken_level_is_consumed_and_the_swing_stays(draw):
    #            0  1  2  3  4  5  6  7  8
    bars = draw([1, 2, 5, 3, 2, 6, 7, 4, 8])
    assert_values(bars, "break_2_bos", [0, 0, 0, 0, 0, 1, 0, 0, 0])
    assert_values(bars, "break_2_above", [NAN, NAN, NAN, NAN, 5, NAN, NAN, NAN, NAN])
    assert_values(bars, "swing_2_high", [NAN, NAN, NAN, NAN, 5, 5, 5, 5, 5])


def test_the_first_break_is_bos_and_one_against_the_trend_is_choch(draw):
    #            0  1  2  3  4  5  6  7  8  9 10 11 12 13
    bars = draw([1, 2, 5, 3, 2, 6, 7, 9, 8, 7, 1, 0.5, 3, 4])
    assert_values(bars, "break_2_bos", [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    assert_values(bars, "break_2_choch", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0])
    assert_values(bars, "break_2_trend", [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, -1, -1, -1, -1])


def test_a_break_with_the_new_trend_is_bos_again(draw):
    #            0  1  2  3  4  5  6  7  8  9
    bars = draw([9, 8, 5, 7, 8, 4, 3, 6, 7, 2])
    assert_values(bars, "break_2_bos", [0, 0, 0, 0, 0, -1, 0, 0, 0, -1])
    assert_values(bars, "break_2_below", [NAN, NAN, NAN, NAN, 5, NAN, NAN, NAN, 3, NAN])


def test_the_break_test_runs_before_the_swing_confirmed_on_the_same_bar(draw):
    # The low of 5 is a level from bar 4. Bar 5 wicks down to 3 and is itself a swing low, confirmed
    # by bar 7, which closes at 4: below the old level, above the new one.
    bars = draw(close=[9, 8, 5, 7, 8, 6, 6, 4], low=[9, 8, 5, 7, 8, 3, 6, 4], high=[9, 8, 5, 7, 8, 6, 6, 4])
    assert_values(bars, "break_2_bos", [0, 0, 0, 0, 0, 0, 0, -1])
    assert_values(bars, "break_2_below", [NAN, NAN, NAN, NAN, 5, 5, 5, 3])


def test_penetration_and_distances_are_in_atr(draw):
    # With one price per bar, the ATR of one bar is the last change of the close.
    bars = draw([1, 2, 5, 3, 2, 4, 6])
    assert_values(bars, "atr_1", [NAN, 1, 3, 2, 1, 2, 2])
    assert_values(bars, "break_2_above_distance", [NAN, NAN, NAN, NAN, 3, 0.5, NAN])
    assert_values(bars, "break_2_penetration", [0, 0, 0, 0, 0, 0, 0.5])


@pytest.mark.parametrize("column", ["break_2_above_distance", "break_2_penetration"])
def test_nothing_is_measured_in_an_atr_of_zero(draw, column):
    bars = draw([1, 2, 5, 3, 2, 2, 6, 6])
    assert_values(bars, "atr_1", [NAN, 1, 3, 2, 1, 0, 4, 0])
    expected = {"break_2_above_distance": [NAN, NAN, NAN, NAN, 3, NAN, NAN, NAN]}
    assert_values(bars, column, expected.get(column, [0, 0, 0, 0, 0, 0, 0.25, 0]))


def test_swings_are_higher_lower_or_equal_to_the_one_before(draw):
    # Highs of 5, 6 and 6 are confirmed at bars 4, 8 and 12; lows of 2 and 3 at bars 6 and 10.
    #            0  1  2  3  4  5  6  7  8  9 10 11 12
    bars = draw([1, 2, 5, 3, 2, 4, 6, 4, 3, 5, 6, 4, 3])
    assert_values(bars, "sequence_2_highs", [NAN] * 8 + [1, 1, 1, 1, 0])
    assert_values(bars, "sequence_2_lows", [NAN] * 10 + [1, 1, 1])
    assert_values(bars, "sequence_2_equal_highs", [NAN] * 8 + [0, 0, 0, 0, 1])
    assert_values(bars, "sequence_2_structure", [0] * 13)


def test_three_higher_highs_and_lows_are_a_structure_until_one_is_lower(draw):
    # Highs of 5, 6, 7 and 6 are confirmed at bars 4, 8, 12 and 16; lows of 2, 3 and 4 at bars 6, 10 and 14.
    #            0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16
    bars = draw([1, 2, 5, 3, 2, 4, 6, 4, 3, 5, 7, 5, 4, 5, 6, 5, 4])
    assert_values(bars, "sequence_2_structure", [0] * 14 + [1, 1, 0])
    assert_values(draw([10 - close for close in bars["close"]]), "sequence_2_structure", [0] * 14 + [-1, -1, 0])


@pytest.mark.parametrize(("unit", "equal"), [(2.5, 1), (2.4, 0)])
def test_equal_swings_lie_within_a_tenth_of_the_atr(draw, unit, equal):
    bars = draw([1, 2, 5, 3, 2, 4, 5.25, 4, 3]).assign(spread=unit)
    rows = FeaturePipeline(["A"], Catalog(swing(side=2), sequence(side=2, atr="spread"))).frame("A", bars)
    assert rows["m1_sequence_2_equal_highs"].tolist()[-1] == equal


def test_a_wick_breaks_what_the_close_does_not(draw):
    #                  0  1  2  3  4  5  6
    bars = draw(close=[1, 2, 5, 3, 2, 4, 3], high=[1, 2, 5, 3, 2, 6, 3], low=[1, 2, 5, 3, 2, 4, 3])
    assert_values(bars, "wick_2_bos", [0, 0, 0, 0, 0, 1, 0])
    assert_values(bars, "wick_2_above", [NAN, NAN, NAN, NAN, 5, NAN, NAN])
    assert_values(bars, "wick_2_penetration", [0, 0, 0, 0, 0, 0.25, 0])
    assert_values(bars, "break_2_bos", [0] * 7)


@pytest.mark.parametrize(("high", "low", "direction"), [(9, 1.5, 1), (5.5, 0.5, -1), (6, 1, 1)])
def test_a_bar_beyond_both_levels_breaks_both_and_counts_where_it_went_further(draw, high, low, direction):
    # The high of 5 and the low of 2 are unbroken before bar 7.
    closes = [1, 2, 5, 3, 2, 3, 4, 3]
    bars = draw(close=closes, high=[*closes[:7], high], low=[*closes[:7], low])
    assert values(bars, "wick_2_bos")[-1] == direction
    assert values(bars, "wick_2_broken")[-1] == (5 if direction == 1 else 2)
    assert np.isnan([values(bars, "wick_2_above")[-1], values(bars, "wick_2_below")[-1]]).all()


def test_a_break_ages_and_its_level_is_remembered(draw):
    bars = draw([1, 2, 5, 3, 2, 6, 7, 4, 8])
    assert_values(bars, "break_2_age", [NAN] * 5 + [0, 1, 2, 3])
    assert_values(bars, "break_2_broken", [NAN] * 5 + [5, 5, 5, 5])


def test_an_atr_that_has_faded_away_measures_nothing(draw):
    rows = FeaturePipeline(["A"], Catalog(swing(side=2), breaks(side=2, atr="spread"))).frame(
        "A", draw([1, 2, 5, 3, 2, 2]).assign(spread=5e-324)
    )
    assert rows["m1_break_2_above_distance"].isna().all()
    assert rows["m1_break_2_above"].tolist()[-1] == 5
