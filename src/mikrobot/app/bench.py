"""The benchmarks: each figure of ours beside a peer and a physical limit, from one run.

Machines are shared and noisy, so what counts is the ratio. Runs on what it makes up itself: a
simulated market and a PostgreSQL in a temporary folder.
"""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata

from rich.table import Table

from mikrobot.app.timing import Measurement
from mikrobot.domain.errors import UsageError


def measure(names: Sequence[str] = ()) -> list[Measurement]:
    """Run the benchmarks of these names, or all.

    Returns
    -------
    list of dict
        name, ours {p50, p99, unit}, peer {name, p50, unit}, ratio (peer over ours: above 1 we are
        faster), limit {name, p50, unit}, machine, versions.

    Raises
    ------
    UsageError
        If there is no benchmark of a name.
    """
    groups = _groups()
    if unknown := set(names) - set(groups):
        raise UsageError(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(groups)}")
    results = [result for name in names or groups for result in groups[name]()]
    return [result | {"machine": _machine(), "versions": _versions()} for result in results]


def table(results: list[Measurement]) -> Table:
    """Show measurements as a table."""
    shown = Table(box=None, padding=(0, 2))
    for column in ("benchmark", "ours p50", "p99", "unit", "peer", "peer p50", "peer/ours", "limit", "limit p50"):
        shown.add_column(column, justify="left" if column in ("benchmark", "unit", "peer", "limit") else "right")
    for result in results:
        ours, peer, limit = result["ours"], result["peer"], result["limit"]
        shown.add_row(
            result["name"], f"{ours['p50']:.3g}", f"{ours['p99']:.3g}", ours["unit"], peer["name"],
            f"{peer['p50']:.3g}", f"{result['ratio']:.2g}", limit["name"], f"{limit['p50']:.3g}",
        )  # fmt: skip
    return shown


def _groups() -> dict[str, Callable[[], Iterator[Measurement]]]:
    from mikrobot.app import bench_features, bench_stores

    return {"features": bench_features.measure, "stores": bench_stores.measure}


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _versions() -> dict[str, str]:
    names = ("mikrobot", "numba", "numpy", "psycopg", "feast", "TA-Lib")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}
