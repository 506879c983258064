import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from mikrobot.domain.market import Timeframe, empty_bars
from mikrobot.market.aggregate import aggregate

RULES = {Timeframe.M5: "5min", Timeframe.H1: "1h"}


def naive(bars, timeframe):
    grouped = bars.groupby(bars["open_time"].dt.floor(RULES[timeframe]))
    rules = {"open": "first", "high": "max", "low": "min", "close": "last"}
    table = grouped.agg(rules).assign(
        volume=grouped["volume"].agg(lambda part: part.sum(skipna=False)),
        spread=grouped["spread"].agg(lambda part: part.iloc[-1]),
        trades=grouped["trades"].agg(lambda part: part.sum(skipna=False)),
        taker_volume=grouped["taker_volume"].agg(lambda part: part.sum(skipna=False)),
    )
    reached = bars["open_time"].iloc[-1] + pd.Timedelta("1min")
    table = table[table.index + pd.Timedelta(RULES[timeframe]) <= reached]
    return table.rename_axis("open_time").reset_index()


@pytest.fixture
def holey(make_bars):
    """Three days without a tenth of the minutes and some hours, and with some unknown volumes."""
    bars = make_bars(3 * 1440)
    rng = np.random.default_rng(5)
    kept = rng.random(len(bars)) > 0.1
    kept[700:1000] = False
    bars.loc[rng.integers(0, len(bars), 20), "volume"] = np.nan
    return bars[kept].reset_index(drop=True)


@pytest.mark.parametrize("timeframe", RULES)
def test_equals_a_naive_groupby_on_bars_with_holes(holey, timeframe):
    assert_frame_equal(aggregate(holey, timeframe), naive(holey, timeframe))


def test_hours_from_minutes_equal_hours_from_five_minutes_at_every_cut(holey):
    for cut in range(1, len(holey), 17):
        bars = holey.iloc[:cut]
        by_way_of_m5 = aggregate(aggregate(bars, Timeframe.M5), Timeframe.H1, of=Timeframe.M5)
        assert_frame_equal(aggregate(bars, Timeframe.H1), by_way_of_m5)


def test_bars_once_given_never_change_when_more_follow(holey):
    whole = aggregate(holey, Timeframe.M5)
    for cut in range(1, len(holey), 13):
        part = aggregate(holey.iloc[:cut], Timeframe.M5)
        assert_frame_equal(part, whole.iloc[: len(part)])


def test_a_bar_appears_with_its_last_minute_and_not_before(make_bars):
    bars = make_bars(10)
    assert len(aggregate(bars.iloc[:9], Timeframe.M5)) == 1
    assert len(aggregate(bars, Timeframe.M5)) == 2


def test_one_unknown_volume_makes_the_sum_unknown_and_leaves_the_others(make_bars):
    bars = make_bars(10)
    bars.loc[2, "volume"] = np.nan
    volume = aggregate(bars, Timeframe.M5)["volume"]
    assert np.isnan(volume[0])
    assert volume[1] == bars["volume"].iloc[5:].sum()


def test_no_bars_give_no_bars():
    assert_frame_equal(aggregate(empty_bars(), Timeframe.M5), empty_bars())


def test_refuses_a_timeframe_that_is_not_a_multiple(make_bars):
    with pytest.raises(ValueError, match="M5 bars cannot be built from H1 bars"):
        aggregate(make_bars(1), Timeframe.M5, of=Timeframe.H1)
