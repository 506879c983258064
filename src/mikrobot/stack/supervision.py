"""Start and end the supervisor of a state folder, and read its report.

The supervisor is the process `watch`; it owns the processes that `wanted` names. There is at most one for a folder.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

from mikrobot.domain.errors import MikrobotError
from mikrobot.live import pid_records
from mikrobot.live.pid_records import SUPERVISOR
from mikrobot.settings import Settings
from mikrobot.stack import processes, service_table, wanted
from mikrobot.stack.processes import Service

KEEP_EVERY_S = 5.0
"""Seconds between two looks at the supervisor of a run."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the supervisor reports.

    Attributes
    ----------
    kept_down : dict of str to str
        Processes that keep dying and stay down until their budget of restarts has refilled, with the reason.
    silent_since : datetime or None
        UTC, when the worker of the live run last handled a minute, or was started; None without one.
    clock_set_by_s : int
        Seconds by which the clock of the machine was set, negative if back.
    """

    kept_down: dict[str, str] = field(default_factory=dict)
    silent_since: datetime | None = None
    clock_set_by_s: int = 0


def ensure(settings: Settings) -> bool:
    """Start the supervisor if processes are wanted and there is none; return True if this call started it."""
    if pid_records.supervised(settings.home) or not wanted.read(settings.home).names:
        return False
    command = (sys.executable, "-m", "mikrobot.stack.watch")
    return processes.start(
        Service(SUPERVISOR, command, service_table.environment(settings)), settings.home, settings.host
    )


@contextmanager
def kept(settings: Settings) -> Iterator[None]:
    """Start the supervisor, and start it again if it dies within the block."""
    over = Event()

    def keep() -> None:
        while not over.wait(KEEP_EVERY_S):
            with suppress(MikrobotError, OSError):  # as on a full disk; the next try may succeed
                ensure(settings)

    ensure(settings)
    thread = Thread(target=keep, name="keeping the supervisor")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def report(home: Path) -> Report:
    """Return the newest report; an empty one without a supervisor."""
    try:
        value = json.loads(pid_records.report_path(home).read_text())
    except (OSError, ValueError):
        return Report()
    if not pid_records.supervised(home):
        return Report()
    since = value["silent_since"]
    return Report(value["kept_down"], datetime.fromisoformat(since) if since else None, value["clock_set_by_s"])


def write_report(current: Report, home: Path) -> None:
    """Replace the report."""
    fresh = pid_records.report_path(home).with_suffix(".fresh")
    fresh.write_text(json.dumps(asdict(current), default=str))
    fresh.replace(pid_records.report_path(home))


def log_end(home: Path) -> int:
    """Return the position at the end of the supervisor's log, for `events_since`."""
    log = _log(home)
    return log.stat().st_size if log.exists() else 0


def events_since(home: Path, position: int) -> list[dict[str, str]]:
    """Return the events logged after a position: `event`, `process` and `reason` of each; all of a log that is new."""
    if not _log(home).exists():
        return []
    with _log(home).open("rb") as file:
        file.seek(position if position <= log_end(home) else 0)
        lines = file.read().decode(errors="replace").splitlines()
    return [event for line in lines if (event := _event(line))]


def sentence(event: dict[str, str]) -> str:
    """Return what a person reads of an event; empty for those that need no words.

    >>> sentence({"event": "restarted", "process": "worker", "reason": "killed"})
    'the worker has ended and is started again: killed'
    """
    return _SENTENCES.get(event["event"], "").format(**event)


_SENTENCES = {
    "restarted": "the {process} has ended and is started again: {reason}",
    "kept_down": "the {process} keeps dying and stays down until its budget of restarts has refilled: {reason}",
    "not_restarted": "the {process} could not be started again: {reason}",
    "unresponsive": "the {process} does not answer and is stopped",
    "clock_set": "the clock of this machine was set by {reason}",
}


def _event(line: str) -> dict[str, str]:
    try:
        event = json.loads(line)
        return {key: event[key] for key in ("event", "process", "reason")}
    except (ValueError, KeyError, TypeError):
        return {}


def _log(home: Path) -> Path:
    return home / "logs" / f"{SUPERVISOR}.log"
