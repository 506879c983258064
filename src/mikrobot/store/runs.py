"""Store trading sessions and the progress of their processes.

The streamer and the worker announce every minute here and wait for each other: an announcement wakes the waiting
process, and a poll catches announcements that were lost while the server restarted. The trades of a run are in
`ledger`.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from time import perf_counter
from typing import Any, Literal

from psycopg.types.json import Jsonb

from mikrobot.domain.errors import StoreError
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.entries import Entry
from mikrobot.domain.news import NewsCalendar
from mikrobot.runtime import retry
from mikrobot.store.postgres.database import TRANSIENT, Connection, Pool, connect_beside, execute, translated

POLL_SECONDS = 0.5
"""Seconds between two polls of a waiting process: the longest delay after a lost announcement."""

FOLLOWS = "follows"
"""Key of a run's settings: the id of the run that it follows on the same bars and predictions."""

OPENING = "opening"
"""Key of a run's settings: the opening balance of each of its accounts, by market, dollars as text."""

CONTINUES = "continues"
"""Key of a run's settings: the id of the run whose final balances it opened with, or None."""

JOINED = "joined"
"""Key of a run's settings: symbols that were added while it traded, with the instant after which they are traded."""

INSTRUMENTS = "traded_instruments"
"""Key of a run's settings: the entries of its instruments by symbol, whose numbers it always uses."""

NEWS = "news_calendar"
"""Key of a run's settings: the news of high impact near its hours; None without a calendar."""

ROUTES = "routes"
"""Key of a run's settings: the member that each symbol is traded on; empty unless its source is a combined one."""

_CHANNEL = "progress"
_COLUMNS = "id, source, simulated, symbols, starts_at, ends_at, started_at, settings"
_BEGIN = f"INSERT INTO run ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
_JOIN = """
INSERT INTO run_symbol (run_id, symbol, at, instrument, route) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_READ = f"""
{_COLUMNS}, (
    SELECT jsonb_agg(jsonb_build_array(symbol, at, instrument, route) ORDER BY at, symbol)
    FROM run_symbol WHERE run_symbol.run_id = run.id
)
"""
_ADVANCE = f"""
WITH moved AS (
    INSERT INTO progress (run_id, process, close_time) VALUES (%(run)s, %(process)s, %(close_time)s)
    ON CONFLICT (run_id, process) DO UPDATE SET close_time = excluded.close_time
    WHERE progress.close_time IS NULL OR progress.close_time < excluded.close_time
    RETURNING run_id, process
)
SELECT pg_notify('{_CHANNEL}', run_id || ' ' || process) FROM moved
"""
_FINISH = f"""
WITH ended AS (
    INSERT INTO progress (run_id, process, finished) VALUES (%s, %s, true)
    ON CONFLICT (run_id, process) DO UPDATE SET finished = true
    RETURNING run_id, process
)
SELECT pg_notify('{_CHANNEL}', run_id || ' ' || process) FROM ended
"""
_REACHED = "SELECT close_time, finished FROM progress WHERE run_id = %s AND process = %s"
_PROGRESS = """
SELECT max(close_time) FILTER (WHERE process = %s), coalesce(bool_or(finished), false)
FROM progress WHERE run_id = %s AND process IN (%s, %s)
"""
_LATENCIES = """
INSERT INTO latency (run_id, process, summary) VALUES (%s, %s, %s)
ON CONFLICT (run_id, process) DO UPDATE SET summary = excluded.summary
"""


ProcessKind = Literal["streamer", "worker"]
"""The two live processes of a run."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Symbols that are traded together.

    Attributes
    ----------
    symbols : tuple of str
    history_from, trade_from, trade_until : datetime
        UTC. The models are trained on bars that close in (history_from, trade_from]; bars that close in
        (trade_from, trade_until] are traded.
    number : int
        Position among the segments of its run, from 0.
    """

    symbols: tuple[str, ...]
    history_from: datetime
    trade_from: datetime
    trade_until: datetime
    number: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the segment as plain JSON values, without its number."""
        return {
            "symbols": list(self.symbols),
            "history_from": self.history_from.isoformat(),
            "trade_from": self.trade_from.isoformat(),
            "trade_until": self.trade_until.isoformat(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], number: int = 0) -> "Segment":
        """Build a segment from the result of `to_json`."""
        history_from, trade_from, trade_until = (
            datetime.fromisoformat(value[key]) for key in ("history_from", "trade_from", "trade_until")
        )
        return cls(tuple(value["symbols"]), history_from, trade_from, trade_until, number)


