"""Minutes in which the closed bar of a venue is not what the trades of the minute make up; append-only."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pandas as pd
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int2

from mikrobot.domain.market import BAR_COLUMNS, Bar
from mikrobot.store.postgres.database import Pool, execute
from mikrobot.store.postgres.names import Names

_ADD = (
    "INSERT INTO bar_disagreement (source_id, symbol_id, timeframe, ts, known_at, fields, bar, trades) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
_BETWEEN = (
    "SELECT symbol.name, ts, known_at, fields, bar, trades FROM bar_disagreement "
    "JOIN symbol ON symbol.id = symbol_id WHERE source_id = %s AND symbol_id = ANY(%s) AND ts >= %s AND ts < %s "
    "ORDER BY ts, symbol.name"
)


class BarDisagreements:
    """Reads and writes disagreements of bars with their trades.

    Every method raises `StoreError` if the database fails.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._names = Names(pool)

    def add(self, source: str, bar: Bar, trades: Bar, *, fields: Sequence[str], known_at: datetime) -> None:
        """Record a minute, once.

        Parameters
        ----------
        source : str
        bar, trades : Bar
            As the venue sent it, and as its trades make it up.
        fields : sequence of str
            Values that differ.
        known_at : datetime
            UTC.
        """
        key = (self._names.source(source), self._names.symbol(bar.symbol), bar.timeframe.seconds // 60)
        row = (*key, bar.open_time, known_at, list(fields), _values(bar), _values(trades))
        execute(self._pool, f"recording a disagreement of {bar.symbol}", lambda c: c.execute(_ADD, row))

    def disagreements(self, source: str, symbols: Sequence[str], start: datetime, *, end: datetime) -> pd.DataFrame:
        """Return the minutes that open in [start, end) and whose trades contradict the bar, in order of time.

        Returns
        -------
        DataFrame
            Columns symbol, open_time (UTC), known_at (UTC), fields (list of str), bar and trades (dict of values).
        """
        numbers = [Int2(self._names.symbol(symbol)) for symbol in symbols]
        wanted = (self._names.source(source), numbers, start, end)
        rows: list[tuple[Any, ...]] = execute(
            self._pool, "reading disagreements", lambda c: c.execute(_BETWEEN, wanted).fetchall()
        )
        frame = pd.DataFrame(rows, columns=["symbol", "open_time", "known_at", "fields", "bar", "trades"])
        return frame.astype({"open_time": "datetime64[us, UTC]", "known_at": "datetime64[us, UTC]"})


def _values(bar: Bar) -> Jsonb:
    values = asdict(bar)
    return Jsonb({name: None if values[name] != values[name] else values[name] for name in BAR_COLUMNS[1:]})
