"""The commands about the symbols of a run: symbols add."""

import click

from mikrobot.cli.output import as_json, print_json, settings, stop_on_sigterm
from mikrobot.cli.parameters import RoutedSymbol


@click.group()
def symbols() -> None:
    """Change what the run that trades the present trades.

    Example: mikrobot symbols add SOLUSDT
    """


@symbols.command()
@click.argument("names", nargs=-1, required=True, type=RoutedSymbol(), metavar="SYMBOL...")
@as_json
def add(names: tuple[str, ...], json_: bool) -> None:
    """Trade more symbols in the run that trades the present.

    Their history is stored and a model is trained on it while the run trades on; then they are traded from the next
    minute on. The diffusion baseline answers for a symbol until a model passes the promotion gate there. In a run on
    several sources, EURUSD@mt5 names the one to trade it on.

    Example: mikrobot symbols add SOLUSDT
    """
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows import symbols as workflow

    stop_on_sigterm()
    console = Console(quiet=json_)
    joined = workflow.add(settings(), tuple(dict.fromkeys(names)), SystemClock(), console)
    if json_:
        print_json(joined)
        return
    console.say(f"run {joined.run} trades {', '.join(joined.symbols)} too: version {joined.version}, {joined.reason}")
