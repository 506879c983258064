"""The stores on a real TimescaleDB: set MIKROBOT_TEST_TIMESCALE_URL to its administrator's URL to run this.

The four databases on that server are dropped and created again.
"""

import os
from datetime import UTC, datetime

import psycopg
import pytest
from pandas.testing import assert_frame_equal
from pydantic import SecretStr

from mikrobot.domain.errors import StoreError
from mikrobot.domain.market import Timeframe
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger, Skip
from mikrobot.store.postgres import database as databases
from mikrobot.store.postgres.database import Capability
from mikrobot.store.postgres.roles import DATABASES
from mikrobot.store.runs import Runs

ADMIN = os.environ.get("MIKROBOT_TEST_TIMESCALE_URL")
pytestmark = pytest.mark.skipif(not ADMIN, reason="MIKROBOT_TEST_TIMESCALE_URL is not set")


@pytest.fixture
def timescale(tmp_path):
    """Yield a pool on a newly migrated TimescaleDB."""
    settings = Settings(home=tmp_path, database_url=SecretStr(ADMIN))
    with psycopg.connect(ADMIN, autocommit=True) as admin:
        for name in DATABASES:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    databases.provision(settings)
    databases.migrate(settings)
    databases.provision(settings)
    with databases.open_pool(settings) as pool:
        yield pool


def test_its_capability_is_read_from_its_licence(timescale):
    with timescale.connection() as connection:
        licence = connection.execute("SHOW timescaledb.license").fetchone()[0]
        assert databases.capability(connection) is {"apache": Capability.APACHE}.get(licence, Capability.FULL)


def test_bars_lie_in_chunks_of_a_month(timescale, bars):
    frame = bars(90, minutes=24 * 60, start=datetime(2024, 1, 1, tzinfo=UTC))
    BarStore(timescale).upsert("replay", "EURUSD", Timeframe.M1, frame)
    with timescale.connection() as connection:
        chunks = connection.execute("SELECT range_end - range_start FROM timescaledb_information.chunks").fetchall()
    assert len(chunks) in (3, 4)
    assert {(chunk[0].days, chunk[0].seconds) for chunk in chunks} == {(30, 0)}


def test_bars_are_stored_and_read_as_on_plain_postgresql(timescale, bars):
    store = BarStore(timescale)
    frame = bars(100_000, gaps=0.1)
    assert store.upsert("replay", "EURUSD", Timeframe.M1, frame) == 100_000
    assert store.upsert("replay", "EURUSD", Timeframe.M1, frame) == 0
    frame.loc[50_000, "close"] += 1e-5
    assert store.upsert("replay", "EURUSD", Timeframe.M1, frame) == 1
    assert_frame_equal(store.last("replay", "EURUSD", Timeframe.M1, 1000), frame.tail(1000).reset_index(drop=True))
    first, last = frame["open_time"].iloc[[10, 90_000]]
    assert_frame_equal(
        store.range("replay", "EURUSD", Timeframe.M1, first, end=last), frame.iloc[10:90_000].reset_index(drop=True)
    )


def test_the_ledger_is_append_only_there_too(timescale, run):
    Runs(timescale).begin(run)
    ledger = Ledger(timescale)
    assert ledger.commit("r1", run.starts_at, skips=[Skip("EURUSD", run.starts_at, "no row")])
    with pytest.raises(StoreError, match="permission denied"):
        databases.execute(timescale, "forgetting", lambda connection: connection.execute("DELETE FROM skip"))
