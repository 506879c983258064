"""A Feast online store on PostgreSQL that packs the features of an entity into one row.

A row holds its values as one float8[] in the order of the view's fields; only the view has the names. Independent
of bars.
"""

import atexit
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from threading import Lock
from typing import Any, Literal, LiteralString

from feast import Entity, FeatureView
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.types import Float64
from psycopg import sql
from psycopg_pool import ConnectionPool
from pydantic import SecretStr

from mikrobot.domain.errors import StoreError
from mikrobot.store.feast.config import VERSION_TAG
from mikrobot.store.postgres.database import Connection, Pool, execute

WrittenRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
"""A row to write in Feast's form: entity, values by name, event time, time of creation."""

ReadRow = tuple[datetime | None, dict[str, Value] | None]
"""A row that was read in Feast's form: event time and values by name; two None if there is no row."""


_PackedRow = tuple[datetime, list[float | None]]
"""Event time and values in the order of the fields; None for a missing value."""


class PackedOnlineStoreConfig(FeastConfigBaseModel):
    """The ``online_store`` of a Feast configuration.

    Attributes
    ----------
    url : str
        ``postgresql://`` URL of the database, with a role that may create tables in it.
    max_connections : int
    """

    type: Literal["mikrobot.store.feast.online_store.PackedOnlineStore"] = (
        "mikrobot.store.feast.online_store.PackedOnlineStore"
    )
    url: SecretStr
    max_connections: int = 4


@dataclass(frozen=True, slots=True)
class _Statements:
    """The SQL statements for the table of one view."""

    create: bytes
    drop: bytes
    write: bytes
    read: bytes
    forget: bytes


