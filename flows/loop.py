"""The whole loop of a recorded run: ``python -m flows.loop RUN_ID`` prints its progress and summary."""

import asyncio
import importlib
import sys
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows.ingest import ingest
from flows.materialize import materialize
from flows.monitor import monitor
from flows.names import flow_run_name
from flows.progress import Progress, tell
from flows.report import report
from flows.run_log import attach
from flows.stale import crash_loops
from flows.train import train

if TYPE_CHECKING:
    from mikrobot.store.runs import Segment
    from mikrobot.workflows.run_summary import RunSummary
    from mikrobot.workflows.summary import Stages

BEFORE_TRADING = (
    "feature_repo.applying",
    "expectations.quality_gate",
    "mikrobot.workflows.materialize",
    "mikrobot.workflows.train",
    "mikrobot.models.tracking",
)
"""Modules of the stages before the trading, whose frameworks take seconds to import."""

NO_HEARTBEATS = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
"""Prefect waits up to a second for them at the end of each flow; `flows.stale` finds the loops that were killed."""


@flow(name="trade", flow_run_name=flow_run_name, on_running=[attach])
def trade(run_id: str, number: int) -> datetime | None:
    """Trade one segment of a run with the two live processes; return the time of the first order."""
    from mikrobot import settings as configuration
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import supervisor
    from mikrobot.workflows import summary

    segment = summary.run_of(run_id).segments[number]
    progress = Progress("trade", segment.symbols)
    return supervisor.trade(configuration.load(), run_id, number, segment, clock=SystemClock(), tell=progress)


@flow(name="loop", flow_run_name=flow_run_name, on_running=[attach])
def loop(run_id: str) -> "RunSummary":
    """Ingest, check, materialise, train and trade each segment of the run, then monitor and report.

    A run that was interrupted continues: stages that have ended are not repeated, and trading goes on where it was.
    """
    from feature_repo.applying import apply
    from mikrobot import settings as configuration
    from mikrobot.workflows import summary

    settings = configuration.load()
    apply(settings)
    stages = summary.Stages()
    for number, segment in enumerate(summary.run_of(run_id).segments):
        _run_segment(run_id, number, segment, stages)
    result = summary.conclude(run_id, stages, monitor(run_id))
    return replace(result, reports={**result.reports, **report(run_id)})


def _run_segment(run_id: str, number: int, segment: "Segment", stages: "Stages") -> None:
    """Run the stages of a segment that have not ended yet; add the results of all to `stages`."""
    from mikrobot import settings as configuration
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import local_stack
    from mikrobot.workflows import run_stages

    once = run_stages.SegmentStages(run_id, number).once
    symbols, learned = list(segment.symbols), segment.trade_from
    start, traded = segment.history_from, segment.trade_until
    ingested = once("ingest", run_stages.INGESTED, lambda: ingest(symbols, start, learned, run_id=run_id))
    earlier = once("materialize", run_stages.MATERIALIZED, lambda: materialize(symbols, start, learned, run_id=run_id))
    local_stack.await_service(configuration.load(), "mlflow", SystemClock())
    trained = once(
        "train",
        run_stages.TRAINED,
        lambda: train(symbols, start, learned, trade_from=learned, run_id=run_id, force=True),
    )
    first_order = once("trade", run_stages.FIRST_ORDER, lambda: trade(run_id, number))
    later = once(
        "materialize traded",
        run_stages.MATERIALIZED,
        lambda: materialize(symbols, start, traded, since=learned, run_id=run_id),
    )
    stages.ingested += ingested
    stages.materialized += earlier + later
    stages.trained += trained
    stages.first_orders.append(first_order)


def main(run_id: str) -> int:
    """Run the loop and print its summary, or its error message, as a line of JSON."""
    from mikrobot import settings as configuration
    from mikrobot.domain.errors import MikrobotError
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import local_stack

    try:
        for name in BEFORE_TRADING:  # while the services start
            importlib.import_module(name)
        local_stack.await_service(configuration.load(), "prefect", SystemClock())
        asyncio.run(crash_loops())
        with temporary_settings(updates=NO_HEARTBEATS):
            summary = loop(run_id)
    except MikrobotError as error:
        tell(event="error", message=str(error))
        return error.exit_code
    tell(event="summary", summary=summary)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
