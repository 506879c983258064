"""The commands `mikrobot train` and `mikrobot models`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mikrobot.cli.output import as_json, print_json
from mikrobot.cli.parameters import MODELS, BarPath, OutPath, Symbol, reads_bars

if TYPE_CHECKING:
    from mikrobot.cli.console import Console
    from mikrobot.models.explanation import Explanation
    from mikrobot.models.registry import Registry
    from mikrobot.models.version import Version
    from mikrobot.settings import Settings

SHOWN_INPUTS = 12
"""Number of inputs that an explanation prints one by one."""


@click.command()
@click.option("--model", type=click.Choice([*MODELS, "all"]), default="bos", show_default=True)
@click.option("--data", type=BarPath(), multiple=True, help="Bar file or folder; may be repeated.")
@click.option("--trials", type=click.IntRange(min=0), help="Trials of the parameter search [default: the setting].")
@reads_bars
@as_json
def train(
    model: str, data: tuple[Path, ...], trials: int | None, json_: bool, reading: dict[str, str | bool | None]
) -> None:
    """Train, evaluate and register a model; promote it if it passes the gate.

    Trains on the bars of --data, or else on the bars that the latest run has stored.

    Example: mikrobot train --model bos --data EURUSD_M1.parquet --trials 30
    """
    with _services(quiet=json_, trials=trials, **reading) as (settings, console):
        from mikrobot.workflows import train as workflow
        from mikrobot.workflows.training_report import ModelTrainings

        trainings = {
            name: workflow.train_here(settings, name, data, partial(console.progress, name))
            for name in (MODELS if model == "all" else (model,))
        }
    if json_:
        print_json({name: ModelTrainings.of(trained) for name, trained in trainings.items()})
        return
    for name, trained in ((name, trained) for name, segments in trainings.items() for trained in segments):
        state = f"champion of {', '.join(trained.champion_of)}" if trained.promoted else "not promoted"
        click.echo(f"{name} version {trained.version} ({state}): {trained.reason}")


@click.group()
def models() -> None:
    """Show the registered models, and choose the versions that serve.

    Example: mikrobot models list
    """


@models.command("list")
@as_json
def list_(json_: bool) -> None:
    """List every version of every model, the newest first.

    Example: mikrobot models list
    """
    with _registry(quiet=json_) as registry:
        versions = [version for name in MODELS for version in registry.versions(name)]
    if json_:
        print_json([_plain(version) for version in versions])
        return
    for version in versions:
        marks = f" ({', '.join(version.aliases)})" if version.aliases else ""
        click.echo(f"{version.name} {version.version}{marks}  {', '.join(version.symbols)}")
        for symbol in version.symbols:
            click.echo(f"    {symbol}: {version.promotion(symbol)}")
    if not versions:
        click.echo("no model has been trained yet; `mikrobot train` and `mikrobot run` train one", err=True)


_symbol = click.option(
    "--symbol", "symbols", type=Symbol(), multiple=True, help="Only for this symbol; may be repeated."
)


@models.command()
@click.argument("name", type=click.Choice(MODELS))
@click.argument("version", required=False)
@_symbol
@as_json
def show(name: str, version: str | None, symbols: tuple[str, ...], json_: bool) -> None:
    """Show the inputs, training span and metrics of a version, by default the one that serves.

    Without a champion, that is the version whose baseline answers.

    Example: mikrobot models show bos --symbol EURUSD
    """
    with _registry(quiet=json_) as registry:
        chosen = version or _serving(registry, name, symbols)
        spec, recorded = registry.spec(name, chosen), registry.version(name, chosen)
    if json_:
        click.echo(spec.to_json())
        return
    span = f"{spec.trained_from:%Y-%m-%d %H:%M} to {spec.trained_until:%Y-%m-%d %H:%M} UTC"
    click.echo(f"{spec.name} {spec.version}: {spec.source} {', '.join(spec.symbols)}, {span}")
    click.echo(f"features {spec.feature_hash}, {len(spec.columns)} columns, {len(spec.inputs.names)} inputs")
    for figure, value in spec.metrics["metrics"].items():
        click.echo(f"  {figure:19} {value:.4f}")
    for symbol in recorded.symbols:
        click.echo(f"    {symbol}: {recorded.promotion(symbol)}")


@models.command()
@click.argument("name", type=click.Choice(MODELS))
@click.argument("version", required=False)
@_symbol
@click.option("--reason", default="promoted by hand", show_default=True, help="Recorded with the version.")
def promote(name: str, version: str | None, symbols: tuple[str, ...], reason: str) -> None:
    """Make a version the champion without the gate; returns once the prediction service answers with it.

    By default, it becomes the champion of every symbol that it was trained on. Without a version, applies the gate
    again to the challengers and promotes those that pass; it is an error if there is none, or none passes.

    Example: mikrobot models promote bos 3 --symbol EURUSD --reason "after review"
    """
    if version is None:
        _reconsider(name, symbols)
        return
    with _registry() as registry:
        registry.load(name, version)
        scopes = registry.promote(name, version, reason, _chosen(symbols))
        _notify()
    click.echo(f"{name} version {version} is the champion of {', '.join(map(str, scopes))}")


def _reconsider(name: str, symbols: tuple[str, ...]) -> None:
    from mikrobot.domain.errors import ModelError

    with _services() as (settings, _):
        from mikrobot.workflows.promote import reconsider

        results = reconsider(settings, name, _chosen(symbols))
    if not results:
        raise ModelError(f"model {name} has no challenger to promote; name a version (`mikrobot models list`)")
    if not any(result.promoted for result in results):
        raise ModelError("; ".join(map(str, results)))
    for result in results:
        click.echo(f"{name} {result}")


@models.command()
@click.argument("name", type=click.Choice(MODELS))
@_symbol
@click.option("--reason", default="rolled back by hand", show_default=True, help="Recorded with the version.")
def rollback(name: str, symbols: tuple[str, ...], reason: str) -> None:
    """Restore the champion that the current one replaced.

    By default, for every symbol whose champion replaced another version.

    Example: mikrobot models rollback bos --symbol EURUSD
    """
    with _registry() as registry:
        restored = registry.rollback(name, reason, _chosen(symbols))
        _notify()
    for scope, version in restored.items():
        click.echo(f"{name} version {version} is the champion of {scope} again")


@models.command()
@click.argument("name", type=click.Choice(MODELS))
@click.argument("version", required=False)
@_symbol
@click.option("--out", type=OutPath(), help="Write the card as HTML to this file instead of printing Markdown.")
def card(name: str, version: str | None, symbols: tuple[str, ...], out: Path | None) -> None:
    """Print the model card of a version, by default of the one that serves.

    Example: mikrobot models card bos 3 --out card.html
    """
    with _registry() as registry:
        chosen = version or _serving(registry, name, symbols)
        text = registry.text(name, chosen, "card.html" if out else "card.md")
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        click.echo(f"written to {out}", err=True)
    else:
        click.echo(text)


def _notify() -> None:
    """Wait until the prediction service, if it runs, serves what the registry names."""
    from mikrobot import settings as configuration
    from mikrobot.stack.prediction_notice import notify

    notify(configuration.load())


def _chosen(symbols: tuple[str, ...]) -> list[str] | None:
    return list(symbols) or None


def _serving(registry: "Registry", name: str, symbols: tuple[str, ...]) -> str:
    """Return the only version that serves the symbols, by default all: their champion, or their baseline without one.

    Raises
    ------
    ModelError
        If there is none, or several.
    """
    from mikrobot.domain.errors import ModelError
    from mikrobot.models.scope import BASELINE, CHAMPION

    holders = registry.holders(name, BASELINE) | registry.holders(name, CHAMPION)
    chosen = _chosen(symbols)
    serving = {scope: version for scope, version in holders.items() if chosen is None or scope.symbol in chosen}
    where = f" for {', '.join(chosen)}" if chosen else ""
    if not serving:
        raise ModelError(f"no version of model {name} serves{where}; name a version (`mikrobot models list`)")
    if len(set(serving.values())) > 1:
        listed = ", ".join(f"{version} for {scope}" for scope, version in serving.items())
        raise ModelError(f"several versions of model {name} serve: {listed}; name a version or --symbol")
    return next(iter(serving.values()))


@models.command()
@click.argument("name", type=click.Choice(MODELS))
@click.argument("row", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--version", help="Version to explain [default: the one that serves].")
@_symbol
@as_json
def explain(name: str, row: Path, version: str | None, symbols: tuple[str, ...], json_: bool) -> None:
    """Show what each input adds to a model's prediction for a row, in log odds, up to its probability.

    A champion serves that probability. Of a version that has not passed the gate, the diffusion baseline is served.

    ROW is a JSON file of feature values by column, like the body of a request to /predict.

    Example: mikrobot models explain bos row.json --symbol EURUSD
    """
    body = _body(row)

    from mikrobot.models.explanation import explain as explained
    from mikrobot.serving.requested_rows import row_of

    with _registry(quiet=json_) as registry:
        loaded = registry.load(name, version or _serving(registry, name, symbols))
        booster = registry.booster(name, loaded.spec.version)
        champion_of = _champion_of(registry, name, loaded.spec.version)
    explanations = explained(loaded, booster, row_of(loaded.spec, body))
    if json_:
        model = {"model": name, "version": loaded.spec.version, "champion_of": champion_of}
        print_json([model | _explained(explanation) for explanation in explanations])
        return
    standing = f"champion of {', '.join(champion_of)}" if champion_of else "no champion: its baseline may be served"
    click.echo(f"{name} {loaded.spec.version}, {standing}")
    for explanation in explanations:
        direction = "up" if explanation.side > 0 else "down"
        click.echo(f"{direction}: probability {explanation.probability:.4f}, log odds {explanation.log_odds:+.3f}")
        click.echo(f"  {'the diffusion baseline':28} {explanation.start:+.3f}")
        *inputs, members, calibration = explanation.added.items()
        rest = ("the other inputs", sum(value for _, value in inputs[SHOWN_INPUTS:]))
        for named, value in (*inputs[:SHOWN_INPUTS], rest, members, calibration):
            click.echo(f"  {named:28} {value:+.3f}")


def _champion_of(registry: "Registry", name: str, version: str) -> list[str]:
    """Return the symbols for which a version serves its own probabilities."""
    from mikrobot.models.scope import CHAMPION

    return [scope.symbol for scope, holder in registry.holders(name, CHAMPION).items() if holder == version]


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
def _registry(*, quiet: bool = False) -> Iterator["Registry"]:
    """Yield the registry; start MLflow if it does not answer, and stop it again."""
    from mikrobot import settings as configuration
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import local_stack
    from mikrobot.store.model_registry import open_registry

    settings = configuration.load()
    with local_stack.answering(settings, SystemClock(), Console(quiet=quiet).say, "mlflow"):
        yield open_registry(settings)


@contextmanager
def _services(*, quiet: bool = False, **given: Any) -> Iterator[tuple["Settings", "Console"]]:
    """Start MLflow and the migrated database if they are down, and stop what was started again."""
    from mikrobot import settings as configuration
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import local_stack

    settings, console = configuration.load(**given), Console(quiet=quiet)
    with local_stack.running(settings, SystemClock(), console.say, ["mlflow"]):
        yield settings, console


def _plain(version: "Version") -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.version,
        "aliases": list(version.aliases),
        "tags": dict(version.tags),
    }
