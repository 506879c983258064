"""Local processes, each recorded by pid, so that whoever comes next can find and stop them.

A record is a JSON file ``home/run/<name>.json`` with the pid and the start time of the process;
a pid that the system has given to another program is thereby never touched. Output goes to
``home/logs/<name>.log``. Does not know which services there are: that is `stack`.
"""

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from mikrobot.domain.errors import ServiceError
from mikrobot.runtime import Clock, wait_until

STOP_SECONDS = 20.0

AWAY_SECONDS = 2.0
"""Time between two looks at a process that has ended: whoever stops a process stops those that wait for it too."""

SUPERVISOR = "supervisor"
"""Record of the process that starts the live processes again; it is never stopped by this name."""


@dataclass(frozen=True, slots=True)
class Service:
    """A process to run, and how to tell that it is ready.

    Attributes
    ----------
    name : str
        Names the record and the log.
    command : sequence of str
    environment : mapping of str to str
        Added to that of the caller.
    port : int or None
        TCP port it listens on.
    setting : str
        Environment variable that chooses the port, named in the error when it is taken.
    health : str or None
        URL that answers 200 once the service is ready.
    timeout_s : float
        Seconds it is given to become ready.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int | None = None
    setting: str = ""
    health: str | None = None
    timeout_s: float = 90.0


def start(service: Service, home: Path, host: str) -> bool:
    """Start a service unless it already runs; True when this call started it.

    Raises
    ------
    ServiceError
        If its port belongs to another program.
    """
    if find(service.name, home) is not None:
        return False
    require_port(service, home, host)
    log = home / "logs" / f"{service.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        log_from = output.tell()
        process = subprocess.Popen(
            list(service.command),
            env={**os.environ, **service.environment},
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    record(service.name, home, process.pid, log_from)
    return True


def require_port(service: Service, home: Path, host: str) -> None:
    """Make sure that the service has its port or can have it.

    Raises
    ------
    ServiceError
        If its port belongs to another program.
    """
    if service.port is not None and find(service.name, home) is None and listening(host, service.port):
        raise ServiceError(
            f"port {service.port} is in use by another program, {service.name} needs it; "
            f"stop that program or set {service.setting} to a free port"
        )


def await_ready(service: Service, home: Path, clock: Clock) -> None:
    """Wait until the service answers.

    Raises
    ------
    ServiceError
        If it dies or does not answer in time; the message ends with the last line of its log.
    """

    def ready() -> bool:
        if find(service.name, home) is None:
            raise ServiceError(f"{service.name} stopped while starting: {last_line(service.name, home)}")
        return service.health is None or answers(service.health)

    wait_until(ready, f"{service.name} did not become ready", clock, timeout_s=service.timeout_s)


@contextlib.contextmanager
def supervising(home: Path) -> Iterator[None]:
    """Promise that this process starts the live processes again when they end, as long as the block lasts."""
    record(SUPERVISOR, home, os.getpid())
    try:
        yield
    finally:
        forget(SUPERVISOR, home)


def supervised(home: Path) -> bool:
    """Tell whether a process that lives has promised to start the live processes again."""
    return find(SUPERVISOR, home) is not None


def require_alive(name: str, home: Path, clock: Clock) -> None:
    """Make sure that it makes sense to wait for a process: it runs, or a supervisor starts it again.

    Raises
    ------
    ServiceError
        If it has ended and nobody supervises it; the message ends with the last line of its log.
    """
    if _lost(name, home):
        clock.sleep(AWAY_SECONDS)
        if _lost(name, home):
            raise ServiceError(f"{name} has ended and nothing starts it again: {last_line(name, home)}")


def stop(name: str, home: Path) -> bool:
    """Stop a recorded process with all its children; True if it was running.

    Asks with SIGTERM, again after half of the time, and kills what is left at its end.
    """
    process = find(name, home)
    if process is not None:
        family = _family(process)
        for seconds in (STOP_SECONDS / 2, STOP_SECONDS / 2):
            _signal(process.terminate)
            if not psutil.wait_procs([process], timeout=seconds)[1]:
                break
        for left in psutil.wait_procs(family, timeout=2)[1]:
            _signal(left.kill)
        psutil.wait_procs(family, timeout=5)
    _path(name, home).unlink(missing_ok=True)
    return process is not None


def find(name: str, home: Path) -> psutil.Process | None:
    """Return the recorded process if it is alive and the very one that was started."""
    try:
        noted = json.loads(_path(name, home).read_text())
        process = psutil.Process(noted["pid"])
        alive = process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - noted["created"]) < 1.0
    except (OSError, psutil.NoSuchProcess, json.JSONDecodeError, KeyError):
        return None
    return process if alive else None


def record(name: str, home: Path, pid: int, log_from: int = 0) -> None:
    """Note the pid of a live process under a name, and the byte of its log at which it begins."""
    path = _path(name, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(psutil.NoSuchProcess):
        fresh = path.with_suffix(".new")
        created = psutil.Process(pid).create_time()
        fresh.write_text(json.dumps({"pid": pid, "created": created, "log_from": log_from}))
        fresh.replace(path)


def log_from(name: str, home: Path) -> int:
    """Return the byte of its log at which a recorded process begins; 0 without a record."""
    try:
        return int(json.loads(_path(name, home).read_text()).get("log_from", 0))
    except (OSError, json.JSONDecodeError):
        return 0


def forget(name: str, home: Path) -> None:
    """Remove a record without touching the process."""
    _path(name, home).unlink(missing_ok=True)


def recorded(home: Path) -> list[str]:
    """Return the names of all recorded processes but the supervisor, in the order they were started."""
    paths = sorted((home / "run").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return [path.stem for path in paths if path.stem != SUPERVISOR]


def listening(host: str, port: int) -> bool:
    """Tell whether something accepts connections on the port."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def answers(url: str) -> bool:
    """Tell whether a GET of the URL gives 200."""
    try:
        return httpx.get(url, timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def last_line(name: str, home: Path) -> str:
    """Return the last line of a service's log that says something."""
    log = home / "logs" / f"{name}.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    said = [line.strip() for line in lines[-50:] if line.strip()]
    return f"{said[-1][:300]} (log: {log})" if said else f"it wrote nothing (log: {log})"


def _lost(name: str, home: Path) -> bool:
    return find(name, home) is None and not supervised(home)


def _path(name: str, home: Path) -> Path:
    return home / "run" / f"{name}.json"


def _family(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return [process]


def _signal(send: object) -> None:
    assert callable(send)
    with contextlib.suppress(psutil.NoSuchProcess):
        send()
