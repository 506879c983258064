"""The command `mikrobot experiment`."""

from pathlib import Path
from typing import Any

import click

from mikrobot.cli.output import as_json, print_json

SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
POSITIVE = click.FloatRange(0, min_open=True)


@click.group()
def experiment() -> None:
    """Compare strategies, profiles or model versions on parallel accounts of the same market.

    Plan with `new`, check the result with `status` as often as you like, end with `stop`.

    Example: mikrobot experiment status
    """


@experiment.command()
@click.argument("name")
@click.option("--arm", "arms", multiple=True, required=True, help="NAME:KEY=VALUE,...; the first is the control.")
@click.option("--question", default="", help="The question to answer, in one sentence.")
@click.option("--unit", type=click.Choice(["day", "trade"]), default="day", show_default=True, help="Observation.")
@click.option("--effect", type=POSITIVE, required=True, help="Smallest relevant difference, in R per observation.")
@click.option(
    "--deviation",
    type=POSITIVE,
    required=True,
    help="Expected standard deviation, in R (for days: of the daily difference).",
)
@click.option("--alpha", type=SHARE, default=0.05, show_default=True, help="False positive rate.")
@click.option("--power", type=SHARE, default=0.8, show_default=True, help="Probability to detect a true effect.")
@click.option("--floor", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Smallest share of an arm.")
@as_json
def new(
    name: str,
    arms: tuple[str, ...],
    question: str,
    unit: str,
    effect: float,
    deviation: float,
    alpha: float,
    power: float,
    floor: float,
    json_: bool,
) -> None:
    """Plan an experiment and record the plan, which never changes afterwards.

    An arm selects the runs that start from now on and match its settings, or one run by its id.

    Example: mikrobot experiment new profiles --arm control:profile=session1 --arm careful:profile=ftmo
    --effect 0.2 --deviation 1
    """
    from mikrobot.domain.experiments import Experiment, Unit
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows import experiments

    parsed = tuple(experiments.parse_arm(arm, len(arms)) for arm in arms)
    at = SystemClock().now()
    planned = Experiment(name, question, parsed, Unit(unit), effect, deviation, alpha, power, floor, at)
    begun = _with_database(lambda settings: experiments.begin(settings, planned), json_)
    if json_:
        print_json(begun)
        return
    needed, what = begun.observations, "market days" if unit == "day" else "trades of each arm"
    click.echo(f"experiment {name} has begun: {', '.join(begun.arms)}")
    click.echo(f"  {needed.sequential:,} {what} at most, looking as often as you like (mSPRT)")
    click.echo(f"  {needed.fixed:,} {what} for the classical test, looking once")


@experiment.command()
@click.argument("name", required=False)
@as_json
def status(name: str | None, json_: bool) -> None:
    """Show the result of an experiment so far; without a name, list all experiments.

    Example: mikrobot experiment status profiles
    """
    from mikrobot.workflows import experiments

    if name is None:
        listed = _with_database(experiments.overview, json_)
        if json_:
            print_json(listed)
            return
        if not listed:
            click.echo("no experiment is planned: `mikrobot experiment new --help` shows how")
        for planned in listed:
            click.echo(f"{planned.experiment}  {' / '.join(planned.arms)}  {'ended' if planned.ended else 'running'}")
        return
    current = _with_database(lambda settings: experiments.status(settings, name), json_)
    _show(current, json_)


@experiment.command()
@click.argument("name")
@click.option("--reason", default="requested by hand", show_default=True, help="Recorded with the experiment.")
@as_json
def stop(name: str, reason: str, json_: bool) -> None:
    """End an experiment permanently, and record its conclusion.

    Example: mikrobot experiment stop profiles --reason "the answer is clear"
    """
    from mikrobot.runtime import SystemClock
    from mikrobot.workflows import experiments

    _show(_with_database(lambda settings: experiments.stop(settings, name, reason, SystemClock()), json_), json_)


@experiment.command()
@click.argument("name")
@as_json
def report(name: str, json_: bool) -> None:
    """Write the report of an experiment as Markdown and print it.

    Example: mikrobot experiment report profiles
    """
    from mikrobot.workflows import experiments

    current, path = _with_database(lambda settings: experiments.write_report(settings, name), json_)
    if json_:
        print_json(current.to_json() | {"report": str(path)})
    else:
        click.echo(Path(path).read_text(encoding="utf-8"))
        click.echo(f"written to {path}", err=True)


def _with_database(work: Any, json_: bool) -> Any:
    from mikrobot import settings as configuration
    from mikrobot.cli.console import Console
    from mikrobot.stack import local_stack

    settings = configuration.load()
    with local_stack.database_up(settings, Console(quiet=json_).say):
        return work(settings)


def _show(current: Any, json_: bool) -> None:
    if json_:
        print_json(current.to_json())
        return
    if current.end is not None:
        click.echo(f"ended on {current.end.at:%Y-%m-%d %H:%M} UTC: {current.end.reason}")
    for contrast in current.conclusion.contrasts:
        click.echo(f"{contrast.verdict.value}\n  {contrast.words}")
    for bandit, shares in current.conclusion.allocation.items():
        click.echo(f"  {bandit}: " + ", ".join(f"{arm} {share:.0%}" for arm, share in shares.items()))
