"""The commands about instruments: list, show, infer."""

from pathlib import Path

import click

from mikrobot.cli.output import as_json, print_json, settings
from mikrobot.cli.parameters import BarPath, Symbol, reads_bars
from mikrobot.domain.instruments import entries, registry
from mikrobot.domain.instruments.entries import Entry


@click.group()
def instruments() -> None:
    """Show the instruments, and infer one from bars.

    Example: mikrobot instruments show XAUUSD
    """


@instruments.command("list")
@as_json
def list_(json_: bool) -> None:
    """List every instrument by asset class: those of the table, and those of your file instruments.toml.

    Example: mikrobot instruments list
    """
    settings()
    listed = [registry.entry(symbol) for symbol in registry.symbols()]
    if json_:
        print_json({entry.instrument.symbol: entry.to_json() for entry in listed})
        return
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console

    Console().table(tables.instruments_table(listed))


@instruments.command()
@click.argument("symbol", type=Symbol())
@as_json
def show(symbol: str, json_: bool) -> None:
    """Show an instrument as its entry of a file, with the source of its values.

    Example: mikrobot instruments show XAUUSD
    """
    entry = registry.entry(symbol)
    if json_:
        print_json(_json(entry))
    else:
        click.echo(entries.to_toml(entry))


@instruments.command()
@click.argument("file", type=BarPath())
@reads_bars
@as_json
def infer(file: Path, json_: bool, reading: dict[str, str | None]) -> None:
    """Infer the instrument of a bar file from its name and its bars; print an entry for instruments.toml.

    Example: mikrobot instruments infer SUIUSDT-1m-2024-05.zip >> instruments.toml
    """
    from mikrobot.market.inference import infer as inferred
    from mikrobot.market.reading import reading_of
    from mikrobot.market.replay import ReplaySource

    source = ReplaySource([file], reading_of(settings(**reading)))
    answers = [inferred(symbol, source.sample(symbol)) for symbol in source.symbols()]
    if json_:
        print_json([_json(entry) for entry in answers] if len(answers) > 1 else _json(answers[0]))
    else:
        click.echo("\n\n".join(map(entries.to_toml, answers)))


def _json(entry: Entry) -> dict[str, object]:
    return {"symbol": entry.instrument.symbol, **entry.to_json()}
