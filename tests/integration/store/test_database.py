"""Provision, migration, URLs and pools on the bundled PostgreSQL."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from pydantic import SecretStr

from mikrobot.domain.errors import StoreError
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.store.postgres import database as databases
from mikrobot.store.postgres.database import Capability
from mikrobot.store.postgres.roles import DATABASES, LIVE, OWNER, ROLES


def test_provides_every_database_to_its_owner_and_to_nobody_else(settings):
    databases.provision(settings)
    for owner in DATABASES.values():
        with psycopg.connect(databases.url(settings, owner)) as connection:
            connection.execute("CREATE TABLE mine (id int)")
    intruder = databases.url(settings, "prefect").rpartition("/")[0] + "/mlflow"
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(intruder)


def test_providing_twice_and_at_once_changes_nothing(settings):
    databases.provision(settings)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(databases.provision, [settings] * 4))
    with psycopg.connect(databases.url(settings, "mikrobot")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("mikrobot",)


def test_passwords_are_readable_by_their_owner_only(settings):
    databases.provision(settings)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (settings.home / "secrets").iterdir()}
    assert modes == dict.fromkeys(("postgres", *ROLES), 0o600)


def test_a_lost_password_is_set_again(settings):
    databases.provision(settings)
    (settings.home / "secrets" / "feast").unlink()
    databases.provision(settings)
    psycopg.connect(databases.url(settings, "feast")).close()


def test_a_server_of_ones_own_is_provided_through_its_url(settings, postgres):
    own = settings.model_copy(update={"database_url": SecretStr(postgres.admin_url), "postgres_port": 1})
    databases.provision(own)
    databases.migrate(own)
    with databases.open_pool(own) as pool, pool.connection() as connection:
        assert connection.execute("SELECT count(*) FROM bar").fetchone() == (0,)


def test_an_administrator_need_not_be_superuser(settings, postgres):
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS landlord")
        admin.execute("CREATE ROLE landlord LOGIN CREATEDB CREATEROLE PASSWORD 'landlord'")
        for role in ROLES:
            admin.execute(f"GRANT {role} TO landlord WITH ADMIN OPTION")
    address = postgres.admin_url.partition("@")[2]
    own = settings.model_copy(update={"database_url": SecretStr(f"postgresql://landlord:landlord@{address}")})
    databases.provision(own)
    databases.migrate(own)


@pytest.fixture
def guest(settings, postgres):
    """Return settings whose URL has a role without any right on the server."""
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS guest")
        admin.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    address = postgres.admin_url.partition("@")[2]
    return settings.model_copy(update={"database_url": SecretStr(f"postgresql://guest:guest@{address}")})


def test_a_role_that_may_not_create_roles_is_named_with_the_remedy(guest):
    with pytest.raises(StoreError) as failure:
        databases.provision(guest)
    line = str(failure.value)
    assert line.startswith("the databases could not be provided: permission denied")
    assert "mikrobot_owner cannot enter its database" in line
    assert line.endswith("the rights CREATEROLE and CREATEDB, or prepare the server as docs/database.md describes")
    assert "\n" not in line


def test_on_a_server_prepared_as_the_document_says_no_administrator_is_needed(own_server):
    address = own_server.start()
    with psycopg.connect(address, autocommit=True) as admin:
        admin.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        guest = own_server.settings.model_copy(
            update={"database_url": SecretStr(f"postgresql://guest:guest@{address.partition('@')[2]}")}
        )
        with pytest.raises(StoreError, match="cannot enter its database"):
            databases.provision(guest)
        for statement in prepared_by(own_server.home):
            admin.execute(statement)
    databases.provision(guest)
    databases.migrate(guest)
    with databases.open_pool(guest, LIVE) as pool, pool.connection() as connection:
        assert connection.execute("SELECT count(*) FROM journal").fetchone() == (0,)


def prepared_by(home):
    """Return the statements of docs/database.md, with the passwords of a state folder."""
    text = (Path(__file__).parents[3] / "docs" / "database.md").read_text()
    (block,) = re.findall(r"```sql\n(.*?)```", text, flags=re.DOTALL)
    filled = re.sub(r"secrets/\w+", lambda name: (home / name.group()).read_text(), block)
    return filled.split(";\n")[:-1]


def test_migrations_run_once_when_many_ask_at_once(settings):
    databases.provision(settings)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(databases.migrate, [settings] * 4))
    with psycopg.connect(databases.url(settings, "mikrobot")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0021",)]


def test_bars_stored_before_trades_were_kept_have_unknown_ones(database):
    with psycopg.connect(databases.url(database, OWNER)) as connection:
        connection.execute(
            "DROP TABLE strategy_memory, funding_rate, drift_reference, drift_window, drift_event, run_symbol, "
            "bar_revision, bar_disagreement, bar_origin, book_sample, quality, trading_states, stage_result, "
            "process_event, account_reset, shadow, journal, experiment_end, experiment"
        )  # newer than the bars' columns
        connection.execute("ALTER TABLE bar DROP COLUMN trades, DROP COLUMN taker_volume")
        connection.execute("ALTER TABLE decision DROP COLUMN strategy, DROP COLUMN comparisons")
        connection.execute("ALTER TABLE orders DROP COLUMN entry")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.execute("INSERT INTO bar VALUES (1, 1, 1, '2024-03-04 10:00Z', 1, 1, 1, 1, 5, 0)")
    databases.migrate(database)
    with psycopg.connect(databases.url(database, "mikrobot")) as connection:
        row = connection.execute("SELECT volume, trades::text, taker_volume::text FROM bar").fetchone()
    assert row == (5, "NaN", "NaN")


def test_tables_of_a_newer_version_are_left_alone(database):
    with psycopg.connect(databases.url(database, OWNER)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"tables are of a newer version of mikrobot .*9999"):
        databases.migrate(database)


def test_migrating_on_a_server_that_is_down_fails_with_a_remedy(settings, free_port):
    down = settings.model_copy(update={"postgres_port": free_port()})
    with pytest.raises(StoreError, match=r"\Athe tables could not be brought up to date: .*refused.*mikrobot up"):
        databases.migrate(down)


def test_provisioning_on_a_server_that_is_down_fails_with_a_remedy(settings, free_port):
    down = settings.model_copy(update={"postgres_port": free_port()})
    with pytest.raises(StoreError, match=r"\Athe databases could not be provided: .*refused.*mikrobot up"):
        databases.provision(down)


def test_a_pool_on_a_missing_database_is_refused(settings):
    with pytest.raises(StoreError, match=r"the database mikrobot cannot be used: .* does not exist"):
        databases.open_pool(settings)


def test_a_pool_on_a_server_that_is_down_fails_with_a_remedy(settings, free_port):
    down = settings.model_copy(update={"postgres_port": free_port()})
    with pytest.raises(StoreError, match=r"refused.*mikrobot up"):
        databases.open_pool(down)


def test_pooled_connections_have_time_limits(pool):
    with pool.connection() as connection:
        limits = connection.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
        assert limits.fetchone() == ("15s", "5s")


def test_work_is_done_again_on_a_new_connection_when_the_server_cut_the_old_one(pool, postgres):
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'mikrobot'")
    databases.execute(pool, "noting", lambda connection: connection.execute("INSERT INTO symbol (name) VALUES ('X')"))


def test_a_failing_statement_is_not_repeated_but_reported_in_one_line(pool):
    tries = []

    def work(connection):
        tries.append(1)
        connection.execute("SELECT\n1/0")

    with pytest.raises(StoreError, match=r"\Adividing failed: division by zero\Z") as failure:
        databases.execute(pool, "dividing", work)
    assert len(tries) == 1
    assert isinstance(failure.value.__cause__, errors.DivisionByZero)


def test_the_bundled_server_is_plain(pool):
    with pool.connection() as connection:
        assert databases.capability(connection) is Capability.PLAIN


def test_a_lock_is_held_by_one_at_a_time_and_another_lock_is_not_touched(database):
    def hold() -> str:
        with databases.exclusive(database, "features of EURUSD"):
            return "held"

    def one_waits() -> bool:
        with psycopg.connect(databases.url(database, "mikrobot")) as connection:
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            return connection.execute(waiting).fetchone() == (1,)

    with ThreadPoolExecutor(1) as threads:
        with databases.exclusive(database, "features of EURUSD"):
            other = threads.submit(hold)
            wait_until(one_waits, "nobody waits for the lock", SystemClock(), timeout_s=30)
            with databases.exclusive(database, "features of BTCUSDT"):
                assert not other.done()
        assert other.result(timeout=30) == "held"


def test_a_lock_ends_with_an_error_of_whoever_holds_it(database):
    with pytest.raises(ValueError, match="of mine"), databases.exclusive(database, "models"):
        raise ValueError("an error of mine")
    with databases.exclusive(database, "models"):
        pass
