"""Store what the stages of a run returned, append-only; a resumed run reads it instead of repeating them."""

from typing import Any

from psycopg.types.json import Jsonb

from mikrobot.store.postgres.database import Pool, execute

_ADD = "INSERT INTO stage_result (run_id, segment, stage, result) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
_GET = "SELECT result FROM stage_result WHERE run_id = %s AND segment = %s AND stage = %s"


class StageResults:
    """Records the results of one segment of a run; every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.
    run_id : str
    segment : int
        Number of the segment.
    """

    def __init__(self, pool: Pool, run_id: str, segment: int) -> None:
        self._pool, self._run_id, self._segment = pool, run_id, segment

    def add(self, stage: str, result: Any) -> None:
        """Record the result of a stage, as plain JSON values; one that is recorded already stays."""
        values = (self._run_id, self._segment, stage, Jsonb(result))
        execute(self._pool, f"recording the {stage} of {self._run_id}", lambda c: c.execute(_ADD, values))

    def get(self, stage: str) -> list[Any]:
        """Return the result of a stage in a list, which is empty if the stage has not ended."""
        values = (self._run_id, self._segment, stage)
        rows = execute(
            self._pool, f"reading the {stage} of {self._run_id}", lambda c: c.execute(_GET, values).fetchall()
        )
        return [result for (result,) in rows]
