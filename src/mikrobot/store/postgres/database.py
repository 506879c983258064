"""Provision, migration and connections of the PostgreSQL server that all services share.

The platform's tables, Prefect, MLflow and Feast each have a database, with the roles of `roles`; their passwords are
in ``home/secrets``. Works on the bundled server and on the user's own server. Every error is raised as a `StoreError`
of one line.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool, PoolTimeout

from mikrobot.domain.errors import StoreError
from mikrobot.runtime import retry
from mikrobot.settings import Settings, without_credentials
from mikrobot.store.postgres import roles
from mikrobot.store.postgres.passwords import password

R = TypeVar("R")
Connection = roles.Connection
Pool = ConnectionPool[Connection]

FEAST_REGISTRY_SCHEMA = "registry"
"""Schema of Feast's registry in the database `feast`; Feast does not create it."""

TRANSIENT = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
"""Errors of a server that restarts, or of a broken connection."""

_MIGRATIONS = Path(__file__).parents[1] / "migrations"
_PROVISION_LOCK, _MIGRATION_LOCK = 4_919_001, 4_919_002


class Capability(Enum):
    """The extension TimescaleDB on the server, and its edition."""

    PLAIN = "plain PostgreSQL"
    APACHE = "TimescaleDB, Apache licence"
    FULL = "TimescaleDB, full"


def url(settings: Settings, role: str = roles.APPLICATION, scheme: str = "postgresql") -> str:
    """Return the URL of a role's database; it contains the password.

    Parameters
    ----------
    settings : Settings
    role : str
        One of `roles.ROLES`.
    scheme : str
        Scheme with the driver for SQLAlchemy, as ``postgresql+psycopg`` or ``postgresql+asyncpg``.

    Raises
    ------
    StoreError
        If the folder of the passwords cannot be used.
    """
    server = urlsplit(without_credentials(urlunsplit(_server(settings))))
    place = f"{role}:{_password(settings, role)}@{server.netloc}"
    return urlunsplit((scheme, place, f"/{roles.ROLES[role]}", server.query, ""))


def provision(settings: Settings) -> None:
    """Create every missing database and role, hand over the tables to their owner, and set the passwords.

    Idempotent, and safe if several processes call it. Overwrites a different password, so one server belongs to one
    state folder. A server on which somebody else has prepared all this needs no administrator.

    Raises
    ------
    StoreError
        If the server does not answer or refuses a statement.
    """
    with translated("the databases could not be provided"):
        try:
            _provide(settings)
        except psycopg.errors.InsufficientPrivilege as error:
            _require_prepared(settings, error)
        else:
            _provide_timescale(settings)
        with _connect(url(settings, "feast")) as connection:
            schema = sql.Identifier(FEAST_REGISTRY_SCHEMA)
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))


def _provide(settings: Settings) -> None:
    secrets = {role: _password(settings, role) for role in roles.ROLES}
    with _connect(_admin(settings)) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_PROVISION_LOCK])
        for role, secret in secrets.items():
            roles.provide_role(connection, role, secret)
        for name in roles.DATABASES:
            roles.provide_database(connection, name)
        with _connect(_admin(settings, "mikrobot")) as inside:
            roles.hand_over(inside)
        for name in roles.DATABASES:
            roles.admit(connection, name)


def _require_prepared(settings: Settings, refusal: psycopg.Error) -> None:
    """Check that every role enters its database although the administrator's role may not provide them."""
    for role in roles.ROLES:
        try:
            _connect(url(settings, role)).close()
        except psycopg.OperationalError as error:
            raise StoreError(
                f"the databases could not be provided: {_line(refusal)}, and {role} cannot enter its database "
                f"({_line(error)}); give the role in MIKROBOT_DATABASE_URL the rights CREATEROLE and CREATEDB, "
                "or prepare the server as docs/database.md describes"
            ) from error


def migrate(settings: Settings) -> None:
    """Migrate the platform's tables to the newest revision, and grant the roles their rights on them.

    One process at a time, completely or not at all.

    Raises
    ------
    StoreError
        If the server does not answer, the tables belong to a newer version, or a revision fails; then nothing has
        changed.
    """
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError
    from sqlalchemy import create_engine, pool
    from sqlalchemy.exc import DBAPIError

    from mikrobot.store.postgres import privileges  # imports pandas

    scripts = ScriptDirectory(str(_MIGRATIONS))
    engine = create_engine(url(settings, roles.OWNER, "postgresql+psycopg"), poolclass=pool.NullPool)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            with EnvironmentContext(
                Config(), scripts, fn=lambda revision, _: scripts._upgrade_revs("head", revision)
            ) as environment:
                environment.configure(connection=connection)
                environment.run_migrations()
            driver: Any = connection.connection.driver_connection
            with translated("the rights of the database roles could not be granted"):
                privileges.grant(driver)
    except CommandError as error:
        raise StoreError(f"the tables are of a newer version of mikrobot than this one: {_line(error)}") from error
    except DBAPIError as error:
        with translated("the tables could not be brought up to date"):
            raise error.orig or error from error


