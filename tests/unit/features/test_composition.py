"""Specifications and errors of a catalog, and the coverage of its version."""

import importlib.util
import re
import sys
from math import inf

import numpy as np
import pytest

from mikrobot.domain.market import Timeframe
from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.kernel.feature import DIFFERENCE, HELD, Feature, fading, feature, on
from mikrobot.features.kernel.parts import AVERAGE, State, exponential
from mikrobot.features.library.indicators import atr, ema, sma, volatility
from mikrobot.features.library.oscillators import rsi
from mikrobot.features.library.structure import breaks, swing
from mikrobot.features.pipeline import FeaturePipeline

BREAKS = [
    f"{family}_{value}"
    for family in ("m1_break_5", "m1_break_15", "m5_break_5")
    for value in ("bos", "choch", "trend", "penetration", "above", "below", "above_distance", "below_distance")
]
SWINGS = [
    f"{family}_{value}"
    for family in ("m1_swing_5", "m1_swing_15", "m5_swing_5")
    for value in ("high", "high_age", "low", "low_age")
]
INDICATORS = ["m1_atr_14", "m1_rsi_14", "m1_ema_200", "m5_atr_14", "h1_rsi_14", "m1_return_60", "m1_volatility_240"]
CONTEXT = ["m1_minute_sin", "m1_minute_cos", "m1_spread_atr"]


@feature("volume_change_{length}", DIFFERENCE, state=lambda length: {"mean": AVERAGE}, warmup=lambda length: length - 1)
def volume_change(state: State, volume: float, length: int) -> float:
    """Volume minus its average over `length` bars."""
    return volume - exponential(state.mean, volume, length)


def test_columns_are_unique_and_named_by_timeframe():
    assert len(set(CATALOG.columns)) == len(CATALOG.columns) >= 70
    assert all(re.fullmatch(r"(m1|m5|h1)_[a-z0-9_]+", column) for column in CATALOG.columns)


@pytest.mark.parametrize("column", BREAKS + SWINGS + INDICATORS + CONTEXT)
def test_columns_used_elsewhere_exist(column):
    assert column in CATALOG.columns


def test_there_is_one_complete_spec_for_each_column_in_order():
    assert tuple(spec.name for spec in CATALOG.specs) == CATALOG.columns
    for spec in CATALOG.specs:
        assert spec.name.startswith(spec.timeframe.value.lower())
        assert spec.low < spec.high
        assert spec.unit
        assert len(spec.summary) > 10
        assert "`" not in spec.summary
    assert len({(spec.timeframe, spec.summary) for spec in CATALOG.specs}) == len(CATALOG.specs)


def test_only_a_swing_has_a_lag():
    lags = {spec.name: spec.lag for spec in CATALOG.specs if spec.lag}
    assert {lags[name] for name in lags if name.startswith("m1_swing_15")} == {15}
    assert {lags[name] for name in lags if name.startswith("m5_swing_5")} == {25}
    assert CATALOG.specs[CATALOG.columns.index("m5_rsi_14")].lag == 0


def test_a_reference_is_that_of_the_docstring():
    spec = CATALOG.specs[CATALOG.columns.index("m1_rsi_14")]
    assert spec.reference == "J. W. Wilder, New Concepts in Technical Trading Systems (1978)."


def test_wiring_to_a_column_that_nothing_makes_is_refused():
    with pytest.raises(ValueError, match="m1_volume_change_5 needs m1_nothing"):
        Catalog(volume_change(length=5, volume="nothing"))


def test_a_higher_timeframe_cannot_read_a_lower_one():
    with pytest.raises(ValueError, match="m5_ema_3 needs m1_ema_9"):
        Catalog(ema(length=9), *on(Timeframe.M5, [ema(length=3, close="m1_ema_9")]))


def test_making_a_column_twice_is_refused():
    with pytest.raises(ValueError, match="m1_ema_9 computes m1_ema_9 a second time"):
        Catalog(ema(length=9), ema(length=9))


def test_features_of_features_add_their_warmup(draw):
    catalog = Catalog(ema(length=9), ema(length=5, close="ema_9"))
    values = FeaturePipeline(["EURUSD"], catalog).compute("EURUSD", draw(range(1, 21)))[:, 1]
    assert [spec.warmup for spec in catalog.specs] == [8, 12]
    assert np.isnan(values).tolist() == [True] * 12 + [False] * 8


def test_warmup_of_higher_timeframes_counts_the_bar_joined_midway():
    catalog = Catalog(*on(Timeframe.M5, [ema(length=2), volume_change(length=2, volume="ema_2")]))
    assert [spec.warmup for spec in catalog.specs] == [13, 18]


def test_features_of_features_add_their_tails_and_reasons():
    catalog = Catalog(rsi(length=14), sma(length=3, close="rsi_14"), ema(length=9, close="sma_3"), sma(length=9))
    fading_14, fading_9 = fading(1 / 14).bars, fading(2 / 10).bars
    assert [spec.settled for spec in catalog.specs] == [14 + fading_14, 16 + fading_14, 24 + fading_14 + fading_9, 8]
    assert [bool(spec.tail) for spec in catalog.specs] == [True, True, True, False]


