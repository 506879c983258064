"""Gaps, order blocks and displacement on hand-made bars, with an ATR of 1 in the spread column."""

import numpy as np
import pandas as pd
import pytest

from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.structure import breaks, swing
from mikrobot.features.library.zones import KEPT, displacement, gap, order_block
from mikrobot.features.pipeline import FeaturePipeline

NAN = float("nan")
ZONES = Catalog(
    swing(side=2),
    breaks(side=2, atr="spread"),
    displacement(atr="spread"),
    gap(atr="spread"),
    order_block(side=2, atr="spread"),
)


def values(bars: pd.DataFrame, column: str, atr: float | list[float] = 1.0) -> list[float]:
    rows = FeaturePipeline(["EURUSD"], ZONES).frame("EURUSD", bars.assign(spread=atr))
    return rows[f"m1_{column}"].tolist()


def assert_values(bars: pd.DataFrame, column: str, expected: list[float], atr: float | list[float] = 1.0) -> None:
    np.testing.assert_allclose(values(bars, column, atr), expected, rtol=1e-9, atol=1e-12, err_msg=column)


def upside_down(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the bars mirrored about a price of 10."""
    return bars.assign(open=20 - bars["open"], close=20 - bars["close"], high=20 - bars["low"], low=20 - bars["high"])


@pytest.fixture
def gapped(draw):
    """Bars: bar 2 leaves a gap from 5 to 7, bar 4 falls to its top, bar 5 to its bottom."""
    #             0    1    2    3    4    5    6
    return draw(
        open=[4.0, 5.0, 7.5, 8.5, 8.0, 7.0, 5.5],
        high=[5.0, 7.5, 9.0, 9.0, 8.0, 7.5, 7.0],
        low=[4.0, 5.0, 7.0, 7.2, 7.0, 5.0, 5.5],
        close=[5.0, 7.5, 8.5, 8.5, 7.0, 5.5, 6.0],
    )


def test_a_gap_is_the_distance_between_the_first_and_the_third_bar(gapped):
    assert_values(gapped, "gap_size", [0, 0, 2, 0, 0, 0, 0])
    assert_values(gapped, "gap_size", [0, 0, 1, 0, 0, 0, 0], atr=2.0)


def test_a_gap_is_touched_at_its_top_and_filled_at_its_bottom(gapped):
    assert_values(gapped, "gap_up_open", [0, 0, 1, 1, 1, 0, 0])
    assert_values(gapped, "gap_up_touched", [0, 0, 0, 0, 1, 0, 0])
    assert_values(gapped, "gap_up_filled", [0, 0, 0, 0, 0, 1, 0])
    assert_values(gapped, "gap_up_distance", [NAN, NAN, 1.5, 1.5, 0, NAN, NAN])
    assert_values(gapped, "gap_down_open", [0, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("what", ["open", "distance", "touched", "filled"])
def test_a_gap_down_mirrors_a_gap_up(gapped, what):
    assert values(gapped, f"gap_up_{what}") == pytest.approx(
        values(upside_down(gapped), f"gap_down_{what}"), nan_ok=True
    )
    assert_values(upside_down(gapped), "gap_size", [0, 0, -2, 0, 0, 0, 0])


def test_a_gap_under_a_tenth_of_an_atr_does_not_count(gapped):
    assert_values(gapped, "gap_up_open", [0, 0, 1, 1, 1, 0, 0], atr=20.0)
    assert_values(gapped, "gap_up_open", [0] * 7, atr=20.5)
    assert_values(gapped, "gap_up_open", [0] * 7, atr=NAN)


def test_a_gap_needs_a_bar_in_its_direction_between(gapped):
    fallen = gapped.assign(open=[4.0, 7.5, 7.5, 8.5, 8.0, 7.0, 5.5], close=[5.0, 5.0, 8.5, 8.5, 7.0, 5.5, 6.0])
    assert_values(fallen, "gap_size", [0] * 7)


def test_the_nearest_gap_is_the_one_of_the_highest_top(draw):
    # Bars 2, 3 and 4 leave gaps from 1 to 4, 3 to 6 and 5 to 8; bar 5 falls to 4.5.
    low, high = [0.5, 2, 4, 6, 8, 4.5], [1, 3, 5, 7, 9, 8]
    bars = draw(open=low, high=high, low=low, close=[1, 3, 5, 7, 9, 4.75])
    assert_values(bars, "gap_up_open", [0, 0, 1, 2, 3, 2])
    assert_values(bars, "gap_up_filled", [0, 0, 0, 0, 0, 1])
    assert_values(bars, "gap_up_touched", [0, 0, 0, 0, 0, 2])
    assert_values(bars, "gap_up_distance", [NAN, NAN, 1, 1, 1, 0])


def test_as_many_gaps_are_remembered_as_are_kept(draw):
    low = [float(step) for step in range(1, 2 * KEPT + 8, 2)]
    bars = draw(open=low, high=[x + 1 for x in low], low=low, close=[x + 1 for x in low])
    assert_values(bars, "gap_up_open", [float(min(max(0, t - 1), KEPT)) for t in range(len(low))])
    crashed = pd.concat([bars, bars.tail(1).assign(low=0.5, close=0.5)], ignore_index=True)
    crashed["open_time"] = crashed["open_time"][0] + pd.to_timedelta(crashed.index, unit="min")
    assert values(crashed, "gap_up_filled")[-1] == KEPT


def test_a_displacement_is_a_long_body_that_fills_its_bar(draw):
    #            long  short  a third of its bar  down
    bars = draw(open=[5, 5, 7, 7, 9.0], close=[5, 7, 7.5, 9, 7.0], high=[5, 7, 7.5, 10, 9], low=[5, 5, 7, 6, 6.9])
    assert_values(bars, "displacement", [NAN, 1, 0, 0, -1])


def test_a_displacement_uses_the_atr_of_the_bar_before(draw):
    bars = draw(open=[5, 5, 5], close=[5, 7, 7], high=[5, 7, 7], low=[5, 5, 5])
    assert_values(bars, "displacement", [NAN, 1, 0], atr=[1.0, 100.0, 1.0])


@pytest.fixture
def broken(draw):
    """Bars: bar 6 breaks the high of bar 2; the last falling bar before is bar 4, from 3 to 5."""
    #             0    1    2    3    4    5    6    7    8    9
    return draw(
        open=[1.0, 2.0, 4.0, 5.0, 5.0, 4.0, 5.5, 7.5, 7.5, 5.0],
        high=[2.0, 3.0, 6.0, 5.5, 5.0, 5.5, 7.5, 8.0, 7.5, 5.0],
        low=[0.5, 1.5, 3.0, 4.0, 3.0, 3.5, 5.5, 7.0, 4.5, 2.0],
        close=[1.5, 2.5, 5.5, 4.5, 3.5, 5.5, 7.5, 7.5, 5.0, 2.5],
    )


def test_an_order_block_is_the_last_bar_that_fell_before_the_break(broken):
    assert_values(broken, "break_2_bos", [0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
    assert_values(broken, "order_block_2_up_distance", [NAN] * 6 + [2.5, 2.5, 0, NAN])


def test_an_order_block_is_mitigated_when_price_comes_back_and_void_when_a_bar_closes_below(broken):
    assert_values(broken, "order_block_2_up_mitigated", [NAN] * 6 + [0, 0, 1, NAN])
    wick = broken.assign(close=[*broken["close"][:9], 3.0])
    assert_values(wick, "order_block_2_up_mitigated", [NAN] * 6 + [0, 0, 1, 1])


@pytest.mark.parametrize("what", ["distance", "mitigated"])
def test_an_order_block_down_mirrors_one_up(broken, what):
    up, down = values(broken, f"order_block_2_up_{what}"), values(upside_down(broken), f"order_block_2_down_{what}")
    assert up == pytest.approx(down, nan_ok=True)


def test_a_bar_that_fell_before_the_pivot_leaves_no_order_block(broken):
    risen = broken.assign(open=[1.8, 2.0, 4.0, 4.5, 3.5, 4.0, 5.5, 7.5, 7.5, 5.0])
    assert_values(risen, "break_2_bos", [0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
    assert_values(risen, "order_block_2_up_distance", [NAN] * 10)
