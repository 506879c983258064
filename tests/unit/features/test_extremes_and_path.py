"""Round prices and the path on hand-made bars."""

from decimal import Decimal as D

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import bars_of
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.extremes import day, extremes, round_number
from mikrobot.features.library.indicators import atr, log_return
from mikrobot.features.library.path import autocorrelation, efficiency, streak, variance_ratio
from mikrobot.features.pipeline import FeaturePipeline

PATH = Catalog(
    *log_return.each(length=(1, 5)),
    *efficiency.each(length=(10, 30)),
    variance_ratio(length=60),
    autocorrelation(half_life=60),
    streak(),
)


@pytest.mark.parametrize(
    ("symbol", "price", "above", "below"),
    [("BTCUSDT", 61_234.0, 66.0, 34.0), ("USDJPY", 109.97, 0.03, 0.07), ("BTCUSDT", 0.05123, 0.00007, 0.00003)],
)
def test_round_prices_read_off_by_hand(draw, symbol, price, above, below):
    bars = draw([price] * 3, high=[price * 1.001] * 3, low=[price * 0.999] * 3)
    rows = FeaturePipeline([symbol], Catalog(atr(length=1), round_number(multiple=1, atr="atr_1"))).frame(symbol, bars)
    unit = rows["m1_atr_1"].iloc[-1]
    assert rows["m1_round_1_above"].iloc[-1] * unit == pytest.approx(above, rel=1e-9)
    assert rows["m1_round_1_below"].iloc[-1] * unit == pytest.approx(below, rel=1e-9)


SYMBOLS = (
    *("EURUSD", "GBPUSD", "USDJPY", "USDCHF", "AUDUSD", "USDCAD", "XAUUSD"),
    *("BTCUSDT", "ETHUSDT", "ADAUSDT", "FILUSDT"),
)

DECADES = {symbol: (-1, 0, 1) for symbol in SYMBOLS} | {
    "XAUUSD": (2, 3, 4),
    "USDJPY": (1, 2, 3),
    "BTCUSDT": (3, 4, 5),
    "ETHUSDT": (2, 3, 4),
}
"""Powers of ten of the current and possible prices of each symbol."""


def near_round_prices(symbol, rng):
    """Return round prices of a symbol in three powers of ten, with their neighbours on the price grid."""
    tick = instrument(symbol).tick
    prices = set()
    for decade in (D(1).scaleb(power) for power in DECADES[symbol]):
        step = decade * (D("0.001") if instrument(symbol).closes else D("0.01"))
        whole = [int(decade / step), int(9 * decade / step), *rng.integers(decade / step, 10 * decade / step, 150)]
        prices |= {(int(steps) * step + away * tick).quantize(tick) for steps in whole for away in (-1, 0, 1)}
    return sorted(price for price in prices if price > 0)


def exactly(symbol, price, multiple):
    """Return the distances to the round prices in Decimal."""
    share = D("0.001") if instrument(symbol).closes else D("0.01")
    step = D(1).scaleb(price.adjusted()) * share * multiple
    return step - price % step, price % step


@pytest.mark.parametrize("multiple", [1, 10])
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_distances_to_round_prices_are_exact_on_the_whole_price_grid(draw, symbol, multiple):
    prices = near_round_prices(symbol, np.random.default_rng(4))
    floats = [float(price) for price in prices]
    floats += [price * (1 + side * 2e-16) for price in floats for side in (-1, 1)]  # as results of sums of ticks
    bars = draw(floats, high=[1.01 * price for price in floats], low=[0.99 * price for price in floats])
    catalog = Catalog(atr(length=1), round_number(multiple=multiple, atr="atr_1"))
    rows = FeaturePipeline([symbol], catalog).frame(symbol, bars)
    expected = np.array([exactly(symbol, price, multiple) for price in prices], "float64")
    expected = np.concatenate([expected, np.repeat(expected, 2, axis=0)])
    distances = rows[[f"m1_round_{multiple}_{side}" for side in ("above", "below")]].mul(rows["m1_atr_1"], axis=0)
    np.testing.assert_allclose(distances[1:], expected[1:], rtol=1e-6, atol=1e-9 * expected.sum(axis=1).max())
    pipeline = FeaturePipeline([symbol], catalog)
    streamed = [pipeline.update(bar).copy() for bar in bars_of(symbol, bars)]
    np.testing.assert_array_equal(streamed, rows[list(catalog.columns)])


def test_a_streak_counts_the_closes_that_went_the_same_way(draw):
    rows = FeaturePipeline(["A"], Catalog(log_return(length=1), streak())).frame("A", draw([1, 2, 3, 3, 2, 1, 0.5, 4]))
    np.testing.assert_array_equal(rows["m1_streak"], [np.nan, 1, 2, 0, -1, -2, -3, 1])


def test_a_straight_path_is_efficient_and_a_flat_market_has_a_defined_one(draw):
    straight = FeaturePipeline(["A"], PATH).frame("A", draw([1.01**n for n in range(80)]))
    flat = FeaturePipeline(["A"], PATH).frame("A", draw([1.01**n for n in range(80)] + [2.0] * 3_000)).iloc[-1]
    assert straight["m1_efficiency_30"].iloc[-1] == pytest.approx(1.0)
    assert straight["m1_variance_ratio_60"].iloc[-1] == pytest.approx(5.0)
    assert straight["m1_autocorrelation_60"].iloc[-1] == pytest.approx(1.0)
    assert (flat["m1_efficiency_30"], flat["m1_variance_ratio_60"], flat["m1_autocorrelation_60"]) == (0, 1, 0)


def test_the_extremes_of_an_hour_are_known_with_its_sixtieth_bar_and_move_on_with_every_bar(draw):
    closes = [5.0, *[3.0] * 59, 4.0, 3.0]
    rows = FeaturePipeline(["A"], Catalog(atr(length=1), extremes(length=60, atr="atr_1"))).frame("A", draw(closes))
    unit = rows["m1_atr_1"]
    assert rows["m1_extreme_60_above"][:59].isna().all()
    assert rows["m1_extreme_60_above"].iloc[59:].isna().tolist() == [True, False, False]  # no range at bar 59
    assert (rows["m1_extreme_60_above"] * unit).iloc[-2:].tolist() == [0, 1]
    assert (rows["m1_extreme_60_below"] * unit).iloc[-2:].tolist() == [1, 0]


def test_the_day_begins_at_five_in_new_york_on_fx_and_at_midnight_elsewhere(draw):
    times = {"start": pd.Timestamp("2024-03-11 20:58", tz="UTC"), "minutes": [0, 1, 2, 3, 183, 184]}
    catalog = Catalog(atr(length=1), day(atr="atr_1"))
    fx, crypto = (
        FeaturePipeline([name], catalog).frame(name, draw([1.0, 2, 5, 4, 2, 3], **times))
        for name in ("EURUSD", "BTCUSDT")
    )
    assert (fx["m1_day_above"] * fx["m1_atr_1"]).round(9).tolist()[2:] == [0, 1, 3, 2]
    assert (crypto["m1_day_above"] * crypto["m1_atr_1"]).round(9).fillna(-1).tolist() == [-1, -1, -1, -1, 0, 0]
    assert fx["m1_day_previous_above"].isna().all()
