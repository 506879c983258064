"""Price action features compared with the definitions in `patterns`, on generated and on real bars."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.market import Timeframe
from mikrobot.features.catalog import CATALOG
from tests.contract.features import patterns

LENGTH = 20_000

NAIVE: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    **{f"swing_{side}": lambda frame, side=side: patterns.swing(frame, side) for side in (5, 15)},
    **{f"break_{side}": lambda frame, side=side: patterns.breaks(frame, side) for side in (5, 15)},
    **{f"wick_{side}": lambda frame, side=side: patterns.breaks(frame, side, by_wick=True) for side in (5, 15)},
    **{f"sequence_{side}": lambda frame, side=side: patterns.sequence(frame, side) for side in (5, 15)},
    **{f"grab_{side}": lambda frame, side=side: patterns.grab(frame, side) for side in (5, 15)},
    **{f"retest_{side}": lambda frame, side=side: patterns.retest(frame, side) for side in (5, 15)},
    "levels_5": lambda frame: patterns.levels(frame, 5),
    "order_block_5": lambda frame: patterns.order_block(frame, 5),
    "displacement": patterns.displacement,
    "gap": patterns.gap,
}
ON_M5 = ("swing_5", "break_5", "sequence_5", "grab_5", "retest_5", "levels_5", "order_block_5", "displacement", "gap")
MARKETS = pytest.mark.parametrize("market", ["made up", "EURUSD 2019"])


@pytest.fixture
def both(market, request):
    """Bars and their feature rows."""
    names = ("bars", "matrix") if market == "made up" else ("real_bars", "real_matrix")
    frame, rows = (request.getfixturevalue(name).iloc[:LENGTH] for name in names)
    return frame.reset_index(drop=True), rows.reset_index(drop=True)


def assert_column(rows: pd.DataFrame, column: str, expected: np.ndarray) -> None:
    assert len(np.unique(expected[~np.isnan(expected)])) > 1, f"{column} is constant here"
    np.testing.assert_allclose(rows[column], expected, rtol=1e-9, atol=1e-9, err_msg=column)


@MARKETS
@pytest.mark.parametrize("name", NAIVE)
def test_m1_price_action_equals_its_definition(both, name):
    frame, rows = both
    for suffix, expected in NAIVE[name](frame).items():
        assert_column(rows, f"m1_{name}_{suffix}".rstrip("_"), expected.to_numpy(float))


@MARKETS
@pytest.mark.parametrize("name", ON_M5)
def test_m5_price_action_equals_its_definition_on_closed_bars(both, name):
    frame, rows = both
    start = frame["open_time"].dt.floor(Timeframe.M5.delta)
    closed = frame.groupby(start).agg({"open": "first", "high": "max", "low": "min", "close": "last"})
    closed = closed.iloc[int(frame["open_time"][0] != start[0]) :]  # an incomplete first bar is not used
    last = (closed.index + Timeframe.M5.delta).searchsorted(rows["close_time"], side="right") - 1
    for suffix, expected in NAIVE[name](closed.reset_index(drop=True)).items():
        held = np.where(last >= 0, expected.to_numpy(float)[last.clip(0)], np.nan)
        assert_column(rows, f"m5_{name}_{suffix}".rstrip("_"), held)


def test_every_feature_of_price_action_is_compared():
    modules = ("structure", "levels", "zones")
    entries = [entry for entry in CATALOG.entries if entry.feature.module.rpartition(".")[2] in modules]
    compared = {f"m1_{name}" for name in NAIVE} | {f"m5_{name}" for name in ON_M5}
    assert {entry.name for entry in entries} == compared
