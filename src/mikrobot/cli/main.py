"""The command line: parse the options, make one call, and print its result or one line of error.

Each command imports its dependencies inside its function, so that ``--help`` is fast.
"""

import contextlib
import sys
from pathlib import Path
from typing import Any, NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from mikrobot import __version__
from mikrobot.cli.account import account
from mikrobot.cli.bar_files import import_, inspect
from mikrobot.cli.decisions import decisions, explain, replay, why_not
from mikrobot.cli.drift import drift
from mikrobot.cli.experiments import experiment
from mikrobot.cli.history import backtest, evaluate, features, simulate
from mikrobot.cli.instruments import instruments
from mikrobot.cli.models import models, train
from mikrobot.cli.optimize import optimize
from mikrobot.cli.order_books import book
from mikrobot.cli.output import as_json, print_json, stop_on_sigterm
from mikrobot.cli.output import settings as configured
from mikrobot.cli.parameters import SOURCES, BarPath, OutFolder, RoutedSymbolList, Symbol, reads_bars
from mikrobot.cli.performance import performance
from mikrobot.cli.stored_bars import history
from mikrobot.cli.strategies import strategy
from mikrobot.cli.symbols import symbols as symbols_of_run
from mikrobot.cli.terminal import terminal
from mikrobot.cli.trading import trading
from mikrobot.cli.venue import venue as local_venue
from mikrobot.domain.errors import MikrobotError

SCALE = click.FloatRange(0, 1, min_open=True)


class Program(click.Group):
    """The group of all commands; prints an expected error as one line and exits with its code."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command given by the arguments, and exit."""
        try:
            sys.exit(super().main(*args, **{"prog_name": "mikrobot", **kwargs, "standalone_mode": False}))
        except MikrobotError as error:
            _fail(str(error), error.exit_code)
        except NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            _fail(f"{error.format_message().rstrip('.')}; see `{_path(error)} --help`", 2)
        except (KeyboardInterrupt, click.Abort):
            _fail("interrupted; what was started has been stopped", 1)


