"""Planted defects are found by column; a valid frame has no findings."""

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import DataError
from mikrobot.domain.market import Timeframe
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.features.quality import BINS, FEWEST, assess, clusters, correlations

ROWS = 3_000
NAN = float("nan")


@pytest.fixture(scope="module")
def sound(bars):
    slowest = max(spec.warmup for spec in CATALOG.specs)
    lead = FeaturePipeline(["LEAD"]).lead_rows("LEAD", bars(slowest + ROWS, seed=4))
    rows = FeaturePipeline(["EURUSD"]).frame("EURUSD", bars(slowest + ROWS, seed=3), lead)
    return rows.tail(ROWS).reset_index(drop=True)


@pytest.fixture
def rows(sound):
    return sound.copy()


def column(rows: pd.DataFrame, name: str):
    return next(quality for quality in assess("EURUSD", rows).columns if quality.spec.name == name)


def test_rows_of_an_ordinary_market_have_no_finding_but_columns_that_the_symbol_cannot_have(sound):
    quality = assess("EURUSD", sound)
    assert {text for texts in quality.findings.values() for text in texts} <= {
        f"never known in 3,000 rows: {spec.may_be_missing}" for spec in CATALOG.specs if spec.may_be_missing
    }
    assert all(name.startswith(("m1_lead_", "m1_book_")) for name in quality.findings), (
        "EURUSD has no lead and no order book; the bars have everything else"
    )
    assert (quality.symbol, quality.rows) == ("EURUSD", ROWS)
    assert (quality.first, quality.last) == (sound["close_time"].iloc[0], sound["close_time"].iloc[-1])
    assert [column_quality.spec.name for column_quality in quality.columns] == list(CATALOG.columns)


def test_values_that_get_lost_are_counted_where_none_may_be_missing(rows):
    rows.loc[:9, "m1_rsi_14"] = NAN
    rows.loc[100:149, "m1_rsi_14"] = NAN
    rows.loc[100:149, "m1_spread_atr"] = NAN
    quality = column(rows, "m1_rsi_14")
    assert quality.known == 1 - 60 / ROWS
    assert quality.lost == 50
    assert quality.findings == ("missing in 50 rows after its first value",)
    assert column(rows, "m1_spread_atr").findings == ()


def test_a_column_that_is_never_known_is_named(rows):
    rows["m1_spread_atr"] = NAN
    quality = column(rows, "m1_spread_atr")
    assert quality.findings == ("never known in 3,000 rows: the source has no spread, or the ATR is zero",)
    assert np.isnan(quality.quantiles).all()
    assert quality.histogram == ()


def test_values_out_of_range_are_counted_infinity_among_them(rows):
    rows.loc[[5, 6], "m1_rsi_14"] = [100.5, np.inf]
    rows.loc[7, "m1_return_1"] = -np.inf
    assert column(rows, "m1_rsi_14").findings == ("2 values outside of its range",)
    assert column(rows, "m1_return_1").out_of_range == 1


def test_a_column_that_stands_still_for_most_of_the_rows_is_stuck(rows):
    rows.loc[1_000:2_599, "m1_ema_9"] = 1.25
    quality = column(rows, "m1_ema_9")
    assert quality.longest_run == 1_600
    assert quality.findings == ("stuck at 1.25 for 1,600 of 3,000 rows",)


def test_a_run_of_a_higher_timeframe_counts_its_own_bars(rows):
    spec = next(spec for spec in CATALOG.specs if spec.name == "m5_ema_9")
    assert spec.timeframe is Timeframe.M5
    assert column(rows, "m5_ema_9").longest_run == 1
    rows.loc[100:159, "m5_ema_9"] = 1.25
    assert column(rows, "m5_ema_9").longest_run == 12


def test_outliers_are_found_by_the_median_absolute_deviation(rows):
    values = np.random.default_rng(0).normal(size=ROWS)
    values[:750] = 40.0
    quality = column(rows.assign(m1_return_1=values), "m1_return_1")
    by_hand = 0.6745 * np.abs(values - np.median(values)) / np.median(np.abs(values - np.median(values))) > 3.5
    assert by_hand.mean() >= 0.25
    assert quality.outliers == by_hand.mean()
    assert quality.findings == (f"{by_hand.mean():.0%} of the values are outliers",)


def test_a_price_that_wandered_off_is_no_finding(rows):
    rows.loc[:749, "m1_sma_9"] += 40.0
    quality = column(rows, "m1_sma_9")
    assert quality.outliers >= 0.25
    assert quality.findings == ()


def test_without_a_deviation_there_is_no_outlier_share(rows):
    assert column(rows, "m1_break_5_bos").outliers is None


def test_the_distribution_is_summed_up(rows):
    quality = column(rows.assign(m1_rsi_14=np.linspace(0, 100, ROWS)), "m1_rsi_14")
    assert quality.quantiles == pytest.approx((0, 1, 50, 99, 100))
    assert len(quality.histogram) == BINS
    assert max(quality.histogram) - min(quality.histogram) <= 2


def test_values_that_differ_by_rounding_only_have_no_histogram(rows):
    rows["m1_sma_200"] = np.where(np.arange(ROWS) % 2 == 0, 40_000.0, np.nextafter(40_000.0, np.inf))
    assert column(rows, "m1_sma_200").histogram == ()


def test_redundant_columns_are_grouped_whatever_their_sign_and_shape():
    rng = np.random.default_rng(1)
    base, other = rng.normal(size=(2, 2_000))
    frame = pd.DataFrame(
        {"base": base, "other": other, "falling": -np.exp(base), "near": base + 0.01 * rng.normal(size=2_000)}
    )
    (cluster,) = clusters(frame.assign(flat=1.0))
    assert cluster.columns == ("base", "falling", "near")
    exact = frame[["base", "falling", "near"]].corr(method="spearman").abs().to_numpy().min()
    assert cluster.weakest >= 0.95
    assert cluster.weakest == pytest.approx(exact, abs=1e-12)


def test_correlations_are_those_of_pandas_over_the_rows_where_both_are_known():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.normal(size=(400, 6)).cumsum(axis=0))
    frame[frame.index % 7 == 3] = frame[frame.index % 7 == 3].where(rng.random((57, 6)) < 0.5)
    frame.loc[350:, 0] = np.nan
    frame.loc[:320, 1] = np.nan  # too few rows in common with 0
    frame.loc[:200, 2] = 4.0
    frame.loc[201:, 3] = np.nan  # where 3 is known, 2 is constant
    expected = frame.corr(min_periods=FEWEST).to_numpy()
    assert np.isnan(expected[2, 3])
    np.testing.assert_allclose(correlations(frame.to_numpy()), np.nan_to_num(expected), atol=1e-12)


def test_every_pair_of_a_cluster_reaches_the_bound_not_only_neighbours():
    steps = np.cumsum(np.random.default_rng(2).normal(size=(2_000, 8)) * [1, *[0.3] * 7], axis=1)
    for cluster in clusters(pd.DataFrame(steps, columns=[f"c{number}" for number in range(8)])):
        assert cluster.weakest >= 0.95


def test_too_few_rows_and_a_missing_column_are_refused_by_name(rows):
    with pytest.raises(DataError, match="EURUSD: expected at least 100 rows to assess quality, found 99"):
        assess("EURUSD", rows.head(99))
    with pytest.raises(DataError, match="missing m1_rsi_14"):
        assess("EURUSD", rows.drop(columns="m1_rsi_14"))
