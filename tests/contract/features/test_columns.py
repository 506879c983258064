"""Requirements of every column; a new column is tested automatically."""

import subprocess
import sys
from collections.abc import Iterator
from math import ceil, isfinite
from os import environ

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.domain.market import BAR_COLUMNS, Bar, Timeframe
from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.bars import MAY_BE_UNKNOWN
from mikrobot.features.kernel.feature import FORGOTTEN
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.models.catalog import MODELS
from mikrobot.settings import SWINGS, Settings
from mikrobot.training.dataset import needed
from mikrobot.training.recipes import recipe_of

FADED = 0.05
"""Mean share by which an older past may change a column of months in the last ten days, if it did no more at first."""

COLUMNS = list(CATALOG.columns)
SPECS = pytest.mark.parametrize("spec", CATALOG.specs, ids=lambda spec: spec.name)


@pytest.mark.parametrize("swing", SWINGS)
def test_the_levels_of_every_swing_that_can_be_set_are_in_the_catalog(swing: int) -> None:
    for name in MODELS:
        recipe = recipe_of(name, Settings(swing=swing))
        assert set(needed(recipe.inputs, recipe.task)) <= set(COLUMNS)


def each_bar(symbol: str, frame: pd.DataFrame) -> Iterator[Bar]:
    names = BAR_COLUMNS[1:]
    columns = [frame[name].tolist() for name in names]
    for time, *values in zip(frame["open_time"].dt.to_pydatetime(), *columns, strict=True):
        yield Bar(symbol, time, **dict(zip(names, values, strict=True)))


def stream(pipeline: FeaturePipeline, symbol: str, frame: pd.DataFrame) -> np.ndarray:
    rows = np.empty((len(frame), len(COLUMNS)))
    for row, bar in zip(rows, each_bar(symbol, frame), strict=True):
        row[:] = pipeline.update(bar)
    return rows


def stream_pair(lead_bars: pd.DataFrame, frame: pd.DataFrame, books: pd.DataFrame) -> np.ndarray:
    """Stream a follower with its order books, and its lead, minute by minute, the lead first."""
    closing = {time: tuple(values) for time, *values in books.itertuples(index=False, name=None)}
    pipeline = FeaturePipeline(["A", "LEAD"], lead_of={"A": "LEAD"})
    both = [*each_bar("LEAD", lead_bars), *each_bar("A", frame)]
    rows = []
    for bar in sorted(both, key=lambda bar: bar.open_time):
        row = pipeline.update(bar, closing.get(bar.open_time) if bar.symbol == "A" else None)
        if bar.symbol == "A":
            rows.append(row.copy())
    return np.array(rows)


def batch(frame: pd.DataFrame) -> np.ndarray:
    return FeaturePipeline(["A"]).compute("A", frame)


