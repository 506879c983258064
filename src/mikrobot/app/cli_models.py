"""The commands `mikrobot train` and `mikrobot models`: options in, one call, and its result."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mikrobot.app.output import as_json, print_json

if TYPE_CHECKING:
    from mikrobot.models.explanation import Explanation

TELLING = 12
"""Inputs of an explanation that are printed."""

NAMES = ("bos", "nowcast", "retest", "false_break")


@click.command()
@click.option("--model", type=click.Choice([*NAMES, "all"]), default="bos", show_default=True)
@click.option("--data", type=click.Path(path_type=Path), multiple=True, help="Bar file or folder; may be repeated.")
@click.option("--trials", type=click.IntRange(min=0), help="Trials of the parameter search [default: the setting].")
@as_json
def train(model: str, data: tuple[Path, ...], trials: int | None, json_: bool) -> None:
    """Train, judge and register a challenger; promote it if the gate lets it pass.

    Learns from the bars of --data, or from what the latest run has stored.

    Example: mikrobot train --model bos --data EURUSD_M1.parquet --trials 30
    """
    from mikrobot.app import learn

    with _registry(json_, trials=trials) as (settings, _, console):
        done = {
            name: learn.train_here(settings, name, data, partial(console.progress, name))
            for name in (NAMES if model == "all" else (model,))
        }
    if json_:
        print_json(done)
        return
    for name, trained in done.items():
        state = "champion" if trained["promoted"] else "not promoted"
        click.echo(f"{name} version {trained['version']} ({state}): {trained['reason']}")


@click.group()
def models() -> None:
    """Look at the registered models, and choose which version serves.

    Example: mikrobot models list
    """


@models.command("list")
@as_json
def list_(json_: bool) -> None:
    """List every version of every model, the newest first.

    Example: mikrobot models list
    """
    with _registry(json_) as (_, registry, __):
        found = [version for name in NAMES for version in registry.versions(name)]
    if json_:
        print_json([_plain(version) for version in found])
        return
    for version in found:
        marks = f" ({', '.join(version.aliases)})" if version.aliases else ""
        said = version.tags.get("promotion", "")
        click.echo(f"{version.name} {version.version}{marks}  {version.tags.get('symbols', '')}  {said}")
    if not found:
        click.echo("no model has been trained yet; train one: `mikrobot train`", err=True)


@models.command()
@click.argument("name", type=click.Choice(NAMES))
@click.argument("version", required=False)
@as_json
def show(name: str, version: str | None, json_: bool) -> None:
    """Show what a version, by default the champion, needs, has seen and has achieved.

    Example: mikrobot models show bos 3
    """
    with _registry(json_) as (_, registry, __):
        loaded = registry.load_version(name, version) if version else registry.load(name)
    if json_:
        click.echo(loaded.contract.to_json())
        return
    contract = loaded.contract
    click.echo(
        f"{contract.name} {contract.version}: {contract.source}, {contract.trained_from} to {contract.trained_until}"
    )
    click.echo(f"features {contract.feature_hash}, {len(contract.columns)} columns, {len(loaded.inputs.names)} inputs")
    for figure, value in contract.metrics["metrics"].items():
        click.echo(f"  {figure:12} {value:.4f}")


@models.command()
@click.argument("name", type=click.Choice(NAMES))
@click.argument("version", required=False)
@click.option("--reason", default="promoted by hand", show_default=True, help="Kept with the version.")
def promote(name: str, version: str | None, reason: str) -> None:
    """Make a version the champion, past the gate; the prediction service changes to it within seconds.

    Without a version: the challenger, if the gate lets it pass now.

    Example: mikrobot models promote bos 3 --reason "after review"
    """
    with _registry(False) as (settings, registry, _):
        if version is None:
            from mikrobot.app.challenge import reconsider

            found = reconsider(settings, name)
            click.echo(f"{name} version {found['version'] or 'none'}: {found['reason']}")
            return
        registry.load_version(name, version)
        registry.promote(name, version, reason)
    click.echo(f"{name} version {version} is the champion")


@models.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--reason", default="rolled back by hand", show_default=True, help="Kept with the version.")
def rollback(name: str, reason: str) -> None:
    """Make the version that the champion replaced the champion again.

    Example: mikrobot models rollback bos
    """
    with _registry(False) as (_, registry, __):
        version = registry.rollback(name, reason)
    click.echo(f"{name} version {version} is the champion again")


@models.command()
@click.argument("name", type=click.Choice(NAMES))
@click.argument("version", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Write the HTML page there, instead of printing Markdown.")
def card(name: str, version: str | None, out: Path | None) -> None:
    """Print the card of a version, by default of the champion.

    Example: mikrobot models card bos --out card.html
    """
    from mikrobot.domain.errors import ModelError

    with _registry(False) as (_, registry, __):
        chosen = version or registry.champion(name)
        if chosen is None:
            raise ModelError(f"model {name} has no champion; name a version (`mikrobot models list`)")
        text = registry.text(name, chosen, "card.html" if out else "card.md")
    if out:
        out.write_text(text, encoding="utf-8")
        click.echo(f"written to {out}", err=True)
    else:
        click.echo(text)


@models.command()
@click.argument("name", type=click.Choice(NAMES))
@click.argument("row", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--version", help="Instead of the champion.")
@as_json
def explain(name: str, row: Path, version: str | None, json_: bool) -> None:
    """Tell what each input added to the answers about a row, in log odds, up to the probability that is served.

    ROW is a JSON file of feature values by column, as the body of a call to /predict.

    Example: mikrobot models explain bos row.json
    """
    import numpy as np

    from mikrobot.models.explanation import explain as explained
    from mikrobot.serving.predictor import row_of

    body = _body(row)
    with _registry(json_) as (_, registry, __):
        loaded = registry.load_version(name, version) if version else registry.load(name)
        booster = registry.booster(name, loaded.contract.version)
    found = explained(loaded, booster, np.array(row_of(loaded.contract, body)))
    if json_:
        print_json([_explained(each) for each in found])
        return
    for each in found:
        click.echo(
            f"{'up' if each.side > 0 else 'down'}: probability {each.probability:.4f}, log odds {each.log_odds:+.3f}"
        )
        click.echo(f"  {'the walk':28} {each.start:+.3f}")
        *inputs, members, calibration = each.added.items()
        rest = ("the other inputs", sum(value for _, value in inputs[TELLING:]))
        for named, value in (*inputs[:TELLING], rest, members, calibration):
            click.echo(f"  {named:28} {value:+.3f}")


def _explained(side: "Explanation") -> dict[str, Any]:
    steps = {"side": side.side, "start": side.start, "added": dict(side.added)}
    return steps | {"log_odds": side.log_odds, "probability": side.probability}


def _body(row: Path) -> dict[str, Any]:
    """Read feature values by column, alone or under ``features``."""
    try:
        body = json.loads(row.read_text(encoding="utf-8"))
        return dict(body.get("features", body))
    except (ValueError, AttributeError, TypeError) as error:
        raise click.BadParameter(f"expected feature values by column as JSON in {row}: {error}") from error


@contextmanager
def _registry(quiet: bool, **given: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Give settings, registry and console; what had to be started for it is stopped again."""
    from mikrobot import settings as configuration
    from mikrobot.app import stack
    from mikrobot.app.console import Console
    from mikrobot.runtime import SystemClock

    settings, console = configuration.load(**given), Console(quiet=quiet)
    with stack.running(settings, SystemClock(), console.say, ["mlflow"]):
        from mikrobot.models.registry import Registry

        yield settings, Registry(settings.mlflow_url), console


def _plain(version: Any) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.version,
        "aliases": list(version.aliases),
        "tags": dict(version.tags),
    }
