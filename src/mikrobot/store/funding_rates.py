"""Store the funding that a run has charged; append-only. Charges nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mikrobot.domain.funding import FundingRate
from mikrobot.store.postgres.database import Connection, Pool, execute

_ADD = (
    "INSERT INTO funding_rate (run_id, symbol, ts, close_time, rate, mark) VALUES (%s, %s, %s, %s, %s, %s) "
    "ON CONFLICT DO NOTHING"
)
_BETWEEN = (
    "SELECT close_time, symbol, ts, rate, mark FROM funding_rate "
    "WHERE run_id = %s AND close_time > %s AND close_time <= %s ORDER BY close_time, ts, symbol"
)


class FundingRates:
    """Reads and writes the funding of runs; every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def add(self, run_id: str, close_time: datetime, rates: Sequence[FundingRate]) -> None:
        """Record funding that is charged before the bars that close at a time; what is recorded already stays."""
        rows = [(run_id, rate.symbol, rate.at, close_time, rate.rate, rate.mark) for rate in rates]

        def work(connection: Connection) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_ADD, rows)

        execute(self._pool, f"recording the funding at {close_time}", work)

    def between(self, run_id: str, after: datetime, until: datetime) -> dict[datetime, list[FundingRate]]:
        """Return the funding that is charged before the bars that close in (after, until], by that close."""
        rows: list[tuple[Any, ...]] = execute(
            self._pool,
            f"reading the funding up to {until}",
            lambda connection: connection.execute(_BETWEEN, (run_id, after, until)).fetchall(),
        )
        by_close: dict[datetime, list[FundingRate]] = {}
        for close_time, symbol, at, rate, mark in rows:
            by_close.setdefault(close_time, []).append(FundingRate(symbol, at, rate, mark))
        return by_close
