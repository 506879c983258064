"""The append-only ledger of a run: predictions, decisions, orders, fills, and rows that were skipped.

One transaction a minute, durable before it is acknowledged; the database itself refuses to change
or delete a row. Read back, records equal those that were committed: Decimals digit for digit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from typing import Any

from psycopg.types.json import Jsonb

from mikrobot.domain.trading import Decision, Fill, FillReason, Order, Prediction, Side
from mikrobot.store.database import Connection, Pool, execute
from mikrobot.store.runs import advance

_FEATURE_LIST = "INSERT INTO feature_list (id, names) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_PREDICTION = """
INSERT INTO prediction (
    run_id, symbol, side, close_time, probability, model, model_version, feature_hash, feature_list_id, features
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::float8[])
"""
_DECISION = """
INSERT INTO decision (run_id, id, symbol, close_time, approved, side, reasons) VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_ORDER_COLUMNS = "id, decision_id, symbol, side, lots, stop, target, submitted_at, expires_at"
_ORDER = f"INSERT INTO orders (run_id, {_ORDER_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_FILL_COLUMNS = "id, order_id, symbol, side, lots, price, reason, fee, pnl, filled_at, ambiguous"
_FILL = f"INSERT INTO fill (run_id, {_FILL_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_SKIP = "INSERT INTO skip (run_id, symbol, close_time, reason) VALUES (%s, %s, %s, %s)"

_READ_PREDICTIONS = """
SELECT symbol, side, close_time, probability, model, model_version, feature_hash, names, features
FROM prediction JOIN feature_list ON feature_list.id = feature_list_id WHERE run_id = %s ORDER BY seq
"""
_READ_DECISIONS = "SELECT id, symbol, close_time, approved, side, reasons FROM decision WHERE run_id = %s ORDER BY seq"
_READ_ORDERS = f"SELECT {_ORDER_COLUMNS} FROM orders WHERE run_id = %s ORDER BY seq"
_READ_FILLS = f"SELECT {_FILL_COLUMNS} FROM fill WHERE run_id = %s ORDER BY seq"
_READ_SKIPS = "SELECT symbol, close_time, reason FROM skip WHERE run_id = %s ORDER BY seq"
_COUNT = """
SELECT
    (SELECT count(*) FROM prediction WHERE run_id = %(run)s),
    (SELECT count(*) FROM decision WHERE run_id = %(run)s),
    (SELECT count(*) FROM orders WHERE run_id = %(run)s),
    (SELECT count(*) FROM fill WHERE run_id = %(run)s),
    (SELECT count(*) FROM skip WHERE run_id = %(run)s)
"""
_COUNTED = ("predictions", "decisions", "orders", "fills", "skips")


@dataclass(frozen=True, slots=True)
class Skip:
    """A feature row that the worker could not use, and why."""

    symbol: str
    close_time: datetime
    reason: str


