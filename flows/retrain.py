"""Train again, for a reason that is kept with the run."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows.ingest import ingest
from flows.materialize import materialize
from flows.train import train


@flow(name="retrain", flow_run_name="retrain: {reason}")
def retrain(reason: str = "asked for by hand") -> dict[str, Any]:
    """Bring bars and features up to date and train on the newest history of the latest run."""
    ingest()
    materialize()
    trained = train()
    create_markdown_artifact(
        key="retrain", markdown=f"Reason: {reason}\n\nModel version {trained['version']}: {trained['reason']}"
    )
    return trained
