"""Store snapshots of the feature state, from which a restarted streamer continues without the whole history."""

from datetime import datetime

from mikrobot.store.postgres.database import Connection, Pool, execute
from mikrobot.store.postgres.names import Names

KEPT = 8
"""Number of snapshots kept per symbol: the ones saved last, in any order of their closes."""

_SAVE = """
INSERT INTO feature_state (source_id, symbol_id, version, close_time, snapshot) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (source_id, symbol_id, version, close_time) DO UPDATE SET snapshot = excluded.snapshot, saved = DEFAULT
"""
_FORGET = """
DELETE FROM feature_state WHERE source_id = %(source)s AND symbol_id = %(symbol)s AND version = %(version)s
AND saved NOT IN (
    SELECT saved FROM feature_state
    WHERE source_id = %(source)s AND symbol_id = %(symbol)s AND version = %(version)s
    ORDER BY saved DESC LIMIT %(kept)s
)
"""
_REWIND = "DELETE FROM feature_state WHERE source_id = %s AND symbol_id = %s AND close_time > %s"
_LOAD = """
SELECT close_time, snapshot FROM feature_state
WHERE source_id = %s AND symbol_id = %s AND version = %s AND close_time <= %s
ORDER BY close_time DESC LIMIT 1
"""


class FeatureStates:
    """Saves and loads snapshots; every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._names = Names(pool)

    def save(self, source: str, symbol: str, version: str, close_time: datetime, *, snapshot: bytes) -> None:
        """Save a snapshot, and delete all but the `KEPT` that were saved last.

        Parameters
        ----------
        source, symbol
        version : str
            Version of the catalog; a snapshot of another version is never loaded.
        close_time : datetime
            Close of the last bar in the snapshot, UTC.
        snapshot : bytes
        """
        key = (self._names.source(source), self._names.symbol(symbol), version)
        old = {"source": key[0], "symbol": key[1], "version": version, "kept": KEPT}

        def work(connection: Connection) -> None:
            with connection.transaction():
                connection.execute(_SAVE, (*key, close_time, snapshot))
                connection.execute(_FORGET, old)

        execute(self._pool, f"saving the feature state of {symbol}", work)

    def load(self, source: str, symbol: str, version: str, until: datetime) -> tuple[datetime, bytes] | None:
        """Return the newest snapshot whose last bar closed by `until`, after its close time; or None."""
        key = (self._names.source(source), self._names.symbol(symbol), version, until)
        doing = f"loading the feature state of {symbol}"
        row = execute(self._pool, doing, lambda connection: connection.execute(_LOAD, key).fetchone())
        return None if row is None else (row[0], bytes(row[1]))

    def rewind(self, source: str, symbol: str, until: datetime) -> None:
        """Delete the snapshots of later closes, so that a replay can start again from this instant."""
        key = (self._names.source(source), self._names.symbol(symbol), until)
        execute(self._pool, f"rewinding the feature state of {symbol}", lambda c: c.execute(_REWIND, key))
