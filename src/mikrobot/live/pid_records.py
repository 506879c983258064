"""Records of local processes by pid, so that any process can find the others of the same state folder.

A record is a JSON file ``home/run/<name>.json`` with the pid and the start time of the process, in seconds since the
machine was started. The start time distinguishes the process from a later program with the same pid, also after the
clock was set. Starts and stops nothing.
"""

import contextlib
import json
import os
import re
from pathlib import Path

import psutil

from mikrobot.domain.errors import ServiceError
from mikrobot.runtime import Clock

AWAY_SECONDS = 2.0
"""Seconds between two checks of a process that has ended: a deliberate stop also ends the process that checks."""

SUPERVISOR = "supervisor"
"""Record name of the process that restarts the others; `recorded` leaves it out, since it is stopped first."""

STAYING = "stay"
"""Record name of a run that is over and stays up; `recorded` leaves it out, since the run has another record."""

_MARK = "STARTED_BY_MIKROBOT_AS"


def find(name: str, home: Path) -> psutil.Process | None:
    """Return the recorded process if it is alive and is the one that was started."""
    try:
        noted = json.loads(_path(name, home).read_text())
        process = psutil.Process(noted["pid"])
        alive = process.status() != psutil.STATUS_ZOMBIE and abs(_since_boot(process) - noted["created"]) < 1.5
    except (OSError, psutil.NoSuchProcess, json.JSONDecodeError, KeyError):
        return None
    return process if alive else None


def mark(name: str, home: Path) -> dict[str, str]:
    """Return the environment variable that every process of a service inherits."""
    return {_MARK: f"{home}/{name}"}


def unmark() -> None:
    """Remove the mark of this process from the environment that its children inherit."""
    os.environ.pop(_MARK, None)


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
        created = _since_boot(psutil.Process(pid))
        fresh.write_text(json.dumps({"pid": pid, "created": created, "log_from": log_from}))
        fresh.replace(path)


def forget(name: str, home: Path) -> None:
    """Remove a record without touching the process; on a disk that cannot be written, it stays until the next start."""
    with contextlib.suppress(OSError):
        _path(name, home).unlink()


def recorded(home: Path) -> list[str]:
    """Return the names of all recorded processes except the supervisor, in the order they were started."""
    paths = sorted((home / "run").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return [path.stem for path in paths if path.stem not in (SUPERVISOR, STAYING)]


def supervised(home: Path) -> bool:
    """Return True if a supervisor is alive, which restarts what has died."""
    return find(SUPERVISOR, home) is not None


def stays_up(home: Path) -> bool:
    """Return True if a run that is over stays up until Ctrl-C."""
    return find(STAYING, home) is not None


def report_ready(name: str, home: Path) -> None:
    """Record that this process works by now, under the name by which it was started."""
    path = _ready_path(name, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(os.getpid()))


def is_ready(name: str, home: Path) -> bool:
    """Return True if a recorded process runs and has reported that it works."""
    process = find(name, home)
    try:
        return process is not None and int(_ready_path(name, home).read_text()) == process.pid
    except (OSError, ValueError):
        return False


def kept_down(home: Path) -> dict[str, str]:
    """Return the processes that the supervisor does not restart for now, since they keep dying, with the reason."""
    try:
        reported = json.loads(report_path(home).read_text())["kept_down"]
    except (OSError, ValueError, KeyError):
        return {}
    return dict(reported) if supervised(home) else {}


def report_path(home: Path) -> Path:
    """Return the path of the supervisor's report."""
    return home / "run" / "supervisor.report"


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


_TAIL = 10
_ERROR = re.compile(r"\bERROR\b|\bCRITICAL\b|^\w*(?:Error|Exception)\b")


def last_line(name: str, home: Path) -> str:
    """Return the last error among the last lines of a service's log; without one, the last non-empty line."""
    log = home / "logs" / f"{name}.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    written = [line.strip() for line in lines[-50:] if line.strip()]
    telling = [line for line in written[-_TAIL:] if _ERROR.search(line)] or written
    return f"{telling[-1][:300]} (log: {log})" if telling else f"it wrote nothing (log: {log})"


def _since_boot(process: psutil.Process) -> float:
    """Return the start of a process in seconds since the machine was started."""
    return process.create_time() - psutil.boot_time()


def _lost(name: str, home: Path) -> bool:
    return find(name, home) is None and not supervised(home)


def _ready_path(name: str, home: Path) -> Path:
    return home / "run" / f"{name}.ready"


def _path(name: str, home: Path) -> Path:
    return home / "run" / f"{name}.json"
