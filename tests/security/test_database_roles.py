"""The live processes' role cannot change what was traded, and each role has exactly its rights."""

from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from mikrobot.settings import Settings
from mikrobot.store.postgres import database as databases
from mikrobot.store.postgres.privileges import ACCESS, tables
from mikrobot.store.postgres.roles import APPLICATION, DATABASES, LIVE, OWNER, ROLES

LEDGER = (
    "feature_list", "prediction", "shadow", "decision", "orders", "fill", "journal", "skip",
    "experiment", "experiment_end", "account_reset", "run", "bar", "bar_revision", "bar_disagreement", "bar_origin",
    "funding_rate",
)  # fmt: skip

ATTACKS = (
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "TRUNCATE {table} CASCADE",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} ADD COLUMN more int",
    "ALTER TABLE {table} OWNER TO CURRENT_USER",
    "CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "DROP TABLE {table} CASCADE",
    "DO $$ BEGIN LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; END $$",
)

OTHER_ATTACKS = (
    "CREATE TABLE mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "DROP FUNCTION refuse_change() CASCADE",
    "DROP SCHEMA public CASCADE",
    "ALTER SCHEMA public RENAME TO elsewhere",
    "CREATE SCHEMA mine",
    "SET session_replication_role = replica",
    f"SET ROLE {OWNER}",
    f"SET ROLE {APPLICATION}",
    "SET ROLE postgres",
    f"GRANT {OWNER} TO CURRENT_USER",
    f"ALTER ROLE {OWNER} PASSWORD 'mine'",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "ALTER DATABASE mikrobot OWNER TO CURRENT_USER",
    "SELECT pg_read_file('PG_VERSION')",
    "COPY run TO PROGRAM 'cat'",
    "UPDATE alembic_version SET version_num = '0001'",
    "SELECT * FROM alembic_version",
)


@pytest.fixture
def provided(settings: Settings) -> Settings:
    """Return the settings of databases that the platform itself has provided and migrated, with their rights."""
    databases.provision(settings)
    databases.migrate(settings)
    return settings


def as_role(settings: Settings, role: str) -> psycopg.Connection[Any]:
    """Return an autocommitting connection of a role."""
    return psycopg.connect(databases.url(settings, role), autocommit=True)


def refused(connection: psycopg.Connection[Any], statement: str | sql.Composable) -> bool:
    """Return True if the server denies permission, or asks for an owner, which is the same error."""
    try:
        connection.execute(statement)
    except errors.InsufficientPrivilege:
        return True
    return False


@pytest.mark.parametrize("table", LEDGER)
def test_the_live_role_cannot_change_the_ledger_the_runs_and_the_bars(database: Settings, table: str) -> None:
    second = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 2"
    with as_role(database, LIVE) as connection:
        (column,) = connection.execute(second, [table]).fetchall()[0]
        names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        allowed = [attack for attack in ATTACKS if not refused(connection, sql.SQL(attack).format(**names))]
    assert allowed == []


def test_the_live_role_cannot_get_around_that(provided: Settings) -> None:
    with as_role(provided, LIVE) as connection:
        allowed = [attack for attack in OTHER_ATTACKS if not refused(connection, attack)]
    assert allowed == []


def test_a_role_enters_its_own_database_only(provided: Settings) -> None:
    for role, own in ROLES.items():
        address = databases.url(provided, role).rpartition("/")[0]
        psycopg.connect(f"{address}/{own}").close()
        for name in DATABASES.keys() - {own}:
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(f"{address}/{name}")


@pytest.mark.parametrize("table", ["journal", "decision", "alembic_version"])
def test_commands_and_flows_cannot_change_the_ledger_either(database: Settings, table: str) -> None:
    with as_role(database, APPLICATION) as connection:
        for attack in ("DELETE FROM {}", "TRUNCATE {} CASCADE", "ALTER TABLE {} DISABLE TRIGGER ALL", "DROP TABLE {}"):
            assert refused(connection, sql.SQL(attack).format(sql.Identifier(table)))


def test_every_table_has_its_rights_listed(database: Settings) -> None:
    with as_role(database, OWNER) as connection:
        assert [table for table in tables(connection) if table not in ACCESS] == []


def test_a_table_without_listed_rights_is_appended_to_by_commands_and_read_by_live_processes(
    database: Settings,
) -> None:
    with as_role(database, OWNER) as owner:
        owner.execute("CREATE TABLE newest (id int)")
    databases.migrate(database)
    with as_role(database, APPLICATION) as connection:
        connection.execute("INSERT INTO newest VALUES (1)")
        assert refused(connection, "DELETE FROM newest")
    with as_role(database, LIVE) as connection:
        assert connection.execute("SELECT id FROM newest").fetchall() == [(1,)]
        assert refused(connection, "INSERT INTO newest VALUES (2)")


def test_rights_that_somebody_granted_by_hand_are_taken_back_by_the_next_start(database: Settings) -> None:
    with as_role(database, OWNER) as owner:
        owner.execute(f"GRANT UPDATE (record), DELETE ON journal TO {LIVE}")
        owner.execute(f"REVOKE INSERT ON decision FROM {LIVE}")
        databases.migrate(database)
        rights = "SELECT has_table_privilege(%s, %s, %s)"
        assert owner.execute(rights, [LIVE, "journal", "DELETE"]).fetchone() == (False,)
        assert owner.execute("SELECT has_any_column_privilege(%s, 'journal', 'UPDATE')", [LIVE]).fetchone() == (False,)
        assert owner.execute(rights, [LIVE, "decision", "INSERT"]).fetchone() == (True,)


def test_rights_that_are_right_are_not_granted_again(database: Settings) -> None:
    rows = "SELECT oid, xmin FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    with as_role(database, OWNER) as owner:
        before = owner.execute(rows).fetchall()
        databases.migrate(database)
        assert owner.execute(rows).fetchall() == before
