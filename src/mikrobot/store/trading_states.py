"""Store trading states: a row for each span, whose end is the only thing that changes.

A state of a run limits that run; a state of a source, every run on the source; a state of an operator, every run. A
minute of the ledger is committed only under the states of operators that it was decided under: see `kept_version`.
Decides nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

import psycopg

from mikrobot.domain.errors import StatesChanged, UsageError
from mikrobot.domain.trading import Side
from mikrobot.domain.trading_states import OPERATOR, Permission, TradingState
from mikrobot.store.postgres.database import Connection, Pool, execute

Cursor: TypeAlias = psycopg.Cursor[Any]

_COLUMNS = "state, by, reason, since, until, symbol, side, flatten_at"
_INSERT = """
INSERT INTO trading_states (run_id, source, symbol, side, state, reason, by, since, until, flatten_at)
"""
_VALUES = "%(run)s, %(source)s, %(symbol)s, %(side)s, %(state)s, %(reason)s, %(by)s, %(since)s"
_OPEN = f"{_INSERT} VALUES ({_VALUES}, NULL, %(flatten_at)s) ON CONFLICT DO NOTHING"
_SPAN = f"{_INSERT} VALUES ({_VALUES}, %(until)s, %(flatten_at)s)"
_END = """
UPDATE trading_states SET until = %(until)s
WHERE run_id IS NOT DISTINCT FROM %(run)s AND source IS NOT DISTINCT FROM %(source)s
AND symbol IS NOT DISTINCT FROM %(symbol)s AND side IS NOT DISTINCT FROM %(side)s AND by = %(by)s AND until IS NULL
"""
_OF_RUN = f"SELECT {_COLUMNS} FROM trading_states WHERE run_id = %s ORDER BY seq"
OF_SOURCE = f"SELECT {_COLUMNS} FROM trading_states WHERE run_id IS NULL AND source = %s AND until IS NULL ORDER BY seq"

_LOCK = int.from_bytes(b"states")
"""Number of the advisory lock that a change of the states of operators holds, and that each minute shares."""

_CHANGE = f"SELECT pg_advisory_xact_lock({_LOCK})"
_SHARE = f"SELECT pg_advisory_xact_lock_shared({_LOCK})"
_OPERATORS = "run_id IS NULL AND source IS NULL"
VERSION = f"SELECT coalesce(max(seq), 0) FROM trading_states WHERE {_OPERATORS}"
_IN_FORCE = f"{_OPERATORS} AND state <> 'ACTIVE' AND (until IS NULL OR until > %(now)s)"
_READ_IN_FORCE = f"SELECT {_COLUMNS} FROM trading_states WHERE {_IN_FORCE} ORDER BY seq"
_REPLACE = f"""
UPDATE trading_states SET until = greatest(since, %(now)s)
WHERE {_OPERATORS} AND symbol IS NOT DISTINCT FROM %(symbol)s AND side IS NOT DISTINCT FROM %(side)s
AND (until IS NULL OR until > %(now)s)
RETURNING state
"""
_RECENT = f"""
SELECT {_COLUMNS} FROM trading_states WHERE {_OPERATORS} OR (run_id = %(run)s AND NOT starts_with(by, %(operator)s))
ORDER BY seq DESC LIMIT %(n)s
"""


def write(connection: Connection, states: Sequence[TradingState], *, run_id: str | None, source: str | None) -> None:
    """Write states in the caller's transaction: one without an end begins, one with an end ends what applies."""
    for state in states:
        connection.execute((_OPEN if state.until is None else _END).encode(), _values(state, run_id, source))


def write_spans(connection: Connection, spans: Sequence[TradingState], *, run_id: str) -> None:
    """Write states of a run whose end was decided with their beginning, in the caller's transaction."""
    for span in spans:
        connection.execute(_SPAN.encode(), _values(span, run_id, None))


