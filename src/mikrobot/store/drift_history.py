"""Store the references and the windows of the drift verdict, and which events have reported them, append-only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Json

from mikrobot.domain.drift import DriftEvent, DriftKind, Mark, WindowVerdict
from mikrobot.models.scope import Scope
from mikrobot.store.postgres.database import Connection, Pool, execute

_KEEP = """
INSERT INTO drift_reference (source, symbol, model, version, window_days, reference)
VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_REFERENCE = """
SELECT reference FROM drift_reference
WHERE source = %s AND symbol = %s AND model = %s AND version = %s AND window_days = %s
"""
_ADD = """
INSERT INTO drift_window (source, symbol, model, version, kind, since, until, verdict, onset, reasons, figures)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING since
"""
_OF = """
SELECT kind, since, until, verdict = 'drift', onset, reasons, figures FROM drift_window
WHERE source = %s AND symbol = %s AND model = %s AND version = %s ORDER BY until, kind
"""
_REPORTED = """
SELECT event, kind, since, until FROM drift_event WHERE source = %s AND symbol = %s AND model = %s AND version = %s
"""
_MARK = """
INSERT INTO drift_event (source, symbol, model, version, event, kind, since, until)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_NEWEST = "SELECT model, version FROM drift_window WHERE source = %s AND symbol = %s ORDER BY seq DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a verdict is about: a model version in a scope."""

    scope: Scope
    model: str
    version: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The first columns of both tables."""
        return self.scope.source, self.scope.symbol, self.model, self.version


class DriftHistory:
    """Reads and writes references and windows; every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def reference(self, judged: Judged, window_days: float) -> dict[str, Any] | None:
        """Return the stored reference with windows of this length; None if there is none."""
        rows = execute(
            self._pool,
            "reading a reference of the drift",
            lambda c: c.execute(_REFERENCE, (*judged.key, window_days)).fetchall(),
        )
        return next((reference for (reference,) in rows), None)

    def keep_reference(self, judged: Judged, window_days: float, reference: dict[str, Any]) -> None:
        """Store a reference; one that is stored already stays."""
        values = (*judged.key, window_days, Json(reference))
        execute(self._pool, "storing a reference of the drift", lambda c: c.execute(_KEEP, values))

    def add(self, judged: Judged, windows: Sequence[WindowVerdict]) -> list[WindowVerdict]:
        """Store verdicts, all or none; return those that were not stored before."""

        def work(connection: Connection) -> list[WindowVerdict]:
            with connection.transaction():
                return [w for w in windows if connection.execute(_ADD, _row(judged, w)).fetchone() is not None]

        return execute(self._pool, "storing the verdicts of the drift", work)

    def reported(self, judged: Judged) -> frozenset[Mark]:
        """Return what events have reported of a version in a scope."""
        rows = execute(
            self._pool, "reading the events of the drift", lambda c: c.execute(_REPORTED, judged.key).fetchall()
        )
        return frozenset((event, DriftKind(kind), since, until) for event, kind, since, until in rows)

    def mark(self, events: Sequence[DriftEvent]) -> None:
        """Store that events were emitted, all or none; one that is stored already stays."""

        def work(connection: Connection) -> None:
            with connection.transaction():
                for event in events:
                    connection.execute(_MARK, _mark(event))

        execute(self._pool, "storing the events of the drift", work)

    def newest(self, scope: Scope) -> Judged | None:
        """Return what was judged last in a scope; None if nothing was."""
        rows = execute(
            self._pool,
            "reading what was judged last",
            lambda c: c.execute(_NEWEST, (scope.source, scope.symbol)).fetchall(),
        )
        return next((Judged(scope, model, version) for model, version in rows), None)

    def of(self, judged: Judged) -> list[WindowVerdict]:
        """Return the stored verdicts in order of time."""
        rows = execute(self._pool, "reading the verdicts of the drift", lambda c: c.execute(_OF, judged.key).fetchall())
        return [
            WindowVerdict(DriftKind(kind), since, until, drifted, onset, tuple(reasons), figures)
            for kind, since, until, drifted, onset, reasons, figures in rows
        ]


def _mark(event: DriftEvent) -> tuple[Any, ...]:
    judged = (event.source, event.symbol, event.model, event.version)
    return (*judged, event.name, event.kind.value, event.since, event.until)


def _row(judged: Judged, window: WindowVerdict) -> tuple[Any, ...]:
    verdict = "drift" if window.drifted else "stable"
    return (
        *(*judged.key, window.kind.value, window.since, window.until, verdict, window.onset),
        *(list(window.reasons), Json(dict(window.figures))),
    )
