"""The forming M5 bar on hand-made bars; the ATR is 2 on both timeframes."""

from datetime import UTC, datetime

import numpy as np
import pytest

from mikrobot.domain.market import Timeframe
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.kernel.feature import PRICE, feature, on
from mikrobot.features.library.forming import forming, forming_levels
from mikrobot.features.library.indicators import ema
from mikrobot.features.library.lead import lead_return
from mikrobot.features.pipeline import FeaturePipeline

NAN = float("nan")


@feature("two", PRICE, warmup=lambda: 0)
def two(close: float) -> float:
    """Return a fixed ATR."""
    return 2.0


@feature("level_{price}", PRICE, warmup=lambda price: 0)
def level(close: float, price: float) -> float:
    """Return a fixed level."""
    return price


FORMING = Catalog(*on(Timeframe.M5, [two(), forming(minutes=5, atr="two")]))


def shown(bars, catalog=FORMING):
    return FeaturePipeline(["EURUSD"], catalog).frame("EURUSD", bars)


def at(minute):
    return datetime(2024, 1, 2, 10, minute, tzinfo=UTC)


def test_values_are_of_the_minutes_so_far_and_restart_with_the_next_bar(draw):
    first = [10, 10, 10, 10, 10]
    bars = draw(
        [*first, 12, 11, 13, 9, 10, 8],
        high=[*first, 14, 14, 15, 13, 10, 8],
        low=[*first, 10, 9, 11, 9, 9, 7],
        start=at(0),
    )
    rows = shown(bars)
    assert rows["m5_forming_return"][4:].tolist() == [0, 0, -0.5, 0.5, -1.5, -1, 0]
    assert rows["m5_forming_high"][4:].tolist() == [0, 1, 1.5, 1, 3, 2.5, 0]
    assert rows["m5_forming_low"][4:].tolist() == [0, 1, 1, 2, 0, 0.5, 0.5]
    assert rows["m5_forming_range"][4:].tolist() == [0, 2, 2.5, 3, 3, 3, 0.5]
    assert rows["m5_forming_position"][4:].tolist() == pytest.approx([0.5, 0.5, 0.4, 2 / 3, 0, 1 / 6, 1])
    assert rows["m5_forming_minutes_left"][4:].tolist() == [0, 4, 3, 2, 1, 0, 4]


def test_values_in_atr_wait_for_it_and_the_others_do_not(draw):
    rows = shown(draw([10] * 6, start=at(0)))
    assert rows["m5_forming_range"].isna().tolist() == [True] * 4 + [False] * 2
    assert rows["m5_forming_minutes_left"].tolist() == [4, 3, 2, 1, 0, 4]


def test_a_bar_joined_midway_is_missing_until_the_next_one(draw):
    rows = shown(draw([10] * 6, start=at(2)))
    np.testing.assert_array_equal(rows["m5_forming_minutes_left"], [NAN, NAN, NAN, 4, 3, 2])


def test_minutes_without_a_bar_are_passed_over(draw):
    rows = shown(draw([10] * 4, start=at(0), minutes=[0, 3, 7, 19]))
    assert rows["m5_forming_minutes_left"].tolist() == [4, 1, 2, 0]


def test_distances_to_unbroken_levels_are_in_both_atr_and_negative_beyond_them(draw):
    distances = forming_levels(side=5, above="level_12", below="level_7", atr="two", atr_m1="m1_level_4")
    levels = level.each(price=(12, 7))
    catalog = Catalog(level(price=4), *on(Timeframe.M5, [two(), *levels, distances]))
    rows = shown(draw([10, 10, 10, 10, 10, 13, 6], start=at(0)), catalog)
    assert rows["m5_forming_5_above"][4:].tolist() == [1, -0.5, 3]
    assert rows["m5_forming_5_below"][4:].tolist() == [1.5, 3, -0.5]
    assert rows["m5_forming_5_above_m1"][4:].tolist() == [0.5, -0.25, 1.5]
    assert rows["m5_forming_5_below_m1"][4:].tolist() == [0.75, 1.5, -0.25]


def test_m1_has_no_forming_bar():
    with pytest.raises(ValueError, match="m1_forming uses a forming bar, but M1 bars are always closed"):
        Catalog(two(), forming(minutes=1, atr="two"))


def test_a_closed_bar_has_no_elapsed_time():
    with pytest.raises(ValueError, match="m5_ema_2 needs elapsed, which only a forming bar has"):
        Catalog(*on(Timeframe.M5, [ema(length=2, close="elapsed")]))


def test_the_lead_is_read_on_m1_only():
    with pytest.raises(ValueError, match="m5_lead_return_1 reads the lead, which is available on M1 only"):
        Catalog(*on(Timeframe.M5, [lead_return(length=1)]))


def test_a_column_that_the_lead_does_not_have_is_refused():
    with pytest.raises(ValueError, match="m1_lead_return_1 needs lead_m1_return_1, lead_m1_volatility_60"):
        Catalog(lead_return(length=1))


CLOSES = Catalog(ema(length=1), *on(Timeframe.M5, [ema(length=1)]))


def closes(bars, sizes=(100,)):
    pipeline = FeaturePipeline(["EURUSD"], CLOSES)
    rows, start = [], 0
    for size in sizes:
        frame = pipeline.frame("EURUSD", bars.iloc[start : start + size], timeframe=Timeframe.M5)
        rows += [(time.minute, *values) for time, *values in frame.drop(columns="symbol").itertuples(index=False)]
        start += size
    return rows


def test_rows_of_five_minutes_are_what_is_known_at_their_close(draw):
    bars = draw([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], start=at(0))
    assert closes(bars) == [(5, 5, 5), (10, 10, 10)]


@pytest.mark.parametrize("sizes", [(9,), (1,) * 9, (4, 5), (3, 2, 4)])
def test_a_bar_whose_last_minutes_are_missing_has_its_row_at_its_close_and_an_empty_one_none(draw, sizes):
    #             :00 :01 :03 | :07 | :19 | :20 :24 | :25 :28
    bars = draw([1, 2, 3, 4, 5, 6, 7, 8, 9], start=at(0), minutes=[0, 1, 3, 7, 19, 20, 24, 25, 28])
    assert closes(bars, sizes) == [(5, 3, 3), (10, 4, 4), (20, 5, 5), (25, 7, 7)]


def test_rows_of_five_minutes_leave_the_state_as_rows_of_one_do(draw):
    bars = draw(list(range(1, 40)), start=at(0), minutes=[m for m in range(45) if m % 7 != 4])
    one, five = FeaturePipeline(["EURUSD"]), FeaturePipeline(["EURUSD"])
    one.compute("EURUSD", bars)
    five.frame("EURUSD", bars[:20], timeframe=Timeframe.M5)
    five.compute("EURUSD", bars[20:])
    assert one.rows.tobytes() == five.rows.tobytes()