class PackedOnlineStore(OnlineStore):
    """Feast online store on PostgreSQL: one row of float8[] per entity, never replaced by an older one.

    `write_row` and `read_row` handle one entity as plain numbers, so that a live row of hundreds of fields is not
    converted to as many Feast messages and back.

    Readers ignore rows written with other fields or another version tag of the view. A commit does not wait for the
    disk; the next durable commit on the same server, such as the one that announces the row, writes it to disk too.
    Calls wait for a server that restarts.
    """

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[WrittenRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write rows; rows older than the stored ones are skipped.

        Raises
        ------
        StoreError
            If the server does not come back, or the view is not applied.
        """
        layout, names = _layout(table), [field.name for field in table.features]
        rows = [
            (_key(config, entity), layout, event_time, [_number(values.get(name)) for name in names])
            for entity, values, event_time, _ in data
        ]
        self._write(config, table, rows)
        if progress:
            progress(len(rows))

    def write_row(
        self, config: RepoConfig, table: FeatureView, entity: EntityKey, event_time: datetime, values: list[float]
    ) -> None:
        """Write the row of one entity, unless a newer one is stored.

        Parameters
        ----------
        values : list of float
            One for each field of the view, in their order.

        Raises
        ------
        StoreError
            As `online_write_batch`.
        """
        self._write(config, table, [(_key(config, entity), _layout(table), event_time, values)])

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[ReadRow]:
        """Read the rows of the entities, in their order; by default all fields.

        Raises
        ------
        StoreError
            If the server does not come back, or the view is not applied.
        """
        keys = [_key(config, entity) for entity in entity_keys]
        rows, places = self._read(config, table, keys), _places(table, requested_features)
        return [_read_row(rows.get(key), places) for key in keys]

    def read_row(self, config: RepoConfig, table: FeatureView, entity: EntityKey) -> _PackedRow | None:
        """Return the event time and the values of one entity, in the order of the fields; None without a row.

        Raises
        ------
        StoreError
            As `online_read`.
        """
        key = _key(config, entity)
        return self._read(config, table, [key]).get(key)

    def forget(self, config: RepoConfig, table: FeatureView, entity_keys: list[EntityKey]) -> None:
        """Delete the rows of the entities, for any event time.

        Raises
        ------
        StoreError
            If the server does not come back, or the view is not applied.
        """
        keys, forget = [_key(config, entity) for entity in entity_keys], _statements(config.project, table.name).forget
        execute(
            _pool(config.online_store),
            f"deleting online rows of {table.name}",
            lambda connection: connection.execute(forget, (keys,)),
        )

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Create the tables of the views to keep, and drop those of the views to delete.

        Raises
        ------
        StoreError
            If a field is not Float64, then nothing has changed; or if the server does not come back.
        """
        for view in tables_to_keep:
            foreign = [f"{field.name} ({field.dtype})" for field in view.features if field.dtype != Float64]
            if foreign:
                raise StoreError(f"{view.name}: this online store supports only Float64, found {', '.join(foreign)}")
        statements = [_statements(config.project, view.name).create for view in tables_to_keep]
        statements += [_statements(config.project, view.name).drop for view in tables_to_delete]
        self._run(config, statements)

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Drop the tables of the views."""
        self._run(config, [_statements(config.project, view.name).drop for view in tables])

    def _write(self, config: RepoConfig, table: FeatureView, rows: list[tuple[Any, ...]]) -> None:
        write = _statements(config.project, table.name).write

        def work(connection: Connection) -> None:
            if len(rows) == 1:
                connection.execute(write, rows[0])
                return
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(write, rows)

        execute(_pool(config.online_store), f"writing online rows of {table.name}", work)

    def _read(self, config: RepoConfig, table: FeatureView, keys: list[bytes]) -> dict[bytes, _PackedRow]:
        read, layout = _statements(config.project, table.name).read, _layout(table)
        rows = execute(
            _pool(config.online_store),
            f"reading online rows of {table.name}",
            lambda connection: connection.execute(read, (keys, layout), binary=True).fetchall(),
        )
        return {key: (event_time, values) for key, event_time, values in rows}

    def _run(self, config: RepoConfig, statements: list[bytes]) -> None:
        def work(connection: Connection) -> None:
            with connection.transaction():
                for statement in statements:
                    connection.execute(statement)

        execute(_pool(config.online_store), "changing the online tables", work)


def _key(config: RepoConfig, entity: EntityKey) -> bytes:
    key: bytes = serialize_entity_key(entity, config.entity_key_serialization_version)
    return key


def _layout(view: FeatureView) -> str:
    """Return a hash of the layout of a packed row: the view's fields in order, and their version."""
    meaning = [view.tags.get(VERSION_TAG, ""), *(field.name for field in view.features)]
    return blake2b("\n".join(meaning).encode(), digest_size=8).hexdigest()


def _places(view: FeatureView, requested: list[str] | None) -> dict[str, int]:
    """Return the positions of the requested fields in the packed row."""
    wanted = None if requested is None else set(requested)
    return {field.name: i for i, field in enumerate(view.features) if wanted is None or field.name in wanted}


def _read_row(row: _PackedRow | None, places: dict[str, int]) -> ReadRow:
    if row is None:
        return None, None
    event_time, packed = row
    return event_time, {name: _value(packed[place]) for name, place in places.items()}


def _value(number: float | None) -> Value:
    return Value() if number is None else Value(double_val=number)


def _number(value: Value | None) -> float | None:
    return value.double_val if value is not None and value.HasField("double_val") else None


@lru_cache(maxsize=64)
def _statements(project: str, view: str) -> _Statements:
    table = sql.Identifier(f"{project}_{view}")

    def composed(statement: LiteralString) -> bytes:
        return sql.SQL(statement).format(table=table).as_bytes(None)

    return _Statements(
        create=composed(
            "CREATE TABLE IF NOT EXISTS {table} (entity_key bytea PRIMARY KEY, layout text NOT NULL, "
            "event_time timestamptz NOT NULL, features float8[] NOT NULL) WITH (fillfactor = 50)"
        ),
        drop=composed("DROP TABLE IF EXISTS {table}"),
        write=composed(
            "INSERT INTO {table} AS held VALUES (%b, %b, %b, %b) ON CONFLICT (entity_key) DO UPDATE "
            "SET layout = excluded.layout, event_time = excluded.event_time, features = excluded.features "
            "WHERE held.event_time <= excluded.event_time OR held.layout <> excluded.layout"
        ),
        read=composed(
            "SELECT entity_key, event_time, features FROM {table} WHERE entity_key = ANY(%b) AND layout = %b"
        ),
        forget=composed("DELETE FROM {table} WHERE entity_key = ANY(%b)"),
    )


_OPTIONS = "-c synchronous_commit=off -c statement_timeout=15s -c lock_timeout=5s -c timezone=UTC"


_OPENING = Lock()


def _pool(config: PackedOnlineStoreConfig) -> Pool:
    """Return the pool of this process for a URL; stores and their copies share it.

    It opens without a server; `execute` waits for one. Feast never closes a store, so the pool stays open until the
    process ends.
    """
    with _OPENING:
        return _open_pool(config.url.get_secret_value(), config.max_connections, os.getpid())


@lru_cache
def _open_pool(url: str, maximum: int, process: int) -> Pool:
    pool: Pool = ConnectionPool(
        url,
        kwargs={"autocommit": True, "connect_timeout": 3, "prepare_threshold": 0, "options": _OPTIONS},
        min_size=0,
        max_size=maximum,
        timeout=5.0,
        reconnect_timeout=10.0,
        name="feast-online",
        open=True,
    )
    atexit.register(pool.close)
    return pool
