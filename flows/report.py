"""What was traded and why."""

from typing import Any

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact


@task
def write_report(run_id: str | None, days: int | None) -> dict[str, Any]:
    """Write the trading report of a run; return its paths."""
    from mikrobot import settings as configuration
    from mikrobot.app import review

    return review.write_report(configuration.load(), run_id, days)


@flow(name="report")
def report(run_id: str | None = None, days: int | None = None) -> dict[str, Any]:
    """Write the report of a run, by default the latest, or of its last days; keep it as an artifact."""
    from pathlib import Path

    written = write_report(run_id, days)
    key = "trading-report" if days is None else f"trading-report-{days}-days"
    create_markdown_artifact(key=key, markdown=Path(written["trading_markdown"]).read_text())
    create_link_artifact(key=f"{key}-html", link=Path(written["trading"]).as_uri(), link_text="trading report")
    create_link_artifact(key=f"{key}-png", link=Path(written["trading_picture"]).as_uri(), link_text="as a picture")
    return written
