"""Whether the market still looks like what the models learned from."""

from collections.abc import Iterable
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
def recalibrate() -> list[dict[str, Any]]:
    """Base the intervals of each champion on the outcomes of its newest predictions."""
    from mikrobot import settings as configuration
    from mikrobot.app import recalibrate

    return recalibrate.recalibrate(configuration.load())


@task
def reconsider() -> list[str]:
    """Try the gate again for each challenger that has answered in the champion's shadow."""
    from mikrobot import settings as configuration
    from mikrobot.app import challenge

    return [str(each) for each in challenge.reconsider(configuration.load())]


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
    windows, challengers = recalibrate(), reconsider()
    create_markdown_artifact(key="intervals", markdown=bullets(map(window_text, windows), "There is no champion."))
    create_markdown_artifact(key="challenger", markdown=bullets(challengers, "There is no challenger."))
    return found


def bullets(lines: Iterable[str], otherwise: str) -> str:
    """List lines as Markdown, or write another one where there are none."""
    return "\n".join(f"- {line}" for line in lines) or otherwise


def window_text(window: dict[str, Any]) -> str:
    """Write on which outcomes the intervals of a champion are based now."""
    known = f"{window['outcomes']:,} outcomes of predictions of version {window['version']} are known"
    if window["until"] is None:
        return f"{known}, {window['needed']:,} are needed: its intervals stay as they were."
    return f"{known}; its intervals are based on those up to {window['until']}."


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
