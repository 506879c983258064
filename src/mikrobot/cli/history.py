"""The commands that work on recorded bars: evaluate, backtest, features, simulate."""

from pathlib import Path
from typing import Any

import click

from mikrobot.cli.output import as_json, print_json, settings, stop_on_sigterm
from mikrobot.cli.parameters import BarPath, ModelName, OutPath, reads_bars
from mikrobot.domain.errors import MikrobotError


def utc(context: click.Context, _: click.Parameter, value: str | None) -> Any:
    """Return the time of an option, UTC unless it names another offset; None without one."""
    from datetime import UTC, datetime

    if value is None:
        return None
    try:
        given = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(
            f"expected a time as 2025-03-01 or 2025-03-01T08:00, found {value!r}", context
        ) from error
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)


@click.command()
@click.option(
    "--model", "named", type=ModelName(), required=True, help="Registered model: NAME, NAME@ALIAS or NAME@VERSION."
)
@click.option("--data", type=BarPath(), multiple=True, required=True, help="Bar file or folder; may be repeated.")
@click.option("--control", is_flag=True, help="Also evaluate it on random walks derived from the same bars.")
@reads_bars
@as_json
def evaluate(
    named: str, data: tuple[Path, ...], control: bool, json_: bool, reading: dict[str, str | bool | None]
) -> None:
    """Evaluate a model on other bars, compared with the base rate and the diffusion baselines.

    Example: mikrobot evaluate --model bos --data EURUSD_M1.parquet --control
    """
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows.evaluate import judge

    console = Console()
    stop_on_sigterm()
    evaluation = judge(settings(**reading), SystemClock(), named, data, control=control, say=console.say)
    if json_:
        print_json(evaluation.to_json())
    else:
        console.table(tables.evaluation_table(evaluation))


@click.command()
@click.option("--data", type=BarPath(), multiple=True, help="Bar file or folder; may be repeated.")
@click.option("--run", "run_id", help="Instead, trade a recorded run again and compare the two; an id, or last.")
@click.option(
    "--model", "named", type=ModelName(), default="bos", show_default=True, help="NAME, NAME@ALIAS or NAME@VERSION."
)
@click.option("--strategy", "strategies", multiple=True, help="Strategy, ours or FILE:CLASS; may be repeated.")
@click.option("--profile", type=click.Choice(["session1", "lightning", "ftmo"]), help="Risk profile [the setting].")
@click.option("--rules-only", is_flag=True, help="Follow breaks of structure without a model.")
@click.option("--from", "start", callback=utc, help="Trade only later closes, as 2025-03-01T08:00 (UTC).")
@click.option("--to", "end", callback=utc, help="Trade only closes up to this time.")
@click.option("--report", "page", type=OutPath(), help="Write the trading report to this HTML file.")
@click.option("--trades", "trade_list", type=OutPath(), help="Write the closed trades to this CSV file.")
@click.pass_context
@reads_bars
@as_json
def backtest(
    context: click.Context,
    data: tuple[Path, ...],
    run_id: str | None,
    named: str,
    strategies: tuple[str, ...],
    profile: str | None,
    rules_only: bool,
    start: Any,
    end: Any,
    page: Path | None,
    trade_list: Path | None,
    json_: bool,
    reading: dict[str, str | bool | None],
) -> None:
    """Trade history with the live code, and compare the result with buy and hold and the rules alone.

    A model predicts only closes later than its training data. A recorded run is traded again by its own
    settings, models and hours.

    The CSV file has one row per closed trade in order of entry, and these columns:

    \b
    symbol, side, lots, decided_at, entered_at, entry_price, stop, target,
    left_at, exit_price, exit_reason, ambiguous, gross, fees, pnl, r,
    probability, model

    Times are UTC, money is in dollars; pnl is gross less fees. r is pnl divided by the loss at the initial stop,
    without costs. probability and model are empty without a model.

    Example: mikrobot backtest --data EURUSD_M1.parquet --from 2020-06-01 --report report.html --trades trades.csv
    """  # noqa: D301, Click reads the escape
    if bool(data) == bool(run_id):
        raise click.UsageError("give --data or --run, one of the two")
    if run_id:
        _refuse_beside_run(context)
    if start and end and start >= end:
        raise click.UsageError(f"--from {start:%Y-%m-%dT%H:%M} is not before --to {end:%Y-%m-%dT%H:%M}")

    from mikrobot import settings as configuration
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows.backtest_files import Files

    files = Files(page, trade_list)
    console = Console(quiet=json_)
    stop_on_sigterm()
    if run_id:
        from mikrobot.workflows import reconcile

        result = reconcile.compare(settings(), SystemClock(), run_id, console.say, files=files)
        table, lines = tables.reconciliation_table(result), tables.difference_lines(result)
    else:
        from mikrobot.workflows.backtest import backtest as trade_history

        given = configuration.load(profile=profile, strategies=strategies or None, **reading)
        model = None if rules_only else named
        result = trade_history(given, SystemClock(), data, model, start=start, end=end, say=console.say, files=files)
        table, lines = tables.backtest_table(result), []
    if json_:
        print_json(result)
    else:
        console.table(table)
        written = [f"{name}: {path}" for name, path in result["files"].items() if path]
        for line in (*lines, *written):
            click.echo(line)


