"""The append-only ledger of a run: predictions, decisions, orders, account journals and skipped rows.

Each minute is one transaction, durable before it is acknowledged; the database itself refuses to change or delete
a row. Records that are read back equal the committed ones, Decimals digit for digit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from enum import Enum
from hashlib import blake2b
from typing import Any

from psycopg.types.json import Json, Jsonb

from mikrobot.domain.check_results import Comparison
from mikrobot.domain.trading import Decision, OrderIntent, Prediction, Side
from mikrobot.domain.trading_states import TradingState
from mikrobot.store.postgres.database import Connection, Pool, execute
from mikrobot.store.runs import advance
from mikrobot.store.trading_states import kept_version, require, write, write_spans

_FEATURE_LIST = "INSERT INTO feature_list (id, names) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_PREDICTION = """
INSERT INTO prediction (
    run_id, symbol, side, close_time, probability, model, model_version, feature_hash, feature_list_id, features
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::float8[])
"""
_DECISION = """
INSERT INTO decision (run_id, id, symbol, close_time, approved, side, reasons, strategy, comparisons)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_ORDER_COLUMNS = "id, decision_id, symbol, side, lots, stop, target, submitted_at, expires_at, entry"
_ORDER = f"INSERT INTO orders (run_id, {_ORDER_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_JOURNAL = "INSERT INTO journal (run_id, account, seq, kind, record) VALUES (%s, %s, %s, %s, %s)"
_SHADOW = """
INSERT INTO shadow (run_id, symbol, side, close_time, probability, model, model_version)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_MEMORY = """
INSERT INTO strategy_memory (run_id, strategy, symbol, memory) VALUES (%s, %s, %s, %s)
ON CONFLICT (run_id, strategy, symbol) DO UPDATE SET memory = excluded.memory
"""
_READ_MEMORIES = "SELECT strategy, symbol, memory FROM strategy_memory WHERE run_id = %s"
_SKIP = "INSERT INTO skip (run_id, symbol, close_time, reason) VALUES (%s, %s, %s, %s)"

_READ_PREDICTIONS = """
SELECT symbol, side, close_time, probability, model, model_version, feature_hash, names, features
FROM prediction JOIN feature_list ON feature_list.id = feature_list_id WHERE run_id = %s ORDER BY seq
"""
_READ_PREDICTIONS_OF = """
SELECT symbol, side, close_time, probability, model, model_version, prediction.feature_hash, names, features
FROM prediction JOIN feature_list ON feature_list.id = feature_list_id JOIN run ON run.id = run_id
WHERE model = %s AND model_version = %s AND source = %s AND close_time > %s ORDER BY close_time, prediction.seq
"""
_COUNT_ANSWERS = """
SELECT symbol, model, model_version, count(*) FROM prediction WHERE run_id = %s GROUP BY symbol, model, model_version
"""
_DECISION_COLUMNS = "id, symbol, close_time, approved, side, reasons, strategy, comparisons"
_READ_DECISIONS = f"SELECT {_DECISION_COLUMNS} FROM decision WHERE run_id = %s ORDER BY seq"
_READ_DECISION = f"SELECT run_id, {_DECISION_COLUMNS} FROM decision WHERE id = %s"
_READ_CHOSEN = f"""
SELECT {_DECISION_COLUMNS} FROM decision
WHERE run_id = %s AND symbol = coalesce(%s, symbol) AND close_time >= coalesce(%s, close_time)
    AND close_time <= coalesce(%s, close_time)
    AND split_part(strategy, '@', 1) = coalesce(%s, split_part(strategy, '@', 1))
