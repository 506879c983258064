"""The database roles, the databases they enter, and who owns what.

The platform's tables have three roles: the owner, by which only migrations run; that of commands and flows; and that
of the live processes. `privileges` has their rights by table. Prefect, MLflow and Feast own their databases.
"""

from typing import Any, LiteralString

import psycopg
from psycopg import sql

OWNER = "mikrobot_owner"
"""Owns the platform's tables; migrations alone run as it."""

APPLICATION = "mikrobot"
"""The commands and the flows."""

LIVE = "mikrobot_live"
"""The streamer and the worker: they append, and change nothing that was traded on."""

DATABASES = {"mikrobot": OWNER, "prefect": "prefect", "mlflow": "mlflow", "feast": "feast"}
"""The owner of each database."""

ROLES = {OWNER: "mikrobot", APPLICATION: "mikrobot", LIVE: "mikrobot"} | {
    owner: name for name, owner in DATABASES.items() if name != "mikrobot"
}
"""The only database that each role enters."""

Connection = psycopg.Connection[tuple[Any, ...]]


def provide_role(connection: Connection, name: str, secret: str) -> None:
    """Create a role if it is missing, and set its password."""
    role = sql.Identifier(name)
    if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", name):
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
    verifier = connection.pgconn.encrypt_password(secret.encode(), name.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(verifier)))


def provide_database(connection: Connection, name: str) -> None:
    """Create a database if it is missing."""
    if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", name):
        statement = sql.SQL("CREATE DATABASE {} OWNER {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(DATABASES[name])))


def hand_over(connection: Connection) -> None:
    """Make `OWNER` the owner of everything that `APPLICATION` owns, as it did up to version 0.2.0.

    Parameters
    ----------
    connection : Connection
        The administrator's, to the database `mikrobot`.
    """
    if _exists(connection, _OWNED, APPLICATION):
        statement = sql.SQL("REASSIGN OWNED BY {} TO {}")
        connection.execute(statement.format(sql.Identifier(APPLICATION), sql.Identifier(OWNER)))


_OWNED = """
WITH role AS (SELECT oid FROM pg_roles WHERE rolname = %s)
SELECT 1 FROM role WHERE EXISTS (SELECT FROM pg_database WHERE datname = current_database() AND datdba = role.oid)
OR EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relowner = role.oid)
"""


def admit(connection: Connection, database: str) -> None:
    """Let only the roles of a database connect to it; only commands and flows need temporary tables besides owners."""
    named = sql.Identifier(database)
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(named))
    for role, entered in ROLES.items():
        if entered == database and role != DATABASES[database]:
            rights = sql.SQL("CONNECT, TEMPORARY" if role == APPLICATION else "CONNECT")
            connection.execute(sql.SQL("GRANT {} ON DATABASE {} TO {}").format(rights, named, sql.Identifier(role)))


def _exists(connection: Connection, query: LiteralString, name: str) -> bool:
    return connection.execute(query, [name]).fetchone() is not None
