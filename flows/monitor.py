"""Monitor the quality of the data and of the features, feature drift, and the calibration of the models."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from flows.degradation import ask_for_retraining
from flows.events import emit
from flows.link_artifacts import link
from flows.names import flow_run_name
from flows.progress import Progress
from flows.run_log import attach
from flows.tables import fitted

if TYPE_CHECKING:
    from pathlib import Path

    from mikrobot.domain.trading_states import TradingState
    from mikrobot.monitoring.drift_report import DriftReport, SymbolDrift
    from mikrobot.monitoring.skill import Skill
    from mikrobot.workflows.data_quality import DataQuality, SymbolScores
    from mikrobot.workflows.feature_quality import RunQuality
    from mikrobot.workflows.performance import Performance, SymbolPerformance
    from mikrobot.workflows.recalibrate import Recalibration

NO_CHAMPION = "There is no champion."
NO_CHALLENGER = "There is no challenger."


@task(task_run_name="compare with the training of the models")
def compare(run_id: str | None) -> "DriftReport":
    """Judge the drift of a run since the training of its models, and compare online with offline rows."""
    progress = Progress("drift")  # before the imports, which take seconds
    progress("comparing with the training of the models", 0.0)
    from mikrobot import settings as configuration
    from mikrobot.workflows import drift

    comparison = drift.compare(configuration.load(), run_id)
    progress(
        f"verdict: {verdict_text(comparison)}; "
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


@task(task_run_name="measure the skill of the predictions")
def measure_performance(run_id: str | None) -> "tuple[Performance, Path]":
    """Join the predictions of what answers with their outcomes, measure their skill, and write the page."""
    progress = Progress("performance")
    progress("joining predictions with their outcomes", 0.0)
    from mikrobot import settings as configuration
    from mikrobot.workflows import performance

    settings = configuration.load()
    measured = performance.measure(settings, run_id)
    page = measured.write(settings)
    progress("; ".join(map(skill_text, measured.symbols)), 1.0)
    return measured, page


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


@task(task_run_name="report what has begun")
def report_events(comparison: "DriftReport") -> None:
    """Emit the events of drift and degradation; one that is not marked as emitted is emitted at the next run."""
    from mikrobot import settings as configuration
    from mikrobot.workflows import drift

    settings, log = configuration.load(), get_run_logger()
    begun, degraded = comparison.named("drift"), comparison.named("degraded")
    if begun:
        emit("mikrobot.drift", f"mikrobot.features.{comparison.source}", " | ".join(map(str, begun)))
        drift.mark_reported(settings, begun)
    cooldown = timedelta(hours=settings.retrain_cooldown_hours)
    if ask_for_retraining(comparison.source, list(map(str, degraded)), cooldown):
        drift.mark_reported(settings, degraded)
    log.info(f"{len(begun)} drifts have begun, {len(degraded)} models have become worse")


@task(task_run_name="delete what is older than the retention time")
def retain() -> None:
    """Delete old model versions that nothing needs, their training runs, and old reports."""
    from mikrobot import settings as configuration
    from mikrobot.runtime import SystemClock
    from mikrobot.store.postgres import database
    from mikrobot.workflows import retention

    settings = configuration.load()
    with database.exclusive(settings, "models"):
        get_run_logger().info(str(retention.retain(settings, SystemClock())))


@flow(name="monitor", flow_run_name=flow_run_name, on_running=[attach])
def monitor(run_id: str | None = None) -> "DriftReport":
    """Report feature quality, drift and skill, emit the event that triggers retraining, and recalibrate the models."""
    from mikrobot import settings as configuration

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
        key="drift",
        markdown=markdown(comparison, address, snapshots=configuration.load().snapshots_url),
        description=f"Verdict: {comparison.verdict}",
    )
    report_events(comparison)
    measured, page = measure_performance(run_id)
    comparison = replace(comparison, performance=page)
    address = link("performance-html", str(page), "skill of the predictions")
    text = f"{performance_markdown(measured)}\n[Full page]({address})"
    create_markdown_artifact(key="performance", markdown=fitted(text), description="Skill of the predictions")
    windows, challengers = recalibrate(), reconsider()
    create_markdown_artifact(key="intervals", markdown=bullets(map(window_text, windows), NO_CHAMPION))
    create_markdown_artifact(key="challenger", markdown=bullets(challengers, NO_CHALLENGER))
    retain(return_state=True)  # fails alone, so that no run ends for what was not deleted
    return comparison


def verdict_text(comparison: "DriftReport") -> str:
    """Return the verdict with the share of drifted features, or with why nothing was judged."""
    if comparison.verdict == "not judged":
        return f"not judged, {comparison.symbols[0].reasons[0]}"
    return f"{comparison.verdict}, {comparison.share:.0%} of the features differ"


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


def skill_text(measured: "SymbolPerformance") -> str:
    """Return the skill of the predictions for a symbol in one line."""
    counted = f"{measured.symbol}: {measured.counted}"
    if measured.skill is None:
        return f"{counted}, too few to measure skill"
    return f"{counted}, AUC {measured.skill.auc}, promised {measured.skill.auc_promised:.3f}"


def performance_markdown(measured: "Performance") -> str:
    """Return the skill of the predictions as Markdown for the Prefect UI."""
    market = f"{measured.run.source}{' (SIMULATED)' if measured.run.simulated else ''}"
    rows = "\n".join(
        _skill_row(symbol, span, skill) for symbol in measured.symbols for span, skill in symbol.skills.items()
    )
    return f"""# Skill of the predictions: {market}

