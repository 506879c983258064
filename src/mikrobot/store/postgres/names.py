"""Small numbers for the names of sources and symbols, so that a bar's key is a few bytes."""

from typing import Literal

from psycopg import sql

from mikrobot.store.postgres.database import Connection, Pool, execute


class Names:
    """Looks numbers up, and hands out new ones; each process remembers those it has seen."""

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
        known = self._known.get((table, name))
        if known is None:
            known = execute(self._pool, f"numbering {table} {name}", lambda c: _find_or_add(c, table, name))
            self._known[table, name] = known
        return known


def _find_or_add(connection: Connection, table: Literal["source", "symbol"], name: str) -> int:
    """Commit a new number before anything refers to it: the caller may yet roll back."""
    find = sql.SQL("SELECT id FROM {} WHERE name = %s").format(sql.Identifier(table))
    add = sql.SQL("INSERT INTO {} (name) VALUES (%s) ON CONFLICT DO NOTHING").format(sql.Identifier(table))
    row = connection.execute(find, [name]).fetchone()
    if row is None:
        connection.execute(add, [name])
        row = connection.execute(find, [name]).fetchone()
        assert row is not None
    return int(row[0])