def test_an_input_that_is_held_leaves_open_when_a_column_has_settled_even_if_it_is_optional():
    catalog = Catalog(atr(length=14), swing(side=5), breaks(side=5), sma(length=3, close="swing_5_high"))
    specs = {spec.name: spec for spec in catalog.specs}
    assert specs["m1_break_5_above"].settled == specs["m1_sma_3"].settled == inf
    assert HELD.reason in specs["m1_sma_3"].tail
    assert specs["m1_break_5_above"].tail == f"{HELD.reason}; {fading(1 / 14).reason}"


def test_an_unknown_input_gives_nan_and_leaves_the_state_alone(draw):
    frame = draw([1.0] * 60).assign(volume=np.arange(60.0))
    is_known = (np.arange(60) % 3 > 0).tolist()
    catalog = Catalog(volume_change(length=5))
    holes = FeaturePipeline(["A"], catalog).compute("A", frame.assign(volume=frame["volume"].where(is_known)))[:, 0]
    without = FeaturePipeline(["A"], catalog).compute("A", frame[is_known])[:, 0]
    assert np.isnan(holes[::3]).all()
    assert holes[is_known].tobytes() == without.tobytes()


@feature("smooth_{length}", DIFFERENCE, state=lambda length: {"mean": AVERAGE}, warmup=lambda length: length - 1)
def merge(state: State, close: float, length: int) -> float:
    """Exponential average, with the name of a function of the composed step."""
    return exponential(state.mean, close, length)


def test_a_step_may_be_named_like_anything(draw):
    bars = draw([1, 2, 3, 4, 5, 6])
    catalog = Catalog(merge(length=1), *on(Timeframe.M5, [ema(length=1)]))
    rows = FeaturePipeline(["EURUSD"], catalog).compute("EURUSD", bars)
    assert rows[-1].tolist() == [6, 5]


def test_the_composed_source_reads_as_one_line_a_feature():
    source = Catalog(ema(length=9), rsi(length=14), *on(Timeframe.M5, [rsi(length=14)])).source
    assert "m1_ema_9 = indicators_ema(state.m1_ema_9, close, 9)" in source
    assert "m5_rsi_14 = oscillators_rsi(state.m5_rsi_14, close, 14)" in source


DEFINITION = '''
from mikrobot.features.kernel.feature import RATIO, feature
from mikrobot.features.kernel.parts import compiled

FACTOR = 2.0
WEIGHTS = (0.5, 0.25)


@compiled
def inner(x):
    """Old words."""
    return x * FACTOR + WEIGHTS[1]


@compiled
def part(x):
    return inner(x) + 1.0


@feature("own_{length}", RATIO, warmup=lambda length: 0)
def own(close, length):
    """Old words."""
    return part(close) + length  # old remark
'''


@pytest.fixture
def version_of(tmp_path, monkeypatch):
    def define(text: str, module_name: str = "definition", **parameters: float) -> str:
        path = tmp_path / f"definition_{len(list(tmp_path.iterdir()))}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(module_name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, module_name, module)
        spec.loader.exec_module(module)
        own: Feature = module.own
        return Catalog(own(**({"length": 3} | parameters))).version

    return define


def test_words_and_remarks_do_not_change_the_version(version_of):
    reworded = DEFINITION.replace("Old words.", "New words.").replace("old remark", "new remark")
    assert version_of(reworded) == version_of(DEFINITION)


def test_a_step_that_moves_to_another_module_keeps_the_version(version_of):
    assert version_of(DEFINITION, module_name="elsewhere") == version_of(DEFINITION)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("part(close) + length", "part(close) - length"),
        ("inner(x) + 1.0", "inner(x) + 1.5"),
        ("x * FACTOR", "x / FACTOR"),
        ("FACTOR = 2.0", "FACTOR = 2.5"),
        ("(0.5, 0.25)", "(0.5, 0.75)"),
        ('"own_{length}"', '"mine_{length}"'),
    ],
)
def test_whatever_decides_a_value_changes_the_version(version_of, old, new):
    assert old in DEFINITION
    assert version_of(DEFINITION.replace(old, new)) != version_of(DEFINITION)


def test_a_parameter_and_the_order_of_columns_change_the_version(version_of):
    assert version_of(DEFINITION, length=4) != version_of(DEFINITION, length=3)
    assert Catalog(ema(length=9), ema(length=21)).version != Catalog(ema(length=21), ema(length=9)).version


def test_a_feature_of_another_catalog_does_not_change_the_version():
    reached = Catalog(ema(length=9)).version
    Catalog(ema(length=9), rsi(length=14), volatility(length=5, change="ema_9"))
    assert Catalog(ema(length=9)).version == reached
    assert re.fullmatch("[0-9a-f]{12}", reached)