def pieces_of(frame: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    return (frame[start : start + size] for start in range(0, len(frame), size))


def differing(a: np.ndarray, b: np.ndarray) -> list[str]:
    """Return the columns that are not equal bit for bit."""
    same = a.view(np.int64) == b.view(np.int64)
    return [COLUMNS[i] for i in np.flatnonzero(~same.all(axis=0))]


def change(late: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return differences relative to the larger of the value and its column's mean size; NaN equals NaN."""
    size = np.fmax(np.abs(whole), np.nan_to_num(np.abs(whole)).mean(axis=0))
    shares = np.abs(late - whole)
    shares[np.isnan(late) & np.isnan(whole)] = 0.0
    shares[np.isnan(shares)] = np.inf
    with np.errstate(divide="ignore"):
        return np.divide(shares, size, out=shares, where=shares > 0)


@pytest.fixture(scope="module")
def streamed(bars, lead_bars, books):
    return pd.DataFrame(stream_pair(lead_bars, bars, books), columns=COLUMNS)


@SPECS
def test_missing_before_its_warmup_and_then_known(matrix, spec):
    is_known = matrix[spec.name].notna().to_numpy()
    first = int(is_known.argmax())
    assert is_known.any()
    if spec.may_be_missing:
        assert first >= (spec.warmup if spec.timeframe is Timeframe.M1 else 0)
    elif spec.timeframe is Timeframe.M1:
        assert first == spec.warmup
    else:
        assert 0 < first <= spec.warmup
    assert spec.may_be_missing or is_known[first:].all()


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


def test_streamed_equals_batch_on_a_hundred_thousand_bars_of_a_market(market_bars):
    streaming, folding = FeaturePipeline(["A"]), FeaturePipeline(["A"])
    for piece in pieces_of(market_bars, 10_000):
        assert differing(stream(streaming, "A", piece), folding.compute("A", piece)) == []


def test_finite_and_within_range_on_a_hundred_thousand_bars_of_a_market(market_bars):
    low, high = (np.array([getattr(spec, bound) for spec in CATALOG.specs]) for bound in ("low", "high"))
    pipeline = FeaturePipeline(["A"])
    for piece in pieces_of(market_bars, 10_000):
        rows = pipeline.compute("A", piece)
        within = np.isnan(rows) | ((rows >= low) & (rows <= high) & np.isfinite(rows))
        assert [COLUMNS[i] for i in np.flatnonzero(~within.all(axis=0))] == []


def test_rows_are_stamped_with_the_close_of_their_bar(bars, matrix):
    assert list(matrix.columns) == ["symbol", "close_time", *COLUMNS]
    assert matrix["close_time"].dtype == "datetime64[us, UTC]"
    assert (matrix["close_time"] == bars["open_time"] + pd.Timedelta(minutes=1)).all()


def test_no_prefix_is_ever_rewritten(bars, alone):
    whole = alone[COLUMNS].to_numpy()
    for length in np.random.default_rng(3).integers(1, 4_000, size=1_000):
        emitted = batch(bars[:length])
        assert emitted.tobytes() == whole[:length].tobytes(), (length, differing(emitted, whole[:length]))


def test_a_frame_in_pieces_equals_the_frame_whole(bars, lead_rows, books, matrix):
    pipeline = FeaturePipeline(["A"])
    pieces = [
        pipeline.compute("A", bars[start : start + 777], lead_rows, books=books) for start in range(0, len(bars), 777)
    ]
    assert differing(np.vstack(pieces), matrix[COLUMNS].to_numpy()) == []


@pytest.mark.parametrize("cut", [1, 3, 700, 2_999, 3_003])
def test_a_restored_snapshot_continues_as_if_uninterrupted(bars, alone, cut):
    first, second = FeaturePipeline(["A"]), FeaturePipeline(["B", "A"])
    first.compute("A", bars[:cut])
    second.restore("A", first.snapshot("A"))
    assert differing(second.rows[1:], alone[COLUMNS].to_numpy()[cut - 1 : cut]) == []
    assert differing(stream(second, "A", bars[cut : cut + 800]), alone[COLUMNS].to_numpy()[cut : cut + 800]) == []


def test_each_of_many_symbols_is_as_if_alone(bars):
    pieces = {f"S{i}": bars[i * 100 : i * 100 + 300] for i in range(40)}
    pipeline = FeaturePipeline(list(pieces))
    for together in zip(*(each_bar(symbol, piece) for symbol, piece in pieces.items()), strict=True):
        for bar in together:
            pipeline.update(bar)
    alone = np.array([batch(piece)[-1] for piece in pieces.values()])
    assert differing(pipeline.rows, alone) == []


def a_bar_each(timeframe: Timeframe, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the same bars, spaced so that each one closes a bar of the timeframe."""
    if timeframe is Timeframe.M1:
        return frame
    last_minutes = pd.to_datetime(np.arange(1, len(frame) + 1) * timeframe.seconds - 60, unit="s", utc=True)
    return frame.assign(open_time=last_minutes.as_unit("us"))


@pytest.mark.parametrize("joined", [613, 20_033, 35_002])
@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.M5, Timeframe.H1])
def test_a_longer_past_changes_nothing_once_a_column_has_settled(market_bars, timeframe, joined):
    span, minutes = 60_000, timeframe.seconds // 60
    frame = a_bar_each(timeframe, market_bars)
    changed = change(batch(frame[joined : joined + span]), batch(frame)[joined : joined + span])
    lasting = []
    for spec, shares in zip(CATALOG.specs, changed.T, strict=True):
        if spec.timeframe is timeframe:
            settled = ceil(spec.settled / minutes) if isfinite(spec.settled) else span - 1
            if settled >= span:  # too few bars to settle: check that the effect of older bars has decreased
                early, late = shares[spec.warmup : spec.warmup + span // 4].mean(), shares[-span // 4 :].mean()
                assert late < max(early, FADED), spec.name
                continue
            late = settled + np.flatnonzero(shares[settled:] > FORGOTTEN)
            if len(late):
                lasting.append((spec.name, settled, int(late[-1]), float(shares[settled:].max())))
    assert lasting == [], "declare its tail, see feature.Tail: (column, settled after, changed at bar, by)"


@SPECS
def test_a_column_that_settles_later_than_it_is_known_says_why(spec):
    assert (spec.settled > spec.warmup) == bool(spec.tail)


def test_a_snapshot_in_the_middle_of_a_market_continues_as_if_uninterrupted(market_bars):
    folding, resumed = FeaturePipeline(["A"]), FeaturePipeline(["A"])
    for piece in pieces_of(market_bars, 9_973):
        rows = folding.compute("A", piece)
        assert differing(resumed.compute("A", piece), rows) == []
        snapshot = resumed.snapshot("A")
        resumed = FeaturePipeline(["A"])
        resumed.restore("A", snapshot)


def test_plain_python_gives_the_same_bits_and_the_same_version(bars, alone, tmp_path):
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
    assert differing(rows, alone[COLUMNS].to_numpy()[:700]) == []


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
    volume = repeated["volume"]
    return prices.assign(volume=volume, spread=repeated["spread"], trades=volume, taker_volume=volume / 2)


@settings(max_examples=40, deadline=None)
@given(moves=HOSTILE, price=st.sampled_from([1e-8, 1.0, 1e6]))
def test_hostile_bars_give_values_in_range_or_a_declared_absence(moves, price):
    frame = hostile_frame(moves, price)
    rows = batch(frame)
    assert not np.isinf(rows).any()
    for spec, values in zip(CATALOG.specs, rows.T, strict=True):
        present = values[~np.isnan(values)]
        assert ((present >= spec.low) & (present <= spec.high)).all(), spec.name
        if spec.timeframe is Timeframe.M1 and not spec.may_be_missing:
            assert not np.isnan(values[spec.warmup :]).any(), spec.name
    assert differing(stream(FeaturePipeline(["A"]), "A", frame), rows) == []


def test_an_unknown_spread_or_volume_is_missing_and_no_zero(bars):
    last = batch(bars.assign(**dict.fromkeys(MAY_BE_UNKNOWN, np.nan)))[-1]
    missing = {name for name, value in zip(COLUMNS, last, strict=True) if np.isnan(value)}
    optional = {spec.name for spec in CATALOG.specs if spec.may_be_missing}
    assert "m1_spread_atr" in missing
    assert missing <= optional


def test_a_flat_market_is_defined():
    minutes = np.arange(3_000) * 3
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(minutes, unit="min")
    flat = pd.DataFrame({"open_time": times, **dict.fromkeys(("open", "high", "low", "close"), 1.1)})
    last = dict(zip(COLUMNS, batch(flat.assign(volume=0.0, spread=0.0, trades=0.0, taker_volume=0.0))[-1], strict=True))
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
