"""Store trading states: a row for each span of a halt, whose end is the only thing that changes.

A state of a run limits that run; a state of a source, every run on the source. Decides nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mikrobot.domain.trading import Side
from mikrobot.domain.trading_states import Permission, TradingState
from mikrobot.store.postgres.database import Connection, Pool, execute

_COLUMNS = "state, by, reason, since, until, symbol, side"
_OPEN = """
INSERT INTO trading_states (run_id, source, symbol, side, state, reason, by, since, until)
VALUES (%(run)s, %(source)s, %(symbol)s, %(side)s, %(state)s, %(reason)s, %(by)s, %(since)s, NULL)
ON CONFLICT DO NOTHING
"""
_END = """
UPDATE trading_states SET until = %(until)s
WHERE run_id IS NOT DISTINCT FROM %(run)s AND source IS NOT DISTINCT FROM %(source)s
AND symbol IS NOT DISTINCT FROM %(symbol)s AND side IS NOT DISTINCT FROM %(side)s AND by = %(by)s AND until IS NULL
"""
_OF_RUN = f"SELECT {_COLUMNS} FROM trading_states WHERE run_id = %s ORDER BY seq"
OF_SOURCE = f"SELECT {_COLUMNS} FROM trading_states WHERE run_id IS NULL AND source = %s AND until IS NULL ORDER BY seq"


def write(connection: Connection, states: Sequence[TradingState], *, run_id: str | None, source: str | None) -> None:
    """Write states in the caller's transaction: one without an end begins, one with an end ends what applies."""
    for state in states:
        connection.execute((_OPEN if state.until is None else _END).encode(), _values(state, run_id, source))


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


def state_of(  # noqa: PLR0917, the columns of the query in their order
    state: str, by: str, reason: str, since: datetime, until: datetime | None, symbol: str | None, side: str | None
) -> TradingState:
    """Return the state of a row."""
    return TradingState(Permission(state), by, reason, since, until, symbol, Side(side) if side else None)


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
    }
