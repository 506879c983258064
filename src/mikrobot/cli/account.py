"""The command `mikrobot account`."""

from decimal import Decimal

import click

from mikrobot.cli.output import as_json, print_json, stop_on_sigterm
from mikrobot.cli.output import settings as configured
from mikrobot.cli.parameters import SOURCES
from mikrobot.domain import amounts


@click.group()
def account() -> None:
    """Show the paper account of each market source, or start it again.

    An account belongs to its source and continues from run to run. A run on a live source opens with the final
    balance of the previous run, even if both trade some of the same hours. A replay continues the replay whose
    hours end last before its own begin; hours that are replayed again start from the same balance as before, so
    that no result counts twice. Positions that a run has left open are closed at their last price when the next
    run continues the account.

    Example: mikrobot account show
    """


@account.command()
@as_json
def show(json_: bool) -> None:
    """Show balances, equity, open positions, and the profit of the day and since the start.

    Starts the database if it is down, and stops it again.

    Example: mikrobot account show --json
    """
    from mikrobot.cli import status_tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import local_stack
    from mikrobot.store.postgres import database
    from mikrobot.workflows import paper_account

    settings, console = configured(), Console(quiet=json_)
    stop_on_sigterm()
    with local_stack.database_up(settings, console.say), database.open_pool(settings) as pool:
        accounts = paper_account.overview(settings, pool, SystemClock())
    if json_:
        print_json({paper.source: paper.to_json() for paper in accounts})
    elif accounts:
        console.tables(status_tables.account_tables(accounts))
    else:
        click.echo("no account yet: `mikrobot run` opens one")


def _dollars(_: click.Context, __: click.Parameter, value: str | None) -> Decimal | None:
    if value is None:
        return None
    try:
        return amounts.dollars(amounts.number(value))
    except ValueError as error:
        raise click.BadParameter(f"{error}, found {value[:40]!r}") from None


@account.command()
@click.option("--source", type=SOURCES, help="Source of the account [default: that of the latest run].")
@click.option("--balance", callback=_dollars, help="Opening balance in dollars [default: the setting `balance`].")
@as_json
def reset(source: str | None, balance: Decimal | None, json_: bool) -> None:
    """Start the paper account of a source again; the next run opens with the new balance.

    Deletes nothing: the reset is a record of its own, and earlier runs keep their ledgers and reports. A run that
    uses the account must be stopped first.

    Example: mikrobot account reset --balance 5000
    """
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import local_stack
    from mikrobot.store.postgres import database
    from mikrobot.workflows import paper_account

    settings, console = configured(), Console(quiet=json_)
    stop_on_sigterm()
    with local_stack.database_up(settings, console.say), database.open_pool(settings) as pool:
        chosen = paper_account.source_to_reset(settings, pool, source)
        fresh = paper_account.reset(pool, chosen, balance or settings.balance, SystemClock())
    if json_:
        print_json(fresh)
    else:
        click.echo(f"the paper account of source {fresh.source} starts again with {fresh.balance} USD")
