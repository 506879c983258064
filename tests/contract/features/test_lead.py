"""The join with the lead: as of the close, equal in stream and batch, never from the future."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import DataError
from mikrobot.domain.market import bars_of
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline

LED = [name for name in CATALOG.columns if name.startswith("m1_lead_")]
STALE = pd.Timedelta(minutes=5)


def pair():
    return FeaturePipeline(["A", "LEAD"], lead_of={"A": "LEAD"})


def test_columns_are_those_of_the_leads_newest_row_that_had_closed_and_is_not_stale(bars, lead_bars, led):
    lead = FeaturePipeline(["LEAD"]).frame("LEAD", lead_bars).rename(columns={"close_time": "lead_time"})
    joined = pd.merge_asof(led[["close_time"]], lead, left_on="close_time", right_on="lead_time")
    fresh = joined["close_time"] - joined["lead_time"] <= STALE
    assert 0.9 < fresh.mean() < 1
    for length in (1, 5, 15):
        volatility = joined["m1_volatility_60"].where(joined["m1_volatility_60"] > 0)
        expected = (joined[f"m1_return_{length}"] / (volatility * np.sqrt(length))).where(fresh)
        np.testing.assert_array_equal(led[f"m1_lead_return_{length}"], expected)
    for side in (5, 15):
        for part in ("bos", "trend"):
            expected = joined[f"m1_break_{side}_{part}"].where(fresh)
            np.testing.assert_array_equal(led[f"m1_lead_break_{side}_{part}"], expected)
            assert led[f"m1_lead_break_{side}_{part}"].nunique() == 3


def test_nothing_that_comes_later_changes_a_row(bars, lead_bars, led):
    whole = led[list(CATALOG.columns)].to_numpy()
    for length in np.random.default_rng(4).integers(1, 4_000, size=50):
        until = bars["open_time"].iloc[length - 1]
        rows = FeaturePipeline(["LEAD"]).lead_rows("LEAD", lead_bars[lead_bars["open_time"] <= until])
        emitted = FeaturePipeline(["A"]).compute("A", bars[:length], rows)
        assert emitted.tobytes() == whole[:length].tobytes()


def test_without_a_lead_its_columns_are_missing_and_all_others_the_same(led, alone):
    assert len(LED) == 7
    assert alone[LED].isna().all(axis=None)
    pd.testing.assert_frame_equal(alone.drop(columns=LED), led.drop(columns=LED), check_exact=True)


def test_pieces_of_lead_rows_are_enough(bars, lead_rows, led):
    pipeline = FeaturePipeline(["A"])
    pieces = []
    for start in range(0, len(bars), 901):
        piece = bars[start : start + 901]
        first, last = piece["open_time"].iloc[[0, -1]] + pd.Timedelta(minutes=1)
        before = lead_rows[lead_rows["close_time"] < first].tail(1)
        inside = lead_rows[lead_rows["close_time"].between(first, last)]
        pieces.append(pipeline.frame("A", piece, pd.concat([before, inside])))
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True)[LED], led[LED], check_exact=True)


def test_snapshots_of_a_follower_and_its_lead_continue_as_if_uninterrupted(bars, lead_bars, led):
    in_order = sorted([*bars_of("LEAD", lead_bars), *bars_of("A", bars)], key=lambda bar: bar.open_time)
    cut = bars["open_time"].iloc[2_000]
    before, resumed = pair(), pair()
    for bar in (bar for bar in in_order if bar.open_time < cut):
        before.update(bar)
    for symbol in resumed.symbols:
        resumed.restore(symbol, before.snapshot(symbol))
    rows = {symbol: [] for symbol in resumed.symbols}
    for bar in (bar for bar in in_order if cut <= bar.open_time < cut + timedelta(minutes=300)):
        rows[bar.symbol].append(resumed.update(bar).copy())
    expected = led[list(CATALOG.columns)].to_numpy()[2_000 : 2_000 + len(rows["A"])]
    assert len(expected) > 200
    assert np.array(rows["A"]).tobytes() == expected.tobytes()


def test_a_lead_that_ran_ahead_is_never_read_from_the_future(draw_pair):
    pipeline, lead, follower = draw_pair
    for bar in lead[:100]:
        pipeline.update(bar)
    values = dict(zip(CATALOG.columns, pipeline.update(follower[90]), strict=True))
    assert np.isnan([values[name] for name in LED]).all()
    values = dict(zip(CATALOG.columns, pipeline.update(follower[99]), strict=True))
    assert np.isfinite([values[name] for name in LED]).all()


def test_a_lead_is_known_for_five_minutes(draw_pair):
    pipeline, lead, follower = draw_pair
    for bar in lead[:100]:
        pipeline.update(bar)
    is_known = [
        bool(np.isfinite(pipeline.update(bar)[CATALOG.columns.index("m1_lead_return_1")])) for bar in follower[99:108]
    ]
    assert is_known == [True] * 6 + [False] * 3


@pytest.fixture
def draw_pair(bars, lead_bars):
    """A pipeline of two symbols, and two hundred bars of each without a gap."""
    times = pd.date_range("2024-03-01", periods=200, freq="min", tz="UTC").as_unit("us")
    lead, follower = (frame[:200].assign(open_time=times) for frame in (lead_bars, bars))
    return pair(), bars_of("LEAD", lead), bars_of("A", follower)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows.drop(columns="m1_return_5"), "A: the rows of its lead lack m1_return_5"),
        (lambda rows: rows.iloc[::-1], "A: expected the rows of its lead in time order"),
    ],
)
def test_lead_rows_that_cannot_be_joined_are_refused_and_change_nothing(bars, lead_rows, spoil, message):
    pipeline = FeaturePipeline(["A"])
    before = pipeline.snapshot("A")
    with pytest.raises(DataError, match=message):
        pipeline.compute("A", bars[:100], spoil(lead_rows))
    assert pipeline.snapshot("A") == before