ORDER BY seq
"""
_READ_PREDICTIONS_AT = """
SELECT symbol, side, close_time, probability, model, model_version, feature_hash, names, features
FROM prediction JOIN feature_list ON feature_list.id = feature_list_id
WHERE run_id = %s AND symbol = %s AND close_time = %s ORDER BY seq
"""
_READ_ORDERS = f"SELECT {_ORDER_COLUMNS} FROM orders WHERE run_id = %s ORDER BY seq"
_READ_JOURNAL = """
SELECT account, seq, kind, record::text FROM journal
WHERE run_id = %s AND (%s::text[] IS NULL OR kind = ANY(%s)) ORDER BY account, seq
"""
_READ_SKIPS = "SELECT symbol, close_time, reason FROM skip WHERE run_id = %s ORDER BY seq"
_LAST_DECISIONS = f"""
SELECT DISTINCT ON (symbol) {_DECISION_COLUMNS} FROM decision WHERE run_id = %s ORDER BY symbol, seq DESC
"""
_LAST_SKIPS = """
SELECT DISTINCT ON (symbol) symbol, close_time, reason FROM skip WHERE run_id = %s ORDER BY symbol, seq DESC
"""
_COUNT = """
SELECT
    (SELECT count(*) FROM prediction WHERE run_id = %(run)s),
    (SELECT count(*) FROM decision WHERE run_id = %(run)s),
    (SELECT count(*) FROM orders WHERE run_id = %(run)s),
    (SELECT count(*) FROM journal WHERE run_id = %(run)s AND kind = 'filled'),
    (SELECT count(*) FROM skip WHERE run_id = %(run)s)
