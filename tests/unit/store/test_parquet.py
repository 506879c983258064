from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import DataError, StoreError
from mikrobot.store.feast.parquet import MonthlyRows


def _rows(n: int, seed: int = 0, symbol: str = "EURUSD") -> pd.DataFrame:
    """Return `n` rows at irregular instants over several months."""
    random = np.random.default_rng(seed)
    seconds = np.cumsum(random.integers(1, 40_000, n))
    times = (pd.Timestamp("2024-01-20", tz="UTC") + pd.to_timedelta(seconds, unit="s")).as_unit("us")
    return pd.DataFrame({"symbol": symbol, "known_at": times, "value": np.arange(n, dtype=float)})


def _events(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return instants before, among, at and after the rows, ascending."""
    instants = rows["known_at"].astype("int64").to_numpy()
    margin = 40 * 86_400_000_000
    anywhere = np.random.default_rng(seed + 100).integers(instants[0] - margin, instants[-1] + margin, 1_000)
    at = np.sort(np.concatenate([anywhere, instants]))
    return pd.DataFrame({"at": pd.to_datetime(at, unit="us", utc=True).as_unit("us")})


@pytest.fixture
def store(tmp_path: Path) -> MonthlyRows:
    return MonthlyRows(tmp_path / "rows", ("symbol",), "known_at")


@pytest.mark.parametrize("max_age", [None, timedelta(hours=3), timedelta(days=400)])
@pytest.mark.parametrize("seed", range(4))
def test_as_of_equals_merge_asof_across_months(store: MonthlyRows, seed: int, max_age: timedelta | None) -> None:
    rows = _rows(400, seed)
    store.replace_span(rows)
    events = _events(rows, seed)
    tolerance = None if max_age is None else pd.Timedelta(max_age)
    expected = pd.merge_asof(events, rows, left_on="at", right_on="known_at", tolerance=tolerance)
    joined = store.as_of(store.entity(["EURUSD"]), ["value"], events["at"].astype("int64").to_numpy(), max_age)
    assert joined is not None
    np.testing.assert_array_equal(joined["value"].to_pandas(), expected["value"])
    assert len(list(store.folder.rglob("*.parquet"))) > 3


def test_as_of_finds_nothing_before_the_first_row(store: MonthlyRows) -> None:
    rows = _rows(10)
    store.replace_span(rows)
    before = rows["known_at"].iloc[:1].astype("int64").to_numpy() - 1
    assert store.as_of(store.entity(["EURUSD"]), ["value"], before) is None
    assert store.as_of(store.entity(["GBPUSD"]), ["value"], before) is None


def test_a_scan_holds_both_ends_and_the_columns_asked_for(store: MonthlyRows) -> None:
    rows = _rows(300)
    store.replace_span(rows)
    times = rows["known_at"]
    batches = list(
        store.scan(store.entity(["EURUSD"]), ["value"], times[20].to_pydatetime(), times[250].to_pydatetime())
    )
    assert [batch.schema.names for batch in batches] == [["value"]] * len(batches)
    assert np.concatenate([batch["value"].to_numpy() for batch in batches]).tolist() == list(range(20, 251))


def test_a_merged_row_takes_the_place_of_the_one_at_its_instant_only(store: MonthlyRows) -> None:
    rows = _rows(300)
    store.replace_span(rows)
    store.merge(rows.iloc[[10, 200]].assign(value=-1.0))
    (values,) = [[v for b in store.scan(store.entity(["EURUSD"]), ["value"]) for v in b["value"].to_pylist()]]
    assert values == rows["value"].where(~rows.index.isin([10, 200]), -1.0).tolist()


def test_an_instant_that_is_not_known_is_refused(store: MonthlyRows) -> None:
    rows = _rows(5)
    rows.loc[3, "known_at"] = pd.NaT
    with pytest.raises(DataError, match="EURUSD: expected known_at known"):
        store.replace_span(rows)


def test_rows_with_other_columns_do_not_join_a_file(store: MonthlyRows) -> None:
    store.replace_span(_rows(3))
    with pytest.raises(StoreError, match=r"2024-01\.parquet has other columns"):
        store.merge(_rows(3).assign(another=1.0))


def test_a_column_that_is_not_stored_is_named(store: MonthlyRows) -> None:
    store.replace_span(_rows(3))
    with pytest.raises(StoreError, match="lacks another"):
        list(store.scan(store.entity(["EURUSD"]), ["another"]))


def test_entities_are_found_by_their_folders(store: MonthlyRows) -> None:
    for symbol in ("GBPUSD", "BTC/USDT", "..", "BRK.B"):
        store.replace_span(_rows(3, symbol=symbol))
    assert [path.name for path in store.entities()] == ["%2E%2E", "BRK%2EB", "BTC%2FUSDT", "GBPUSD"]
