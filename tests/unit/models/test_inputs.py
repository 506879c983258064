"""Inputs of the false-break and retest models: only rows with a break, mirrored by side."""

import numpy as np
import pytest

from mikrobot.features.catalog import CATALOG
from mikrobot.models.bos import BosInputs
from mikrobot.models.false_break import FalseBreakInputs
from mikrobot.models.inputs import SideInputs
from mikrobot.models.retest import RetestInputs

ALL = [BosInputs(5), BosInputs(15), RetestInputs(5), FalseBreakInputs(5)]
UP, DOWN = np.array([1], np.int8), np.array([-1], np.int8)


def row(inputs: SideInputs, **values: float) -> np.ndarray:
    return np.array([[values.get(name, 1.0) for name in inputs.columns]])


@pytest.mark.parametrize("inputs", ALL, ids=lambda inputs: f"{type(inputs).__name__} {inputs.swing}")
def test_every_column_is_one_of_the_catalog_and_named_once(inputs):
    assert set(inputs.columns) <= set(CATALOG.columns)
    assert len(set(inputs.columns)) == len(inputs.columns)
    assert len(set(inputs.names)) == len(inputs.names)


@pytest.mark.parametrize("inputs", ALL, ids=lambda inputs: f"{type(inputs).__name__} {inputs.swing}")
def test_nothing_is_infinite_where_a_market_is_flat(inputs):
    assert not np.isinf(inputs(np.zeros((1, len(inputs.columns))), UP)).any()


@pytest.mark.parametrize(("bos", "choch", "side"), [(1, 0, UP), (0, 1, UP), (-1, 0, DOWN), (0, -1, DOWN)])
def test_a_break_is_asked_about_on_its_own_side_only(bos, choch, side):
    inputs = FalseBreakInputs(5)
    values = row(
        inputs, m1_break_5_bos=bos, m1_break_5_choch=choch, m1_break_5_penetration=0.5, m1_break_5_broken=100.0,
        m1_tick=0.002,
    )  # fmt: skip
    assert inputs(values, side)[0, 0] == pytest.approx(0.005 - 0.001, rel=1e-2)
    assert np.isnan(inputs(values, -side)[0, 0])


def test_a_bar_without_a_break_is_not_asked_about():
    inputs = FalseBreakInputs(5)
    values = row(inputs, m1_break_5_bos=0.0, m1_break_5_choch=0.0)
    assert np.isnan(inputs(values, UP)[0, 0])
    assert np.isnan(inputs(values, DOWN)[0, 0])


def test_a_retest_is_asked_about_where_it_is_and_in_the_direction_of_the_break():
    inputs = RetestInputs(5)
    values = row(inputs, m1_retest_5_here=-1.0, m1_retest_5_distance=0.3)
    assert inputs(values, DOWN)[0, 0] == pytest.approx(0.3)
    assert np.isnan(inputs(values, UP)[0, 0])
    assert np.isnan(inputs(row(inputs, m1_retest_5_here=0.0), DOWN)[0, 0])
