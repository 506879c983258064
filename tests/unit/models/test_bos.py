import numpy as np
import pytest

from mikrobot.features.catalog import CATALOG
from mikrobot.models.bos import BosInputs

CLOSE, ATR = 1.1, 0.0004
MIRRORED = ("m1_return", "m1_streak", "m1_taker_balance", "m1_vwap_score", "m1_lead", "m5_forming_return")
"""Name prefixes of columns with a direction."""
INPUTS = BosInputs(5)
UNITS = {spec.name: spec.unit for spec in CATALOG.specs}
SIDES = np.array([1, -1], dtype=np.int8)


def a_row(seed: int = 1) -> dict[str, float]:
    """A valid row by column name: prices near the close, each level on its own side."""
    rng = np.random.default_rng(seed)
    draw = {
        "price": lambda: CLOSE + ATR * rng.normal(),
        "price difference": lambda: ATR * rng.uniform(0.5, 2),
        "percent": lambda: rng.uniform(10, 90),
        "log return": lambda: ATR * rng.uniform(0.2, 1),
        "bars": lambda: float(rng.integers(5, 50)),
        "sign": lambda: float(rng.choice([-1, 1])),
    }
    row = {name: float(draw.get(UNITS[name], lambda: rng.uniform(0.1, 0.9))()) for name in INPUTS.columns}
    for family in ("m1_break_5", "m1_break_15", "m5_break_5"):
        row[f"{family}_above"] = CLOSE + ATR * rng.uniform(0.2, 3)
        row[f"{family}_below"] = CLOSE - ATR * rng.uniform(0.2, 3)
    row["m1_break_5_above_distance"] = (row["m1_break_5_above"] - CLOSE) / row["m1_atr_14"]
    row["m1_break_5_below_distance"] = (CLOSE - row["m1_break_5_below"]) / row["m1_atr_14"]
    row["m1_break_5_choch"] = 0.0
    row |= {"m1_tick": 0.1 * ATR, "m1_tick_noise": 0.05 * ATR}
    return row


def inputs_of(row: dict[str, float], side: int) -> dict[str, float]:
    values = np.array([[row[name] for name in INPUTS.columns]])
    return dict(zip(INPUTS.names, INPUTS(values, np.array([side], dtype=np.int8))[0].tolist(), strict=True))


def mirrored(row: dict[str, float]) -> dict[str, float]:
    """The same row in a market mirrored at the close."""
    other = {}
    for name, value in row.items():
        swapped = name
        for one, two in (("above", "below"), ("high_age", "low_age"), ("forming_high", "forming_low")):
            swapped = name.replace(one, two) if one in name else name.replace(two, one) if two in name else swapped
        flip = {"price": 2 * CLOSE - value, "sign": -value, "percent": 100 - value}.get(UNITS[name], value)
        if name.startswith(MIRRORED) or name.endswith("histogram"):
            flip = -value
        if name.endswith(("percent_b", "taker_share_ema_60")):
            flip = 1 - value
        other[swapped] = flip
    return other


@pytest.mark.parametrize("swing", [5, 15])
def test_every_column_needed_is_in_the_catalog_once(swing: int) -> None:
    columns = BosInputs(swing).columns
    assert set(columns) <= set(CATALOG.columns)
    assert len(set(columns)) == len(columns)


@pytest.mark.parametrize("seed", range(5))
def test_both_sides_see_the_same_in_mirrored_markets(seed: int) -> None:
    row = a_row(seed)
    assert inputs_of(mirrored(row), -1) == pytest.approx(inputs_of(row, 1), rel=3e-3, abs=3e-3)
    assert inputs_of(row, -1) != pytest.approx(inputs_of(row, 1), rel=0.1)


def test_prices_on_another_scale_look_the_same() -> None:
    row = a_row()
    scaled = {name: 50_000 * v if UNITS[name] in ("price", "price difference") else v for name, v in row.items()}
    assert inputs_of(scaled, 1) == pytest.approx(inputs_of(row, 1), rel=1e-4)


@pytest.mark.parametrize("column", INPUTS.columns)
def test_every_column_reaches_an_input(column: str) -> None:
    row = a_row()
    changed = row | {column: row[column] * 1.3 + (0.0 if column.startswith("m1_tick") else 0.1)}
    assert any(inputs_of(changed, side) != pytest.approx(inputs_of(row, side), nan_ok=True) for side in (1, -1))


def test_distances_are_in_atr_and_in_sigma() -> None:
    row = a_row() | dict.fromkeys(("m1_tick", "m1_tick_noise"), 0.0)
    inputs = inputs_of(row, 1)
    ahead = row["m1_break_5_above"] - CLOSE
    assert inputs["level_atr"] == pytest.approx(ahead / row["m1_atr_14"], rel=1e-5)
    expected = np.log(row["m1_break_5_above"] / CLOSE) / row["m1_volatility_60"]
    assert inputs["level_sigma_60"] == pytest.approx(expected, rel=1e-4)


def test_on_a_coarse_grid_a_level_is_half_a_tick_further_in_volatilities_without_noise() -> None:
    row = a_row()
    inputs = inputs_of(row, 1)
    ahead = np.log(row["m1_break_5_above"] / CLOSE) + 0.5 * row["m1_tick"]
    assert inputs["level_forecast_5"] == pytest.approx(ahead / row["m1_har_s_5"], rel=1e-4)
    smooth = np.sqrt(row["m1_volatility_60"] ** 2 - row["m1_tick_noise"] ** 2)
    assert inputs["level_sigma_60"] == pytest.approx(ahead / smooth, rel=1e-4)
    spread = 3.0 * (row["m1_tick_noise"] ** 2 / row["m1_tick"] - row["m1_tick"] / 6.0)
    unit = row["m1_atr_14"] - spread * row["m1_ema_9"]
    assert inputs["level_atr"] == pytest.approx(CLOSE * ahead / unit, rel=1e-3)


def test_without_a_level_the_distance_to_it_is_missing() -> None:
    row = a_row() | {"m1_break_5_above": np.nan, "m1_break_5_above_distance": np.nan}
    assert np.isnan(inputs_of(row, 1)["level_atr"])
    assert np.isfinite(inputs_of(row, -1)["level_atr"])
    assert np.isnan(inputs_of(row, -1)["other_atr"])


@pytest.mark.parametrize("column", ["m1_atr_14", "m1_volatility_60", "m1_volatility_240", "m5_atr_14", "h1_atr_14"])
def test_a_flat_market_gives_missing_inputs_never_infinite_ones(column: str) -> None:
    values = np.array([[(a_row() | {column: 0.0})[name] for name in INPUTS.columns]] * 2)
    assert not np.isinf(INPUTS(values, SIDES)).any()


def test_one_row_alone_equals_the_same_row_among_many() -> None:
    values = np.array([[a_row(seed)[name] for name in INPUTS.columns] for seed in range(20)])
    together = INPUTS(values, np.ones(20, dtype=np.int8))
    alone = [INPUTS(values[i : i + 1], np.ones(1, dtype=np.int8))[0] for i in range(20)]
    assert np.array_equal(together, alone)