@dataclass(frozen=True, slots=True)
class Run:
    """A trading session.

    Attributes
    ----------
    id : str
    source : str
        Market source of every bar in it.
    simulated : bool
    symbols : tuple of str
    starts_at, ends_at : datetime
        The market hours traded, UTC.
    started_at : datetime
        Time at which the run began, UTC.
    settings : dict
        All settings at its start, as plain JSON values.
    """

    id: str
    source: str
    simulated: bool
    symbols: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    started_at: datetime
    settings: dict[str, Any]

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments in order of time."""
        return tuple(Segment.from_json(value, number) for number, value in enumerate(self.settings["segments"]))

    def trades_from(self, symbol: str, segment: Segment) -> datetime:
        """Return the instant after which a symbol of a segment is traded, later for one that was added."""
        joined = self.settings.get(JOINED, {}).get(symbol)
        return segment.trade_from if joined is None else max(segment.trade_from, datetime.fromisoformat(joined))

    @property
    def news(self) -> NewsCalendar | None:
        """The calendar of news recorded with the run; None if it has none."""
        recorded = self.settings.get(NEWS)
        return None if recorded is None else NewsCalendar.from_json(recorded)

    @property
    def instruments(self) -> dict[str, Entry]:
        """The instruments recorded with the run, by symbol; none in an old run."""
        return registry.recorded(self.settings.get(INSTRUMENTS, {}))


def advance(connection: Connection, run_id: str, process: str, close_time: datetime) -> bool:
    """Record in the caller's transaction that a process has reached `close_time`; return False if it already had."""
    values = {"run": run_id, "process": process, "close_time": close_time}
    return connection.execute(_ADVANCE, values).fetchone() is not None


