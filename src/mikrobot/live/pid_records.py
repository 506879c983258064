"""Records of local processes by pid, so that any process can find the others of the same state folder.

A record is a JSON file ``home/run/<name>.json`` with the pid and the start time of the process. The start time
distinguishes the process from a later program with the same pid. Starts and stops nothing.
"""

import contextlib
import json
from pathlib import Path

import psutil

from mikrobot.domain.errors import ServiceError
from mikrobot.runtime import Clock

AWAY_SECONDS = 2.0
"""Seconds between two checks of a process that has ended: a deliberate stop also ends the process that checks."""

SUPERVISOR = "supervisor"
"""Record name of the process that restarts the live processes; `recorded` leaves it out, so it is never stopped."""

STOPPER = "down"
"""Record name of the command that stops the whole stack; no supervisor restarts anything meanwhile."""

_MARK = "STARTED_BY_MIKROBOT_AS"


def find(name: str, home: Path) -> psutil.Process | None:
    """Return the recorded process if it is alive and is the one that was started."""
    try:
        noted = json.loads(_path(name, home).read_text())
        process = psutil.Process(noted["pid"])
        alive = process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - noted["created"]) < 1.0
    except (OSError, psutil.NoSuchProcess, json.JSONDecodeError, KeyError):
        return None
    return process if alive else None


def mark(name: str, home: Path) -> dict[str, str]:
    """Return the environment variable that every process of a service inherits."""
    return {_MARK: f"{home}/{name}"}


def orphans(name: str, home: Path) -> list[psutil.Process]:
    """Return what a service that has ended has left running: the processes that carry its mark."""
    if find(name, home) is not None:
        return []
    return [process for process in psutil.process_iter() if mark(name, home).items() <= _variables(process).items()]


def _variables(process: psutil.Process) -> dict[str, str]:
    """Return the environment of a process; empty where it cannot be read, as of another user's."""
    try:
        return process.environ() if process.status() != psutil.STATUS_ZOMBIE else {}
    except (psutil.Error, OSError):
        return {}


def record(name: str, home: Path, pid: int, log_from: int = 0) -> None:
    """Record the pid of a live process under a name, and the byte of its log at which its output begins."""
    path = _path(name, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(psutil.NoSuchProcess):
        fresh = path.with_suffix(".new")
        created = psutil.Process(pid).create_time()
        fresh.write_text(json.dumps({"pid": pid, "created": created, "log_from": log_from}))
        fresh.replace(path)


def forget(name: str, home: Path) -> None:
    """Remove a record without touching the process."""
    _path(name, home).unlink(missing_ok=True)


def recorded(home: Path) -> list[str]:
    """Return the names of all recorded processes except supervisor and stopper, in the order they were started."""
    paths = sorted((home / "run").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return [path.stem for path in paths if path.stem not in (SUPERVISOR, STOPPER)]


def supervised(home: Path) -> bool:
    """Return True if a supervisor is alive, which restarts the live processes."""
    return find(SUPERVISOR, home) is not None


def being_stopped(home: Path) -> bool:
    """Return True while a command stops the whole stack."""
    return find(STOPPER, home) is not None


def require_alive(name: str, home: Path, clock: Clock) -> None:
    """Check that a process runs, or that a supervisor restarts it, before waiting for it.

    Raises
    ------
    ServiceError
        If it has ended and there is no supervisor; the message ends with the last line of its log.
    """
    if _lost(name, home):
        clock.sleep(AWAY_SECONDS)
        if _lost(name, home):
            raise ServiceError(f"{name} has ended and nothing starts it again: {last_line(name, home)}")


def log_from(name: str, home: Path) -> int:
    """Return the byte of the log at which a recorded process's output begins; 0 without a record."""
    try:
        return int(json.loads(_path(name, home).read_text()).get("log_from", 0))
    except (OSError, json.JSONDecodeError):
        return 0


def last_line(name: str, home: Path) -> str:
    """Return the last non-empty line of a service's log."""
    log = home / "logs" / f"{name}.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    written = [line.strip() for line in lines[-50:] if line.strip()]
    return f"{written[-1][:300]} (log: {log})" if written else f"it wrote nothing (log: {log})"


def _lost(name: str, home: Path) -> bool:
    return find(name, home) is None and not supervised(home)


def _path(name: str, home: Path) -> Path:
    return home / "run" / f"{name}.json"