def open_pool(
    settings: Settings, role: str = roles.APPLICATION, *, minimum: int = 1, maximum: int = 8, timeout_s: float = 5.0
) -> Pool:
    """Open a pool of autocommitting connections; close it, or use it as a context manager.

    The timeout of a statement is 15 s, that of a lock 5 s. Times are UTC.

    Parameters
    ----------
    settings : Settings
    role : str
        One of `roles.ROLES`; the pool is on its database.
    minimum, maximum : int
        Number of connections.
    timeout_s : float
        Seconds that a caller waits for a connection.

    Raises
    ------
    StoreError
        If the server does not answer, or the database does not exist yet.
    """
    address = url(settings, role)
    with translated(f"the database {roles.ROLES[role]} cannot be used"):
        _connect(address).close()
        pool: Pool = ConnectionPool(
            address,
            kwargs=_CONNECTION | {"options": _OPTIONS},
            min_size=minimum,
            max_size=maximum,
            timeout=timeout_s,
            reconnect_timeout=10.0,
            name=role,
            open=False,
        )
        pool.open(wait=True, timeout=timeout_s)
    return pool


_CONNECTION: dict[str, Any] = {
    "autocommit": True,
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "mikrobot",
}
_OPTIONS = "-c statement_timeout=15s -c lock_timeout=5s -c timezone=UTC"


def execute(pool: Pool, doing: str, work: Callable[[Connection], R]) -> R:
    """Run idempotent work on a connection, and repeat it if the server goes away.

    Parameters
    ----------
    pool : ConnectionPool
    doing : str
        Description of the work for the error message, as ``reading EURUSD bars``.
    work : callable
        Takes an autocommitting connection; opens its own transaction if it needs one.

    Raises
    ------
    StoreError
        If the work fails for another reason, or the server does not come back.
    """
    with translated(f"{doing} failed"):
        try:
            with pool.connection() as connection:
                return work(connection)
        except TRANSIENT:
            return _again(pool, work)


@contextmanager
def exclusive(settings: Settings, what: str) -> Iterator[None]:
    """Hold a lock that one process at a time can have; wait until it is free.

    The server releases the lock when the process that holds it ends for any reason.

    Parameters
    ----------
    what : str
        Name of the lock, as ``features of EURUSD``.

    Raises
    ------
    StoreError
        If the server does not answer.
    """
    with translated(f"the lock on the {what} cannot be acquired"):
        connection = _connect(url(settings))
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [what])
    with closing(connection):
        yield


@contextmanager
def translated(complaint: str) -> Iterator[None]:
    """Translate errors of PostgreSQL to a `StoreError` of one line that begins with `complaint`."""
    try:
        yield
    except (psycopg.Error, PoolTimeout) as error:
        raise StoreError(f"{complaint}: {_line(error)}{_remedy(error)}") from error


def connect_beside(pool: Pool) -> Connection:
    """Open a connection with the pool's parameters outside the pool; the caller closes it.

    Raises
    ------
    psycopg.OperationalError
        If the server does not answer.
    """
    assert isinstance(pool.conninfo, str)
    return psycopg.connect(pool.conninfo, **_CONNECTION, options=_OPTIONS)


def capability(connection: Connection) -> Capability:
    """Return the TimescaleDB edition of the server."""
    row = connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
    if row is None:
        return Capability.PLAIN
    licence = connection.execute("SHOW timescaledb.license").fetchone()
    return Capability.APACHE if licence == ("apache",) else Capability.FULL


@retry(on=TRANSIENT, attempts=8, timeout_s=30.0)
def _again(pool: Pool, work: Callable[[Connection], R]) -> R:
    pool.check()
    with pool.connection() as connection:
        return work(connection)


def _admin(settings: Settings, database: str | None = None) -> str:
    """Return the administrator's URL, of its default database or of a given one."""
    server = _server(settings)
    if settings.database_url is None:
        server = server._replace(netloc=f"postgres:{_password(settings, 'postgres')}@{server.netloc}")
    return urlunsplit(server if database is None else server._replace(path=f"/{database}"))


def _server(settings: Settings) -> SplitResult:
    if settings.database_url is None:
        return urlsplit(f"postgresql://{settings.host}:{settings.postgres_port}/postgres")
    return urlsplit(settings.database_url.get_secret_value())._replace(scheme="postgresql")


def _password(settings: Settings, role: str) -> str:
    try:
        return password(settings.home, role)
    except OSError as error:
        raise StoreError(
            f"the password in {settings.home / 'secrets' / role} cannot be used ({error.strerror}); "
            "make that folder readable and writable, or set MIKROBOT_HOME to another folder"
        ) from error


def _connect(address: str) -> Connection:
    return psycopg.connect(address, **_CONNECTION)


def _line(error: Exception) -> str:
    """Return the server's error message as one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _remedy(error: Exception) -> str:
    if isinstance(error, psycopg.OperationalError | PoolTimeout) and getattr(error, "sqlstate", None) is None:
        return "; is PostgreSQL up? `mikrobot up` starts it, `mikrobot doctor` examines it"
    return ""


def _provide_timescale(settings: Settings) -> None:
    available = "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
    with _connect(_admin(settings, "mikrobot")) as connection:
        if connection.execute(available).fetchone() is not None:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