class Runs:
    """Records runs and the progress of their processes.

    Every method raises `StoreError` if the database fails, or does not come back from a restart. Several threads
    may share an instance; their calls of `wait` run one after the other.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`. `wait` keeps one more connection outside the pool.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lock = Lock()
        self._listener: tuple[Connection, weakref.finalize[Any, Any]] | None = None

    def begin(self, run: Run) -> None:
        """Record a run before it starts.

        Raises
        ------
        StoreError
            If another run has this id.
        """
        market = (run.id, run.source, run.simulated, list(run.symbols))
        values = (*market, run.starts_at, run.ends_at, run.started_at, Jsonb(run.settings))
        execute(self._pool, f"beginning run {run.id}", lambda connection: connection.execute(_BEGIN, values))
        stored = self.get(run.id)
        if (stored.source, stored.started_at) != (run.source, run.started_at):
            raise StoreError(f"run {run.id} exists already, it began at {stored.started_at}: give this run another id")

    def add_symbols(
        self, run_id: str, at: datetime, instruments: Mapping[str, Mapping[str, Any]], routes: Mapping[str, str]
    ) -> Run:
        """Add symbols to the last segment of a run and of the runs that follow it; return the run.

        Parameters
        ----------
        run_id : str
        at : datetime
            They are traded from the first close after it on, UTC.
        instruments : mapping of str to mapping
            The entry of each symbol, as `registry.recordable` returns it.
        routes : mapping of str to str
            The member of each symbol of a combined source.
        """
        runs = [run_id, *(follower.id for follower in self.followers(run_id))]
        entries = [(symbol, at, Jsonb(dict(entry)), routes.get(symbol)) for symbol, entry in instruments.items()]
        rows = [(run, *entry) for run in runs for entry in entries]

        def work(connection: Connection) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_JOIN, rows)

        execute(self._pool, f"adding symbols to run {run_id}", work)
        return self.get(run_id)

    def get(self, run_id: str) -> Run:
        """Return a run.

        Raises
        ------
        StoreError
            If there is no run with this id.
        """
        run = self._one(f"SELECT {_READ} FROM run WHERE id = %s", (run_id,))
        if run is None:
            newest = ", ".join(run.id for run in self.all()[:-4:-1]) or "none"
            raise StoreError(f"there is no run {run_id!r}; the newest are {newest}, and `last` names the newest of all")
        return run

    def latest(self, *, traded: bool = False) -> Run | None:
        """Return the run that began last and follows no other, or None; with `traded`, of those that traded."""
        free = f"SELECT {_READ} FROM run WHERE settings ->> '{FOLLOWS}' IS NULL"
        if traded:
            free += (
                " AND EXISTS (SELECT FROM progress WHERE run_id = id AND process = 'worker' AND close_time IS NOT NULL)"
            )
        return self._one(f"{free} ORDER BY started_at DESC, id DESC LIMIT 1", ())

    def followers(self, run_id: str) -> list[Run]:
        """Return the runs that follow a run, sorted by id."""
        query = f"SELECT {_READ} FROM run WHERE settings ->> '{FOLLOWS}' = %s ORDER BY id"
        return [_run(row) for row in self._rows(query, (run_id,))]

    def all(self) -> list[Run]:
        """Return every run in order of its start."""
        rows = self._rows(f"SELECT {_READ} FROM run ORDER BY started_at, id", ())
        return [_run(row) for row in rows]

    def conclude(self, run_id: str, summary: Mapping[str, Any]) -> None:
        """Record the results of a run, as plain JSON values."""
        query, values = "UPDATE run SET summary = %s WHERE id = %s", (Jsonb(dict(summary)), run_id)
        execute(self._pool, f"concluding run {run_id}", lambda connection: connection.execute(query, values))

    def summary(self, run_id: str) -> dict[str, Any] | None:
        """Return the results of a run; None until it is concluded."""
        rows = self._rows("SELECT summary FROM run WHERE id = %s", (run_id,))
        return rows[0][0] if rows else None

    def advance(
        self, run_id: str, process: str, close_time: datetime, write: Callable[[], object] = lambda: None
    ) -> None:
        """Announce durably that a process has handled everything up to `close_time`; earlier times are ignored.

        Parameters
        ----------
        run_id, process, close_time
        write : callable
            Stores the announced data; must be idempotent, and need not wait for the disk. The announcing session
            is open before it runs: if the server fails meanwhile, the session fails too, and both steps are
            repeated.
        """

        def work(connection: Connection) -> None:
            write()
            advance(connection, run_id, process, close_time)

        execute(self._pool, f"announcing {close_time} of {process}", work)

    def reached(self, run_id: str, process: str) -> datetime | None:
        """Return the last close time that a process has announced, UTC; None before its first."""
        rows = self._rows(_REACHED, (run_id, process))
        return rows[0][0] if rows else None

    def finish(self, run_id: str, process: ProcessKind, segment: int) -> None:
        """Announce that a process has reached the end of a segment."""
        values = (run_id, _part(process, segment))
        execute(self._pool, f"finishing {process}", lambda connection: connection.execute(_FINISH, values))

    def finished(self, run_id: str, process: ProcessKind, segment: int) -> bool:
        """Return True if a process has reached the end of a segment."""
        rows = self._rows(_REACHED, (run_id, _part(process, segment)))
        return bool(rows and rows[0][1])

    def wait(
        self, run_id: str, process: ProcessKind, beyond: datetime | None, timeout_s: float, *, segment: int = 0
    ) -> datetime | None:
        """Return the newest close time of a process as soon as it is later than `beyond`.

        Parameters
        ----------
        run_id, process
        beyond : datetime or None
            The close time already known, UTC; None: return any close time.
        timeout_s : float
            Seconds to wait; a restart of the server may add to them.
        segment : int
            The wait also ends when the process has reached the end of this segment.

        Returns
        -------
        datetime or None
            UTC; None if the process has finished, or at the timeout.
        """
        with self._lock, translated(f"waiting for {process}"):
            try:
                return self._wait(run_id, process, beyond, timeout_s, segment=segment)
            except TRANSIENT:
                return self._wait_again(run_id, process, beyond, timeout_s, segment=segment)

    def record_latencies(
        self, run_id: str, process: ProcessKind, segment: int, summary: Mapping[str, Mapping[str, float]]
    ) -> None:
        """Record the timings of a process in a segment (milliseconds by stage: n, p50, p99), replacing earlier ones."""
        values = (run_id, _part(process, segment), Jsonb({stage: dict(figures) for stage, figures in summary.items()}))
        execute(
            self._pool, f"recording timings of {process}", lambda connection: connection.execute(_LATENCIES, values)
        )

    def latencies(self, run_id: str) -> dict[str, dict[str, dict[str, float]]]:
        """Return the timings of a run by process and segment, as ``worker-0``, then by stage."""
        return dict(self._rows("SELECT process, summary FROM latency WHERE run_id = %s ORDER BY process", (run_id,)))

    @retry(on=TRANSIENT, attempts=10, timeout_s=60.0)
    def _wait_again(
        self, run_id: str, process: ProcessKind, beyond: datetime | None, timeout_s: float, *, segment: int
    ) -> datetime | None:
        return self._wait(run_id, process, beyond, timeout_s, segment=segment)

    def _wait(
        self, run_id: str, process: ProcessKind, beyond: datetime | None, timeout_s: float, *, segment: int
    ) -> datetime | None:
        try:
            return _await(self._listening(), run_id, process, beyond, timeout_s=timeout_s, segment=segment)
        except TRANSIENT:
            self._stop_listening()
            raise

    def _listening(self) -> Connection:
        if self._listener is None:
            connection = connect_beside(self._pool)
            self._listener = (connection, weakref.finalize(self, connection.close))
            connection.execute(f"LISTEN {_CHANNEL}")
        return self._listener[0]

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener[1]()
            self._listener = None

    def _one(self, query: str, values: tuple[Any, ...]) -> Run | None:
        for row in self._rows(query, values):
            return _run(row)
        return None

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return execute(self._pool, "reading runs", lambda c: c.execute(query.encode(), values).fetchall())


def _part(process: ProcessKind, segment: int) -> str:
    return f"{process}-{segment}"


def _run(row: tuple[Any, ...]) -> Run:
    *values, joined = row
    run = Run(values[0], values[1], values[2], tuple(values[3]), *values[4:])
    return _with(run, joined) if joined else run


def _with(run: Run, joined: Sequence[tuple[str, str, Mapping[str, Any], str | None]]) -> Run:
    """Return a run with the symbols that were added to it, in its last segment."""
    symbols = [symbol for symbol, *_ in joined if symbol not in run.symbols]
    *earlier, last = run.settings["segments"]
    settings = {
        **run.settings,
        "symbols": [*run.symbols, *symbols],
        "segments": [*earlier, {**last, "symbols": [*last["symbols"], *symbols]}],
        INSTRUMENTS: {**run.settings.get(INSTRUMENTS, {}), **{symbol: entry for symbol, _, entry, _ in joined}},
        JOINED: {symbol: at for symbol, at, *_ in joined},
        ROUTES: {**run.settings.get(ROUTES, {}), **{symbol: route for symbol, *_, route in joined if route}},
    }
    return replace(run, symbols=(*run.symbols, *symbols), settings=settings)


def _await(
    listener: Connection, run_id: str, process: ProcessKind, beyond: datetime | None, *, timeout_s: float, segment: int
) -> datetime | None:
    """Poll, then sleep until the next announcement of the process, repeatedly."""
    deadline = perf_counter() + timeout_s
    part = _part(process, segment)
    while True:
        rows = listener.execute(_PROGRESS, (process, run_id, process, part)).fetchone()
        close_time, finished = rows or (None, False)
        if close_time is not None and (beyond is None or close_time > beyond):
            assert isinstance(close_time, datetime)
            return close_time
        left = deadline - perf_counter()
        if finished or left <= 0:
            return None
        with closing(listener.notifies(timeout=min(POLL_SECONDS, left))) as announcements:
            for announcement in announcements:
                if announcement.payload in (f"{run_id} {process}", f"{run_id} {part}"):
                    break