"""
_COUNTED = ("predictions", "decisions", "orders", "fills", "skips")


@dataclass(frozen=True, slots=True)
class Skip:
    """A feature row that the worker could not use, with the reason."""

    symbol: str
    close_time: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One record of the journal of an account.

    Attributes
    ----------
    account : str
    seq : int
        Number within the account, from 0 without gaps; each number is written once.
    kind : str
        As ``submitted`` or ``filled``.
    record : str
        The whole record as JSON, stored byte for byte.
    """

    account: str
    seq: int
    kind: str
    record: str


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
        *,
        predictions: Sequence[Prediction] = (),
        decisions: Sequence[Decision] = (),
        orders: Sequence[OrderIntent] = (),
        journal: Sequence[JournalLine] = (),
        skips: Sequence[Skip] = (),
        shadows: Sequence[Prediction] = (),
        states: Sequence[TradingState] = (),
        memories: Sequence[tuple[str, str, dict[str, Any]]] = (),
        spans: Sequence[TradingState] = (),
        decided_under: int | None = None,
    ) -> bool:
        """Append the worker's records of one close, and announce the close.

        Writes durably, completely or not at all; `shadows` without their features, `states` and `spans` as `write` and
        `write_spans` of `mikrobot.store.trading_states` do. `memories` (strategy, symbol, memory) replace what is
        stored. A close that the worker has already committed is not appended again. `decided_under` is the version of
        the states of operators that the minute was decided under.

        Returns
        -------
        bool
            False if the ledger had already reached `close_time`: then nothing was written.

        Raises
        ------
        StatesChanged
            If the states of operators have another version than `decided_under`: then nothing was written.
        """
        lists = {_list_id(p): list(p.features) for p in predictions}
        new_lists = [(key, names) for key, names in lists.items() if key not in self._listed]

        def work(connection: Connection) -> bool:
            with connection.transaction():
                with connection.pipeline():
                    kept = kept_version(connection)
                    advances = advance(connection, run_id, "worker", close_time)
                if decided_under is not None:
                    require(kept, decided_under)
                if not advances:
                    return False
                with connection.pipeline(), connection.cursor() as cursor:
                    for statement, rows in (
                        (_FEATURE_LIST, new_lists),
                        (_PREDICTION, [_prediction_row(run_id, p) for p in predictions]),
                        (_DECISION, [_decision_row(run_id, d) for d in decisions]),
                        (_ORDER, [_row(run_id, o) for o in orders]),
                        (_JOURNAL, [_row(run_id, line) for line in journal]),
                        (_SKIP, [_row(run_id, s) for s in skips]),
                        (_SHADOW, [_shadow_row(run_id, s) for s in shadows]),
                        (_MEMORY, [(run_id, name, symbol, Json(memory)) for name, symbol, memory in memories]),
                    ):
                        if rows:
                            cursor.executemany(statement, rows)
                    write(connection, states, run_id=run_id, source=None)
                    write_spans(connection, spans, run_id=run_id)
            return True

        written = execute(self._pool, f"committing {close_time} to the ledger of run {run_id}", work)
        if written:
            self._listed.update(lists)
        return written

    def predictions(self, run_id: str) -> list[Prediction]:
        """Return the predictions of a run in the order they were committed."""
        return [_prediction(*row) for row in self._rows(_READ_PREDICTIONS, run_id)]

    def predictions_of(self, model: str, version: str, source: str, after: datetime) -> list[Prediction]:
        """Return the predictions of a model version for closes of a source after an instant, in any run."""
        return [_prediction(*row) for row in self._rows(_READ_PREDICTIONS_OF, model, version, source, after)]

    def answers(self, run_id: str) -> dict[str, dict[tuple[str, str], int]]:
        """Return the number of predictions of a run by symbol and (model, version)."""
        counts: dict[str, dict[tuple[str, str], int]] = {}
        for symbol, model, version, count in self._rows(_COUNT_ANSWERS, run_id):
            counts.setdefault(symbol, {})[model, version] = count
        return counts

    def shadows(self, model: str, version: str, symbol: str) -> int:
        """Return the number of a version's shadow predictions for a symbol, in any run."""
        query = b"SELECT count(*) FROM shadow WHERE model = %s AND model_version = %s AND symbol = %s"
        rows = execute(self._pool, "counting shadows", lambda c: c.execute(query, (model, version, symbol)).fetchall())
        return int(rows[0][0])

    def decisions(self, run_id: str) -> list[Decision]:
        """Return the decisions of a run in the order they were committed."""
        return [_decision(*row) for row in self._rows(_READ_DECISIONS, run_id)]

    def decision(self, decision_id: str) -> tuple[str, Decision] | None:
        """Return the run of a decision and the decision; None if there is no such id."""
        for run_id, *columns in self._rows(_READ_DECISION, decision_id):
            return run_id, _decision(*columns)
        return None

    def chosen(
        self, run_id: str, *, symbol: str | None = None, start: datetime | None = None, end: datetime | None = None,
        strategy: str | None = None,
    ) -> list[Decision]:  # fmt: skip
        """Return the decisions of a run in the order they were committed, at closes from `start` to `end`.

        None chooses everything; `strategy` is a name without the hash of its source.
        """
        return [_decision(*row) for row in self._rows(_READ_CHOSEN, run_id, symbol, start, end, strategy)]

    def predictions_at(self, run_id: str, symbol: str, close_time: datetime) -> list[Prediction]:
        """Return the predictions of a run for one symbol at one close."""
        return [_prediction(*row) for row in self._rows(_READ_PREDICTIONS_AT, run_id, symbol, close_time)]

    def orders(self, run_id: str) -> list[OrderIntent]:
        """Return the orders of a run in the order they were committed."""
        return [_order(*row) for row in self._rows(_READ_ORDERS, run_id)]

    def journal(self, run_id: str, kinds: Sequence[str] | None = None) -> list[JournalLine]:
        """Return the journals of a run's accounts, account by account; `kinds` None: every kind of record."""
        wanted = None if kinds is None else list(kinds)
        return [JournalLine(*row) for row in self._rows(_READ_JOURNAL, run_id, wanted, wanted)]

    def memories(self, run_id: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what each strategy of a run remembers of each symbol, by strategy and symbol."""
        return {(strategy, symbol): memory for strategy, symbol, memory in self._rows(_READ_MEMORIES, run_id)}

    def skips(self, run_id: str) -> list[Skip]:
        """Return the skipped rows of a run in the order they were committed."""
        return [Skip(*row) for row in self._rows(_READ_SKIPS, run_id)]

    def last_decisions(self, run_id: str) -> dict[str, Decision]:
        """Return the newest decision about each symbol of a run."""
        decisions = (_decision(*row) for row in self._rows(_LAST_DECISIONS, run_id))
        return {decision.symbol: decision for decision in decisions}

    def last_skips(self, run_id: str) -> dict[str, Skip]:
        """Return the newest skipped row of each symbol of a run."""
        return {skip.symbol: skip for skip in (Skip(*row) for row in self._rows(_LAST_SKIPS, run_id))}

    def traded_runs(self) -> set[str]:
        """Return the ids of the runs whose accounts have a journal."""
        query = b"SELECT id FROM run WHERE EXISTS (SELECT 1 FROM journal WHERE run_id = run.id)"
        return {row[0] for row in execute(self._pool, "reading the ledger", lambda c: c.execute(query).fetchall())}

    def append(self, run_id: str, lines: Sequence[JournalLine]) -> None:
        """Append journal lines outside a minute, all or none, as when another run continues the account."""

        def work(connection: Connection) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_JOURNAL, [_row(run_id, line) for line in lines])

        execute(self._pool, f"appending to the journal of run {run_id}", work)

    def counts(self, run_id: str) -> dict[str, int]:
        """Return the numbers of predictions, decisions, orders, fills and skips of a run."""
        rows = execute(self._pool, "counting the ledger", lambda c: c.execute(_COUNT, {"run": run_id}).fetchall())
        return dict(zip(_COUNTED, rows[0], strict=True))

    def _rows(self, query: str, *given: Any) -> Iterable[tuple[Any, ...]]:
        return execute(self._pool, "reading the ledger", lambda c: c.execute(query.encode(), given).fetchall())


def _list_id(prediction: Prediction) -> str:
    return blake2b("\n".join(prediction.features).encode(), digest_size=8).hexdigest()


def _prediction_row(run_id: str, p: Prediction) -> tuple[Any, ...]:
    model = (p.model, p.model_version, p.feature_hash)
    return (
        *(run_id, p.symbol, p.side.value, p.close_time, p.probability),
        *(*model, _list_id(p), list(p.features.values())),
    )


def _shadow_row(run_id: str, p: Prediction) -> tuple[Any, ...]:
    return run_id, p.symbol, p.side.value, p.close_time, p.probability, p.model, p.model_version


def _decision_row(run_id: str, decision: Decision) -> tuple[Any, ...]:
    side = decision.side.value if decision.side is not None else None
    outcome = (decision.approved, side, Jsonb(list(decision.reasons)))
    numbers = Json([None if compared is None else compared.to_json() for compared in decision.comparisons])
    return (run_id, decision.id, decision.symbol, decision.close_time, *outcome, decision.strategy, numbers)


def _row(run_id: str, record: OrderIntent | JournalLine | Skip) -> tuple[Any, ...]:
    """Return the fields in order, which equals the order of the columns."""
    return (run_id, *(value.value if isinstance(value, Enum) else value for value in astuple(record)))


def _prediction(  # noqa: PLR0917, the columns of the query in their order
    symbol: str, side: str, close_time: datetime, probability: float, model: str, version: str, feature_hash: str,
    names: list[str], values: list[float],
) -> Prediction:  # fmt: skip
    features = dict(zip(names, values, strict=True))
    return Prediction(symbol, Side(side), close_time, probability, model, version, feature_hash, features)


def _decision(  # noqa: PLR0917, the columns of the query in their order
    id: str, symbol: str, close_time: datetime, approved: bool, side: str | None, reasons: list[str], strategy: str,
    comparisons: list[list[Any] | None] | None,
) -> Decision:  # fmt: skip
    numbers = tuple(None if values is None else Comparison(*values) for values in comparisons or ())
    return Decision(id, symbol, close_time, approved, Side(side) if side else None, tuple(reasons), strategy, numbers)


def _order(id: str, decision_id: str, symbol: str, side: str, *terms: Any) -> OrderIntent:
    return OrderIntent(id, decision_id, symbol, Side(side), *terms)
