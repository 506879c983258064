"""What was traded and why."""

from typing import Any

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact


@task
def write_report(run_id: str | None) -> dict[str, Any]:
    """Write the trading report of a run; return its paths."""
    from mikrobot import settings as configuration
    from mikrobot.app import review

    return review.write_report(configuration.load(), run_id)


@flow(name="report")
def report(run_id: str | None = None) -> dict[str, Any]:
    """Write the report of a run, by default the latest, and keep it as an artifact."""
    from pathlib import Path

    written = write_report(run_id)
    create_markdown_artifact(key="trading-report", markdown=Path(written["trading_markdown"]).read_text())
    create_link_artifact(key="trading-report-html", link=Path(written["trading"]).as_uri(), link_text="trading report")
    return written
