"""Store the order books at the closes of bars. `BarStore.append` writes them, in the transaction of their bars.

A stored book of a live source is never changed: features and fills were computed from it. Those of a replay are
replaced when its minutes are replayed again, as its bars are.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import isnan
from typing import Any

import pandas as pd
from psycopg.types.numeric import Int2

from mikrobot.domain.market_events import Level
from mikrobot.domain.order_books import BOOK_FIELDS, BookState, ClosingBook
from mikrobot.store.postgres.database import Connection, Pool, execute
from mikrobot.store.postgres.names import Names

_MINUTE = timedelta(minutes=1)
_LEVELS = "bid_prices, bid_sizes, ask_prices, ask_sizes"
_NAMES = ", ".join(BOOK_FIELDS)
_INSERT = (
    f"INSERT INTO book_sample (source_id, symbol_id, ts, state, reason, {_NAMES}, {_LEVELS}) VALUES "
    f"(%s, %s, %s, %s, %s, {', '.join(['%s::float8'] * len(BOOK_FIELDS))}, "
    "%s::float8[], %s::float8[], %s::float8[], %s::float8[]) ON CONFLICT DO NOTHING"
)
_VALUES = (
    f"SELECT ts, {_NAMES} FROM book_sample WHERE source_id = %s AND symbol_id = %s AND ts >= %s AND ts < %s "
    "AND state = 'live' ORDER BY ts"
)
_FORGET = "DELETE FROM book_sample WHERE source_id = %s AND symbol_id = ANY(%s) AND ts >= %s AND ts < %s"
_CLOSING = (
    f"SELECT symbol_id, ts, state, reason, {_LEVELS} FROM book_sample "
    "WHERE source_id = %s AND symbol_id = ANY(%s) AND ts > %s AND ts <= %s ORDER BY ts, symbol_id"
)


class BookSamples:
    """Reads the order books at the closes of bars, and replaces those of a replay.

    Every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._names = Names(pool)

    def range(self, source: str, symbol: str, start: datetime, *, end: datetime) -> pd.DataFrame:
        """Return the values of the live books of the bars that open in [start, end), oldest first.

        Returns
        -------
        DataFrame
            ``open_time`` of the bar (datetime64[us, UTC]) and `BOOK_FIELDS`, float64, NaN where there are
            fewer levels.
        """
        key = (self._names.source(source), self._names.symbol(symbol), start, end)
        rows = execute(
            self._pool,
            f"reading the order books of {symbol}",
            lambda connection: connection.execute(_VALUES.encode(), key, binary=True).fetchall(),
        )
        frame = pd.DataFrame(rows, columns=["open_time", *BOOK_FIELDS])
        return frame.astype({"open_time": "datetime64[us, UTC]", **dict.fromkeys(BOOK_FIELDS, "float64")})

    def closing(
        self, source: str, symbols: Sequence[str], after: datetime, *, until: datetime
    ) -> dict[tuple[str, datetime], ClosingBook]:
        """Return the books at closes in (after, until], by symbol and close time."""
        numbers = {self._names.symbol(symbol): symbol for symbol in symbols}
        wanted = (self._names.source(source), list(map(Int2, numbers)), after - _MINUTE, until - _MINUTE)
        rows = execute(
            self._pool,
            f"reading the order books up to {until}",
            lambda connection: connection.execute(_CLOSING.encode(), wanted, binary=True).fetchall(),
        )
        books = [_book(numbers[number], *row) for number, *row in rows]
        return {(book.symbol, book.close_time): book for book in books}

    def replace(
        self, source: str, symbols: Sequence[str], start: datetime, *, end: datetime | None = None,
        books: Sequence[ClosingBook] = (),
    ) -> None:  # fmt: skip
        """Replace the books of the bars that open in [start, end), or at `start` and later, in one transaction.

        For the bars of a replay only, whose files may have changed.
        """
        source_id, numbers = self._names.source(source), {symbol: self._names.symbol(symbol) for symbol in symbols}
        span = (source_id, list(map(Int2, numbers.values())), start, end or "infinity")

        def work(connection: Connection) -> None:
            with connection.transaction():
                connection.execute("SET LOCAL statement_timeout = '5min'")
                connection.execute(_FORGET, span)
                for book in books:
                    insert(connection, source_id, numbers[book.symbol], book)

        execute(self._pool, f"replacing the order books from {start}", work)


def insert(connection: Connection, source_id: int, symbol_id: int, book: ClosingBook) -> None:
    """Store a book in the caller's transaction, unless there is one for its close."""
    values = [None if isnan(value) and not book.bids else value for value in book.values]
    sides = (tuple(map(list, zip(*side, strict=True))) if side else ([], []) for side in (book.bids, book.asks))
    levels = [part for side in sides for part in side]
    key = (source_id, symbol_id, book.close_time - _MINUTE)
    connection.execute(_INSERT, (*key, book.state, book.reason, *values, *levels))


def _book(symbol: str, opened: datetime, state: BookState, reason: str, *levels: Any) -> ClosingBook:
    bid_prices, bid_sizes, ask_prices, ask_sizes = levels
    return ClosingBook(
        symbol, opened + _MINUTE, state, reason, _side(bid_prices, bid_sizes), _side(ask_prices, ask_sizes)
    )


def _side(prices: Sequence[float], sizes: Sequence[float]) -> tuple[Level, ...]:
    return tuple(zip(prices, sizes, strict=True))
