from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import DataError, FeatureMismatch, StoreError
from mikrobot.features.catalog import CATALOG
from mikrobot.settings import Settings
from mikrobot.store.feast.config import offline_folder, open_feature_store
from mikrobot.store.feast.offline import append, training_rows
from mikrobot.store.feast.online import FeatureRows

FrameFactory = Callable[..., pd.DataFrame]
COLUMNS = list(CATALOG.columns)


def _stored(settings: Settings, source: str = "replay") -> pd.DataFrame:
    """Read every row by Feast, without an entity frame."""
    job = open_feature_store(settings).get_historical_features(
        features=[f"bar_features:{name}" for name in COLUMNS],
        start_date=datetime(2000, 1, 1, tzinfo=UTC),
        end_date=datetime(2100, 1, 1, tzinfo=UTC),
    )
    stored = job.to_df().rename(columns={"event_timestamp": "close_time"})
    return stored[stored["source"] == source].drop(columns="source").reset_index(drop=True)


def _events(frame: pd.DataFrame, n: int, seed: int = 1) -> pd.DataFrame:
    """Return `n` events of a frame's symbols at any microsecond around its span, in no order."""
    random = np.random.default_rng(seed)
    first, last = frame["close_time"].min() - pd.Timedelta("1h"), frame["close_time"].max() + pd.Timedelta("1h")
    offsets = random.integers(0, (last - first) // pd.Timedelta("1us"), n)
    return pd.DataFrame(
        {
            "source": "replay",
            "symbol": random.choice(frame["symbol"].unique(), n),
            "event_timestamp": (first + pd.to_timedelta(offsets, unit="us")).as_unit("us"),
            "label": random.normal(size=n),
        }
    )


def _merge_asof(events: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Join as pandas does: the newest row at or before the event, less than a minute old."""
    numbered = events.assign(row=np.arange(len(events))).sort_values("event_timestamp")
    joined = pd.merge_asof(
        numbered,
        frame.sort_values("close_time"),
        left_on="event_timestamp",
        right_on="close_time",
        by="symbol",
        tolerance=pd.Timedelta("1min") - pd.Timedelta("1us"),
    )
    return joined.sort_values("row")[[*events.columns, *COLUMNS]].reset_index(drop=True)


def test_training_rows_equal_a_plain_as_of_join(applied: Settings, feature_frame: FrameFactory) -> None:
    euro, pound = feature_frame("EURUSD", n=60_000), feature_frame("GBPUSD", n=45_000, seed=4)
    pound = pound.drop(index=range(20_000, 30_000))
    for frame in (euro, pound):
        append(applied, "replay", frame)
    both = pd.concat([euro, pound])
    events = _events(both, 4_000)
    joined = training_rows(applied, events, COLUMNS)
    pd.testing.assert_frame_equal(joined, _merge_asof(events, both), check_dtype=False)
    assert joined[COLUMNS].notna().any(axis=1).mean() > 0.5
    assert joined[COLUMNS].isna().all(axis=1).any()


def test_a_row_is_not_known_a_microsecond_before_its_close(applied: Settings, feature_frame: FrameFactory) -> None:
    frame = feature_frame(n=3)
    frame[COLUMNS] = 1.0
    append(applied, "replay", frame)
    closes = frame["close_time"]
    instants = [
        closes[0] - pd.Timedelta("1us"),
        closes[0],
        closes[2] + pd.Timedelta("59s"),
        closes[2] + pd.Timedelta("1min"),
    ]
    events = pd.DataFrame({"source": "replay", "symbol": "EURUSD", "event_timestamp": instants})
    assert training_rows(applied, events, COLUMNS[:1])[COLUMNS[0]].tolist() == pytest.approx(
        [np.nan, 1, 1, np.nan], nan_ok=True
    )


def test_columns_come_in_the_order_asked_for(applied: Settings, feature_frame: FrameFactory) -> None:
    frame = feature_frame(n=10)
    append(applied, "replay", frame)
    asked = [COLUMNS[9], COLUMNS[0], COLUMNS[4]]
    joined = training_rows(applied, _events(frame, 5), asked)
    assert list(joined.columns) == ["source", "symbol", "event_timestamp", "label", *asked]


def test_the_same_span_written_twice_is_there_once(applied: Settings, feature_frame: FrameFactory) -> None:
    frame = feature_frame(n=4_000)
    append(applied, "replay", frame)
    append(applied, "replay", frame)
    pd.testing.assert_frame_equal(_stored(applied), frame)


def test_an_overlapping_span_replaces_what_it_covers_and_no_more(
    applied: Settings, feature_frame: FrameFactory
) -> None:
    frame = feature_frame(n=5_000)
    assert frame["close_time"].dt.month.nunique() == 2
    append(applied, "replay", frame.head(4_000))
    newer = frame.tail(3_000).copy()
    newer[COLUMNS] += 1
    newer = newer.drop(index=2_500)
    append(applied, "replay", newer)
    expected = pd.concat([frame.head(2_000), newer], ignore_index=True)
    pd.testing.assert_frame_equal(_stored(applied), expected)


def test_a_month_without_rows_in_a_new_span_is_emptied(applied: Settings, feature_frame: FrameFactory) -> None:
    frame = feature_frame(start="2024-01-31 23:00", n=60 * 24 * 31)
    append(applied, "replay", frame)
    ends = frame.iloc[[0, -1]].reset_index(drop=True)
    append(applied, "replay", ends)
    pd.testing.assert_frame_equal(_stored(applied), ends)


def test_sources_do_not_mix(applied: Settings, feature_frame: FrameFactory) -> None:
    append(applied, "simulated", feature_frame(n=10))
    append(applied, "replay", feature_frame(n=10, seed=9))
    pd.testing.assert_frame_equal(_stored(applied, "replay"), feature_frame(n=10, seed=9))


def test_a_failed_write_leaves_the_file_as_it_was(
    applied: Settings, feature_frame: FrameFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = feature_frame(n=100)
    append(applied, "replay", frame)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match=r"No space left on device.*MIKROBOT_HOME"):
        append(applied, "replay", frame.assign(m1_rsi_14=1.0))
    monkeypatch.undo()
    pd.testing.assert_frame_equal(_stored(applied), frame)
    assert not [path for path in offline_folder(applied).rglob(".*")]


def test_rows_out_of_order_or_twice_are_refused(applied: Settings, feature_frame: FrameFactory) -> None:
    frame = feature_frame(n=10)
    with pytest.raises(DataError, match=r"replay/EURUSD: expected close_time known and strictly increasing.*row 3"):
        append(applied, "replay", frame.iloc[[0, 1, 4, 3]])
    with pytest.raises(DataError, match="strictly increasing"):
        append(applied, "replay", frame.iloc[[0, 1, 1]])
    assert not offline_folder(applied).exists()


def test_a_frame_with_other_columns_is_refused(applied: Settings, feature_frame: FrameFactory) -> None:
    with pytest.raises(DataError, match="m1_rsi_14"):
        append(applied, "replay", feature_frame(n=3).drop(columns="m1_rsi_14"))


def test_a_damaged_file_is_named_with_the_remedy(applied: Settings, feature_frame: FrameFactory) -> None:
    frame = feature_frame(n=10)
    append(applied, "replay", frame)
    (path,) = offline_folder(applied).rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"2024-01\.parquet cannot be read.*remove it"):
        training_rows(applied, _events(frame, 3), COLUMNS[:2])


def test_symbols_without_rows_and_unknown_columns_are_refused(applied: Settings, feature_frame: FrameFactory) -> None:
    frame = feature_frame(n=10)
    append(applied, "replay", frame)
    with pytest.raises(StoreError, match=r"GBPUSD \(replay\)"):
        training_rows(applied, _events(frame, 3).assign(symbol="GBPUSD"), COLUMNS[:2])
    with pytest.raises(FeatureMismatch, match="m1_crystal_ball"):
        training_rows(applied, _events(frame, 3), ["m1_crystal_ball"])


def test_a_symbol_cannot_leave_the_folder(applied: Settings, feature_frame: FrameFactory) -> None:
    append(applied, "replay", feature_frame("../../up", n=3))
    (path,) = applied.home.rglob("*.parquet")
    assert path.is_relative_to(offline_folder(applied) / "replay")
    assert _stored(applied)["symbol"].unique().tolist() == ["../../up"]


def test_feast_materialises_the_newest_rows_but_not_over_a_live_one(
    applied: Settings, feature_frame: FrameFactory, rows: FeatureRows
) -> None:
    euro, pound = feature_frame("EURUSD", n=50), feature_frame("GBPUSD", n=30, seed=2)
    append(applied, "replay", euro)
    append(applied, "replay", pound)
    live = euro["close_time"].iloc[-1].to_pydatetime() + pd.Timedelta("5min")
    rows.write("replay", "EURUSD", live, np.zeros(len(COLUMNS)))
    store = open_feature_store(applied)
    store.materialize(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC))
    assert rows.latest("replay", "EURUSD") == live
    newest = pound.iloc[-1]
    read = rows.read("replay", "GBPUSD", COLUMNS, newest["close_time"].to_pydatetime())
    np.testing.assert_array_equal(np.array(list(read.values())), newest[COLUMNS].to_numpy(np.float64))


def test_rows_written_through_feast_join_those_there_are(applied: Settings, feature_frame: FrameFactory) -> None:
    frame = feature_frame(n=20)
    append(applied, "replay", frame.drop(index=[4, 7]))
    changed = frame.iloc[[4, 9]].assign(m1_rsi_14=50.0)
    store = open_feature_store(applied)
    store.write_to_offline_store("bar_features", changed.assign(source="replay")[["source", *frame.columns]])
    expected = pd.concat([frame.drop(index=[4, 7, 9]), changed]).sort_values("close_time", ignore_index=True)
    pd.testing.assert_frame_equal(_stored(applied), expected)


def test_a_retrieval_can_be_saved_once(applied: Settings, feature_frame: FrameFactory, tmp_path: Path) -> None:
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

    frame = feature_frame(n=20)
    append(applied, "replay", frame)
    job = open_feature_store(applied).get_historical_features(_events(frame, 5), [f"bar_features:{COLUMNS[0]}"])
    storage = SavedDatasetFileStorage(path=str(tmp_path / "saved.parquet"))
    job.persist(storage)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "saved.parquet"), job.to_df())
    with pytest.raises(StoreError, match="exists"):
        job.persist(storage)


def test_no_events_are_no_rows_with_the_columns_asked_for(applied: Settings, feature_frame: FrameFactory) -> None:
    frame = feature_frame(n=10)
    append(applied, "replay", frame)
    joined = training_rows(applied, _events(frame, 5).head(0), COLUMNS[:2])
    assert list(joined.columns) == ["source", "symbol", "event_timestamp", "label", *COLUMNS[:2]]
    assert joined.empty
