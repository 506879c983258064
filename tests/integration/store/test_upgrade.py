"""A database of version 0.2.0, in which the role of the commands owned every table, keeps its rows."""

import psycopg
import pytest
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import create_engine, pool

from mikrobot.domain.market import Timeframe
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import JournalLine, Ledger
from mikrobot.store.postgres import database as databases
from mikrobot.store.postgres.passwords import password
from mikrobot.store.postgres.privileges import tables
from mikrobot.store.postgres.roles import APPLICATION, LIVE, OWNER
from mikrobot.store.runs import Runs

LAST_OF_0_2_0 = "0006"


def migrate_to(settings: Settings, target: str) -> None:
    """Migrate as version 0.2.0 did: by the role of the commands."""
    scripts = ScriptDirectory(str(databases._MIGRATIONS))
    engine = create_engine(databases.url(settings, APPLICATION, "postgresql+psycopg"), poolclass=pool.NullPool)
    with (
        engine.begin() as connection,
        EnvironmentContext(
            Config(), scripts, fn=lambda revision, _: scripts._upgrade_revs(target, revision)
        ) as environment,
    ):
        environment.configure(connection=connection)
        environment.run_migrations()


@pytest.fixture
def former(own_server, run, bars):
    """Return a server with the database and the rows of version 0.2.0."""
    secret = sql.Literal(password(own_server.home, APPLICATION))
    with psycopg.connect(own_server.start(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE mikrobot LOGIN PASSWORD {}").format(secret))
        admin.execute("CREATE DATABASE mikrobot OWNER mikrobot")
        admin.execute("REVOKE CONNECT ON DATABASE mikrobot FROM PUBLIC")
    migrate_to(own_server.settings, LAST_OF_0_2_0)
    with databases.open_pool(own_server.settings) as opened:
        with opened.connection() as connection:  # as version 0.2.0 did, which has no table of later symbols
            market = (run.id, run.source, run.simulated, list(run.symbols), run.starts_at, run.ends_at, run.started_at)
            connection.execute(f"INSERT INTO run VALUES ({', '.join(['%s'] * 8)})", (*market, Jsonb(run.settings)))
            record = '{"record":"booked",  "seq":0}'
            connection.execute(
                "INSERT INTO journal (run_id, account, seq, kind, record) VALUES (%s, 'fx', 0, 'booked', %s)",
                (run.id, record),
            )
            skip = "INSERT INTO skip (run_id, symbol, close_time, reason) VALUES (%s, 'EURUSD', %s, 'no row')"
            connection.execute(skip, (run.id, run.starts_at))
        Runs(opened).conclude("r1", {"trades": 3})
        BarStore(opened).upsert("replay", "EURUSD", Timeframe.M1, bars(100))
    return own_server


def contents(settings: Settings, role: str) -> dict[str, str]:
    """Return a hash of the rows of each table but that of the revision."""
    with psycopg.connect(databases.url(settings, role)) as connection:
        query = sql.SQL("SELECT md5(string_agg(row::text, '\n' ORDER BY row::text)) FROM {} AS row")
        return {
            table: connection.execute(query.format(sql.Identifier(table))).fetchall()[0][0]
            for table in tables(connection)
            if table != "alembic_version"
        }


def test_the_tables_are_handed_over_with_all_their_rows(former, bars, run):
    before = contents(former.settings, APPLICATION)
    assert len(set(before.values())) > 5
    for _ in range(2):
        databases.provision(former.settings)
        databases.migrate(former.settings)
    after = contents(former.settings, OWNER)
    assert {table: after[table] for table in before} == before
    with psycopg.connect(databases.url(former.settings, LIVE), autocommit=True) as live:
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        assert live.execute(owners).fetchall() == [(OWNER,)]
        assert live.execute("SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'refuse_change'").fetchall()[
            0
        ] == (OWNER,)
        for statement in ("ALTER TABLE journal DISABLE TRIGGER ALL", "DROP TABLE skip", "DELETE FROM bar"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                live.execute(statement)


def test_commands_and_live_processes_continue_on_the_former_rows(former, bars, run):
    databases.provision(former.settings)
    databases.migrate(former.settings)
    frame = bars(100)
    frame.loc[50, "close"] += 1e-5
    with databases.open_pool(former.settings) as opened:
        assert BarStore(opened).upsert("replay", "EURUSD", Timeframe.M1, frame) == 1
        Runs(opened).conclude("r1", {"trades": 4})
    with databases.open_pool(former.settings, LIVE) as opened:
        journal = [JournalLine("fx", 1, "filled", '{"record":"filled","seq":1}')]
        assert Ledger(opened).commit("r1", run.ends_at, journal=journal)
        assert len(Ledger(opened).journal("r1")) == 2
