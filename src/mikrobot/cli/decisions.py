"""The commands about decisions of recorded runs: `decisions`, `explain`, `why-not` and `replay`."""

import sys
from datetime import datetime

import click

from mikrobot.cli.history import utc
from mikrobot.cli.output import as_json, print_json, stop_on_sigterm
from mikrobot.cli.output import settings as configured
from mikrobot.cli.parameters import Symbol

of_run = click.option("--run", "run_id", help="An id, or last [default: last].")
of_strategy = click.option("--strategy", help="Name of a strategy of the run [default: every one].")


@click.command()
@of_run
@click.option("--symbol", type=Symbol(), help="Only this symbol.")
@click.option("--from", "start", callback=utc, help="First close, as 2025-03-14T09:30 (UTC).")
@click.option("--to", "end", callback=utc, help="Last close, as 2025-03-14T10:30 (UTC).")
@of_strategy
@click.option("--last", "most", type=click.IntRange(1), default=30, show_default=True, help="Rows of the table.")
@as_json
def decisions(
    run_id: str | None, symbol: str | None, start: datetime | None, end: datetime | None,
    strategy: str | None, most: int, json_: bool,
) -> None:  # fmt: skip
    """List the decisions of a run, each with its terminal reason, and count them by it.

    The terminal reason is the name of the first check that refused, or approved. --json has every decision. Starts
    the database if it is down, and stops it again.

    Example: mikrobot decisions --symbol EURUSD --from 2025-03-14T09:00
    """
    if start and end and start > end:
        raise click.UsageError(f"--from {start:%Y-%m-%dT%H:%M} is after --to {end:%Y-%m-%dT%H:%M}")

    from mikrobot.cli import decision_tables
    from mikrobot.cli.console import Console
    from mikrobot.stack import local_stack
    from mikrobot.store.postgres import database
    from mikrobot.workflows import decision_list

    settings, console = configured(), Console(quiet=json_)
    wanted = decision_list.Wanted(symbol, start, end, strategy)
    stop_on_sigterm()
    with local_stack.database_up(settings, console.say), database.open_pool(settings) as pool:
        listed = decision_list.listed(pool, run_id, wanted)
    if json_:
        print_json(listed.to_json())
    else:
        console.tables(decision_tables.list_tables(listed, most))


@click.command()
@click.argument("decision_id", metavar="ID")
@click.option("--contributions", is_flag=True, help="Also what each input added to the prediction; needs the registry.")
@as_json
def explain(decision_id: str, contributions: bool, json_: bool) -> None:
    """Explain a decision: inputs, prediction, checks, size, order and outcome.

    ID is that of `mikrobot decisions`. Starts the database, or the registry, if it is down, and stops it again.

    Example: mikrobot explain 20250314T100000-3f2a/EURUSD/20250314T0930/simple_break
    """
    from mikrobot.cli import decision_tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import local_stack
    from mikrobot.store.postgres import database
    from mikrobot.workflows import explain as explanations

    settings, console = configured(), Console(quiet=json_)
    stop_on_sigterm()
    if contributions:
        explained = explanations.with_contributions(settings, SystemClock(), decision_id, console.say)
    else:
        with local_stack.database_up(settings, console.say), database.open_pool(settings) as pool:
            explained = explanations.explain(pool, decision_id)
    if json_:
        print_json(explained.to_json())
    else:
        console.tables(decision_tables.explanation_tables(explained))


@click.command("why-not")
@click.argument("symbol", type=Symbol())
@click.argument("close_time", metavar="TIME", callback=utc)
@of_run
@of_strategy
@as_json
def why_not(symbol: str, close_time: datetime, run_id: str | None, strategy: str | None, json_: bool) -> None:
    """Show the check that stopped a trade, and the nearest single change that would have passed.

    TIME is the close of a bar, as 2025-03-14T09:30 (UTC). The close is decided again with each change, by the account
    and the memory that the strategy had then; a change of a parameter does not change its earlier closes. Starts the
    services that it needs, and stops them again.

    Example: mikrobot why-not EURUSD 2025-03-14T09:30
    """
    from mikrobot.cli import decision_tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows import why_not as answers

    console = Console(quiet=json_)
    stop_on_sigterm()
    answered = answers.why_not(
        configured(), SystemClock(), run_id, console.say, symbol=symbol, close_time=close_time, strategy=strategy
    )
    if json_:
        print_json(answered.to_json())
    else:
        console.tables(decision_tables.why_not_tables(answered))


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--with", "pairs", multiple=True, help="KEY=VALUE: decide with it, as entry_probability=0.6.")
@click.option("--first", "most", type=click.IntRange(1), default=10, show_default=True, help="Differences to print.")
@as_json
def replay(run_id: str, pairs: tuple[str, ...], most: int, json_: bool) -> None:
    """Decide a recorded run again and compare the decisions, byte for byte; RUN is an id, or last.

    Exits with 1 if a decision differs. --with changes profile, entry_probability or a parameter of a strategy, as
    m5_bos.least_atr=1, and lists the decisions that change with it. `backtest --run` compares orders and fills.

    Example: mikrobot replay last --with entry_probability=0.6
    """
    from mikrobot.cli import decision_tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows import replay_run

    console, changed = Console(quiet=json_), replay_run.parse(pairs)
    stop_on_sigterm()
    replayed = replay_run.replay(configured(), SystemClock(), run_id, console.say, changed=changed)
    if json_:
        print_json(replayed.to_json())
    else:
        console.tables(decision_tables.replay_tables(replayed, most))
    if not changed and not replayed.identical:
        sys.exit(1)
