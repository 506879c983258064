"""Start, await and stop local processes, each recorded by its pid.

Their output goes to ``home/logs/<name>.log``. Does not define the services: `local_stack` does.
"""

import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import IO

import httpx
import psutil

from mikrobot.domain.errors import ServiceError, StoreError
from mikrobot.live import pid_records
from mikrobot.runtime import Clock, wait_until
from mikrobot.store.state_folder import PASSABLE
from mikrobot.store.web_access import Login

STOP_SECONDS = 20.0
REAP_EVERY_S = 0.05

LEAST_FREE_BYTES = 16 << 20
"""Size of a file of PostgreSQL's log, which it creates when the ones before are full."""


@dataclass(frozen=True, slots=True)
class Service:
    """A process to run, and the check that it is ready.

    Attributes
    ----------
    name : str
        Name of the pid record and of the log.
    command : sequence of str
    environment : mapping of str to str
        Variables added to the caller's environment.
    port : int or None
        TCP port it listens on.
    setting : str
        Environment variable that sets the port; the error names it if the port is in use.
    health : str or None
        URL that answers 200 once the service is ready; None: it is ready once it runs.
    login : tuple of str or None
        User and password that this URL needs.
    reports_ready : bool
        The process itself records that it is ready.
    timeout_s : float
        Timeout in seconds to become ready.
    folder : str
        Its working directory within the state folder, by default that itself; created if it is missing.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int | None = None
    setting: str = ""
    health: str | None = None
    reports_ready: bool = False
    login: Login | None = None
    timeout_s: float = 90.0
    folder: str = ""


def start(service: Service, home: Path, host: str, *, stdin: int | IO[bytes] = subprocess.DEVNULL) -> bool:
    """Start a service unless it already runs; return True if this call started it.

    What an ended process of the service has left running is ended first. Several processes may call this at once.

    Parameters
    ----------
    service : Service
    home : Path
    host : str
    stdin : int or binary file
        Its standard input, as `subprocess.Popen` takes it.

    Raises
    ------
    ServiceError
        If another program uses its port.
    """
    from filelock import FileLock  # here, because it takes a tenth of a second

    if pid_records.find(service.name, home) is not None:
        return False
    (home / "run").mkdir(parents=True, exist_ok=True)
    with FileLock(home / "run" / f"{service.name}.start"):
        if pid_records.find(service.name, home) is not None:
            return False
        _launch(service, home, host, stdin)
    return True


def _launch(service: Service, home: Path, host: str, stdin: int | IO[bytes]) -> None:
    _end_orphans(service.name, home)
    require_port(service, home, host)
    log = home / "logs" / f"{service.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    folder = home / service.folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log.open("ab") as output:
        log_from = output.tell()
        process = subprocess.Popen(
            list(service.command),
            env={**os.environ, **service.environment, **pid_records.mark(service.name, home)},
            cwd=folder,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    pid_records.record(service.name, home, process.pid, log_from)


@contextlib.contextmanager
def held(service: Service, home: Path, host: str) -> Iterator[Callable[[], None]]:
    """Start a live process that imports its modules and then waits; yield the call that lets it work.

    It ends if the block, or the calling process, ends without this call. See `mikrobot.live.entry`.
    """
    reading, writing = os.pipe()
    with open(writing, "wb", buffering=0) as released:
        with open(reading, "rb") as stdin:
            start(replace(service, command=(*service.command, "--held")), home, host, stdin=stdin)

        def release() -> None:
            with contextlib.suppress(BrokenPipeError):  # it has died, which the supervisor sees
                released.write(b"\n")

        yield release


def require_port(service: Service, home: Path, host: str) -> None:
    """Check that the port of a service is free, or in use by the service itself or what its end has left running.

    Raises
    ------
    ServiceError
        If another program uses its port.
    """
    if service.port is None or not listening(host, service.port):
        return
    if pid_records.find(service.name, home) is None and not pid_records.orphans(service.name, home):
        raise ServiceError(
            f"port {service.port} is in use by another program, {service.name} needs it; "
            f"stop that program or set {service.setting} to a free port"
        )


def await_ready(service: Service, home: Path, clock: Clock) -> None:
    """Wait until the service is ready; one that has ended is waited for while a supervisor restarts it.

    Raises
    ------
    ServiceError
        If it ends or is not ready in time; the message ends with the last line of its log.
    StoreError
        If the state folder cannot be written meanwhile, as on a full disk.
    """

    def ready() -> bool:
        alive = pid_records.find(service.name, home) is not None
        if alive and is_ready(service, home):
            return True
        require_room(home)
        restarted = pid_records.supervised(home) and service.name not in pid_records.kept_down(home)
        if not alive and not restarted:
            raise ServiceError(f"{service.name} stopped while starting: {pid_records.last_line(service.name, home)}")
        return False

    wait_until(ready, f"{service.name} did not become ready", clock, timeout_s=service.timeout_s)


def require_writable(home: Path) -> None:
    """Create the state folder, and check that it is writable.

    Raises
    ------
    StoreError
        If it is not.
    """
    try:
        home.mkdir(mode=PASSABLE, parents=True, exist_ok=True)
        probe = home / ".writable"
        probe.write_bytes(b"\0" * 4096)
        probe.unlink(missing_ok=True)  # several processes may check at once
    except OSError as error:
        raise _cannot_be_written(home, error) from error


def require_room(home: Path) -> None:
    """Check that the state folder of what runs is writable, with space for a file of PostgreSQL's log.

    A full disk has some free pages at times, as services delete their temporary files, and yet PostgreSQL ends.

    Raises
    ------
    StoreError
        If it is not.
    """
    require_writable(home)
    if shutil.disk_usage(home).free < LEAST_FREE_BYTES:
        raise _cannot_be_written(home, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def _cannot_be_written(home: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the state folder {home} cannot be written ({error.strerror}); "
        "make it writable, free some space, or set MIKROBOT_HOME to a folder that you can write"
    )


def is_ready(service: Service, home: Path) -> bool:
    """Return True if a service that runs can be used."""
    if service.reports_ready:
        return pid_records.is_ready(service.name, home)
    return healthy(service)


@contextlib.contextmanager
def supervising(home: Path) -> Iterator[None]:
    """Record this process as the supervisor, which restarts what has died, while the block runs."""
    with recorded_as(pid_records.SUPERVISOR, home):
        yield


@contextlib.contextmanager
def recorded_as(name: str, home: Path) -> Iterator[None]:
    """Record this process under a name while the block runs."""
    pid_records.record(name, home, os.getpid(), pid_records.log_from(name, home))
    try:
        yield
    finally:
        pid_records.forget(name, home)


def stop(name: str, home: Path, *, children: bool = True, seconds: float = STOP_SECONDS) -> bool:
    """Stop a recorded process with its children, and what its end has left running; return True if anything ran.

    Without `children`, those of a process that still runs are left alone.

    Sends SIGTERM, again after half of the seconds, and kills the remaining processes at the end.
    """
    process = pid_records.find(name, home)
    if process is not None:
        family = _family(process) if children else [process]
        for _ in range(2):
            _signal(process.terminate)
            if not _remaining([process], seconds / 2):
                break
        for left in _remaining(family, 2):
            _signal(left.kill)
        _remaining(family, 5)
    left_over = _end_orphans(name, home)
    pid_records.forget(name, home)
    return process is not None or left_over


def _end_orphans(name: str, home: Path) -> bool:
    """End what a service that has ended has left running; return True if there was anything."""
    orphans = pid_records.orphans(name, home)
    for process in orphans:
        _signal(process.terminate)
    for process in _remaining(orphans, 2):
        _signal(process.kill)
    _remaining(orphans, 5)
    return bool(orphans)


def _remaining(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for the end of processes; return those that still run after some seconds.

    A zombie has ended; it stays until its parent reaps it, as the supervisor does with what it has restarted.
    """
    until = perf_counter() + seconds
    remaining = list(processes)
    while True:
        alive = psutil.wait_procs(remaining, timeout=REAP_EVERY_S)[1]
        remaining = [process for process in alive if not _is_zombie(process)]
        if not remaining or perf_counter() >= until:
            return remaining


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM within the block; programs started within it inherit this."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def listening(host: str, port: int) -> bool:
    """Return True if a program accepts connections on the port."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def healthy(service: Service) -> bool:
    """Return True if the health check of a service, if it has one, succeeds."""
    return service.health is None or answers(service.health, service.login)


def answers(url: str, login: Login | None = None) -> bool:
    """Return True if a GET of the URL gives status 200."""
    try:
        return _client().get(url, auth=login).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@cache
def _client() -> httpx.Client:
    """Return the client of every poll: a new one reads all certificates, which takes longer than the poll."""
    return httpx.Client(timeout=2.0, limits=httpx.Limits(max_keepalive_connections=0))


def _family(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return [process]


def _signal(send: object) -> None:
    assert callable(send)
    with contextlib.suppress(psutil.NoSuchProcess):
        send()
