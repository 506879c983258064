"""The command `mikrobot optimize`."""

from pathlib import Path
from typing import Any

import click

from mikrobot.cli.history import utc
from mikrobot.cli.output import as_json, print_json, settings, stop_on_sigterm
from mikrobot.cli.parameters import BarPath, ModelName, OutPath, ParameterRange, reads_bars


@click.command()
@click.option("--data", type=BarPath(), multiple=True, required=True, help="Bar file or folder; may be repeated.")
@click.option("--strategy", "strategy_", required=True, help="Strategy to search, ours or FILE:CLASS.")
@click.option(
    "--model", "named", type=ModelName(), default="bos", show_default=True, help="NAME, NAME@ALIAS or NAME@VERSION."
)
@click.option("--rules-only", is_flag=True, help="Follow breaks of structure without a model.")
@click.option("--trials", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Trials of each search.")
@click.option("--folds", type=click.IntRange(1, 100), default=4, show_default=True, help="Pieces to trade unseen.")
@click.option("--from", "start", callback=utc, help="Use only later closes, as 2025-03-01T08:00 (UTC).")
@click.option("--to", "end", callback=utc, help="Use only closes up to this time.")
@click.option(
    "--parameter", "ranges", type=ParameterRange(), multiple=True,
    help="Narrow a range, as m5_bos.least_atr=1..8; equal bounds fix the parameter; may be repeated.",
)  # fmt: skip
@click.option(
    "--metric", type=click.Choice(["sharpe", "return_pct", "expectancy_r"]), default="sharpe", show_default=True,
    help="Figure to maximise in a search.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of the searches and the fills [the setting].")
@click.option("--out", type=OutPath(), help="Also write the JSON object to this file.")
@reads_bars
@as_json
def optimize(
    data: tuple[Path, ...],
    strategy_: str,
    named: str,
    rules_only: bool,
    trials: int,
    folds: int,
    start: Any,
    end: Any,
    ranges: tuple[tuple[str, float, float], ...],
    metric: str,
    seed: int | None,
    out: Path | None,
    json_: bool,
    reading: dict[str, str | bool | None],
) -> None:
    """Search the parameters of a strategy, and judge the search on bars that it has not seen.

    The bars are divided into pieces of equal time, one more than --folds. Each piece after the first is traded with
    the parameters that were best on all pieces before it. The figures of these trades come first, next to those of
    the default parameters; then the deflated Sharpe ratio, which takes the number of trials into account.

    Changes no setting: the last line shows what to put into mikrobot.toml.

    Example: mikrobot optimize --data EURUSD_M1.parquet --strategy m5_bos --rules-only --parameter m5_bos.least_atr=1..8
    """
    if start and end and start >= end:
        raise click.UsageError(f"--from {start:%Y-%m-%dT%H:%M} is not before --to {end:%Y-%m-%dT%H:%M}")
    if out is not None and any(out.resolve() == path.resolve() for path in data):
        raise click.UsageError(f"--out {out} holds the bars to read; give another file")

    import json

    from mikrobot.cli import optimization_tables
    from mikrobot.cli.console import Console
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows import optimize as workflow
    from mikrobot.workflows.backtest_files import write_text
    from mikrobot.workflows.search_ranges import Narrowed

    console = Console(quiet=json_)

    def progress(finished: int, total: int) -> None:
        console.progress("search", f"{finished} of {total} trials", finished / total)

    stop_on_sigterm()
    wanted = workflow.Wanted(trials, folds, metric, tuple(Narrowed(*one) for one in ranges))
    chosen = settings(strategies=(strategy_,), seed=seed, **reading)
    try:
        result = workflow.optimize(
            chosen, SystemClock(), data, None if rules_only else named,
            wanted=wanted, start=start, end=end, say=console.say, progress=progress,
        )  # fmt: skip
    finally:
        console.settle()
    if out is not None:
        write_text(out, f"{json.dumps(result, indent=1)}\n")
    if json_:
        print_json(result)
        return
    console.tables(optimization_tables.tables(result))
    for line in (result["verdict"], result["setting"], *([f"result: {out}"] if out else [])):
        click.echo(line)
