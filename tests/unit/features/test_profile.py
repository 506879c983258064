"""The volume profile on hand-made bars: the volume of each row, and exact removal."""

import numpy as np
import pandas as pd
import pytest

from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library import profile as profiles
from mikrobot.features.library.profile import profile
from mikrobot.features.pipeline import FeaturePipeline

LENGTH = 4
SMALL = Catalog(profile(length=LENGTH, atr="close"))  # distances in units of the last close, which is 1
UNKNOWN = dict.fromkeys(("spread", "trades", "taker_volume"), float("nan"))


def fed(bars: pd.DataFrame, catalog: Catalog = SMALL) -> FeaturePipeline:
    pipeline = FeaturePipeline(["A"], catalog)
    pipeline.compute("A", bars)
    return pipeline


def volumes(pipeline: FeaturePipeline) -> dict[int, float]:
    """Return the volume by row, counted from a price of zero."""
    state = pipeline.states[0][f"m1_profile_{LENGTH}"]
    return {int(state["origin"]) + i: units / state["per_volume"] for i, units in enumerate(state["rows"]) if units}


@pytest.fixture
def drawn(draw):
    """Return a factory of bars whose last window ranges from 24 to 48, in 24 rows of width 1."""

    def bars(ranges: list[tuple[float, float]], volume: list[float]) -> pd.DataFrame:
        low, high = (list(ends) for ends in zip(*ranges, strict=True))
        return draw(low, high=high, low=low).assign(volume=volume)

    return bars


def test_a_bar_is_spread_evenly_over_its_range(drawn):
    bars = drawn([(24, 48), (30, 30), (40.5, 43.5), (31.25, 32)], [0.0, 4.0, 6.0, 1.5])
    assert volumes(fed(bars)) == {30: 4.0, 40: 1.0, 41: 2.0, 42: 2.0, 43: 1.0, 31: 1.5}


def test_the_bar_that_leaves_takes_its_volume_with_it(drawn):
    bars = drawn([(24, 48), (30, 30), (40.5, 43.5), (31, 31), (30, 30), (45, 45)], [24.0, 4.0, 6.0, 2.0, 1.0, 8.0])
    assert volumes(fed(bars)) == {40: 1.0, 41: 2.0, 42: 2.0, 43: 1.0, 31: 2.0, 30: 1.0, 45: 8.0}


def shown(bars: pd.DataFrame) -> list[float]:
    """Return the point of control, and the top and bottom of the value area, from the distances to the close."""
    close = bars["close"].iloc[-1]
    poc, high, low, _ = fed(bars).rows[0]
    return [float(x) for x in (close - poc * close, close + high * close, close - low * close)]


def test_the_point_of_control_is_the_lowest_of_equal_rows(drawn):
    bars = drawn([(24, 48), (40, 40), (30, 30), (40, 40)], [0.0, 2.0, 4.0, 2.0])
    assert shown(bars)[0] == 30.5


@pytest.mark.parametrize(
    ("elsewhere", "area"),
    [
        (3.0, [31.5, 32, 30]),  # 12 of 17 with the row below are enough
        (4.0, [31.5, 33, 30]),  # 12 of 18 are not; the row above is larger than the empty one below
    ],
)
def test_the_value_area_takes_the_larger_neighbour_first_and_the_lower_of_equal_ones(drawn, elsewhere, area):
    bars = drawn([(24, 48), (30, 33), (31, 32), (24, 24)], [0.0, 6.0, 8.0, elsewhere])  # rows 30 to 32 hold 2, 10, 2
    assert shown(bars) == area


def test_seventy_percent_in_one_row_is_enough(drawn):
    bars = drawn([(24, 48), (30, 30), (31, 31), (32, 32)], [0.0, 7.0, 2.0, 1.0])
    assert shown(bars) == [30.5, 31, 30]


def test_a_window_without_volume_has_no_profile(drawn):
    bars = drawn([(24, 48)] * 5, [0.0, 0.0, 0.0, 0.0, 3.0])
    rows = FeaturePipeline(["A"], SMALL).compute("A", bars)
    assert np.isnan(rows[:4]).all()
    assert np.isfinite(rows[4]).all()


def test_removing_a_huge_volume_does_not_change_tiny_ones(drawn):
    ranges = [(24, 48), (30, 30), (31, 33), (40, 41), (40.5, 43.5), (32, 35), (30, 31)]
    tiny = [1e-8, 2e-8, 3e-8, 1e-8, 4e-8, 2e-8, 1e-8]
    huge = [1e12, *tiny[1:]]
    both = [volumes(fed(drawn(ranges, volume))) for volume in (tiny, huge)]
    assert both[0].keys() == both[1].keys()
    np.testing.assert_allclose(list(both[1].values()), list(both[0].values()), rtol=1e-9)


def test_a_market_that_never_moved_has_one_row(drawn):
    rows = fed(drawn([(30, 30)] * 4, [1.0] * 4)).rows[0]
    assert abs(rows[0]) < 1e-6
    assert 0 <= rows[3] <= 1


def test_rows_are_doubled_when_the_window_outgrows_them_and_set_again_at_the_opening(draw):
    minutes = [1_000, 1_001, 1_002, 1_003, 1_004, 1_440]
    lows, highs = [24, 30, 30, 30, 30, 30], [48, 30, 30, 30, 300, 30]
    bars = draw(lows, high=highs, low=lows, start=pd.Timestamp("2024-01-02", tz="UTC"), minutes=minutes)
    widths = []
    pipeline = FeaturePipeline(["A"], SMALL)
    for i in range(len(bars)):
        pipeline.compute("A", bars.assign(volume=1.0)[i : i + 1])
        widths.append(float(pipeline.states[0][f"m1_profile_{LENGTH}"]["width"]))
    assert widths[3:] == [1.0, 4.0, 270 / 24]  # 1 and 2 would need more than 128 rows


def test_a_profile_kept_up_equals_one_counted_again():
    rng = np.random.default_rng(6)
    close = 100 + np.cumsum(rng.normal(0, 0.5, 3_000))
    times = pd.date_range("2024-01-02 10:00", periods=3_000, freq="min", tz="UTC")
    wick = np.abs(rng.normal(0, 0.3, 3_000))
    frame = pd.DataFrame({"open_time": times, "open": close, "high": close + wick, "low": close - wick, "close": close})
    volume = rng.choice([0.0, 1e-8, 1.0, 1e6], 3_000) * rng.random(3_000)
    pipeline = FeaturePipeline(["A"], Catalog(profile(length=60, atr="close")))
    for start in range(0, 3_000, 37):
        pipeline.compute("A", frame.assign(volume=volume, **UNKNOWN)[start : start + 37])
        kept = pipeline.states["m1_profile_60"].copy()
        if start > 60:
            again = kept.copy()
            profiles.build(again[0], False)
            assert volumes_of(again[0]) == volumes_of(kept[0])
            assert again["total"] == kept["total"] == kept["rows"].sum()


def volumes_of(state) -> tuple[float, dict[int, int]]:
    held = {int(state["origin"]) + i: int(units) for i, units in enumerate(state["rows"]) if units}
    return float(state["width"]), held, int(state["origin"] + state["peak"])
