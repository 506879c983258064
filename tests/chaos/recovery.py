"""Kill processes of a standing stack at random instants, and measure when everything works again.

``python -m tests.chaos.recovery --kills 20 --seed 1`` does it to the stack of MIKROBOT_HOME, which `mikrobot up` has
started after a run on a live source, and prints the table of docs/reliability.md.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from statistics import median
from time import perf_counter

import click
import psutil

from mikrobot import settings as configuration
from mikrobot.domain.errors import MikrobotError
from mikrobot.live import pid_records
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.settings import Settings
from mikrobot.stack import processes, service_table, wanted
from mikrobot.stack.restarts import STABLE_S
from mikrobot.stack.watch import HEALTH_EVERY_S
from mikrobot.store.postgres import database
from tests.killing import head_of, kill_some

CLOCK = SystemClock()
TRADING = ("postgres", "bento", "worker", "streamer")
"""The processes without which nothing is traded."""

TIMEOUT_S = 300.0

PAUSE_S = (STABLE_S + HEALTH_EVERY_S, 60.0)
"""Shortest and longest pause between two kills: five in a row without work between them keep a process down."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """A kill, the seconds until the processes that trade work again, and until all do.

    `processor_s` are the seconds of a core that the processes have used which were started again.
    """

    killed: str
    trading_s: float
    all_s: float
    processor_s: float


def kill_and_measure(settings: Settings, names: tuple[str, ...], rng: Random) -> Recovery:
    """Kill some of the processes, which must all work, and wait until all work again.

    Raises
    ------
    ServiceError
        If they do not within `TIMEOUT_S`.
    """
    former = {name: head_of(name, settings.home) for name in names}
    killed = kill_some(names, settings.home, rng)
    at = perf_counter()
    await_working(settings, [name for name in TRADING if name in names], killed)
    trading_s = perf_counter() - at
    await_working(settings, names, killed)
    all_s = perf_counter() - at
    fresh = [head for name in names if (head := head_of(name, settings.home)) is not None and head != former[name]]
    return Recovery(killed, trading_s, all_s, sum(map(processor_s, fresh)))


def processor_s(head: psutil.Process) -> float:
    """Return the processor time of a process and its children, user and system."""
    times = [process.cpu_times() for process in (head, *head.children(recursive=True))]
    return float(sum(time.user + time.system for time in times))


def await_working(settings: Settings, names: tuple[str, ...] | list[str], killed: str) -> None:
    """Wait until processes work: they run and accept connections, serve a model, or have reported that they work."""
    wait_until(
        lambda: all(works(settings, name) for name in names),
        f"not all of {', '.join(names)} worked again after a kill of {killed}",
        CLOCK, timeout_s=TIMEOUT_S, every_s=0.1,
    )  # fmt: skip


def works(settings: Settings, name: str) -> bool:
    """Return True if a process works."""
    if head_of(name, settings.home) is None:
        return False
    if name == "postgres":
        with suppress(MikrobotError), database.open_pool(settings):
            return True
        return False
    if name == "bento":
        return processes.answers(f"{settings.bento_url}/readyz")
    if name in wanted.LIVE:
        return pid_records.is_ready(name, settings.home)
    return processes.is_ready(service_table.services(settings)[name], settings.home)


def measured(settings: Settings, kills: int, rng: Random) -> Iterator[Recovery]:
    """Kill random processes again and again, each time after a pause in which all work and their budgets refill."""
    names = wanted.read(settings.home).names
    for _ in range(kills):
        await_working(settings, names, "nothing")
        CLOCK.sleep(rng.uniform(*PAUSE_S))
        yield kill_and_measure(settings, names, rng)


@click.command()
@click.option("--kills", default=20)
@click.option("--seed", default=1)
def main(kills: int, seed: int) -> None:
    """Print one line for each kill, then the median and the maximum."""
    recoveries = []
    for recovery in measured(configuration.load(), kills, Random(seed)):
        recoveries.append(recovery)
        click.echo(
            f"{recovery.trading_s:6.1f} s trading {recovery.all_s:6.1f} s all "
            f"{recovery.processor_s:6.1f} s of a core  {recovery.killed}"
        )
    for what, seconds in (
        ("trading", [recovery.trading_s for recovery in recoveries]),
        ("everything", [recovery.all_s for recovery in recoveries]),
    ):
        click.echo(f"{what} works again: median {median(seconds):.1f} s, maximum {max(seconds):.1f} s of {kills}")


if __name__ == "__main__":
    main()
