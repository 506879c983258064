"""Measure the stack while hours of market pass in one: its memory, its file descriptors and the errors in its logs.

``python -m tests.chaos.hour --minutes 60 --rate 10`` does it to the stack of MIKROBOT_HOME, which has been taken down
after a run on a live source: it starts the stack with a clock of that rate, prints the table of docs/reliability.md,
and takes the stack down.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

import click
import psutil

from mikrobot import settings as configuration
from mikrobot.live import pid_records, steady_clock
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.stack import service_log, supervision, wanted
from mikrobot.store.postgres import database
from mikrobot.store.runs import Runs
from tests.killing import head_of

CLOCK = SystemClock()
EVERY = timedelta(seconds=15)
WARM_UP = timedelta(minutes=5)
WINDOW = timedelta(minutes=5)
"""The first and the last of these of a measurement are compared, each by its median."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a process and its children use: bytes of anonymous memory, open file descriptors, and their number."""

    memory: int
    descriptors: int
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Growth:
    """What a process uses at the start and at the end of a measurement."""

    start: Use
    end: Use

    @property
    def memory_pct(self) -> float:
        """Growth of the memory in percent."""
        return 100 * (self.end.memory / self.start.memory - 1)

    @property
    def descriptors(self) -> int:
        """Growth of the number of file descriptors."""
        return self.end.descriptors - self.start.descriptors


@dataclass(frozen=True, slots=True)
class Hour:
    """A measurement: the growth of each process and of all, the errors, the restarts and the minutes traded."""

    growths: Mapping[str, Growth]
    errors: Mapping[str, str]
    restarts: Sequence[str]
    minutes: int

    @property
    def total(self) -> Growth:
        """Growth of all processes together."""
        return Growth(
            together([growth.start for growth in self.growths.values()]),
            together([growth.end for growth in self.growths.values()]),
        )


def measure(settings: Settings, length: timedelta) -> Hour:
    """Watch the stack, which works, for that long after `WARM_UP`."""
    names = (*wanted.read(settings.home).names, pid_records.SUPERVISOR)
    CLOCK.sleep(WARM_UP.total_seconds())
    log_from, traded_from = supervision.log_end(settings.home), traded(settings)
    uses = list(watched(settings, names, length))
    count = WINDOW // EVERY
    growths = {
        name: Growth(middle([use[name] for use in uses[:count]]), middle([use[name] for use in uses[-count:]]))
        for name in names
    }
    logged = {name: service_log.errors_of(name, settings.home).last for name in names}
    events = supervision.events_since(settings.home, log_from)
    return Hour(
        growths,
        {name: error for name, error in logged.items() if error is not None},
        [f"{event['process']} {event['event']}" for event in events if event],
        (traded(settings) - traded_from) // timedelta(minutes=1),
    )


def watched(settings: Settings, names: Sequence[str], length: timedelta) -> Iterator[dict[str, Use]]:
    """Yield what each process uses, every `EVERY` of real time."""
    end = CLOCK.now() + length
    while CLOCK.now() < end:
        CLOCK.sleep(EVERY.total_seconds())
        yield {name: use_of(name, settings.home) for name in names}


def anonymous_bytes(pid: int) -> int:
    """Return the memory of a process that is no part of a file, which others that load the same file may share."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * int(next(line for line in rollup.splitlines() if line.startswith("Anonymous:")).split()[1])


def use_of(name: str, home: Path) -> Use:
    """Return what a process uses; the runs that the flow server starts end by themselves, and do not count."""
    head = head_of(name, home)
    assert head is not None, f"{name} does not run"
    uses = []
    for process in (head, *([] if name == "flows" else head.children(recursive=True))):
        with suppress(psutil.NoSuchProcess, OSError):
            uses.append(Use(anonymous_bytes(process.pid), process.num_fds()))
    return together(uses)


def together(uses: Sequence[Use]) -> Use:
    """Return the sum of several uses."""
    return Use(
        sum(use.memory for use in uses), sum(use.descriptors for use in uses), sum(use.processes for use in uses)
    )


def middle(uses: Sequence[Use]) -> Use:
    """Return the median of each figure."""
    return Use(
        round(median(use.memory for use in uses)),
        round(median(use.descriptors for use in uses)),
        round(median(use.processes for use in uses)),
    )


def traded(settings: Settings) -> datetime:
    """Return the newest minute that the worker has traded."""
    live = wanted.read(settings.home).live
    assert live is not None, "no run is traded"
    with database.open_pool(settings) as pool:
        reached = Runs(pool).reached(live.run, "worker")
    assert reached is not None, "nothing has been traded"
    return reached


@click.command()
@click.option("--minutes", default=60)
@click.option("--rate", default=10)
def main(minutes: int, rate: int) -> None:
    """Print a line for each process, and for all."""
    settings, mikrobot = configuration.load(), Path(sys.executable).with_name("mikrobot")
    steady_clock.anchor_at(CLOCK.now(), settings.home, rate)
    subprocess.run([mikrobot, "up"], check=True, capture_output=True)
    try:
        hour = measure(settings, timedelta(minutes=minutes))
    finally:
        subprocess.run([mikrobot, "down"], check=True)
    for name, growth in {**hour.growths, "all": hour.total}.items():
        click.echo(
            f"{name:10} {growth.start.memory / 1e6:7.1f} MB {growth.end.memory / 1e6:7.1f} MB "
            f"{growth.memory_pct:+5.1f} %  {growth.start.descriptors:4} {growth.end.descriptors:4} file descriptors "
            f"of {growth.start.processes:2} {growth.end.processes:2} processes"
        )
    click.echo(f"{hour.minutes} minutes traded in {minutes}; restarts: {', '.join(hour.restarts) or 'none'}")
    click.echo(f"errors: {', '.join(f'{name}: {error}' for name, error in hour.errors.items()) or 'none'}")


if __name__ == "__main__":
    main()
