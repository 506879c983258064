"""Whether the market still looks like what the models learned from."""

from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event


@task
def compare(run_id: str | None) -> dict[str, Any]:
    """Compare the newest feature rows of a run with the older ones, and online with offline rows."""
    from mikrobot import settings as configuration
    from mikrobot.app import review

    return review.compare(configuration.load(), run_id)


@task
def assess_features(run_id: str | None) -> dict[str, Any]:
    """Assess the newest feature rows of a run, and write the quality report."""
    from mikrobot import settings as configuration
    from mikrobot.app import quality

    return quality.assess_run(configuration.load(), run_id)


@task
def recalibrate() -> dict[str, Any]:
    """Calibrate the champion on the outcomes of its newest predictions."""
    from mikrobot import settings as configuration
    from mikrobot.app import recalibrate

    return recalibrate.recalibrate(configuration.load())


@task
def reconsider() -> dict[str, Any]:
    """Try the gate again for a challenger that has answered in the champion's shadow."""
    from mikrobot import settings as configuration
    from mikrobot.app import challenge

    return challenge.reconsider(configuration.load())


@flow(name="monitor")
def monitor(run_id: str | None = None) -> dict[str, Any]:
    """Assess, compare, keep both as artifacts, emit the drift event that triggers retraining, look after the models."""
    from pathlib import Path

    assessed = assess_features(run_id)
    create_markdown_artifact(
        key="feature-quality",
        markdown=Path(assessed["markdown"]).read_text(encoding="utf-8"),
        description=f"{assessed['findings']} columns with findings",
    )
    found = compare(run_id) | {"quality": assessed["report"]}
    create_markdown_artifact(key="drift", markdown=markdown(found), description=f"Verdict: {found['verdict']}")
    if found["verdict"] == "drift":
        emit_event(
            "mikrobot.drift",
            resource={"prefect.resource.id": f"mikrobot.features.{found['source']}"},
            payload={"reason": f"{found['share']:.0%} of the features drifted: {', '.join(found['drifted'][:5])}"},
        )
    create_markdown_artifact(key="intervals", markdown=said_of(recalibrate()))
    create_markdown_artifact(key="challenger", markdown=reconsider()["reason"])
    return found


def said_of(window: dict[str, Any]) -> str:
    """Say on which outcomes the champion's probabilities and bounds are based now."""
    if window["version"] is None:
        return "There is no champion."
    known = f"{window['outcomes']:,} outcomes of predictions of version {window['version']} are known"
    if window["until"] is not None:
        return f"{known}; its probabilities and bounds are based on those up to {window['until']}."
    if window["outcomes"] < window["needed"]:
        return f"{known}, {window['needed']:,} are needed: its probabilities and bounds stay as they were."
    return f"{known}, of recorded bars, which may be traded again: its probabilities and bounds stay as they were."


def markdown(found: dict[str, Any]) -> str:
    """Write the verdict for the Prefect UI."""
    market = f"{found['source']}{' (SIMULATED)' if found['simulated'] else ''}"
    rows = "\n".join(f"| {name} | {found['scores'][name]:.3f} |" for name in found["drifted"])
    return f"""# Drift: {found["verdict"]}

Market: {market}. {found["share"]:.0%} of {len(found["scores"])} compared features have drifted:
the rows of the last days against those before.

Of {found["online_rows"]} rows that were read online, {found["skewed_rows"]} differ from the offline row
of the same close.

| drifted feature | PSI |
|---|---|
{rows}

Full report: `{found["report"]}`
"""
