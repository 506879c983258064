"""The command `mikrobot history`: the gaps and the later versions of stored bars."""

import click

from mikrobot.cli.output import as_json, print_json, settings, stop_on_sigterm
from mikrobot.cli.parameters import SOURCES, SymbolList

_source = click.option("--source", type=SOURCES, help="Source of the bars [default: that of the latest run].")
_symbols = click.option("--symbols", type=SymbolList(), default=(), help="Symbols [default: those of the latest run].")


@click.group()
def history() -> None:
    """Show what is missing in the stored bars, and what the venue has changed later.

    Both start the database if it is down, and stop it again.

    Example: mikrobot history gaps --source binance
    """


@history.command()
@_source
@_symbols
@as_json
def gaps(source: str | None, symbols: tuple[str, ...], json_: bool) -> None:
    """List the minutes of an open market without a bar, between the first and the last stored bar.

    Example: mikrobot history gaps --source binance --symbols BTCUSDT
    """
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.stack import local_stack
    from mikrobot.store.postgres import database
    from mikrobot.workflows import bar_history

    given, console = settings(), Console(quiet=json_)
    stop_on_sigterm()
    with local_stack.database_up(given, console.say), database.open_pool(given) as pool:
        missing = bar_history.gaps(pool, source, symbols)
    if json_:
        print_json(missing)
    elif missing:
        console.table(tables.gaps_table(missing))
    else:
        click.echo("no gap: every minute of an open market has a bar")


@history.command()
@_source
@_symbols
@as_json
def revisions(source: str | None, symbols: tuple[str, ...], json_: bool) -> None:
    """List the versions of bars that came after the one that was traded, in the order in which they became known.

    Example: mikrobot history revisions --source binance-usdm
    """
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.stack import local_stack
    from mikrobot.store.postgres import database
    from mikrobot.workflows import bar_history

    given, console = settings(), Console(quiet=json_)
    stop_on_sigterm()
    with local_stack.database_up(given, console.say), database.open_pool(given) as pool:
        later = bar_history.revisions(pool, source, symbols)
    if json_:
        print_json(later)
    elif later:
        console.table(tables.revisions_table(later))
    else:
        click.echo("no revision: the venue has changed no bar that was traded")
