"""Run each stage of a run once: a run that was interrupted and resumed reads the results of those that have ended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pydantic import TypeAdapter

from mikrobot import settings as configuration
from mikrobot.domain.serialisation import plain
from mikrobot.market.history import Backfill
from mikrobot.store.postgres import database
from mikrobot.store.stage_results import StageResults
from mikrobot.workflows.gate_counts import Gated
from mikrobot.workflows.materialize import Materialized
from mikrobot.workflows.training_report import TrainingReport

Result = TypeVar("Result")

INGESTED = TypeAdapter(list[Gated[Backfill]])
MATERIALIZED = TypeAdapter(list[Gated[Materialized]])
TRAINED = TypeAdapter(list[TrainingReport])
FIRST_ORDER = TypeAdapter(datetime | None)


@dataclass(frozen=True, slots=True)
class SegmentStages:
    """The stages of one segment of a run."""

    run_id: str
    segment: int

    def once(self, stage: str, kind: TypeAdapter[Result], work: Callable[[], Result]) -> Result:
        """Return the recorded result of a stage; without one, do its work and record the result.

        Parameters
        ----------
        stage : str
            Name of the stage, unique in its segment.
        kind : TypeAdapter
            Reads the recorded result.
        work : callable
            Called without arguments.
        """
        settings = configuration.load()
        with database.open_pool(settings) as pool:
            recorded = StageResults(pool, self.run_id, self.segment).get(stage)
        if recorded:
            return kind.validate_python(recorded[0])
        result = work()
        with database.open_pool(settings) as pool:
            StageResults(pool, self.run_id, self.segment).add(stage, plain(result))
        return result
