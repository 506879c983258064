"""The command `mikrobot history`: stored bars, their gaps and their later versions."""

from typing import Any

import click

from mikrobot.cli.history import utc
from mikrobot.cli.output import as_json, print_json, settings, stop_on_sigterm
from mikrobot.cli.parameters import SOURCES, Symbol, SymbolList

_source = click.option("--source", type=SOURCES, help="Source of the bars [default: that of the latest run].")
_symbols = click.option("--symbols", type=SymbolList(), help="Symbols [default: those of the latest run].")


@click.group()
def history() -> None:
    """Show stored bars, what is missing in them, and what the venue has changed later.

    Each starts the database if it is down, and stops it again.

    Example: mikrobot history gaps --source binance
    """


@history.command()
@_source
@_symbols
@as_json
def gaps(source: str | None, symbols: tuple[str, ...] | None, json_: bool) -> None:
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
        missing = bar_history.gaps(pool, source, symbols or ())
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
def revisions(source: str | None, symbols: tuple[str, ...] | None, json_: bool) -> None:
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
        later = bar_history.revisions(pool, source, symbols or ())
    if json_:
        print_json(later)
    elif later:
        console.table(tables.revisions_table(later))
    else:
        click.echo("no revision: the venue has changed no bar that was traded")


@history.command()
@_source
@click.option("--symbol", type=Symbol(), required=True)
@click.option("--from", "start", callback=utc, required=True, help="First minute, as 2025-03-01T08:00 (UTC).")
@click.option("--to", "end", callback=utc, required=True, help="End of the last minute.")
@click.option("--as-known", "at", callback=utc, help="Time whose versions to show [default: now].")
@as_json
def bars(source: str | None, symbol: str, start: Any, end: Any, at: Any, json_: bool) -> None:
    """List stored bars in the version that was known at a time, and what a bar was made from if not by the venue.

    Example: mikrobot history bars --symbol BTCUSDT --from 2026-03-01T08:00 --to 2026-03-01T09:00
    """
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import local_stack
    from mikrobot.store.postgres import database
    from mikrobot.workflows import bar_history

    if start >= end:
        raise click.UsageError(f"--from {start:%Y-%m-%dT%H:%M} is not before --to {end:%Y-%m-%dT%H:%M}")
    given, console = settings(), Console(quiet=json_)
    stop_on_sigterm()
    with local_stack.database_up(given, console.say), database.open_pool(given) as pool:
        shown = bar_history.bars(pool, source, symbol, start, end=end, at=at or SystemClock().now())
    if json_:
        print_json(shown)
    elif shown:
        console.table(tables.bars_table(shown))
    else:
        click.echo("no bar is stored there")
