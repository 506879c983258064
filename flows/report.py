"""Write the trading report, and keep it as artifacts."""

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from flows.link_artifacts import link
from flows.names import flow_run_name
from flows.progress import Progress
from flows.run_log import attach
from flows.tables import fitted


@task(task_run_name="write the trading report")
def write_report(run_id: str | None, days: int | None) -> dict[str, str]:
    """Write the trading report of a run; return its paths."""
    progress = Progress("report")  # before the imports, which take seconds
    progress("writing the trading report", 0.0)
    from mikrobot import settings as configuration
    from mikrobot.workflows import trading_report

    written = trading_report.write(configuration.load(), run_id, days).paths
    get_run_logger().info(f"Trading report written to {written['trading']}")
    progress("the trading report is written", 1.0)
    return written


@flow(name="report", flow_run_name=flow_run_name, on_running=[attach])
def report(run_id: str | None = None, days: int | None = None) -> dict[str, str]:
    """Write the report of a run, by default of the latest, or of its last days; keep it as an artifact."""
    from pathlib import Path

    written = write_report(run_id, days)
    key = "trading-report" if days is None else f"trading-report-{days}-days"
    address = link(f"{key}-html", written["trading"], "trading report")
    text = Path(written["trading_markdown"]).read_text(encoding="utf-8")
    create_markdown_artifact(key=key, markdown=f"[Full report]({address})\n\n{fitted(text)}")
    link(f"{key}-png", written["trading_picture"], "the same as a picture")
    get_run_logger().info(f"The report is at {address}")
    return written