class Ledger:
    """Appends to the ledger and reads it; every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._listed: set[str] = set()

    def commit(
        self,
        run_id: str,
        close_time: datetime,
        predictions: Sequence[Prediction] = (),
        decisions: Sequence[Decision] = (),
        orders: Sequence[Order] = (),
        fills: Sequence[Fill] = (),
        skips: Sequence[Skip] = (),
    ) -> bool:
        """Append what the worker did at one close, and announce that it has come that far.

        All of it or nothing, durably. A close that the worker has passed already is not
        appended again.

        Returns
        -------
        bool
            False if the ledger was at `close_time` or beyond: nothing was written.
        """
        lists = {_list_id(p): list(p.features) for p in predictions}
        new_lists = [(key, names) for key, names in lists.items() if key not in self._listed]

        def work(connection: Connection) -> bool:
            with connection.transaction():
                if not advance(connection, run_id, "worker", close_time):
                    return False
                with connection.pipeline(), connection.cursor() as cursor:
                    for statement, rows in (
                        (_FEATURE_LIST, new_lists),
                        (_PREDICTION, [_prediction_row(run_id, p) for p in predictions]),
                        (_DECISION, [_decision_row(run_id, d) for d in decisions]),
                        (_ORDER, [_row(run_id, o) for o in orders]),
                        (_FILL, [_row(run_id, f) for f in fills]),
                        (_SKIP, [_row(run_id, s) for s in skips]),
                    ):
                        if rows:
                            cursor.executemany(statement, rows)
            return True

        written = execute(self._pool, f"committing {close_time} to the ledger of run {run_id}", work)
        if written:
            self._listed.update(lists)
        return written

    def predictions(self, run_id: str) -> list[Prediction]:
        """Return the predictions of a run in the order they were committed."""
        return [_prediction(*row) for row in self._rows(_READ_PREDICTIONS, run_id)]

    def decisions(self, run_id: str) -> list[Decision]:
        """Return the decisions of a run in the order they were committed."""
        return [_decision(*row) for row in self._rows(_READ_DECISIONS, run_id)]

    def orders(self, run_id: str) -> list[Order]:
        """Return the orders of a run in the order they were committed."""
        return [_order(*row) for row in self._rows(_READ_ORDERS, run_id)]

    def fills(self, run_id: str) -> list[Fill]:
        """Return the fills of a run in the order they were committed."""
        return [_fill(*row) for row in self._rows(_READ_FILLS, run_id)]

    def skips(self, run_id: str) -> list[Skip]:
        """Return the rows that were skipped in a run, in the order they were committed."""
        return [Skip(*row) for row in self._rows(_READ_SKIPS, run_id)]

    def counts(self, run_id: str) -> dict[str, int]:
        """Return how many predictions, decisions, orders, fills and skips a run has."""
        rows = execute(self._pool, "counting the ledger", lambda c: c.execute(_COUNT, {"run": run_id}).fetchall())
        return dict(zip(_COUNTED, rows[0], strict=True))

    def _rows(self, query: str, run_id: str) -> Iterable[tuple[Any, ...]]:
        return execute(self._pool, "reading the ledger", lambda c: c.execute(query.encode(), (run_id,)).fetchall())


def _list_id(prediction: Prediction) -> str:
    return blake2b("\n".join(prediction.features).encode(), digest_size=8).hexdigest()


def _prediction_row(run_id: str, made: Prediction) -> tuple[Any, ...]:
    said = (made.symbol, made.side.value, made.close_time, made.probability)
    model = (made.model, made.model_version, made.feature_hash)
    return (run_id, *said, *model, _list_id(made), list(made.features.values()))


def _decision_row(run_id: str, made: Decision) -> tuple[Any, ...]:
    side = made.side.value if made.side is not None else None
    return (run_id, made.id, made.symbol, made.close_time, made.approved, side, Jsonb(list(made.reasons)))


def _row(run_id: str, record: Order | Fill | Skip) -> tuple[Any, ...]:
    """Return the fields in their order, which is that of the columns."""
    return (run_id, *(value.value if isinstance(value, Enum) else value for value in astuple(record)))


def _prediction(
    symbol: str, side: str, close_time: datetime, probability: float, model: str, version: str, feature_hash: str,
    names: list[str], values: list[float],
) -> Prediction:  # fmt: skip
    features = dict(zip(names, values, strict=True))
    return Prediction(symbol, Side(side), close_time, probability, model, version, feature_hash, features)


def _decision(
    id: str, symbol: str, close_time: datetime, approved: bool, side: str | None, reasons: list[str]
) -> Decision:
    return Decision(id, symbol, close_time, approved, Side(side) if side else None, tuple(reasons))


def _order(id: str, decision_id: str, symbol: str, side: str, *terms: Any) -> Order:
    return Order(id, decision_id, symbol, Side(side), *terms)


def _fill(
    id: str, order_id: str, symbol: str, side: str, lots: Decimal, price: Decimal, reason: str, *rest: Any
) -> Fill:
    return Fill(id, order_id, symbol, Side(side), lots, price, FillReason(reason), *rest)
