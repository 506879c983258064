"""Later versions of bars, and where a bar comes from that is not the venue's own.

The table `bar` keeps the version that was traded: features were computed from it online, and are again offline. What
the venue has otherwise later is a revision, known from a time on. Changes no bar.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from psycopg.types.numeric import Int2

from mikrobot.domain.market import BAR_COLUMNS, Bar, Timeframe
from mikrobot.store.postgres import frames
from mikrobot.store.postgres.database import Connection, Pool, execute
from mikrobot.store.postgres.names import Names

_VALUES = BAR_COLUMNS[1:]
_NAMES = ", ".join(_VALUES)
_KEY = "source_id = %(source)s AND symbol_id = %(symbol)s AND timeframe = %(timeframe)s"
_GIVEN = ", ".join(f"%({name})s::float8" for name in _VALUES)
_ADD = f"""
WITH given AS (SELECT {_GIVEN}),
versions AS (
    SELECT 0 AS seq, {_NAMES} FROM bar WHERE {_KEY} AND ts = %(open_time)s
    UNION ALL SELECT seq, {_NAMES} FROM bar_revision WHERE {_KEY} AND ts = %(open_time)s
), newest AS (SELECT {_NAMES} FROM versions ORDER BY seq DESC LIMIT 1)
INSERT INTO bar_revision (source_id, symbol_id, timeframe, ts, known_at, reason, {_NAMES})
SELECT %(source)s::smallint, %(symbol)s::smallint, %(timeframe)s::smallint, %(open_time)s::timestamptz,
    %(known_at)s::timestamptz, %(reason)s::text, given.*
FROM given WHERE NOT EXISTS (SELECT FROM newest WHERE newest IS NOT DISTINCT FROM given)
"""
_AS_KNOWN = f"""
WITH versions AS (
    SELECT ts, 0 AS seq, {_NAMES} FROM bar
    WHERE {_KEY} AND ts >= %(start)s AND ts < %(end)s AND ts <= %(closed)s
    UNION ALL
    SELECT ts, seq, {_NAMES} FROM bar_revision
    WHERE {_KEY} AND ts >= %(start)s AND ts < %(end)s AND known_at <= %(at)s
), newest AS (SELECT DISTINCT ON (ts) ts, {_NAMES} FROM versions ORDER BY ts, seq DESC)
SELECT {frames.PACKED} FROM newest
"""
_REVISIONS = f"""
SELECT symbol.name, ts, known_at, reason, {_NAMES} FROM bar_revision JOIN symbol ON symbol.id = symbol_id
WHERE source_id = %(source)s AND symbol_id = ANY(%(symbols)s) AND ts >= %(start)s AND ts < %(end)s ORDER BY seq
"""
_ORIGIN = (
    "INSERT INTO bar_origin VALUES (%(source)s, %(symbol)s, %(timeframe)s, %(open_time)s, %(origin)s) "
    "ON CONFLICT DO NOTHING"
)
_ORIGINS = """
SELECT symbol.name, ts, origin FROM bar_origin JOIN symbol ON symbol.id = symbol_id
WHERE source_id = %(source)s AND symbol_id = ANY(%(symbols)s) AND ts >= %(start)s AND ts < %(end)s
ORDER BY ts, symbol.name
"""

TRADES = "trades"
"""Origin of a bar that was made from the trades of its minute, since the venue did not answer."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A later version of a bar.

    Attributes
    ----------
    bar : Bar
    known_at : datetime
        Time from which it is known, UTC.
    reason : str
    """

    bar: Bar
    known_at: datetime
    reason: str


class BarVersions:
    """Reads and writes revisions and origins.

    Every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._names = Names(pool)

    def add(self, source: str, bar: Bar, known_at: datetime, reason: str) -> bool:
        """Store a later version of a bar; return False if it equals the newest one that is stored."""
        row = self._row(source, bar, known_at, reason)
        return execute(
            self._pool,
            f"storing a revision of the {bar.symbol} bar of {bar.open_time}",
            lambda c: c.execute(_ADD.encode(), row).rowcount == 1,
        )

    def add_all(self, source: str, bars: Sequence[Bar], known_at: datetime, reason: str) -> int:
        """Store later versions as `add` does, all or none of them; return how many differ from the newest ones."""
        rows = [self._row(source, bar, max(known_at, bar.close_time), reason) for bar in bars]

        def work(connection: Connection) -> int:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_ADD.encode(), rows)
                return cursor.rowcount

        return execute(self._pool, f"storing {len(rows)} later versions of bars", work) if rows else 0

    def as_known(
        self, source: str, symbol: str, timeframe: Timeframe, start: datetime, *, end: datetime, at: datetime
    ) -> pd.DataFrame:
        """Return the bars that open in [start, end), each in the version that was known at a time, oldest first.

        The version that was traded counts from the close of the bar on, a revision from its `known_at`.
        """
        wanted = {
            "source": self._names.source(source),
            "symbol": self._names.symbol(symbol),
            "timeframe": timeframe.seconds // 60,
            "start": start,
            "end": end,
            "closed": at - timeframe.delta,
            "at": at,
        }

        def work(connection: Connection) -> list[tuple[Any, ...]]:
            return connection.execute(_AS_KNOWN.encode(), wanted, binary=True).fetchall()

        ((packed,),) = execute(self._pool, f"reading {symbol} bars as known at {at}", work)
        return frames.decode(packed)

    def revisions(self, source: str, symbols: Sequence[str], start: datetime, *, end: datetime) -> list[Revision]:
        """Return the revisions of bars that open in [start, end), in the order in which they became known."""
        rows = self._rows(_REVISIONS, source, symbols, start, end=end)
        return [
            Revision(Bar(symbol, opened, *values), known_at, reason)
            for symbol, opened, known_at, reason, *values in rows
        ]

    def add_origin(self, source: str, bar: Bar, origin: str) -> None:
        """Record what a bar was made from."""
        row = {**self._key(source, bar), "origin": origin}
        execute(self._pool, f"recording the origin of a {bar.symbol} bar", lambda c: c.execute(_ORIGIN, row))

    def origins(
        self, source: str, symbols: Sequence[str], start: datetime, *, end: datetime
    ) -> dict[tuple[str, datetime], str]:
        """Return the origins of bars that open in [start, end) and are not the venue's own, by symbol and open time."""
        rows = self._rows(_ORIGINS, source, symbols, start, end=end)
        return {(symbol, opened): origin for symbol, opened, origin in rows}

    def _key(self, source: str, bar: Bar) -> dict[str, Any]:
        return {
            "source": self._names.source(source),
            "symbol": self._names.symbol(bar.symbol),
            "timeframe": bar.timeframe.seconds // 60,
            "open_time": bar.open_time,
        }

    def _row(self, source: str, bar: Bar, known_at: datetime, reason: str) -> dict[str, Any]:
        values = {name: getattr(bar, name) for name in _VALUES}
        return {**self._key(source, bar), **values, "known_at": known_at, "reason": reason}

    def _rows(
        self, query: str, source: str, symbols: Sequence[str], start: datetime, *, end: datetime
    ) -> list[tuple[Any, ...]]:
        wanted = {
            "source": self._names.source(source),
            "symbols": [Int2(self._names.symbol(symbol)) for symbol in symbols],
            "start": start,
            "end": end,
        }
        return execute(
            self._pool, "reading versions of bars", lambda c: c.execute(query.encode(), wanted, binary=True).fetchall()
        )