def kept_version(connection: Connection) -> Cursor:
    """Keep the states of operators as they are until the caller's transaction ends, and query their version."""
    connection.execute(_SHARE.encode())
    return connection.execute(VERSION.encode())


def require(kept: Cursor, version: int) -> None:
    """Check the version that `kept_version` queries.

    Raises
    ------
    StatesChanged
        If it is another one: then nothing may be written that was decided under the given one.
    """
    row = kept.fetchone()
    if row is None or row[0] != version:
        raise StatesChanged(f"the trading states changed after version {version}: the minute is decided again")


class TradingStates:
    """Reads and writes trading states; every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def of_run(self, run_id: str) -> list[TradingState]:
        """Return the states of a run in the order in which they began."""
        rows = execute(
            self._pool, f"reading the states of run {run_id}", lambda c: c.execute(_OF_RUN, (run_id,)).fetchall()
        )
        return [state_of(*row) for row in rows]

    def record(self, states: Sequence[TradingState], *, run_id: str | None = None, source: str | None = None) -> None:
        """Write states of a run or of a source, all or none; one that applies already is not written again."""

        def work(connection: Connection) -> None:
            with connection.transaction():
                write(connection, states, run_id=run_id, source=source)

        execute(self._pool, "recording trading states", work)

    def of_operators(self, now: datetime) -> tuple[int, list[TradingState]]:
        """Return the version of the states of operators, and those in force that limit trading, oldest first.

        Each change has a later version. The states are those of this version or of a later one.
        """

        def work(connection: Connection) -> tuple[Any, list[Any]]:
            with connection.pipeline():
                version = connection.execute(VERSION.encode())
                states = connection.execute(_READ_IN_FORCE.encode(), {"now": now})
            return version.fetchone(), states.fetchall()

        version, rows = execute(self._pool, "reading the trading states of operators", work)
        return version[0], [state_of(*row) for row in rows]

    def recent(self, run_id: str | None, n: int) -> list[TradingState]:
        """Return the newest `n` states of operators, and of a run without its records of them; the newest first."""
        values = {"run": run_id, "operator": OPERATOR, "n": n}
        rows = execute(self._pool, "reading trading states", lambda c: c.execute(_RECENT.encode(), values).fetchall())
        return [state_of(*row) for row in rows]

    def command(self, state: TradingState) -> None:
        """Set the state of an operator for all runs, in place of the one for the same symbol and side.

        Once it returns, no minute that was decided before it can be committed.

        Raises
        ------
        UsageError
            If it is ACTIVE and no other state limits the symbol and side; then nothing is written.
        """
        values = _values(state, None, None) | {"now": state.since}

        def work(connection: Connection) -> None:
            with connection.transaction():
                connection.execute(_CHANGE.encode())
                replaced = {row[0] for row in connection.execute(_REPLACE.encode(), values).fetchall()}
                if state.permission is Permission.ACTIVE and not replaced - {Permission.ACTIVE.value}:
                    raise UsageError(f"trading of {state.subject} is not halted or reducing by an operator")
                connection.execute(_SPAN.encode(), values)

        execute(self._pool, "setting a trading state", work)


def state_of(  # noqa: PLR0917, the columns of the query in their order
    state: str, by: str, reason: str, since: datetime, until: datetime | None, symbol: str | None, side: str | None,
    flatten_at: datetime | None,
) -> TradingState:  # fmt: skip
    """Return the state of a row."""
    own = Side(side) if side else None
    return TradingState(Permission(state), by, reason, since, until, symbol, own, flatten_at)


def _values(state: TradingState, run_id: str | None, source: str | None) -> dict[str, Any]:
    return {
        "run": run_id,
        "source": source,
        "symbol": state.symbol,
        "side": state.side.value if state.side is not None else None,
        "state": state.permission.value,
        "reason": state.reason,
        "by": state.by,
        "since": state.since,
        "until": state.until,
        "flatten_at": state.flatten_at,
    }
