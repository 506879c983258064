"""The command `mikrobot history`: stored bars, their gaps and their later versions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mikrobot.cli.history import utc
from mikrobot.cli.output import as_json, print_json, settings, stop_on_sigterm
from mikrobot.cli.parameters import SOURCES, Symbol, SymbolList

_source = click.option("--source", type=SOURCES, help="Source of the bars [default: that of the latest run].")
_symbols = click.option("--symbols", type=SymbolList(), help="Symbols [default: those of the latest run].")

if TYPE_CHECKING:
    from rich.table import Table

    from mikrobot.store.postgres.database import Pool


@click.group()
def history() -> None:
    """Show stored bars, what is missing in them, and what the venue has changed later; fill what is missing.

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
    from mikrobot.workflows import bar_history

    with _database(quiet=json_) as pool:
        missing = bar_history.gaps(pool, source, symbols or ())
    if json_:
        print_json(missing)
    else:
        _show(tables.gaps_table(missing) if missing else None, "no gap: every minute of an open market has a bar")


@history.command()
@_source
@_symbols
@click.option("--from", "start", callback=utc, help="Only minutes from this one on, as 2025-03-01T08:00 (UTC).")
@click.option("--to", "end", callback=utc, help="Only minutes before this one.")
@click.option("--dry-run", is_flag=True, help="Ask the venue, and store nothing.")
@as_json
def repair(
    source: str | None, symbols: tuple[str, ...] | None, start: Any, end: Any, dry_run: bool, json_: bool
) -> None:
    """Read the minutes without a bar from the venue of the latest run, and store what it has.

    A minute that a run has read without its bar gets a later version, known from now on, so that features and
    backtests keep the bars by which it was traded.

    Example: mikrobot history repair --symbols BTCUSDT --from 2026-03-01 --to 2026-03-02
    """
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows import repair_history
    from mikrobot.workflows.repair_history import Wanted

    if start and end:
        _require_order(start, end)
    wanted = Wanted(source, symbols or (), start, end)
    with _database(quiet=json_) as pool:
        result = repair_history.repair(settings(), pool, wanted, SystemClock(), dry_run=dry_run)
    if json_:
        print_json(result)
        return
    if result.stretches:
        Console().table(tables.repair_table(result))
    click.echo(tables.repair_line(result))


@history.command()
@_source
@_symbols
@as_json
def revisions(source: str | None, symbols: tuple[str, ...] | None, json_: bool) -> None:
    """List the versions of bars that came after the one that was traded, in the order in which they became known.

    Example: mikrobot history revisions --source binance-usdm
    """
    from mikrobot.cli import tables
    from mikrobot.workflows import bar_history

    with _database(quiet=json_) as pool:
        later = bar_history.revisions(pool, source, symbols or ())
    if json_:
        print_json(later)
    else:
        _show(
            tables.revisions_table(later) if later else None,
            "no revision: the venue has changed no bar that was traded",
        )


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
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows import bar_history

    _require_order(start, end)
    with _database(quiet=json_) as pool:
        shown = bar_history.bars(pool, source, symbol, start, end=end, at=at or SystemClock().now())
    if json_:
        print_json(shown)
    else:
        _show(tables.bars_table(shown) if shown else None, "no bar is stored there")


@contextmanager
def _database(*, quiet: bool) -> Iterator["Pool"]:
    """Open the database within the block; start it if it is down, and stop it again."""
    from mikrobot.cli.console import Console
    from mikrobot.stack import local_stack
    from mikrobot.store.postgres import database

    given = settings()
    stop_on_sigterm()
    with local_stack.database_up(given, Console(quiet=quiet).say), database.open_pool(given) as pool:
        yield pool


def _require_order(start: Any, end: Any) -> None:
    if start >= end:
        raise click.UsageError(f"--from {start:%Y-%m-%dT%H:%M} is not before --to {end:%Y-%m-%dT%H:%M}")


def _show(table: "Table | None", otherwise: str) -> None:
    """Print a table, or a line if there is nothing to show."""
    from mikrobot.cli.console import Console

    if table is None:
        click.echo(otherwise)
    else:
        Console().table(table)
