"""The benchmarks: each figure of ours, that of a peer and a physical limit, measured in one run.

Machines are shared and noisy, so what counts is the ratio. Runs on what it makes up itself: a
simulated market and services of their own in a temporary folder. ``python -m benchmarks.suite``
prints the tables of docs/benchmarks.md.
"""

import importlib
import importlib.util
import os
import platform
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from benchmarks.timing import Measurement
from mikrobot import telemetry
from mikrobot.domain.errors import UsageError

QUICK = (
    *("commands", "files", "features", "models", "stores", "streams", "serving", "signal", "paper", "report"),
    "monitoring",
)
"""What is run when no name is given."""

GROUPS = (*QUICK, "retraining", "run", "streamer")
"""All of them; the last three take minutes or start a whole stack."""

_PACKAGES = (
    "mikrobot",
    "bentoml",
    "feast",
    "mlflow",
    "numba",
    "numpy",
    "pandas",
    "psycopg",
    "smartmoneyconcepts",
    "TA-Lib",
)
_PEERS = {"talib": "TA-Lib", "smartmoneyconcepts": "smartmoneyconcepts"}
_HEADINGS = ("benchmark", "p50", "p99", "unit", "peer", "its p50", "peer/ours", "limit", "its p50")
_WORDS = ("benchmark", "unit", "peer", "limit")


def measure(
    names: Sequence[str] = (),
    data: Sequence[Path] = (),
    say: Callable[[str], None] = lambda text: None,
    scale: float = 1.0,
) -> list[Measurement]:
    """Run the benchmarks of these names, or the quick ones.

    Parameters
    ----------
    names : sequence of str
    data : sequence of Path
        Bars that ``run`` replays too.
    say : callable
        Called with the name of each finished benchmark.
    scale : float
        Share of the data and repetitions that docs/benchmarks.md is measured with, in (0, 1].

    Raises
    ------
    UsageError
        If there is no benchmark of a name, or a peer of the features is not installed.
    """
    if unknown := set(names) - set(GROUPS):
        raise UsageError(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    if absent := [name for name in _PEERS if importlib.util.find_spec(name) is None]:
        missing = " and ".join(_PEERS[name] for name in absent)
        raise UsageError(f"the benchmarks need {missing} to compare with: install mikrobot with its extra `dev`")
    results = []
    for name in names or QUICK:
        with closing(_group(name, data, scale)) as group:  # stops its services, whatever ends the loop
            for result in group:
                say(result.name)
                results.append(result)
    return results


def to_json(results: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Return measurements as plain JSON values, each with the machine and the versions."""
    return [result.to_json() | {"machine": machine(), "versions": versions()} for result in results]


def table(results: Sequence[Measurement]) -> Table:
    """Show measurements as a table."""
    shown = Table(box=None, padding=(0, 2))
    for heading in _HEADINGS:
        shown.add_column(heading, justify="left" if heading in _WORDS else "right")
    for result in results:
        shown.add_row(*_cells(result))
    return shown


def markdown(results: Sequence[Measurement]) -> str:
    """Show measurements as a table in Markdown, under the machine and the versions."""
    installed = ", ".join(f"{name} {number}" for name, number in versions().items())
    rules = ("---" if heading in _WORDS else "---:" for heading in _HEADINGS)
    rows = [_HEADINGS, tuple(rules), *(_cells(result) for result in results)]
    return "\n".join((f"{machine()}; {installed}.", "", *(f"| {' | '.join(row)} |" for row in rows)))


def machine() -> str:
    """Return the system, the processor and the cores that a benchmark may use."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """Return the versions of what is measured."""
    import xgboost

    installed = {name: metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **installed, "xgboost": xgboost.__version__}  # of either build


def _group(name: str, data: Sequence[Path], scale: float) -> Generator[Measurement, None, None]:
    group = importlib.import_module(f"benchmarks.{name}")
    given = (data,) if name == "run" else ()
    measurements: Generator[Measurement, None, None] = group.measure(scale, *given)
    return measurements


def _cells(result: Measurement) -> tuple[str, ...]:
    return (
        result.name,
        _figure(result.p50),
        _figure(result.p99),
        result.unit,
        result.peer,
        _figure(result.peer_p50),
        _figure(result.ratio),
        result.limit,
        _figure(result.limit_p50),
    )


def _figure(value: float) -> str:
    """Write three digits.

    >>> [_figure(value) for value in (0.01234, 1.5, 1234.5)]
    ['0.0123', '1.50', '1,234']
    """
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}"


@click.command()
@click.argument("names", nargs=-1)
@click.option("--data", type=click.Path(path_type=Path), multiple=True)
@click.option("--scale", type=click.FloatRange(0, 1, min_open=True), default=1.0)
def main(names: tuple[str, ...], data: tuple[Path, ...], scale: float) -> None:
    """Print the tables of docs/benchmarks.md."""
    telemetry.configure("ERROR")
    print(markdown(measure(names, data, lambda text: click.echo(text, err=True), scale)))


if __name__ == "__main__":
    main()
