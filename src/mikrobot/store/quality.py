"""Read the quality scores of live bars, which `BarStore.append` stores with their bars."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.types.numeric import Int2

from mikrobot.domain.quality import QualityScore
from mikrobot.domain.trading_states import TradingState
from mikrobot.store.postgres.database import Connection, Pool, execute
from mikrobot.store.postgres.names import Names
from mikrobot.store.trading_states import OF_SOURCE, VERSION, state_of

_BETWEEN = """
SELECT symbol_id, close_time, score, parts FROM quality
WHERE source_id = %(source)s AND symbol_id = ANY(%(symbols)s) AND close_time > %(after)s AND close_time <= %(until)s
ORDER BY close_time, array_position(%(symbols)s, symbol_id)
"""
_LAST = """
SELECT symbol_id, close_time, score, parts FROM quality
WHERE source_id = %(source)s AND symbol_id = %(symbol)s AND close_time <= %(until)s ORDER BY close_time DESC LIMIT %(n)s
"""


class QualityScores:
    """Reads scores; every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._names = Names(pool)

    def between(self, source: str, symbols: Sequence[str], after: datetime, until: datetime) -> list[QualityScore]:
        """Return the scores of closes in (after, until], in order of time, then of `symbols`."""
        names, values = self._asked(source, symbols, after, until=until)
        rows = execute(self._pool, "reading quality scores", lambda c: c.execute(_BETWEEN, values).fetchall())
        return [_score(names, *row) for row in rows]

    def with_states(
        self, source: str, symbols: Sequence[str], after: datetime, until: datetime
    ) -> tuple[list[QualityScore], list[TradingState], int]:
        """Return in one trip the scores as `between` does, and what limits all runs on the source now.

        These are the states of the source, and the version of the states of operators.
        """
        names, values = self._asked(source, symbols, after, until=until)

        def work(connection: Connection) -> tuple[list[Any], list[Any], list[Any]]:
            with connection.pipeline():
                scores, states = connection.execute(_BETWEEN, values), connection.execute(OF_SOURCE, (source,))
                version = connection.execute(VERSION)
            return scores.fetchall(), states.fetchall(), version.fetchall()

        scores, states, ((version,),) = execute(self._pool, "reading quality scores", work)
        return [_score(names, *row) for row in scores], [state_of(*row) for row in states], version

    def last(self, source: str, symbol: str, n: int, until: datetime) -> list[QualityScore]:
        """Return the newest `n` scores of a symbol of closes up to an instant, oldest first."""
        number = self._names.symbol(symbol)
        values = {"source": self._names.source(source), "symbol": number, "until": until, "n": n}
        rows = execute(self._pool, "reading quality scores", lambda c: c.execute(_LAST, values).fetchall())
        return [_score({number: symbol}, *row) for row in reversed(rows)]

    def _asked(
        self, source: str, symbols: Sequence[str], after: datetime, *, until: datetime
    ) -> tuple[dict[int, str], dict[str, Any]]:
        names = {self._names.symbol(symbol): symbol for symbol in symbols}
        numbers = list(map(Int2, names))
        return names, {"source": self._names.source(source), "symbols": numbers, "after": after, "until": until}


def _score(names: dict[int, str], symbol: int, close_time: datetime, *values: Any) -> QualityScore:
    return QualityScore(names[symbol], close_time, *values)
