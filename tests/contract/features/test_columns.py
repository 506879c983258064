"""What every column keeps, whatever feature it is of: a new one is found here by itself."""

import subprocess
import sys
from collections.abc import Iterator
from os import environ

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.domain.market import Bar, Timeframe
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline

COLUMNS = list(CATALOG.columns)
SPECS = pytest.mark.parametrize("spec", CATALOG.specs, ids=lambda spec: spec.name)


def each_bar(symbol: str, frame: pd.DataFrame) -> Iterator[Bar]:
    columns = [frame[name].tolist() for name in ("open", "high", "low", "close", "volume", "spread")]
    for time, *values in zip(frame["open_time"].dt.to_pydatetime(), *columns, strict=True):
        yield Bar(symbol, time, *values)


def stream(pipeline: FeaturePipeline, symbol: str, frame: pd.DataFrame) -> np.ndarray:
    return np.array([pipeline.update(bar).copy() for bar in each_bar(symbol, frame)])


def batch(frame: pd.DataFrame) -> np.ndarray:
    return FeaturePipeline(["A"]).compute("A", frame)


def differing(a: np.ndarray, b: np.ndarray) -> list[str]:
    """Columns that are not equal bit for bit (a NaN equals a NaN)."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return [COLUMNS[i] for i in np.flatnonzero(~same.all(axis=0))]


@pytest.fixture(scope="module")
def streamed(bars):
    return pd.DataFrame(stream(FeaturePipeline(["A"]), "A", bars), columns=COLUMNS)


@SPECS
def test_missing_before_its_warmup_and_then_known(matrix, spec):
    known = matrix[spec.name].notna().to_numpy()
    first = int(known.argmax())
    assert known.any()
    if spec.may_be_missing:
        assert first >= (spec.warmup if spec.timeframe is Timeframe.M1 else 0)
    elif spec.timeframe is Timeframe.M1:
        assert first == spec.warmup
    else:
        assert 0 < first <= spec.warmup
    assert spec.may_be_missing or known[first:].all()


@SPECS
def test_finite_and_within_its_range(matrix, spec):
    values = matrix[spec.name].dropna()
    assert np.isfinite(values).all()
    assert values.between(spec.low, spec.high).all()


@SPECS
def test_not_stuck(matrix, spec):
    assert matrix[spec.name].dropna().nunique() > 1


@SPECS
def test_streamed_equals_batch_bit_for_bit(matrix, streamed, spec):
    assert matrix[spec.name].to_numpy().tobytes() == streamed[spec.name].to_numpy().tobytes()


def test_streamed_equals_batch_on_real_bars(real_bars, real_matrix):
    head = real_bars.iloc[:30_000]
    assert differing(stream(FeaturePipeline(["A"]), "A", head), real_matrix[COLUMNS].to_numpy()[:30_000]) == []


def test_rows_are_stamped_with_the_close_of_their_bar(bars, matrix):
    assert list(matrix.columns) == ["symbol", "close_time", *COLUMNS]
    assert matrix["close_time"].dtype == "datetime64[us, UTC]"
    assert (matrix["close_time"] == bars["open_time"] + pd.Timedelta(minutes=1)).all()


def test_no_prefix_is_ever_rewritten(bars, matrix):
    whole = matrix[COLUMNS].to_numpy()
    for length in np.random.default_rng(3).integers(1, 4_000, size=1_000):
        assert differing(batch(bars[:length]), whole[:length]) == [], f"after {length} bars"


def test_a_frame_in_pieces_equals_the_frame_whole(bars, matrix):
    pipeline = FeaturePipeline(["A"])
    pieces = [pipeline.compute("A", bars[start : start + 777]) for start in range(0, len(bars), 777)]
    assert differing(np.vstack(pieces), matrix[COLUMNS].to_numpy()) == []


@pytest.mark.parametrize("cut", [1, 3, 700, 2_999, 3_003])
def test_a_restored_snapshot_continues_as_if_uninterrupted(bars, matrix, cut):
    first, second = FeaturePipeline(["A"]), FeaturePipeline(["B", "A"])
    first.compute("A", bars[:cut])
    second.restore("A", first.snapshot("A"))
    assert differing(second.rows[1:], matrix[COLUMNS].to_numpy()[cut - 1 : cut]) == []
    assert differing(stream(second, "A", bars[cut : cut + 800]), matrix[COLUMNS].to_numpy()[cut : cut + 800]) == []


def test_each_of_many_symbols_is_as_if_alone(bars):
    pieces = {f"S{i}": bars[i * 100 : i * 100 + 300] for i in range(40)}
    pipeline = FeaturePipeline(list(pieces))
    for together in zip(*(each_bar(symbol, piece) for symbol, piece in pieces.items()), strict=True):
        for bar in together:
            pipeline.update(bar)
    alone = np.array([batch(piece)[-1] for piece in pieces.values()])
    assert differing(pipeline.rows, alone) == []


def test_a_longer_past_changes_only_the_tails_of_averages(real_bars, real_matrix):
    joined, fading = 20_000, ["h1_ema_200"]  # its seed still weighs 1e-5 after these 1,333 hours
    late = FeaturePipeline(["A"]).frame("A", real_bars[joined:])[COLUMNS].iloc[-1].drop(fading)
    early = real_matrix[COLUMNS].iloc[-1].drop(fading)
    pd.testing.assert_series_equal(late, early, check_names=False, rtol=1e-9, atol=1e-12)


def test_plain_python_gives_the_same_bits_and_the_same_version(bars, matrix, tmp_path):
    bars[:700].to_parquet(tmp_path / "bars")
    code = (
        "import sys, pandas as pd; from mikrobot.features.pipeline import FeaturePipeline; p = FeaturePipeline(['A']);"
        "p.compute('A', pd.read_parquet(sys.argv[1])).tofile(sys.argv[2]); print(p.catalog.version)"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "bars"), str(tmp_path / "out")]
    plain = environ | {"NUMBA_DISABLE_JIT": "1"}
    version = subprocess.run(run, check=True, env=plain, capture_output=True, text=True).stdout.strip()
    rows = np.fromfile(tmp_path / "out").reshape(-1, len(COLUMNS))
    assert version == CATALOG.version
    assert differing(rows, matrix[COLUMNS].to_numpy()[:700]) == []


HOSTILE = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 1, -1, 2, 40, -900]),  # move of the close, ticks
        st.sampled_from([0, 0, 1, 30]),  # upper wick, ticks
        st.sampled_from([0, 0, 1, 30]),  # lower wick, ticks
        st.sampled_from([1, 1, 1, 2, 7, 300, 4_000]),  # minutes since the bar before
        st.sampled_from([0.0, 1.0, 1e9, float("nan")]),  # volume
        st.sampled_from([0.0, 1e-4, -1e-4, float("nan")]),  # spread
    ),
    min_size=40,
    max_size=90,
)


def hostile_frame(moves: list[tuple[float, ...]], price: float) -> pd.DataFrame:
    repeated = pd.DataFrame(moves * 6, columns=["move", "up", "down", "minutes", "volume", "spread"])
    tick = price * 1e-4
    close = (price + tick * repeated["move"].cumsum()).clip(lower=price * 1e-3)
    open_ = close.shift(1, fill_value=price)
    high = np.maximum(open_, close) + tick * repeated["up"]
    low = (np.minimum(open_, close) - tick * repeated["down"]).clip(lower=price * 1e-3)
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(repeated["minutes"].cumsum(), unit="min")
    prices = pd.DataFrame({"open_time": times, "open": open_, "high": high, "low": low, "close": close})
    return prices.assign(volume=repeated["volume"], spread=repeated["spread"])


@settings(max_examples=40, deadline=None)
@given(moves=HOSTILE, price=st.sampled_from([1e-8, 1.0, 1e6]))
def test_hostile_bars_give_values_in_range_or_a_declared_absence(moves, price):
    frame = hostile_frame(moves, price)
    rows = batch(frame)
    assert not np.isinf(rows).any()
    for spec, values in zip(CATALOG.specs, rows.T, strict=True):
        known = values[~np.isnan(values)]
        assert ((known >= spec.low) & (known <= spec.high)).all(), spec.name
        if spec.timeframe is Timeframe.M1 and not spec.may_be_missing:
            assert not np.isnan(values[spec.warmup :]).any(), spec.name
    assert differing(stream(FeaturePipeline(["A"]), "A", frame), rows) == []


def test_an_unknown_spread_or_volume_is_missing_and_no_zero(bars):
    last = batch(bars.assign(spread=np.nan, volume=np.nan))[-1]
    missing = {name for name, value in zip(COLUMNS, last, strict=True) if np.isnan(value)}
    optional = {spec.name for spec in CATALOG.specs if spec.may_be_missing}
    assert "m1_spread_atr" in missing
    assert missing <= optional


def test_a_flat_market_is_defined():
    minutes = np.arange(3_000) * 3
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(minutes, unit="min")
    flat = pd.DataFrame({"open_time": times, **dict.fromkeys(("open", "high", "low", "close"), 1.1)})
    last = dict(zip(COLUMNS, batch(flat.assign(volume=0.0, spread=0.0))[-1], strict=True))
    assert not np.isinf(list(last.values())).any()
    assert (last["m1_rsi_14"], last["m1_stochastic_14_k"], last["m1_bollinger_20_percent_b"]) == (0, 0, 0.5)
    assert (last["m1_atr_14"], last["m1_volatility_60"], last["m1_break_5_trend"]) == (0, 0, 0)


def test_a_market_that_turns_flat_lies_in_the_middle_of_its_bands(bars):
    closes = np.r_[bars["close"][:500], np.full(30, bars["close"][499])]
    frame = bars[:530].assign(**dict.fromkeys(("open", "high", "low", "close"), closes))
    last = dict(zip(COLUMNS, batch(frame)[-1], strict=True))
    assert last["m1_bollinger_20_percent_b"] == 0.5
    assert last["m1_bollinger_20_width"] < 1e-12
    assert last["m1_volatility_15"] < 1e-12
