"""The commands about strategies: strategy new, list and check."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mikrobot.cli.output import as_json, print_json, settings

if TYPE_CHECKING:
    from mikrobot.live.strategies import Described


@click.group()
def strategy() -> None:
    """Write, list and check strategies; a strategy proposes trades, docs/writing-a-strategy.md shows how.

    Example: mikrobot strategy list
    """


@strategy.command()
@click.argument("name", metavar="NAME")
def new(name: str) -> None:
    """Write a strategy that works into a new file of this folder, to be changed.

    Example: mikrobot strategy new Reversal
    """
    from mikrobot.cli.console import Console
    from mikrobot.workflows import new_strategy

    path = new_strategy.write(name, Path.cwd())
    Console().say(f"{path.name} has the strategy {name}: check it with `mikrobot strategy check {path.name}:{name}`")


@strategy.command("list")
@as_json
def listed(json_: bool) -> None:
    """List our strategies and those of the settings, with their parameters.

    Example: mikrobot strategy list
    """
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.workflows import list_strategies

    strategies = list_strategies.listed(settings())
    if json_:
        print_json([_json(one, trades=trades) for one, trades in strategies])
        return
    Console().table(tables.strategies_table(strategies))


@strategy.command()
@click.argument("reference", metavar="STRATEGY")
@as_json
def check(reference: str, json_: bool) -> None:
    """Check a strategy against its contract on a simulated market: ours by its name, or FILE:CLASS.

    Exits with 1 if a requirement is not met.

    Example: mikrobot strategy check my_rules.py:Reversal
    """
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.workflows import check_strategy

    chosen = settings(strategies=(reference,))
    checked = check_strategy.check(chosen.strategies[0], chosen)
    if json_:
        print_json(checked.to_json())
    else:
        Console().table(tables.strategy_check_table(checked))
    if not checked.ok:
        raise SystemExit(1)


def _json(described: "Described", *, trades: bool) -> dict[str, Any]:
    return {
        "strategy": described.identity,
        "description": described.description,
        "trades": trades,
        "columns": list(described.columns),
        "parameters": {
            name: {
                "default": parameter.default, "low": parameter.low, "high": parameter.high,
                "description": parameter.description,
            }
            for name, parameter in described.parameters.items()
        },
    }  # fmt: skip
