"""Store closed bars by source, symbol and timeframe, and the quarantine of rows that a gate refused.

The source is part of a bar's key, so that simulated bars never mix with real ones. Does not check bars: the gate
does.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int2

from mikrobot.domain.market import BAR_COLUMNS, Bar, Timeframe
from mikrobot.domain.order_books import ClosingBook
from mikrobot.domain.quality import QualityScore
from mikrobot.store import books
from mikrobot.store.bar_disagreements import BarDisagreements
from mikrobot.store.bar_versions import BarVersions
from mikrobot.store.postgres import frames
from mikrobot.store.postgres.database import Connection, Pool, execute
from mikrobot.store.postgres.names import Names

_VALUES = BAR_COLUMNS[1:]
_NAMES = ", ".join(_VALUES)
_OLD, _NEW = (", ".join(f"{row}.{name}" for name in _VALUES) for row in ("bar", "excluded"))
_OR_CHANGE = (
    "ON CONFLICT (source_id, symbol_id, timeframe, ts) "
    f"DO UPDATE SET ({_NAMES}) = ({_NEW}) WHERE ({_OLD}) IS DISTINCT FROM ({_NEW})"
)
_STAGE = (
    f"CREATE TEMPORARY TABLE IF NOT EXISTS stage (ts timestamptz, {' float8, '.join(_VALUES)} float8) "
    "ON COMMIT DELETE ROWS"
)
_STAGED = ", ".join(f"stage.{name}" for name in _VALUES)
_UPSERT = (
    f"INSERT INTO bar SELECT %(source)s, %(symbol)s, %(timeframe)s, ts, {_NAMES} FROM stage WHERE NOT EXISTS ("
    "SELECT FROM bar WHERE source_id = %(source)s AND symbol_id = %(symbol)s AND timeframe = %(timeframe)s "
    f"AND bar.ts = stage.ts AND ({_OLD}) IS NOT DISTINCT FROM ({_STAGED})) ORDER BY ts {_OR_CHANGE}"
)
_COPY = f"COPY bar (source_id, symbol_id, timeframe, ts, {_NAMES}) FROM STDIN (FORMAT binary)"
_APPEND = (
    "WITH fast AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)) "
    f"INSERT INTO bar SELECT %s, %s, %s, %s, {', '.join(['%s::float8'] * len(_VALUES))} FROM fast "
    "ON CONFLICT DO NOTHING"
)
_SCORED = (
    "WITH fast AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), "
    "scored AS (INSERT INTO quality SELECT %s, %s, %s, %s::float8, %s FROM fast ON CONFLICT DO NOTHING) "
    f"INSERT INTO bar SELECT %s, %s, %s, %s, {', '.join(['%s::float8'] * len(_VALUES))} FROM fast "
    "ON CONFLICT DO NOTHING"
)
_IS_STORED = (
    "SELECT FROM bar WHERE source_id = %s AND symbol_id = %s AND timeframe = %s AND ts = %s "
    f"AND ({_NAMES}) IS NOT DISTINCT FROM ({', '.join(['%s::float8'] * len(_VALUES))})"
)
_FORGET = "DELETE FROM bar WHERE source_id = %s AND symbol_id = ANY(%s) AND timeframe = %s AND ts >= %s"
_FORGET_SCORES = "DELETE FROM quality WHERE source_id = %s AND symbol_id = ANY(%s) AND close_time > %s"
_SERIES = "FROM bar WHERE source_id = %s AND symbol_id = %s AND timeframe = %s"
_ANY = f"SELECT {_SERIES} AND ts >= %s AND ts <= %s LIMIT 1"
_RANGE = f"SELECT {frames.PACKED} {_SERIES} AND ts >= %s AND ts < %s"
_LAST = f"SELECT {frames.NEWEST_FIRST} FROM (SELECT * {_SERIES} AND ts <= %s ORDER BY ts DESC LIMIT %s) newest"
_CLOSED = (
    f"SELECT symbol_id, ts, {_NAMES} FROM bar WHERE source_id = %(source)s AND symbol_id = ANY(%(symbols)s) "
    "AND timeframe = %(timeframe)s AND ts > %(after)s AND ts <= %(until)s "
    "ORDER BY ts, array_position(%(symbols)s, symbol_id)"
)
_SPAN = "SELECT min(ts), max(ts) FROM bar WHERE source_id = %s AND symbol_id = %s AND timeframe = %s"
_QUARANTINE = (
    "INSERT INTO quarantine (source_id, symbol_id, suite, at, reason, row) VALUES (%s, %s, %s, %s, %s, %s) "
    "ON CONFLICT DO NOTHING"
)
_QUARANTINED = (
    "SELECT symbol.name, suite, at, reason, row FROM quarantine "
    "JOIN source ON source.id = source_id JOIN symbol ON symbol.id = symbol_id "
    "WHERE source.name = %(source)s AND symbol.name = coalesce(%(symbol)s, symbol.name) "
    "AND suite = coalesce(%(suite)s, suite) ORDER BY quarantine.id"
)
_FLAGGED = (
    "SELECT reason FROM quarantine WHERE source_id = %s AND symbol_id = %s AND suite = %s AND at = %s "
    "ORDER BY id DESC LIMIT 1"
)
_PATIENTLY = "SET LOCAL statement_timeout = '5min'"
_LIVE_ROWS = "live rows"
_Key = tuple[int, int, int]


class BarStore:
    """Reads and writes bars and refused rows.

    Every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.

    Attributes
    ----------
    versions : BarVersions
        Later versions of the bars.
    disagreements : BarDisagreements
        Minutes in which a bar and its trades differ.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._names = Names(pool)
        self.versions = BarVersions(pool)
        self.disagreements = BarDisagreements(pool)

    def upsert(self, source: str, symbol: str, timeframe: Timeframe, bars: pd.DataFrame) -> int:
        """Store a frame durably, completely or not at all.

        Parameters
        ----------
        source, symbol, timeframe
        bars : DataFrame
            A bar frame (`BAR_COLUMNS`), strictly increasing in time.

        Returns
        -------
        int
            Number of rows that are new or changed: 0 if the same frame is stored again.

        Raises
        ------
        BarError
            If the frame is not a valid bar frame: with the symbol, the row and its time.
        """
        if bars.empty:
            return 0
        key = self._key(source, symbol, timeframe)
        limits = [bars["open_time"].iloc[place].to_pydatetime() for place in (0, -1)]

        def work(connection: Connection) -> int:
            is_new = connection.execute(_ANY.encode(), (*key, *limits)).fetchone() is None
            try:
                return (_copy if is_new else _merge)(connection, key, symbol, bars)
            except UniqueViolation:  # of bars that another process has stored meanwhile
                return _merge(connection, key, symbol, bars)

        return execute(self._pool, f"storing {len(bars)} {symbol} bars", work)

    def append(
        self, source: str, bar: Bar, scored: QualityScore | None = None, book: ClosingBook | None = None
    ) -> bool:
        """Store one live bar with its quality, immediately, but not durably; a stored bar or score is never changed.

        The order book at its close is stored in the same transaction; a stored one is never changed either.

        A crash of the server loses the last fraction of a second. If it happens before `Runs.advance` announces the
        bar, `Runs.advance` calls this again.

        Returns
        -------
        bool
            False if another bar of the same time is stored.
        """
        key = self._key(source, bar.symbol, bar.timeframe)
        row = (*key, bar.open_time, *(getattr(bar, name) for name in _VALUES))

        def work(connection: Connection) -> bool:
            statement, values = (_APPEND, row) if scored is None else (_SCORED, (*_score_row(key, scored), *row))
            if book is None:
                added = connection.execute(statement, values).rowcount == 1
            else:
                with connection.transaction():
                    added = connection.execute(statement, values).rowcount == 1
                    books.insert(connection, key[0], key[1], book)
            return added or connection.execute(_IS_STORED, row).fetchone() is not None

        return execute(self._pool, f"storing the {bar.symbol} bar of {bar.open_time}", work)

    def forget(self, source: str, symbols: Sequence[str], timeframe: Timeframe, start: datetime) -> None:
        """Delete the bars of some symbols that open at an instant or later, and their scores, to stream them again."""
        numbers = [Int2(self._names.symbol(symbol)) for symbol in symbols]
        values = (self._names.source(source), numbers, timeframe.seconds // 60, start)

        def work(connection: Connection) -> None:
            with connection.transaction():
                connection.execute("SET LOCAL statement_timeout = '5min'")
                connection.execute(_FORGET, values)
                connection.execute(_FORGET_SCORES, (values[0], numbers, start))

        execute(self._pool, f"deleting the bars from {start}", work)

    def last(
        self, source: str, symbol: str, timeframe: Timeframe, n: int, *, until: datetime | None = None
    ) -> pd.DataFrame:
        """Return the newest `n` bars, oldest first; with `until`, only bars that closed by then."""
        opened = "infinity" if until is None else until - timeframe.delta
        return self._read(symbol, _LAST, (*self._key(source, symbol, timeframe), opened, n), newest_first=True)

    def range(self, source: str, symbol: str, timeframe: Timeframe, start: datetime, *, end: datetime) -> pd.DataFrame:
        """Return the bars that open in [start, end), oldest first."""
        return self._read(symbol, _RANGE, (*self._key(source, symbol, timeframe), start, end))

    def closed(
        self, source: str, symbols: Sequence[str], timeframe: Timeframe, after: datetime, *, until: datetime
    ) -> list[Bar]:
        """Return the bars of some symbols that closed in (after, until], in order of time, then of `symbols`."""
        numbers = {self._names.symbol(symbol): symbol for symbol in symbols}
        wanted = {
            "source": self._names.source(source),
            "symbols": list(map(Int2, numbers)),
            "timeframe": timeframe.seconds // 60,
            "after": after - timeframe.delta,
            "until": until - timeframe.delta,
        }
        rows = execute(
            self._pool,
            f"reading the bars closed by {until}",
            lambda c: c.execute(_CLOSED.encode(), wanted, binary=True).fetchall(),
        )
        return [
            Bar(numbers[number], **dict(zip(BAR_COLUMNS, values, strict=True)), timeframe=timeframe)
            for number, *values in rows
        ]

    def span(self, source: str, symbol: str, timeframe: Timeframe) -> tuple[datetime, datetime] | None:
        """Return the first open time and the last close time stored, UTC; None without bars."""
        key = self._key(source, symbol, timeframe)
        row = execute(self._pool, f"reading the span of {symbol}", lambda c: c.execute(_SPAN, key).fetchone())
        return None if row is None or row[0] is None else (row[0], row[1] + timeframe.delta)

    def quarantine(self, source: str, symbol: str, suite: str, rows: pd.DataFrame, *, reasons: Sequence[str]) -> int:
        """Store complete rows that a gate refused, with their reasons.

        Parameters
        ----------
        source, symbol
        suite : str
            The gate that refused them, as ``bars`` or ``features``.
        rows : DataFrame
            Any columns; ``close_time``, else ``open_time``, is the time of a row.
        reasons : sequence of str
            One per row.

        Returns
        -------
        int
            Number of rows that were not yet in the quarantine for the same reason.
        """
        if rows.empty:
            return 0
        key = (self._names.source(source), self._names.symbol(symbol), suite)
        at = "close_time" if "close_time" in rows else "open_time"
        kept = [_plain(dict(zip(rows.columns, row, strict=True))) for row in rows.itertuples(index=False, name=None)]
        values = [(*key, row.get(at), reason, Jsonb(row)) for row, reason in zip(kept, reasons, strict=True)]

        def work(connection: Connection) -> int:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_QUARANTINE, values)
                return cursor.rowcount

        return execute(self._pool, f"putting {len(rows)} {symbol} rows into quarantine", work)

    def quarantine_bar(self, source: str, bar: Bar, reason: str) -> int:
        """Store one refused live bar, as `quarantine` does, with the suite ``live``."""
        return self.quarantine(source, bar.symbol, "live", pd.DataFrame([asdict(bar)]), reasons=[reason])

    def quarantine_row(
        self,
        source: str,
        symbol: str,
        close_time: datetime,
        columns: Sequence[str],
        *,
        values: NDArray[np.float64],
        reason: str,
    ) -> int:
        """Store one flagged live feature row, as `quarantine` does, with the suite ``live rows``."""
        row = {"close_time": close_time, **dict(zip(columns, values.tolist(), strict=True))}
        return self.quarantine(source, symbol, _LIVE_ROWS, pd.DataFrame([row]), reasons=[reason])

    def flagged(self, source: str, symbol: str, close_time: datetime) -> str | None:
        """Return why the live feature row of a close is in quarantine; None if it is not."""
        key = (self._names.source(source), self._names.symbol(symbol), _LIVE_ROWS, close_time)
        row = execute(self._pool, f"looking for a flagged {symbol} row", lambda c: c.execute(_FLAGGED, key).fetchone())
        return None if row is None else str(row[0])

    def quarantined(self, source: str, symbol: str | None = None, suite: str | None = None) -> pd.DataFrame:
        """Return the refused rows in order of storage: symbol, suite, at (UTC), reason, row (dict)."""
        wanted = {"source": source, "symbol": symbol, "suite": suite}
        rows = execute(self._pool, "reading the quarantine", lambda c: c.execute(_QUARANTINED, wanted).fetchall())
        frame = pd.DataFrame(rows, columns=["symbol", "suite", "at", "reason", "row"])
        return frame.astype({"at": "datetime64[us, UTC]"})

    def _key(self, source: str, symbol: str, timeframe: Timeframe) -> _Key:
        return self._names.source(source), self._names.symbol(symbol), timeframe.seconds // 60

    def _read(self, symbol: str, query: str, values: tuple[Any, ...], *, newest_first: bool = False) -> pd.DataFrame:
        def work(connection: Connection) -> list[tuple[Any, ...]]:
            return connection.execute(query.encode(), values, binary=True).fetchall()

        ((packed,),) = execute(self._pool, f"reading {symbol} bars", work)
        return frames.decode(packed, newest_first=newest_first)


def _copy(connection: Connection, key: _Key, symbol: str, bars: pd.DataFrame) -> int:
    """Store bars of a span that has none; return their number."""
    copied = frames.encode(symbol, bars, key)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_PATIENTLY)
        with cursor.copy(_COPY.encode()) as copy:
            copy.write(copied)
    return len(bars)


def _merge(connection: Connection, key: _Key, symbol: str, bars: pd.DataFrame) -> int:
    """Store the bars that are new or changed; return their number."""
    named = dict(zip(("source", "symbol", "timeframe"), key, strict=True))
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_PATIENTLY)
        cursor.execute(_STAGE)
        with cursor.copy("COPY stage FROM STDIN (FORMAT binary)") as copy:
            copy.write(frames.encode(symbol, bars))
        cursor.execute(_UPSERT.encode(), named)
        return cursor.rowcount


def _score_row(key: _Key, scored: QualityScore) -> tuple[Any, ...]:
    return (*key[:2], scored.close_time, scored.score, Jsonb(dict(scored.parts)))


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """Return a row as JSON values: times as ISO text, missing values as null, infinite ones as text."""
    return {str(name): _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return None if value is pd.NaT else value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if isinstance(value, bool | int | float | str) else None if value is None else str(value)
