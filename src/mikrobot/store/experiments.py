"""Store the plans and ends of experiments, append-only like the ledger.

A recorded plan cannot change. The observations of an experiment come from the ledger.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from mikrobot.domain.errors import UsageError
from mikrobot.domain.experiments import Arm, Experiment, Unit
from mikrobot.store.postgres.database import Pool, execute

_BEGIN = "INSERT INTO experiment (id, begun_at, plan) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING RETURNING id"
_STOP = """
INSERT INTO experiment_end (experiment_id, ended_at, reason, conclusion) VALUES (%s, %s, %s, %s)
ON CONFLICT DO NOTHING RETURNING experiment_id
"""


@dataclass(frozen=True, slots=True)
class End:
    """The end of an experiment.

    Attributes
    ----------
    at : datetime
        UTC; later observations do not belong to the experiment.
    reason : str
    conclusion : dict
        The conclusion at that time, as plain JSON values.
    """

    at: datetime
    reason: str
    conclusion: dict[str, Any]


class Experiments:
    """Records experiments; every method raises `StoreError` if the database fails.

    Parameters
    ----------
    pool : ConnectionPool
        On the database `mikrobot`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def begin(self, experiment: Experiment) -> None:
        """Record a plan.

        Raises
        ------
        UsageError
            If an experiment with this id exists.
        """
        plan = asdict(experiment) | {"unit": experiment.unit.value}
        values = (experiment.id, experiment.begun_at, Jsonb({k: v for k, v in plan.items() if k != "begun_at"}))
        doing = f"beginning experiment {experiment.id}"
        if execute(self._pool, doing, lambda c: c.execute(_BEGIN, values).fetchone()) is None:
            raise UsageError(
                f"there is an experiment {experiment.id!r} already, and a plan never changes; choose another id"
            )

    def get(self, experiment_id: str) -> Experiment:
        """Return an experiment.

        Raises
        ------
        UsageError
            If there is no experiment with this id; the message lists the existing ids.
        """
        by_id = {experiment.id: experiment for experiment in self.all()}
        if experiment_id not in by_id:
            raise UsageError(f"there is no experiment {experiment_id!r}; there are {', '.join(by_id) or 'none'}")
        return by_id[experiment_id]

    def all(self) -> list[Experiment]:
        """Return every experiment in order of its start."""
        query = "SELECT plan, begun_at FROM experiment ORDER BY begun_at, id"
        rows = execute(self._pool, "reading experiments", lambda c: c.execute(query).fetchall())
        return [_experiment(*row) for row in rows]

    def stop(self, experiment_id: str, at: datetime, reason: str, conclusion: dict[str, Any]) -> None:
        """End an experiment permanently.

        Raises
        ------
        UsageError
            If it has already ended.
        """
        values = (experiment_id, at, reason, Jsonb(conclusion))
        doing = f"stopping experiment {experiment_id}"
        if execute(self._pool, doing, lambda c: c.execute(_STOP, values).fetchone()) is None:
            ended = self.end(experiment_id)
            assert ended is not None
            raise UsageError(f"experiment {experiment_id!r} has ended already, on {ended.at:%Y-%m-%d}: {ended.reason}")

    def end(self, experiment_id: str) -> End | None:
        """Return the end of an experiment; None while it runs."""
        query = "SELECT ended_at, reason, conclusion FROM experiment_end WHERE experiment_id = %s"
        row = execute(self._pool, "reading experiments", lambda c: c.execute(query, (experiment_id,)).fetchone())
        return None if row is None else End(*row)


def _experiment(plan: dict[str, Any], begun_at: datetime) -> Experiment:
    arms = tuple(Arm(**arm) for arm in plan["arms"])
    return Experiment(**plan | {"arms": arms, "unit": Unit(plan["unit"]), "begun_at": begun_at})
