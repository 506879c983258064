"""The supervisor process of a state folder: ``python -m mikrobot.stack.watch``, started by `up` and by a run.

Every second it compares the processes that run with those that are `wanted`, and starts again what has died, with
back-off and a budget that refills. Every event is a line of ``home/logs/supervisor.log`` and a row of the database.
It never stops what is wanted, except a server that no longer answers. SIGTERM ends it, and it ends by itself once
nothing is wanted.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import perf_counter

import psutil

from mikrobot import settings as configuration
from mikrobot import telemetry
from mikrobot.domain.errors import MikrobotError, StoreError
from mikrobot.live import pid_records
from mikrobot.live.pid_records import SUPERVISOR
from mikrobot.live.steady_clock import anchored, set_by_s
from mikrobot.runtime import Clock, SystemClock
from mikrobot.settings import Settings
from mikrobot.stack import log_rotation, processes, service_table, supervision, wanted
from mikrobot.stack.event_log import EventLog
from mikrobot.stack.restarts import RestartBudget
from mikrobot.stack.supervision import Report
from mikrobot.stack.wanted import LIVE, Wanted
from mikrobot.store.postgres import bundled, database
from mikrobot.store.runs import ProcessKind, Runs

log = telemetry.logger(SUPERVISOR)

EVERY_S = 1.0
"""Seconds between two checks."""

HEALTH_EVERY_S = 10.0

ROTATE_EVERY_S = 60.0

SERVERS = ("prefect", "mlflow", "bento", "evidently")
"""The services that answer on a port of their own."""

UNRESPONSIVE_S = 60.0
"""Seconds without an answer after which a server that has answered before is restarted."""

WAITS_FOR = {"prefect": ("bento", *LIVE), "flows": ("prefect",)}
"""Processes that are started again only once others work: trading comes first, and flows end without Prefect."""

PATIENCE_S = 45.0
"""Seconds after which a process no longer waits for the others."""


@dataclass(slots=True)
class Supervisor:
    """Keeps the wanted processes of a state folder running."""

    settings: Settings
    events: EventLog
    start: Callable[[str, Wanted], None]
    clock: Clock
    _budgets: dict[str, RestartBudget] = field(default_factory=dict)
    _died: dict[str, float] = field(default_factory=dict)
    _kept_down: dict[str, str] = field(default_factory=dict)
    _answered: dict[str, float] = field(default_factory=dict)
    _asked: float = -HEALTH_EVERY_S
    _rotated: float = -ROTATE_EVERY_S
    _silent_since: datetime | None = None
    _reached: tuple[str, datetime | None] | None = None
    _report: Report = field(default_factory=Report)

    @property
    def home(self) -> Path:
        """The state folder."""
        return self.settings.home

    def check(self) -> bool:
        """Restart what has died; return False once nothing is wanted."""
        current = wanted.read(self.home)
        for name in current.names:
            if self._runs(name):
                self._died.pop(name, None)
                self._kept_down.pop(name, None)
            elif name == "postgres" or "postgres" not in current.services or _postgres_runs(self.settings):
                self._restart(name, current)
        if perf_counter() - self._asked >= HEALTH_EVERY_S:
            self._asked = perf_counter()
            self._examine(current)
        if perf_counter() - self._rotated >= ROTATE_EVERY_S:
            self._rotated = perf_counter()
            log_rotation.rotate(self.home / "logs")
        self._write_report(current)
        if _postgres_runs(self.settings):
            self.events.store()
        return bool(current.names)

    def _examine(self, current: Wanted) -> None:
        """Do what takes too long for every check."""
        for name in current.names:
            if self._runs(name):
                self._examine_running(name, current)
            else:
                self._answered.pop(name, None)
        self._follow_minutes(current)

    def _examine_running(self, name: str, current: Wanted) -> None:
        """Refill the budget of a process that works; stop a server that no longer does, so that it is restarted."""
        now = perf_counter()
        if self._works(name, current):
            self._answered[name] = now
            self._budget(name, current).record_work(now)
        elif name in SERVERS and now - self._answered.get(name, now) > UNRESPONSIVE_S:
            self.events.add(name, "unresponsive")
            processes.stop(name, self.home)

    def _runs(self, name: str) -> bool:
        if name == "postgres":
            return _postgres_runs(self.settings)
        return pid_records.find(name, self.home) is not None

    def _restart(self, name: str, current: Wanted) -> None:
        """Start a dead process again, unless it has finished, waits for others or its back-off lasts."""
        if name in LIVE and self._has_finished(name, current):
            return
        budget = self._budget(name, current)
        if name not in self._died:
            self._died[name] = perf_counter()
            self.events.add(name, "died", pid_records.last_line(name, self.home))
        if self._waits(name, current):
            return
        if budget.wait_s(perf_counter()) > 0:
            if budget.is_spent(perf_counter()) and name not in self._kept_down:
                self._kept_down[name] = pid_records.last_line(name, self.home)
                self.events.add(name, "kept_down", self._kept_down[name])
            return
        budget.record(perf_counter())
        self._start(name)

    def _start(self, name: str) -> None:
        """Start a process if it is still wanted; no command changes that meanwhile."""
        last = pid_records.last_line(name, self.home)
        with wanted.locked(self.home):
            current = wanted.read(self.home)
            if name not in current.names:
                return
            try:
                self.start(name, current)
            except (MikrobotError, OSError) as error:
                self.events.add(name, "not_restarted", str(error))
                return
        self._died.pop(name, None)
        self._answered.pop(name, None)
        self.events.add(name, "restarted", last)

    def _waits(self, name: str, current: Wanted) -> bool:
        """Return True if others that are wanted have to work before a process is started again."""
        if perf_counter() - self._died[name] > PATIENCE_S:
            return False
        earlier = [other for other in WAITS_FOR.get(name, ()) if other in current.names]
        return not all(self._runs(other) and self._works(other, current) for other in earlier)

    def _budget(self, name: str, current: Wanted) -> RestartBudget:
        """Return the budget of a process; a live process of another segment has a new one."""
        key = f"{name} {current.live.run} {current.live.segment}" if current.live and name in LIVE else name
        return self._budgets.setdefault(key, RestartBudget())

    def _works(self, name: str, current: Wanted) -> bool:
        """Return True if a process that runs can be used."""
        if name == "postgres":
            return True
        if name in LIVE:
            return pid_records.is_ready(name, self.home)
        return processes.is_ready(_service(name, current), self.home)

    def _has_finished(self, name: str, current: Wanted) -> bool:
        """Return True if a live process has reached the end of its segment."""
        assert current.live is not None
        kind: ProcessKind = "worker" if name == "worker" else "streamer"
        try:
            with database.open_pool(self.settings) as pool:
                return Runs(pool).finished(current.live.run, kind, current.live.segment)
        except StoreError:
            return False

    def _follow_minutes(self, current: Wanted) -> None:
        """Note when the worker handled its newest minute."""
        if current.live is None:
            self._reached = None
            return
        with suppress(StoreError), database.open_pool(self.settings) as pool:
            reached = (current.live.run, Runs(pool).reached(current.live.run, "worker"))
            if reached != self._reached:
                self._reached, self._silent_since = reached, self.clock.now()

    def _write_report(self, current: Wanted) -> None:
        kept_down = {name: reason for name, reason in self._kept_down.items() if name in current.names}
        silent_since = self._silent_since if self._reached is not None else None
        report = Report(kept_down, silent_since, set_by_s(self.clock, SystemClock()))
        if report.clock_set_by_s and not self._report.clock_set_by_s:
            self.events.add(SUPERVISOR, "clock_set", f"{report.clock_set_by_s} s")
        if report != self._report:
            supervision.write_report(report, self.home)
            self._report = report


def start(name: str, current: Wanted) -> None:
    """Start a wanted process by its settings.

    Raises
    ------
    ServiceError
        If it cannot be started.
    """
    settings = current.settings_of(name)
    if name == "postgres":
        bundled.start(settings.home, settings.host, settings.postgres_port)
        return
    processes.start(_service(name, current), settings.home, settings.host)


def _service(name: str, current: Wanted) -> processes.Service:
    settings = current.settings_of(name)
    if name == service_table.VENUE:
        return service_table.venue(settings)
    if current.live is not None and name in LIVE:
        pair = service_table.live_processes(settings, current.live.run, current.live.segment)
        return next(service for service in pair if service.name == name)
    return service_table.services(settings)[name]


def _postgres_runs(settings: Settings) -> bool:
    return settings.database_url is not None or bundled.pid(settings.home) is not None


def main() -> int:
    """Supervise the state folder of the settings until SIGTERM, or until nothing is wanted."""
    from filelock import FileLock, Timeout

    settings = configuration.load()
    clock = anchored(settings.home)
    telemetry.configure("INFO", json=True)
    lock = FileLock(settings.home / "run" / "supervisor.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        print(f"error: a supervisor of {settings.home} runs already; `mikrobot down` ends it", file=sys.stderr)
        return 1
    pid_records.unmark()
    (settings.home / "run" / "supervisor.pid").write_text(f"{os.getpid()}\n")
    with lock, processes.supervising(settings.home):
        _supervise(Supervisor(settings, EventLog(settings, clock), start, clock), SystemClock())
    return 0


def _supervise(supervisor: Supervisor, clock: Clock) -> None:
    """Check without end; SIGTERM ends it between two checks, so that a start is never left half done."""
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: ended.append(received))
    supervisor.events.add(SUPERVISOR, "started", f"pid {os.getpid()}")
    while _checked(supervisor) and not ended:
        clock.sleep(EVERY_S)
    supervisor.events.add(SUPERVISOR, "ended", "a signal" if ended else "nothing is wanted any more")
    supervisor.events.end()


def _checked(supervisor: Supervisor) -> bool:
    """Check once; a full disk or a damaged file does not end the supervisor."""
    try:
        return supervisor.check()
    except (MikrobotError, OSError, psutil.Error) as error:
        with suppress(OSError):
            log.error("check_failed", reason=str(error))
        return True


if __name__ == "__main__":
    sys.exit(main())
