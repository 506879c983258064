"""The command performance."""

import click

from mikrobot.cli.output import as_json, print_json, settings


@click.command()
@click.option("--run", "run_id", help="Run whose symbols are measured; by default the latest.")
@as_json
def performance(run_id: str | None, json_: bool) -> None:
    """Show the skill of what answers for each symbol: its predictions joined with their outcomes.

    An outcome counts once the horizon of its prediction has passed. Intervals count blocks of one horizon, since
    outcomes of overlapping horizons depend on each other. The promised skill follows from the probabilities alone.

    Example: mikrobot performance
    """
    from mikrobot.cli import tables
    from mikrobot.cli.console import Console
    from mikrobot.workflows.performance import measure

    measured = measure(settings(), run_id)
    if json_:
        print_json(measured.to_json())
    else:
        Console().table(tables.performance_table(measured))
