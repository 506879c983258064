"""Monitor the quality of the data and of the features, feature drift, and the calibration of the models."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger

from flows.link_artifacts import link
from flows.names import flow_run_name
from flows.progress import Progress
from flows.run_log import attach
from flows.tables import fitted

if TYPE_CHECKING:
    from mikrobot.domain.trading_states import TradingState
    from mikrobot.monitoring.drift_report import DriftReport
    from mikrobot.workflows.data_quality import DataQuality, SymbolScores
    from mikrobot.workflows.feature_quality import RunQuality
    from mikrobot.workflows.recalibrate import Recalibration

NO_CHAMPION = "There is no champion."
NO_CHALLENGER = "There is no challenger."


@task(task_run_name="compare new feature rows with old ones")
def compare(run_id: str | None) -> "DriftReport":
    """Compare the newest feature rows of a run with older rows, and online with offline rows."""
    progress = Progress("drift")  # before the imports, which take seconds
    progress("comparing new feature rows with old ones", 0.0)
    from mikrobot import settings as configuration
    from mikrobot.workflows import drift

    comparison = drift.compare(configuration.load(), run_id)
    progress(
        f"verdict: {comparison.verdict}, {comparison.share:.0%} of {len(comparison.scores)} features, "
        f"drift from {comparison.limit:.0%}; "
        f"{comparison.skewed_rows} of {comparison.online_rows} online rows differ from their offline row",
        1.0,
    )
    return comparison


@task(task_run_name="sum up the quality of the data")
def sum_up_data(run_id: str | None) -> "DataQuality":
    """Sum up the quality scores and the halts of a run over its last day."""
    from mikrobot import settings as configuration
    from mikrobot.workflows import data_quality

    data = data_quality.assess(configuration.load(), run_id)
    low = sum(scores.low for scores in data.symbols)
    get_run_logger().info("%d closes below 0.95 in %d symbols, %d halts", low, len(data.symbols), len(data.halts))
    return data


@task(task_run_name="assess the quality of feature rows")
def assess_features(run_id: str | None) -> "RunQuality":
    """Assess the newest feature rows of a run, and write the quality report."""
    progress = Progress("quality")  # before the imports, which take seconds
    progress("assessing the newest feature rows", 0.0)
    from mikrobot import settings as configuration
    from mikrobot.workflows import feature_quality

    assessed = feature_quality.assess_run(configuration.load(), run_id)
    progress(f"{assessed.findings} columns of feature rows with findings", 1.0)
    return assessed


@task(task_run_name="calibrate the champions on their newest outcomes")
def recalibrate() -> "list[Recalibration]":
    """Calibrate each champion on the outcomes of its newest predictions."""
    from mikrobot import settings as configuration
    from mikrobot.store.postgres import database
    from mikrobot.workflows import recalibrate

    settings, progress = configuration.load(), Progress("recalibrate")
    progress("reading the newest outcomes of the champions", 0.0)
    with database.exclusive(settings, "models"):
        windows = recalibrate.recalibrate(settings)
    get_run_logger().info(bullets(map(window_text, windows), NO_CHAMPION))
    progress(f"champions whose outcomes were read: {len(windows)}", 1.0)
    return windows


@task(task_run_name="try the gate again for the challenger")
def reconsider() -> list[str]:
    """Apply the gate again to each challenger that has predicted in the champion's shadow."""
    from mikrobot import settings as configuration
    from mikrobot.store.postgres import database
    from mikrobot.workflows import promote

    settings, progress = configuration.load(), Progress("challenger")
    progress("trying the gate again", 0.0)
    with database.exclusive(settings, "models"):
        rulings = [str(ruling) for ruling in promote.reconsider(settings)]
    get_run_logger().info(bullets(rulings, NO_CHALLENGER))
    progress(f"challengers that tried the gate again: {len(rulings)}", 1.0)
    return rulings


