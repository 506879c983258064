"""The local stack: its services, and the order in which they start and stop.

PostgreSQL starts first, since every other service keeps its state there; then Prefect, MLflow and the prediction
service in parallel; then the served flows, which need Prefect. `up` waits for all of them; a run waits for each only
where it needs it. Everything listens on `Settings.host`. `processes` runs the processes.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mikrobot.domain.errors import ServiceError, StoreError
from mikrobot.live import pid_records, steady_clock
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import leases, pages, processes, schedules, wanted
from mikrobot.stack.processes import Service
from mikrobot.stack.service_table import EVIDENTLY, SERVICES, VENUE, environment, permanent, services, venue
from mikrobot.stack.wanted import LIVE
from mikrobot.store.postgres import bundled, database
from mikrobot.store.state_folder import make_private

Say = Callable[[str], None]

MINIMUM_FREE_BYTES = 1 << 30
"""Minimum free disk space of a state folder: PostgreSQL alone preallocates 256 MB of log."""

BACKGROUND = ("flows", "streamer", "worker")


@dataclass(frozen=True, slots=True)
class State:
    """The state of a service: its process, its readiness and its address."""

    name: str
    pid: int | None
    ready: bool
    address: str


def up(settings: Settings, clock: Clock, say: Say) -> list[str]:
    """Start the services that do not run yet, and wait until all are ready.

    Parameters
    ----------
    say : callable
        Called with one line for each step; services that already run have no step.

    Returns
    -------
    list of str
        Names of the services that this call started, PostgreSQL included, in order.

    Raises
    ------
    StoreError
        If the state folder cannot be used.
    ServiceError
        If a service fails; the services that this call has started are stopped again.
    """
    with using(settings, permanent(settings)):
        started = begin(settings, say)
        say("applying the Feast definitions")
        run_module("feature_repo", settings)
        serve_flows(settings, clock, say, started)
        await_all(settings, clock, say, started)
        leases.keep(permanent(settings), settings.home)
    return started


@contextmanager
def using(settings: Settings, names: Iterable[str]) -> Iterator[None]:
    """Use services within the block; then stop those that commands started for themselves and that none uses any more.

    Raises
    ------
    StoreError
        If the state folder cannot be used.
    """
    prepare_home(settings.home)
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(leases.lease(name, settings.home, partial(down, settings, [name])))
        yield


def begin(settings: Settings, say: Say) -> list[str]:
    """Start PostgreSQL, and those of Prefect, MLflow and the prediction service that do not run; wait for PostgreSQL.

    Belongs in a block of `using`, which stops what it has started.

    Parameters
    ----------
    say : callable
        Called with one line for each step; services that already run have no step.

    Returns
    -------
    list of str
        Names of the services that this call started, PostgreSQL included, in order.

    Raises
    ------
    StoreError, ServiceError
        As `up`.
    """
    servers = [service for service in services(settings).values() if service.port is not None]
    for service in servers:
        processes.require_port(service, settings.home, settings.host)
    started: list[str] = []
    _start_postgres(settings, say, started)
    pages.write(settings)
    for service in servers:
        _start(service, settings, started)
    return started


def serve_flows(settings: Settings, clock: Clock, say: Say, started: list[str]) -> None:
    """Start the flow server, which runs schedules and deployments, once Prefect is ready; add it to `started`.

    Raises
    ------
    ServiceError
        If Prefect ends, or is not ready in time.
    """
    await_service(settings, "prefect", clock, say=say, started=started)
    _start(services(settings)["flows"], settings, started)


def await_all(settings: Settings, clock: Clock, say: Say, started: Iterable[str]) -> None:
    """Wait until every service is ready and, if the flow server was started, the schedules are there.

    Parameters
    ----------
    started : iterable of str
        Names of the services that were just started; the others have no step.

    Raises
    ------
    ServiceError
        If a service ends, or is not ready in time.
    """
    for service in services(settings).values():
        _await(service, settings, clock, say, started=started)
    if "flows" in started:
        _await_scheduled(settings, clock, say)


def await_service(
    settings: Settings, name: str, clock: Clock, *, say: Say = lambda step: None, started: Iterable[str] = ()
) -> None:
    """Wait until a service is ready; report the step if the service is among those just started.

    Raises
    ------
    ServiceError
        If it has ended, or is not ready in time.
    """
    _await(services(settings)[name], settings, clock, say, started=started)


def _await_scheduled(settings: Settings, clock: Clock, say: Say) -> None:
    """Wait for the schedules; report a failure only, since everything else works without them."""
    try:
        schedules.await_scheduled(settings, clock)
    except ServiceError as error:
        say(f"{error}; scheduled flows will not run, see `mikrobot doctor`")


@contextmanager
def database_up(settings: Settings, say: Say) -> Iterator[None]:
    """Provide the migrated database: start PostgreSQL if it is down; its last user stops it again.

    Raises
    ------
    StoreError
        If the state folder cannot be used.
    ServiceError
        If PostgreSQL does not start.
    """
    with using(settings, ["postgres"]):
        _start_postgres(settings, say, [])
        yield


@contextmanager
def running(settings: Settings, clock: Clock, say: Say, names: Iterable[str]) -> Iterator[None]:
    """Provide services with the database: start those that are down; their last users stop them again.

    Parameters
    ----------
    names : iterable of str
        Services, in the order they are started.

    Raises
    ------
    StoreError, ServiceError
        As `up`.
    """
    started: list[str] = []
    chosen = list(names)
    with using(settings, ["postgres", *chosen]):
        _start_postgres(settings, say, started)
        for name in chosen:
            service = services(settings)[name]
            _start(service, settings, started)
            _await(service, settings, clock, say, started=started)
        yield


@contextmanager
def answering(settings: Settings, clock: Clock, say: Say, name: str) -> Iterator[None]:
    """Provide one service: immediately if it is up until `down` and answers, otherwise as `running` does.

    If it is, the database is neither provisioned nor migrated, which would take longer than a short command.

    Raises
    ------
    StoreError, ServiceError
        As `up`.
    """
    needed = ("postgres", name)
    stays = not any(leases.is_borrowed(service, settings.home) for service in needed)
    if stays and set(needed).isdisjoint(ended(settings)) and processes.healthy(services(settings)[name]):
        yield
        return
    with running(settings, clock, say, [name]):
        yield


def down(settings: Settings, names: Iterable[str] | None = None) -> list[str]:
    """Stop services, newest first, PostgreSQL last; without names, all of the state folder.

    None of them is wanted any more, so that the supervisor does not restart it; the supervisor itself is ended before
    all others, or once nothing is wanted. Ignores Ctrl-C and SIGTERM, so that a repeated signal leaves no process
    behind.

    Returns
    -------
    list of str
        Names of the services that were running and have been stopped.
    """
    if not settings.home.is_dir():
        return []
    with processes.undisturbed():
        if names is None:
            return _down_all(settings)
        chosen = list(names)
        if not _dropped(settings.home, chosen) or not wanted.read(settings.home).names:
            _end_supervision(settings.home)
        return _stop(settings, chosen)


def _down_all(settings: Settings) -> list[str]:
    wanted.clear(settings.home)
    supervised = _end_supervision(settings.home)
    leases.keep((*SERVICES, EVIDENTLY), settings.home)
    recorded = pid_records.recorded(settings.home)
    unrecorded = [name for name in (*SERVICES[1:], EVIDENTLY, *LIVE, "loop") if name not in recorded]
    stopped = _stop(settings, ["postgres", *unrecorded, *recorded])
    return ["supervisor", *stopped] if supervised else stopped


def _dropped(home: Path, names: Sequence[str]) -> bool:
    """Want services no more; return False if the disk cannot be written."""
    try:
        wanted.drop(home, names)
    except OSError:
        return False
    return True


def _end_supervision(home: Path) -> bool:
    """End the supervisor, and return True if it ran; what is started later trusts the clock of the machine again."""
    ended = processes.stop(pid_records.SUPERVISOR, home, children=False)
    steady_clock.forget(home)
    return ended


def _stop(settings: Settings, names: Sequence[str]) -> list[str]:
    stopped = [name for name in reversed(names) if name != "postgres" and processes.stop(name, settings.home)]
    if "postgres" in names and settings.database_url is None and bundled.pid(settings.home) is not None:
        bundled.stop(settings.home)
        stopped.append("postgres")
    return stopped


def ended(settings: Settings) -> list[str]:
    """Return the services that a run needs and that do not run, PostgreSQL first."""
    down_services = [name for name in ("prefect", "mlflow", "bento") if pid_records.find(name, settings.home) is None]
    embedded_ended = settings.database_url is None and bundled.pid(settings.home) is None
    return ["postgres", *down_services] if embedded_ended else down_services


def status(settings: Settings) -> list[State]:
    """Return the state of every service, PostgreSQL first."""
    postgres = bundled.pid(settings.home)
    states = [State("postgres", postgres, postgres is not None, f"{settings.host}:{settings.postgres_port}")]
    by_name = services(settings) if postgres is not None else {}
    local = () if pid_records.find(VENUE, settings.home) is None else (VENUE,)
    if local:
        recorded = wanted.read(settings.home).services.get(VENUE, {})
        port = recorded.get("venue_port", settings.venue_port)
        by_name[VENUE] = venue(settings.model_copy(update={"venue_port": port}))
    pages = (EVIDENTLY,) if settings.evidently else ()
    for name in ("prefect", "mlflow", "bento", *pages, *local, *BACKGROUND):
        process = pid_records.find(name, settings.home)
        service = by_name.get(name)
        health = service.health if service else None
        ready = pid_records.is_ready(name, settings.home) if name in LIVE else process is not None
        ready = ready and (service is None or processes.healthy(service))
        address = health.partition("/api/")[0].removesuffix("/health").removesuffix("/livez") if health else ""
        states.append(State(name, process.pid if process else None, ready, address))
    return states


def prepare_home(home: Path) -> None:
    """Create the state folder for its owner alone, and check that it is writable and has enough free space.

    Raises
    ------
    StoreError
        If it is not writable, too full, or cannot be private; then nothing has been written.
    """
    processes.require_writable(home)
    free = shutil.disk_usage(home).free
    if free < MINIMUM_FREE_BYTES:
        raise StoreError(
            f"the disk of {home} has {free >> 20} MB free, {MINIMUM_FREE_BYTES >> 20} MB are needed; "
            "free some space or set MIKROBOT_HOME to another disk"
        )
    make_private(home)


def run_module(module: str, settings: Settings) -> None:
    """Run a module of an entry layer to its end.

    Raises
    ------
    ServiceError
        If it fails; the message ends with the last line of its output.
    """
    process = subprocess.run(
        [sys.executable, "-m", module],
        env={**os.environ, **environment(settings)},
        cwd=settings.home,
        capture_output=True,
        text=True,
    )
    if process.returncode:
        output = (process.stderr or process.stdout).strip().splitlines() or ["it wrote nothing"]
        raise ServiceError(f"python -m {module} failed: {output[-1][:300]}")


def _start_postgres(settings: Settings, say: Say, started: list[str]) -> None:
    if settings.database_url is None:
        if bundled.pid(settings.home) is None:
            say("starting PostgreSQL")
            leases.borrow("postgres", settings.home)
            started.append("postgres")
        bundled.start(settings.home, settings.host, settings.postgres_port)
    database.provision(settings)
    database.migrate(settings)


def _start(service: Service, settings: Settings, started: list[str]) -> None:
    if processes.start(service, settings.home, settings.host):
        leases.borrow(service.name, settings.home)
        started.append(service.name)


def _await(service: Service, settings: Settings, clock: Clock, say: Say, *, started: Iterable[str]) -> None:
    """Wait until a service is ready; report the wait only if it was started, since a running one answers at once."""
    if service.name in started:
        say(f"waiting for {service.name}")
    processes.await_ready(service, settings.home, clock)
