"""Higher-timeframe bars on hand-made bars: an average of length 1 is the last closed bar's close."""

from datetime import UTC, datetime

import numpy as np

from mikrobot.domain.market import Timeframe
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.kernel.feature import RATIO, Output, feature, on
from mikrobot.features.library.indicators import ema
from mikrobot.features.library.oscillators import stochastic
from mikrobot.features.pipeline import FeaturePipeline

NAN = float("nan")
LAST_CLOSE = Catalog(*on(Timeframe.M5, [ema(length=1)]))


def shown(bars, catalog=LAST_CLOSE):
    return FeaturePipeline(["EURUSD"], catalog).compute("EURUSD", bars)[:, 0]


def at(minute):
    return datetime(2024, 1, 2, 10, minute, tzinfo=UTC)


def test_a_bar_is_known_at_its_close_and_holds_until_the_next(draw):
    bars = draw([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], start=at(0))
    np.testing.assert_array_equal(shown(bars), [NAN, NAN, NAN, NAN, 5, 5, 5, 5, 5, 10, 10])


def test_a_first_bar_joined_midway_is_not_shown(draw):
    bars = draw([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], start=at(2))
    np.testing.assert_array_equal(shown(bars), [NAN] * 7 + [8, 8, 8])


def test_a_first_bar_joined_midway_is_not_shown_after_a_gap_either(draw):
    bars = draw([1, 2, 3, 4], start=at(2), minutes=[0, 1, 4, 7])
    np.testing.assert_array_equal(shown(bars), [NAN, NAN, NAN, 4])


def test_a_bar_whose_last_minute_is_missing_is_known_with_the_next_minute(draw):
    bars = draw([1, 2, 3, 4, 5], start=at(0), minutes=[0, 1, 3, 6, 9])
    np.testing.assert_array_equal(shown(bars), [NAN, NAN, NAN, 3, 5])


def test_a_bar_whose_first_minute_is_missing_counts_once_the_stream_runs(draw):
    bars = draw([1, 2, 3, 4], start=at(4), minutes=[0, 3, 4, 5])
    np.testing.assert_array_equal(shown(bars), [NAN, NAN, NAN, 4])


def test_two_bars_closed_by_one_minute_are_both_taken_in(draw):
    two = Catalog(*on(Timeframe.M5, [ema(length=2)]))
    bars = draw([2, 4], start=at(0), minutes=[0, 9])
    np.testing.assert_array_equal(shown(bars, two), [NAN, 3])


def test_high_low_and_close_are_those_of_the_five_minutes(draw):
    # Stochastic of one bar: (close - low) / (high - low) = (4 - 1) / (6 - 1).
    one = Catalog(*on(Timeframe.M5, [stochastic(length=1, smooth=1, signal=1)]))
    bars = draw([2, 3, 5, 3, 4], high=[2, 3, 6, 3, 4], low=[2, 1, 5, 3, 4], start=at(0))
    np.testing.assert_allclose(shown(bars, one), [NAN, NAN, NAN, NAN, 60])


@feature("flow", {"trades": Output(RATIO, "Trades"), "bought": Output(RATIO, "Bought")}, warmup=lambda: 0)
def flow(trades: float, taker_volume: float) -> tuple[float, float]:
    """Return the trades and the taker volume of a bar."""
    return trades, taker_volume


def test_trades_and_what_takers_bought_are_sums_and_unknown_if_a_part_is(draw):
    bars = draw([1] * 10, start=at(0)).assign(volume=9.0, trades=np.arange(10.0), taker_volume=np.arange(10) / 2)
    bars.loc[7, "trades"] = np.nan
    rows = FeaturePipeline(["A"], Catalog(*on(Timeframe.M5, [flow()]))).compute("A", bars)
    np.testing.assert_array_equal(rows[4], [0 + 1 + 2 + 3 + 4, 5])
    np.testing.assert_array_equal(rows[9], [NAN, NAN])