Outcomes count once the horizon has passed. Intervals of 95 % count blocks of one horizon. Promised: what follows from
the probabilities alone, if they are calibrated.

{bullets(map(skill_text, measured.symbols), "No model answers.")}

| symbol | model | span | predictions | blocks | AUC | promised | Brier | promised | bias | calibration | coverage |
|---|---|---|---|---|---|---|---|---|---|---|---|
{rows}
"""


def _skill_row(symbol: "SymbolPerformance", span: str, skill: "Skill") -> str:
    return (
        f"| {symbol.symbol} | {symbol.model} {symbol.version} | {span} | {skill.predictions:,} "
        f"| {skill.blocks:,} | {skill.auc} | {skill.auc_promised:.3f} | {skill.brier.value:.4f} "
        f"| {skill.brier_promised:.4f} | {skill.bias.value:+.4f} | {skill.calibration_error:.4f} "
        f"| {symbol.covered(span)} |"
    )


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


def markdown(comparison: "DriftReport", address: str, snapshots: str | None = None) -> str:
    """Return the drift verdict as Markdown for the Prefect UI, with the addresses of its pages."""
    further = "" if snapshots is None else f"\n\n[Snapshots of every window]({snapshots})"
    market = f"{comparison.source}{' (SIMULATED)' if comparison.simulated else ''}"
    rows = "\n".join(map(_drift_row, comparison.symbols))
    reasons = bullets(
        (f"{drift.symbol}: {reason}" for drift in comparison.symbols for reason in drift.reasons), "No drift."
    )
    return f"""# Drift: {comparison.verdict}

Market: {market}. Windows since the training of the model that answers, compared with the windows of its training span.

| symbol | verdict | model | windows | features that differ | limit |
|---|---|---|---|---|---|
{rows}

{reasons}

Of {comparison.online_rows} rows that were read online, {comparison.skewed_rows} differ from the offline row
of the same close.

[Full report]({address}), also in `{comparison.report}`{further}
"""


def _drift_row(drift: "SymbolDrift") -> str:
    windows = sum(window.kind == "features" for window in drift.windows)
    length = "" if drift.window_days is None else f" of {drift.window_days:g} d"
    return (
        f"| {drift.symbol} | {drift.verdict} | {drift.model} {drift.version} | {windows}{length} | "
        f"{drift.share:.0%} | {drift.limit:.0%} |"
    )