def _path(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return context.command_path if context else "mikrobot"


def _fail(complaint: str, code: int) -> NoReturn:
    line = f"error: {' '.join(complaint.split())}"
    print(line.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
    sys.exit(code)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Trade forex and crypto on paper, with models that are compared with baselines.

    No command ever places a real order.
    """
    from mikrobot import telemetry

    telemetry.configure("WARNING")


@main.command()
@click.option("--once", is_flag=True, help="Stop everything that this run started when it ends.")
@click.option(
    "--source",
    type=SOURCES,
    help="Market source, or several as binance+mt5 [default: Binance if it answers, else simulated].",
)
@click.option("--venue", type=click.Choice(["local"]), help="Trade a venue that the run starts on this machine.")
@click.option("--data", type=BarPath(), multiple=True, help="Bar file or folder; may be repeated.")
@click.option("--symbols", type=RoutedSymbolList(), help="Symbols to trade, as EURUSD,BTCUSDT or EURUSD@mt5.")
@click.option("--hours", type=click.IntRange(min=1), help="Hours of market to trade [default: 24].")
@click.option("--history-days", type=click.IntRange(min=2), help="Days of history to learn from [default: 120].")
@click.option("--strategy", "strategies", multiple=True, help="Strategy, ours or FILE:CLASS; may be repeated.")
@click.option("--arm", "arms", multiple=True, help="NAME:KEY=VALUE,...: also trade an account by other rules.")
@click.option("--split", is_flag=True, help="Assign each day of a symbol to either the run or one arm.")
@click.option("--record", type=OutFolder(), help="Record the session of a live source into this folder.")
@click.option("--resume", is_flag=True, help="Continue the latest run, a replay that was interrupted.")
@reads_bars
@as_json
def run(
    once: bool,
    resume: bool,
    source: str | None,
    venue: str | None,
    data: tuple[Path, ...],
    symbols: tuple[str, ...] | None,
    hours: int | None,
    history_days: int | None,
    strategies: tuple[str, ...],
    arms: tuple[str, ...],
    split: bool,
    record: Path | None,
    json_: bool,
    reading: dict[str, str | bool | None],
) -> None:
    """Run the whole loop: ingest, check, train, serve, trade on paper, report.

    On a terminal, stays up until Ctrl-C, and a live source continues to trade in the present. Without a terminal,
    or with --once, ends by itself.

    The paper account belongs to the source and continues from run to run; `mikrobot account --help` has the
    rules, and `mikrobot account reset` starts it again.

    With --source binance --venue local, the run starts a local venue and trades the coming hours on it, at 60 times
    real speed: the live path without a network. Its market is simulated.

    A replay that was interrupted continues with --resume, by its own settings: what has been stored and learned is
    not repeated, and its trades are those of a run without interruption.

    With --source binance+mt5, each symbol is traded on the first of these sources that lists it, in the order that the
    run shows; EURUSD@mt5 names another one.

    With --record, every message of a live source is recorded; --source replay --data FOLDER trades the same bars again.

    Example: mikrobot run --once --source replay --data EURUSD_M1.parquet --hours 24
    """
    from mikrobot import settings as configuration
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows import run as workflow

    given = {
        "source": source,
        "venue": venue,
        "data": tuple(path.resolve() for path in data) or None,
        "symbols": symbols or None,
        "hours": hours,
        "history_days": history_days,
        "strategies": strategies or None,
        "arms": arms or None,
        "split": split or None,
        "record": record,
        **reading,
    }
    stay = not once and not json_ and sys.stdout.isatty()
    console = Console()
    stop_on_sigterm()
    if resume:
        summary = workflow.resume(configuration.load(), SystemClock(), console, given=given, stay=stay)
    else:
        summary = workflow.run(configuration.load(**given), SystemClock(), console, stay=stay)
    if json_:
        print_json(summary)
    elif not stay:
        console.summary(summary)


@main.command()
def up() -> None:
    """Start the local services, resume trading of the latest run of a live source, and leave both running.

    A supervisor stays with them and restarts what dies, until `mikrobot down`.

    The run continues after the last minute that it has traded. Bars missed since then are stored and can
    trigger the stops and targets of open positions, but open no new positions.

    Example: mikrobot up && mikrobot status
    """
    from mikrobot.cli import status_tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.stack import local_stack, service_table, supervision, supervisor, wanted
    from mikrobot.workflows import status as workflow
    from mikrobot.workflows.run import require_no_loop

    settings, console = configured(), Console()
    stop_on_sigterm()
    require_no_loop(settings.home)
    started = local_stack.up(settings, SystemClock(), console.say)
    wanted.want(settings, service_table.permanent(settings))
    started += supervisor.resume(settings, console.say)
    if supervision.ensure(settings):
        started.append("supervisor")
    supervisor.await_live(settings, SystemClock(), console.say)
    console.say(f"started {', '.join(started)}" if started else "everything was running already")
    console.tables(status_tables.tables(workflow.overview(settings, SystemClock())))


@main.command()
def down() -> None:
    """Stop all processes that `up` or a run left running, by their recorded pids.

    Example: mikrobot down
    """
    from mikrobot.stack import local_stack

    stopped = local_stack.down(configured())
    click.echo(f"stopped {', '.join(stopped)}" if stopped else "nothing was running", err=True)


@main.command()
@click.option("--watch", is_flag=True, help="Refresh every few seconds until Ctrl-C.")
@as_json
def status(watch: bool, json_: bool) -> None:
    """Show the state of the services, and for each symbol its trading state or the reason why it is not traded.

    Shows the errors in the logs, the last bar and decision, open positions, the profit of the day, and the next
    scheduled flows. With --watch and --json, prints one JSON object per line.

    Exits with 1 if something is wrong with a stack that should run: a dead process, no supervisor, no minute handled
    for 3 minutes on an open market, a clock that was set, a scheduler that schedules nothing.

    Example: mikrobot status --watch
    """
    from mikrobot.cli import status_tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows import status as workflow

    settings, clock, console = configured(), SystemClock(), Console()

    def show(overview: workflow.Overview) -> None:
        if json_:
            print_json(overview.to_json())
        else:
            console.tables(status_tables.tables(overview), over=watch)

    if not watch:
        overview = workflow.overview(settings, clock)
        show(overview)
        sys.exit(1 if overview.alarms else 0)
    stop_on_sigterm()
    with contextlib.suppress(KeyboardInterrupt):
        for overview in workflow.watch(settings, clock):
            show(overview)


@main.command()
@as_json
def doctor(json_: bool) -> None:
    """Check the machine, the ports, the versions, the data and the clock, and explain what to fix.

    Exits with 1 if something must be fixed.

    Example: mikrobot doctor
    """
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.stack.doctor import examine

    findings = examine(configured(), SystemClock())
    if json_:
        print_json(findings)
    else:
        Console().table(tables.findings_table(findings))
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


@main.command()
@click.option("--run", "run_id", help="Run to report on, an id or last [default: last].")
@click.option("--days", type=click.IntRange(1, 36_525), help="Only the last days of the run [default: all of it].")
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
@as_json
def report(run_id: str | None, days: int | None, open_: bool, json_: bool) -> None:
    """Write the trading report of a run as an HTML page that opens offline, Markdown and a picture; print its figures.

    Starts the database if it is down, and stops it again.

    Example: mikrobot report --open
    """
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.stack import local_stack
    from mikrobot.workflows import trading_report

    settings, console = configured(), Console(quiet=json_)
    stop_on_sigterm()
    with local_stack.database_up(settings, console.say):
        written = trading_report.write(settings, run_id, days)
    if open_:
        click.launch(written.paths["trading"])
    if json_:
        print_json(written.to_json())
    else:
        console.table(tables.report_table(written))
        for name, path in written.paths.items():
            click.echo(f"{name.replace('_', ' ')}: {path}")


@main.command()
@click.option("--reason", default="requested by hand", show_default=True, help="Recorded with the flow run.")
@click.option("--force", is_flag=True, help="Train also if the data and the settings have not changed.")
def retrain(reason: str, force: bool) -> None:
    """Trigger the retrain deployment of the running stack.

    Example: mikrobot retrain --reason "spreads have doubled"
    """
    from mikrobot.stack import supervisor

    click.echo(f"retraining: {supervisor.trigger_retrain(configured(), reason, force=force)}")


@main.command()
@click.option("--example", is_flag=True, help="Print a valid request and the curl line that sends it.")
@click.option(
    "--symbol", type=Symbol(), help="Symbol whose newest feature row is sent [default: the first of the latest run]."
)
@as_json
def predict(example: bool, symbol: str | None, json_: bool) -> None:
    """Print a complete request body for the prediction service, and its curl line.

    Starts the prediction service if it is down, and stops it again.

    Example: mikrobot predict --example --symbol BTCUSDT
    """
    import json

    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows.example_request import example_request

    if not example:
        raise click.UsageError("give --example; it prints the curl line that sends a request to the service")
    stop_on_sigterm()
    request = example_request(configured(), SystemClock(), symbol, Console(quiet=json_).say)
    if json_:
        print_json(request)
    else:
        click.echo(json.dumps(request.body, indent=1))
        click.echo(request.curl)


@main.command()
@click.argument("names", nargs=-1)
@click.option("--data", type=BarPath(), multiple=True, help="Bars that the benchmark `run` also replays.")
@click.option("--scale", type=SCALE, default=1.0, help="Share of the data and repetitions, for a quick run.")
@as_json
def bench(names: tuple[str, ...], data: tuple[Path, ...], scale: float, json_: bool) -> None:
    """Run the benchmarks, each compared with its peer and its limit, as ratios from one run.

    NAMES are features, models, stores, serving, signal, paper, report, run. Without names, runs all except
    `run`, which takes minutes: it times the whole of `mikrobot run` from an empty folder.

    Example: mikrobot bench features
    """
    from mikrobot import telemetry
    from mikrobot.cli.console import Console

    try:
        from benchmarks import suite
    except ModuleNotFoundError as error:
        raise click.ClickException(
            "the benchmarks are part of the repository, not of the installed package; clone it and run `make bench`"
        ) from error
    telemetry.configure("ERROR")
    stop_on_sigterm()
    console = Console()
    results = suite.measure(names, data, console.say, scale)
    if json_:
        print_json(suite.to_json(results))
    else:
        console.table(suite.table(results))


for command in (
    *(account, backtest, book, drift, evaluate, experiment, features, history, import_, inspect, instruments, models),
    *(decisions, explain, optimize, performance, replay, simulate, strategy, symbols_of_run, terminal, trading, train),
    *(local_venue, why_not),
):
    main.add_command(command)


if __name__ == "__main__":
    main()
