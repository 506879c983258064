"""Train, evaluate and register a model on the newest history; promote it if it passes the gate."""

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from flows.names import flow_run_name
from flows.progress import Progress, minute
from flows.run_log import attach
from flows.tables import fitted

if TYPE_CHECKING:
    from mikrobot.workflows.training_report import TrainingReport

STAGES = {"dataset": 0.0, "search": 0.2, "learners": 0.3, "evaluation": 0.8, "registry": 0.9}
"""Share of the whole at which each stage of a training begins."""


@task(task_run_name="train bos on {source} bars")
def train_model(
    source: str, symbols: list[str], *, start: datetime, end: datetime, trade_from: datetime | None, force: bool
) -> "TrainingReport | str":
    """Train, evaluate and register a model; promote it if it passes the gate. Return the reason if there is none."""
    from mikrobot import settings as configuration
    from mikrobot.domain.errors import UnchangedData
    from mikrobot.models.catalog import TRADED
    from mikrobot.store.postgres import database
    from mikrobot.workflows import train as workflow

    settings, progress = configuration.load(), Progress("train", symbols)
    with database.exclusive(settings, "models"):
        try:
            training = workflow.train(
                settings,
                TRADED,
                source,
                symbols,
                start=start,
                end=end,
                trade_from=trade_from,
                again=force,
                progress=lambda stage, share: progress(stage, STAGES[stage] + share * 0.09),
            )
        except UnchangedData as error:
            progress("unchanged", 1.0)
            get_run_logger().info(str(error))
            return str(error)
    progress("registered", 1.0)
    get_run_logger().info(f"version {training.version}: {training.reason}")
    return training


@flow(name="train", flow_run_name=flow_run_name, on_running=[attach])
def train(
    symbols: list[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    trade_from: datetime | None = None,
    *,
    run_id: str | None = None,
    force: bool = False,
) -> "list[TrainingReport]":
    """Train on symbols from start to end; by default those of a run, each over its own hours.

    The run is that of `run_id`, by default the latest one that traded. Data and settings of a version that answers
    are not trained on again, unless `force` is true.

    Symbols whose hours do not overlap belong to different segments, and each segment has a model of its own.
    """
    from mikrobot.workflows.default_span import default_spans

    results = [
        train_model(part.source, list(part.symbols), start=part.start, end=part.end, trade_from=trade_from, force=force)
        for part in default_spans(symbols, start, end, run_id=run_id)
    ]
    create_markdown_artifact(
        key="training",
        markdown=fitted("\n".join(result if isinstance(result, str) else markdown(result) for result in results)),
        description="; ".join(result if isinstance(result, str) else result.reason for result in results),
    )
    return [result for result in results if not isinstance(result, str)]


def markdown(trained: "TrainingReport") -> str:
    """Return the evaluation as Markdown for the Prefect UI: a row for each metric, so that the table fits the page."""
    judged = {"model": trained.metrics.metrics, **trained.metrics.baselines}
    names = list(judged["model"])
    rows = "\n".join(
        f"| {name} | {' | '.join(_shown(figures.get(name)) for figures in judged.values())} |" for name in names
    )
    return f"""# Model bos, version {trained.version}

Champion of: {", ".join(trained.champion_of) or "no symbol, the diffusion baseline answers"}.
{trained.reason}. Learned from {trained.source} bars of {", ".join(trained.symbols)}
up to {minute(trained.trained_until)} UTC.

| on the test span | {" | ".join(name.replace("_", " ") for name in judged)} |
|---|{"---:|" * len(judged)}
{rows}
"""


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
