"""A challenger from the newest history, judged and registered; champion if it passes the gate."""

from datetime import datetime
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact

from flows.progress import Progress

STAGES = {"dataset": 0.0, "search": 0.2, "learners": 0.3, "evaluation": 0.8, "registry": 0.9}
"""Share of the whole at which each stage of a training begins."""


@task
def train_model(
    source: str, symbols: list[str], start: datetime, end: datetime, trade_from: datetime | None
) -> dict[str, Any]:
    """Train, judge, register and, if the gate lets it, promote."""
    from mikrobot import settings as configuration
    from mikrobot.app import learn

    progress = Progress("train")
    done = learn.train(
        configuration.load(),
        "bos",
        source,
        symbols,
        start,
        end,
        trade_from,
        lambda stage, share: progress(stage, STAGES[stage] + share * 0.09),
    )
    progress("registered", 1.0)
    return done


@flow(name="train")
def train(
    symbols: list[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    trade_from: datetime | None = None,
) -> dict[str, Any]:
    """Train on the symbols from start to end; by default those of the latest run, up to now."""
    from mikrobot.app.scope import scope

    scoped = scope(symbols, start, end)
    trained = train_model(scoped.source, list(scoped.symbols), scoped.start, scoped.end, trade_from)
    create_markdown_artifact(key="training", markdown=markdown(trained), description=trained["reason"])
    return trained


def markdown(trained: dict[str, Any]) -> str:
    """Write the judgement for the Prefect UI."""
    judged = {"model": trained["metrics"]["metrics"], **trained["metrics"]["baselines"]}
    names = list(judged["model"])
    cells = {who: " | ".join(_shown(figures.get(name)) for name in names) for who, figures in judged.items()}
    rows = "\n".join(f"| {who} | {row} |" for who, row in cells.items())
    return f"""# Model bos, version {trained["version"]}

Champion of: {", ".join(trained["champion_of"]) or "no symbol, the diffusion baseline answers"}.
{trained["reason"]}. Learned from {trained["source"]} bars of {", ".join(trained["symbols"])}
up to {trained["trained_until"]}.

| on the test span | {" | ".join(names)} |
|---|{"---|" * len(names)}
{rows}
"""


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
