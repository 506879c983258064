import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psutil
import psycopg
import pytest

from mikrobot.domain.errors import FeatureMismatch, StaleFeatures, StoreError
from mikrobot.features.catalog import CATALOG
from mikrobot.settings import Settings
from mikrobot.store.feast.config import open_feature_store
from mikrobot.store.feast.online import FeatureRows
from mikrobot.store.postgres import bundled

AT = datetime(2024, 3, 4, 12, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COLUMNS = CATALOG.columns
VALUES = np.arange(len(COLUMNS), dtype=np.float64)


def test_a_row_is_read_by_name_in_the_order_asked_for(rows: FeatureRows) -> None:
    rows.write("replay", "EURUSD", AT, VALUES)
    asked = [COLUMNS[7], COLUMNS[2], COLUMNS[-1]]
    read = rows.read("replay", "EURUSD", asked, AT)
    assert list(read.items()) == [(COLUMNS[7], 7.0), (COLUMNS[2], 2.0), (COLUMNS[-1], float(len(COLUMNS) - 1))]
    assert list(rows.read("replay", "EURUSD", COLUMNS, AT).values()) == VALUES.tolist()


def test_an_unknown_value_comes_back_as_nan(rows: FeatureRows) -> None:
    values = VALUES.copy()
    values[[0, 5]] = np.nan
    rows.write("replay", "EURUSD", AT, values)
    read = np.array(list(rows.read("replay", "EURUSD", COLUMNS, AT).values()))
    np.testing.assert_array_equal(read, values)


def test_an_older_row_never_overwrites_a_newer_one(rows: FeatureRows) -> None:
    rows.write("replay", "EURUSD", AT, VALUES)
    rows.write("replay", "EURUSD", AT - MINUTE, VALUES + 1)
    assert rows.latest("replay", "EURUSD") == AT
    assert rows.read("replay", "EURUSD", [COLUMNS[1]], AT) == {COLUMNS[1]: 1.0}


def test_the_row_of_the_same_bar_is_replaced(rows: FeatureRows) -> None:
    rows.write("replay", "EURUSD", AT, VALUES)
    rows.write("replay", "EURUSD", AT, VALUES + 1)
    assert rows.read("replay", "EURUSD", [COLUMNS[1]], AT) == {COLUMNS[1]: 2.0}


@pytest.mark.parametrize("asked", [AT + MINUTE, AT - MINUTE])
def test_a_row_of_another_bar_is_stale(rows: FeatureRows, asked: datetime) -> None:
    rows.write("replay", "EURUSD", AT, VALUES)
    with pytest.raises(StaleFeatures, match=r"EURUSD \(replay\).*found that of 2024-03-04 12:01"):
        rows.read("replay", "EURUSD", COLUMNS, asked)


def test_sources_and_symbols_do_not_mix(rows: FeatureRows) -> None:
    rows.write("simulated", "EURUSD", AT, VALUES)
    for source, symbol in (("replay", "EURUSD"), ("simulated", "GBPUSD")):
        assert rows.latest(source, symbol) is None
        with pytest.raises(StaleFeatures, match="found none"):
            rows.read(source, symbol, COLUMNS, AT)


def test_after_a_rewind_earlier_rows_count_again(rows: FeatureRows) -> None:
    rows.write("replay", "EURUSD", AT, VALUES)
    rows.write("replay", "GBPUSD", AT, VALUES)
    rows.rewind("replay", ["EURUSD"])
    assert rows.latest("replay", "EURUSD") is None
    assert rows.latest("replay", "GBPUSD") == AT
    rows.write("replay", "EURUSD", AT - MINUTE, VALUES)
    assert rows.latest("replay", "EURUSD") == AT - MINUTE


def test_a_column_outside_the_catalog_is_named(rows: FeatureRows) -> None:
    with pytest.raises(FeatureMismatch, match="m1_crystal_ball"):
        rows.read("replay", "EURUSD", ["m1_crystal_ball"], AT)


def test_a_row_of_the_wrong_length_is_refused(rows: FeatureRows) -> None:
    with pytest.raises(FeatureMismatch, match=f"expected {len(COLUMNS)} feature values, found 3"):
        rows.write("replay", "EURUSD", AT, VALUES[:3])


def test_two_processes_see_the_same_columns(applied: Settings, rows: FeatureRows) -> None:
    rows.write("replay", "EURUSD", AT, VALUES)
    program = f"""
import datetime, sys
from mikrobot.settings import load
from mikrobot.store.feast.online import FeatureRows
print(FeatureRows(load()).read("replay", "EURUSD", {COLUMNS!r}, {AT!r}))
"""
    environment = os.environ | applied.environment() | {"PYTHONHASHSEED": "11"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert (run.stdout.strip(), run.stderr) == (str(dict(zip(COLUMNS, VALUES.tolist(), strict=True))), "")


def test_the_online_features_of_feast_have_the_same_values(applied: Settings, rows: FeatureRows) -> None:
    rows.write("replay", "EURUSD", AT, VALUES)
    store = open_feature_store(applied)
    entities: list[dict[str, Any]] = [{"source": "replay", "symbol": "EURUSD"}, {"source": "replay", "symbol": "NONE"}]
    answer = store.get_online_features(store.get_feature_service("catalog"), entities).to_dict()
    assert {name: answer[name] for name in COLUMNS} == {
        name: [value, None] for name, value in zip(COLUMNS, VALUES.tolist(), strict=True)
    }


def test_rows_of_other_definitions_do_not_exist(
    applied: Settings, rows: FeatureRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.write("replay", "EURUSD", AT, VALUES)
    rows._view.tags["catalog_version"] = "another"
    assert rows.latest("replay", "EURUSD") is None
    rows.write("replay", "EURUSD", AT - MINUTE, VALUES)
    assert rows.latest("replay", "EURUSD") == AT - MINUTE


def test_without_definitions_the_remedy_is_named(database: Settings) -> None:
    with pytest.raises(StoreError, match="mikrobot up"):
        FeatureRows(database)


def test_definitions_of_another_catalog_are_refused(applied: Settings) -> None:
    store = open_feature_store(applied)
    view = store.get_feature_view("bar_features")
    view.tags["catalog_version"] = "0123456789ab"
    store.apply([view])
    with pytest.raises(StoreError, match="found 0123456789ab"):
        FeatureRows(applied)


def test_a_server_that_is_away_is_named_at_once(settings: Settings) -> None:
    away = settings.model_copy(update={"postgres_port": 1})
    with pytest.raises(StoreError, match="mikrobot up"):
        FeatureRows(away)


def test_the_rows_survive_a_server_that_is_killed_and_started_again(
    rows: FeatureRows, applied: Settings, postgres: Any
) -> None:
    rows.write("replay", "EURUSD", AT, VALUES)
    with psycopg.connect(postgres.admin_url) as admin:
        admin.execute("CHECKPOINT")
    server = bundled.pid(postgres.settings.home)
    assert server is not None
    os.kill(server, signal.SIGQUIT)
    psutil.Process(server).wait(30)
    restarting = threading.Thread(
        target=bundled.start, args=(postgres.settings.home, applied.host, applied.postgres_port)
    )
    restarting.start()
    rows.write("replay", "EURUSD", AT + MINUTE, VALUES)
    restarting.join()
    assert rows.read("replay", "EURUSD", [COLUMNS[0]], AT + MINUTE) == {COLUMNS[0]: 0.0}


def test_more_connections_than_the_pool_holds_may_die(rows: FeatureRows, postgres: Any) -> None:
    rows.write("replay", "EURUSD", AT, VALUES)
    for _ in range(10):
        with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'feast'")
        assert rows.latest("replay", "EURUSD") == AT
