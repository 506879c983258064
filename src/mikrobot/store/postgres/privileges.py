"""Rights of the commands and of the live processes on each of the platform's tables.

A new table needs an entry in `ACCESS`; without one, commands append to it and live processes read it. The rights are
granted after every migration, so that they never depend on which of them created a table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from psycopg import sql

from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.store.postgres.roles import APPLICATION, LIVE, Connection

Kind = Literal["SELECT", "INSERT", "UPDATE", "DELETE"]
Rights = Mapping[Kind, tuple[str, ...]]
"""Kinds of statement with the columns they are limited to; none: every column."""

NOTHING: Rights = {}
READ: Rights = {"SELECT": ()}
APPEND: Rights = {**READ, "INSERT": ()}


@dataclass(frozen=True, slots=True)
class Access:
    """Rights on a table of the commands and flows, and of the live processes."""

    application: Rights = field(default_factory=lambda: APPEND)
    live: Rights = field(default_factory=lambda: READ)

    @property
    def by_role(self) -> dict[str, Rights]:
        """The rights by the name of the role."""
        return {APPLICATION: self.application, LIVE: self.live}


RECORDED = Access(APPEND, READ)
"""Rows that commands and flows append, and nobody changes."""

LEDGER = Access(APPEND, APPEND)
"""Rows that live processes append, and nobody changes."""

_PROGRESS: Rights = {**APPEND, "UPDATE": ("close_time", "finished")}
_LATENCY: Rights = {**APPEND, "UPDATE": ("summary",)}
_MEMORY: Rights = {**APPEND, "UPDATE": ("memory",)}
_ENDED: Rights = {**APPEND, "UPDATE": ("until",)}
_STATE: Rights = {**APPEND, "UPDATE": ("snapshot", "saved"), "DELETE": ()}

ACCESS: Mapping[str, Access] = {
    "alembic_version": Access(READ, NOTHING),
    "source": LEDGER,
    "symbol": LEDGER,
    "bar": Access({**APPEND, "UPDATE": BAR_COLUMNS[1:], "DELETE": ()}, APPEND),
    "quality": Access({**APPEND, "DELETE": ()}, APPEND),
    "book_sample": Access({**APPEND, "DELETE": ()}, APPEND),
    "quarantine": LEDGER,
    "bar_revision": LEDGER,
    "bar_disagreement": LEDGER,
    "bar_origin": LEDGER,
    "funding_rate": LEDGER,
    "feature_state": Access(_STATE, _STATE),
    "run": Access({**APPEND, "UPDATE": ("summary",)}, READ),
    "progress": Access(_PROGRESS, _PROGRESS),
    "latency": Access(_LATENCY, _LATENCY),
    "stage_result": RECORDED,
    "run_symbol": RECORDED,
    "feature_list": LEDGER,
    "prediction": LEDGER,
    "shadow": LEDGER,
    "decision": LEDGER,
    "orders": LEDGER,
    "strategy_memory": Access(_MEMORY, _MEMORY),
    "journal": LEDGER,
    "skip": LEDGER,
    "trading_states": Access(_ENDED, _ENDED),
    "fill": Access(READ, READ),
    "experiment": RECORDED,
    "experiment_end": RECORDED,
    "account_reset": RECORDED,
    "process_event": RECORDED,
    "drift_reference": RECORDED,
    "drift_window": RECORDED,
    "drift_event": RECORDED,
}
"""Access to each table; `fill` is no longer written."""

_GRANTED = """
WITH tables AS (
    SELECT oid, relname, relacl FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
)
SELECT relname, '', pg_get_userbyid(grantee), privilege_type FROM tables, aclexplode(relacl)
UNION ALL
SELECT relname, attname, pg_get_userbyid(grantee), privilege_type
FROM tables JOIN pg_attribute ON attrelid = tables.oid, aclexplode(attacl)
"""


def tables(connection: Connection) -> list[str]:
    """Return the names of the platform's tables, sorted."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    return [name for (name,) in connection.execute(query).fetchall()]


def grant(connection: Connection) -> None:
    """Give each role exactly its rights on every table, and change nothing where they are right already.

    Parameters
    ----------
    connection : Connection
        The owner's, to the database `mikrobot`.
    """
    granted: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for table, column, role, kind in connection.execute(_GRANTED).fetchall():
        granted.setdefault((table, role), set()).add((kind, column))
    for table in tables(connection):
        for role, rights in ACCESS.get(table, RECORDED).by_role.items():
            if granted.get((table, role), set()) != _expanded(rights):
                _replace(connection, table, role, rights)


def _expanded(rights: Rights) -> set[tuple[str, str]]:
    return {(kind, column) for kind, columns in rights.items() for column in columns or ("",)}


def _replace(connection: Connection, table: str, role: str, rights: Rights) -> None:
    place = {"table": sql.Identifier("public", table), "role": sql.Identifier(role)}
    connection.execute(sql.SQL("REVOKE ALL ON TABLE {table} FROM {role}").format(**place))
    for kind, columns in rights.items():
        limit = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, columns))) if columns else sql.SQL("")
        statement = sql.SQL("GRANT {kind} {limit} ON TABLE {table} TO {role}")
        connection.execute(statement.format(kind=sql.SQL(kind), limit=limit, **place))
