"""Faults that a live row is flagged for, and values that are allowed."""

import numpy as np
import pytest

from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.indicators import atr, log_return, spread_atr
from mikrobot.features.library.oscillators import rsi
from mikrobot.features.pipeline import FeaturePipeline, Seen
from mikrobot.features.row_check import STILL, RowCheck

SMALL = Catalog(rsi(length=14), atr(length=14), log_return(length=1), spread_atr())
SOUND = np.array([55.0, 0.0002, -0.0001, 0.4])
LONG_AGO = Seen(bars=1_000, still=0)
NAN, INF = float("nan"), float("inf")


def flaw(column: str, value: float, seen: Seen = LONG_AGO) -> str:
    values = SOUND.copy()
    values[SMALL.columns.index(column)] = value
    return RowCheck(SMALL)(values, seen)


def test_a_sound_row_is_not_flagged():
    assert RowCheck(SMALL)(SOUND, LONG_AGO) == ""


@pytest.mark.parametrize("value", [100.0001, -1.0, INF])
def test_a_value_out_of_its_range_is_named_with_its_range(value):
    assert flaw("m1_rsi_14", value) == f"m1_rsi_14 is {value:g}, expected it finite and within [0, 100]"


def test_infinity_is_flagged_where_the_range_has_no_bounds():
    assert "m1_return_1 is -inf" in flaw("m1_return_1", -INF)


def test_a_value_may_be_missing_during_the_warm_up_and_not_after():
    assert flaw("m1_rsi_14", NAN, Seen(bars=14, still=0)) == ""
    assert flaw("m1_rsi_14", NAN, Seen(bars=15, still=0)) == (
        "m1_rsi_14 is missing after 15 bars, expected it known after 14"
    )


def test_a_value_may_be_missing_for_a_declared_reason():
    assert flaw("m1_spread_atr", NAN) == ""


def test_a_price_that_does_not_move_for_long_is_a_stuck_feed():
    assert RowCheck(SMALL)(SOUND, Seen(1_000, STILL - 1)) == ""
    assert f"not moved for {STILL} bars" in RowCheck(SMALL)(SOUND, Seen(1_000, STILL))


def test_of_many_faults_some_are_named_and_the_rest_is_counted():
    reason = RowCheck(SMALL)(np.full(4, INF), LONG_AGO)
    assert reason.count("expected") == 3
    assert reason.endswith("; 1 more columns")


def test_the_pipeline_counts_bars_and_those_without_a_move_across_a_restart(draw):
    frame = draw([1.0, 1.1, 1.1, 1.1, 1.2, 1.2], high=[1.0, 1.1, 1.1, 1.1, 1.3, 1.2])
    first, second = FeaturePipeline(["A"], SMALL), FeaturePipeline(["A"], SMALL)
    first.compute("A", frame[:4])
    assert first.seen("A") == Seen(bars=4, still=2)
    second.restore("A", first.snapshot("A"))
    second.compute("A", frame[4:5])
    assert second.seen("A") == Seen(bars=5, still=0)
    second.compute("A", frame[5:])
    assert second.seen("A") == Seen(bars=6, still=1)


def test_rows_of_an_ordinary_market_pass_from_the_first_bar_on(bars):
    check, pipeline = RowCheck(), FeaturePipeline(["A"])
    rows = pipeline.compute("A", bars(3_000, gaps=0.05))
    assert {check(row, Seen(number, 0)) for number, row in enumerate(rows, start=1)} == {""}
    assert len(rows[0]) == len(CATALOG.columns)
