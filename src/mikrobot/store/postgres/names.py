"""Map the names of sources and symbols to small numbers, so that a bar's key takes few bytes."""

from typing import Literal

from psycopg import sql

from mikrobot.store.postgres.database import Connection, Pool, execute


class Names:
    """Looks up numbers and assigns new ones; each process caches them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[tuple[str, str], int] = {}

    def source(self, name: str) -> int:
        """Return the number of a market source."""
        return self._number("source", name)

    def symbol(self, name: str) -> int:
        """Return the number of a symbol."""
        return self._number("symbol", name)

    def _number(self, table: Literal["source", "symbol"], name: str) -> int:
        number = self._known.get((table, name))
        if number is None:
            number = execute(self._pool, f"numbering {table} {name}", lambda c: _find_or_add(c, table, name))
            self._known[table, name] = number
        return number


def _find_or_add(connection: Connection, table: Literal["source", "symbol"], name: str) -> int:
    """Return the number of a name; commit a new one before any row refers to it, since the caller may roll back."""
    find = sql.SQL("SELECT id FROM {} WHERE name = %s").format(sql.Identifier(table))
    add = sql.SQL("INSERT INTO {} (name) VALUES (%s) ON CONFLICT DO NOTHING").format(sql.Identifier(table))
    row = connection.execute(find, [name]).fetchone()
    if row is None:
        connection.execute(add, [name])
        row = connection.execute(find, [name]).fetchone()
        assert row is not None
    return int(row[0])