def _refuse_beside_run(context: click.Context) -> None:
    """Refuse options that the record of the run already fixes."""
    options = {
        "profile": "--profile",
        "strategies": "--strategy",
        "named": "--model",
        "rules_only": "--rules-only",
        "start": "--from",
        "end": "--to",
    }
    given = [
        option
        for name, option in options.items()
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(
            f"--run trades a recorded run again by its own settings, models and hours; leave out {', '.join(given)}"
        )


@click.command()
@click.argument("file", type=BarPath())
@click.option("--out", type=OutPath(), required=True, help="Parquet file to write.")
@click.option("--timeframe", type=click.Choice(["M1", "M5"]), default="M1", show_default=True, help="One row per bar.")
@click.option("--lead", type=BarPath(), help="M1 bars of the symbol's lead, as BTCUSDT for ETHUSDT.")
@reads_bars
def features(file: Path, out: Path, timeframe: str, lead: Path | None, reading: dict[str, str | bool | None]) -> None:
    """Write the feature rows of a file of M1 bars, one for each closed bar.

    With M5, writes one row for each five-minute bar, aggregated from the M1 bars.

    Example: mikrobot features ETHUSDT_M1.parquet --lead BTCUSDT_M1.parquet --out rows.parquet
    """
    from functools import partial

    from mikrobot.cli.console import Console
    from mikrobot.domain.market import Timeframe
    from mikrobot.market.reading import reading_of
    from mikrobot.workflows.export_features import write_rows

    console = Console()
    try:
        written = write_rows(
            file, out, Timeframe(timeframe), lead,
            reading=reading_of(settings(**reading)), progress=partial(console.progress, "features"),
        )  # fmt: skip
    finally:
        console.settle()
    led = f", led by {written.lead}" if written.lead else ""
    click.echo(f"{written.rows:,} {timeframe} rows of {written.symbol}{led} in {out}", err=True)


@click.command()
@click.argument("scenarios", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def simulate(scenarios: tuple[Path, ...]) -> None:
    """Play execution scenarios; print one JSON object with the result of each under its id.

    An invalid scenario gives {"error": ...}, which names the invalid event; the others are played, and the exit
    code is 1.

    Example: mikrobot simulate stop_through_a_gap.json > results.json
    """
    from mikrobot.workflows.simulate import play

    results = play(scenarios)
    print_json(results)
    failed = [name for name, result in results.items() if "error" in result]
    if failed:
        raise MikrobotError(
            f"{len(failed)} of {len(results)} scenarios are invalid: {', '.join(failed)}; see their error"
        )
