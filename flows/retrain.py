"""Train again, for a reason that is recorded with the run."""

from typing import TYPE_CHECKING

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from flows.ingest import ingest
from flows.materialize import materialize
from flows.names import flow_run_name
from flows.run_log import attach
from flows.train import train

if TYPE_CHECKING:
    from mikrobot.workflows.training_report import TrainingReport


@flow(name="retrain", flow_run_name=flow_run_name, on_running=[attach])
def retrain(reason: str = "requested by hand", *, force: bool = False) -> "list[TrainingReport]":
    """Update bars and features, and train on the newest history of every symbol of the latest run.

    Data and settings of a version that answers are not trained on again, unless `force` is true.
    """
    get_run_logger().info(f"Training again: {reason}")
    ingest()
    materialize()
    trained = train(force=force)
    versions = (
        "\n".join(
            f"- Model version {training.version}, learned from {', '.join(training.symbols)}: {training.reason}"
            for training in trained
        )
        or "No new version: the data and the settings are those of the version that answers."
    )
    create_markdown_artifact(key="retrain", markdown=f"Reason: {reason}\n\n{versions}")
    return trained