@flow(name="monitor", flow_run_name=flow_run_name, on_running=[attach])
def monitor(run_id: str | None = None) -> "DriftReport":
    """Report feature quality and drift, emit the drift event that triggers retraining, and recalibrate the models."""
    assessed = assess_features(run_id)
    address = link("feature-quality-html", str(assessed.report), "report on the feature rows")
    text = assessed.markdown.read_text(encoding="utf-8")
    create_markdown_artifact(
        key="feature-quality",
        markdown=f"[Full report]({address})\n\n{fitted(text)}",
        description=f"{assessed.findings} columns with findings",
    )
    data = sum_up_data(run_id)
    halted = f"{len(data.halts)} halts" if len(data.halts) != 1 else "1 halt"
    create_markdown_artifact(key="data-quality", markdown=fitted(data_markdown(data)), description=halted)
    comparison = replace(compare(run_id), quality=assessed.report)
    address = link("drift-html", str(comparison.report), "drift report")
    create_markdown_artifact(
        key="drift", markdown=markdown(comparison, address), description=f"Verdict: {comparison.verdict}"
    )
    if comparison.verdict == "drift":
        emit_event(
            "mikrobot.drift",
            resource={"prefect.resource.id": f"mikrobot.features.{comparison.source}"},
            payload={"reason": f"{comparison.share:.0%} of the features drifted: {', '.join(comparison.drifted[:5])}"},
        )
    windows, challengers = recalibrate(), reconsider()
    create_markdown_artifact(key="intervals", markdown=bullets(map(window_text, windows), NO_CHAMPION))
    create_markdown_artifact(key="challenger", markdown=bullets(challengers, NO_CHALLENGER))
    return comparison


def data_markdown(data: "DataQuality") -> str:
    """Return the quality of the data as Markdown for the Prefect UI."""
    market = f"{data.source}{' (SIMULATED)' if data.simulated else ''}"
    halts = "\n".join(map(_halt_row, data.halts))
    listed = f"| symbol | halted from | until | reason |\n|---|---|---|---|\n{halts}" if halts else "No halt."
    scores = "\n".join(map(_scores_row, data.symbols))
    return f"""# Data quality: {market}

The last day that was traded; a score below 0.95 halts the trades of a symbol.

| symbol | last | mean | least | closes | below 0.95 | parts below 1 |
|---|---|---|---|---|---|---|
{scores}

{listed}
"""


def _scores_row(scores: "SymbolScores") -> str:
    figures = ("" if value is None else f"{value:.3f}" for value in (scores.last, scores.mean, scores.least))
    parts = ", ".join(f"{name} {count}" for name, count in scores.parts)
    return f"| {scores.symbol} | {' | '.join(figures)} | {scores.closes:,} | {scores.low:,} | {parts} |"


def _halt_row(halt: "TradingState") -> str:
    until = "now" if halt.until is None else f"{halt.until:%m-%d %H:%M}"
    return f"| {halt.symbol} | {halt.since:%m-%d %H:%M} | {until} | {halt.reason.replace('|', '/')} |"


def bullets(lines: Iterable[str], otherwise: str) -> str:
    """Return lines as a Markdown list, or another line if there are none."""
    return "\n".join(f"- {line}" for line in lines) or otherwise


def window_text(window: "Recalibration") -> str:
    """Return a sentence about the outcomes on which a champion's probabilities and bounds are based."""
    outcomes = f"{window.outcomes:,} outcomes of predictions of version {window.version} are known"
    if window.until is not None:
        return f"{outcomes}; its probabilities and bounds are based on those up to {window.until.isoformat()}."
    if window.outcomes < window.needed:
        return f"{outcomes}, {window.needed:,} are needed: its probabilities and bounds do not change."
    return f"{outcomes}, of recorded bars, which may be traded again: its probabilities and bounds do not change."


def markdown(comparison: "DriftReport", address: str) -> str:
    """Return the drift verdict as Markdown for the Prefect UI."""
    market = f"{comparison.source}{' (SIMULATED)' if comparison.simulated else ''}"
    rows = "\n".join(f"| {name} | {comparison.scores[name]:.3f} |" for name in comparison.drifted)
    return f"""# Drift: {comparison.verdict}

Market: {market}. {comparison.share:.0%} of {len(comparison.scores)} compared features have drifted,
and from {comparison.limit:.0%} the verdict is drift: the rows of the last days compared with earlier rows.

Of {comparison.online_rows} rows that were read online, {comparison.skewed_rows} differ from the offline row
of the same close.

| drifted feature | PSI |
|---|---|
{rows}

[Full report]({address}), also in `{comparison.report}`
"""
