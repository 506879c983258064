from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import ModelError
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.models.bos import BosInputs
from mikrobot.models.task import Task
from mikrobot.training import computed, dataset
from mikrobot.training.computed import rows_of
from mikrobot.training.dataset import Dataset, build

INPUTS = BosInputs(5)


TICK = 1e-5


def bars_of(n: int = 600, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 1.1 * np.exp(rng.normal(0, 1e-4, n).cumsum())
    opened = pd.date_range("2024-03-04", periods=n, freq="min", tz="UTC", unit="us")
    frame = pd.DataFrame({"open_time": opened, "open": close, "high": close, "low": close, "close": close})
    return frame.assign(**dict.fromkeys(("volume", "spread", "trades", "taker_volume"), np.nan))


def feature_row(time: pd.Timestamp, columns: Sequence[str]) -> list[float]:
    """Synthetic values that depend only on the time; every tenth minute has no level above."""
    rng = np.random.default_rng(int(time.timestamp()))
    row = dict(zip(columns, rng.uniform(0.5, 1.5, len(columns)), strict=True)) | {"m1_tick": TICK}
    row |= {"m1_atr_14": 1e-4, "m1_break_5_above": 1.1002, "m1_break_5_below": 1.0998}
    if time.minute % 10 == 0:
        row |= {"m1_break_5_above": np.nan, "m1_break_5_above_distance": np.nan}
    return [row[name] for name in columns]


def rows(events: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return rows and columns in another order, as a feature store may."""
    values = [feature_row(time, columns) for time in events["event_timestamp"]]
    answer = pd.concat([events.reset_index(drop=True), pd.DataFrame(values, columns=list(columns))], axis=1)
    return answer.sample(frac=1, random_state=1)[answer.columns[::-1]]


def built(bars: dict[str, pd.DataFrame]) -> Dataset:
    return build(bars, rows, "replay", INPUTS, task=Task())


def test_each_sample_has_the_features_of_its_own_close() -> None:
    data = built({"EURUSD": bars_of()})
    for sample in (0, 100, len(data) - 1):
        time = pd.Timestamp(data.time[sample], tz="UTC")
        values = np.array([feature_row(time, INPUTS.columns)])
        np.testing.assert_array_equal(data.inputs[sample], INPUTS(values, data.side[sample : sample + 1])[0])


def test_labels_look_ahead_of_the_close_only() -> None:
    bars = bars_of()
    data = built({"EURUSD": bars})
    close = bars.set_index(bars["open_time"] + pd.Timedelta(minutes=1))["close"]
    for sample in range(0, len(data), 97):
        time = pd.Timestamp(data.time[sample], tz="UTC")
        ahead = close[time + pd.Timedelta(minutes=1) : time + pd.Timedelta(minutes=5)]
        expected = (ahead > 1.1002).any() if data.side[sample] > 0 else (ahead < 1.0998).any()
        assert data.outcome[sample] == expected
        assert data.end[sample] == data.time[sample] + np.timedelta64(5, "m")


def test_no_sample_is_taken_where_there_is_no_level() -> None:
    data = built({"EURUSD": bars_of()})
    up = pd.DatetimeIndex(data.time[data.side > 0])
    assert not (up.minute % 10 == 0).any()
    assert (pd.DatetimeIndex(data.time[data.side < 0]).minute % 10 == 0).any()


def test_symbols_are_joined_with_their_own_rows() -> None:
    data = built({"EURUSD": bars_of(), "BTCUSDT": bars_of(400, seed=2)})
    assert data.weight.mean() == pytest.approx(1)
    alone = built({"BTCUSDT": bars_of(400, seed=2)})
    np.testing.assert_array_equal(data.inputs[data.symbol == "BTCUSDT"], alone.inputs)


def test_the_hash_differs_for_different_data() -> None:
    one, again, other = (built({"EURUSD": bars_of(seed=seed)}) for seed in (1, 1, 2))
    assert one.sha256 == again.sha256
    assert one.sha256 != other.sha256


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda e, c: rows(e, c).drop(columns="m1_rsi_14", errors="ignore"), "the feature store has no m1_rsi_14"),
        (lambda e, c: rows(e, c).assign(**dict.fromkeys(c, np.nan)), "all feature columns are missing for source"),
        (
            lambda e, c: rows(e, c).assign(m1_break_5_above=np.nan, m1_break_5_below=np.nan),
            "expected samples of a bos task with swing 5",
        ),
    ],
    ids=["a missing column", "no values", "no level"],
)
def test_rows_without_features_or_levels_are_refused(answer: object, message: str) -> None:
    with pytest.raises(ModelError, match=f"EURUSD: .*{message}"):
        build({"EURUSD": bars_of()}, answer, "replay", INPUTS, task=Task())  # type: ignore[arg-type]


def test_bars_without_a_whole_horizon_are_refused() -> None:
    with pytest.raises(
        ModelError, match=r"EURUSD: expected samples of a bos task .* found none in 5 bars from 2024-03-04T00:01"
    ):
        built({"EURUSD": bars_of(5)})


def test_samples_have_their_distance_to_half_a_tick_beyond_the_level_and_their_volatility() -> None:
    data, bars = built({"EURUSD": bars_of()}), bars_of()
    close = bars.set_index(bars["open_time"] + pd.Timedelta(minutes=1))["close"][pd.DatetimeIndex(data.time, tz="UTC")]
    level = np.where(data.side > 0, 1.1002, 1.0998)
    np.testing.assert_allclose(data.distance, data.side * np.log(level / close) + 0.5 * TICK)
    np.testing.assert_allclose(data.sigma_atr, 1e-4 / close)
    assert (data.minutes == 5).all()


def test_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = built({"EURUSD": bars_of()})
    asked: list[int] = []

    def watched(events: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
        asked.append(len(events))
        return rows(events, columns)

    monkeypatch.setattr(dataset, "PIECE", 70)
    assert build({"EURUSD": bars_of()}, watched, "replay", INPUTS, task=Task()).sha256 == whole.sha256
    assert max(asked) <= 70


def test_computed_rows_are_those_of_the_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = bars_of(300)
    expected = FeaturePipeline(["EURUSD"]).frame("EURUSD", bars)
    times = pd.DatetimeIndex(expected["close_time"])[[290, 20, 150]]
    events = pd.DataFrame({"source": "file", "symbol": "EURUSD", "event_timestamp": times})
    monkeypatch.setattr(computed, "AT_ONCE", 70)
    read = rows_of({"EURUSD": bars}, ["h1_ema_9", "m1_atr_14", "m1_rsi_14"])(events, ["m1_rsi_14", "h1_ema_9"])
    assert read["event_timestamp"].tolist() == times.tolist()
    pd.testing.assert_frame_equal(
        read[["m1_rsi_14", "h1_ema_9"]], expected.loc[[290, 20, 150], ["m1_rsi_14", "h1_ema_9"]].reset_index(drop=True)
    )


def test_computed_rows_have_the_moves_of_the_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = {"GBPUSD": bars_of(300), "EURUSD": bars_of(300)}
    lead = FeaturePipeline(["EURUSD"]).lead_rows("EURUSD", bars["EURUSD"])
    expected = FeaturePipeline(["GBPUSD"]).frame("GBPUSD", bars["GBPUSD"], lead)
    events = expected[["symbol"]].assign(source="file", event_timestamp=expected["close_time"])
    monkeypatch.setattr(computed, "AT_ONCE", 70)
    read = rows_of(bars, ["m1_lead_return_1"])(events, ["m1_lead_return_1"])["m1_lead_return_1"]
    assert read.notna().sum() > 100
    pd.testing.assert_series_equal(read, expected["m1_lead_return_1"])
