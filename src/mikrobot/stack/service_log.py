"""Count the error lines in the logs of the local services since each service was started.

Reads the logs of PostgreSQL, Prefect, MLflow, BentoML and the platform's own processes. Ignores warnings, and
does not suggest remedies.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mikrobot.live import pid_records
from mikrobot.settings import Settings
from mikrobot.stack import local_stack

MAXIMUM_BYTES = 16 << 20
"""Maximum number of bytes read from the end of a log, so that `status --watch` stays fast."""

_ERROR = re.compile(
    r"^[^A-Za-z]*(?:\d{4}-\d\d-\d\dT[\d:.,]+\S*|UTC|[\s\d\[\]():.,|/+-])*"  # time, pid, separators
    r"(?:[a-z_][\w.]*\s*(?:-|\||:)\s*)?"  # the name of a logger
    r"\[?\s*(?:(?:ERROR|CRITICAL|FATAL|PANIC)\b|(?:error|critical|fatal)\s*[\]:])"
)
_LEVEL = re.compile(r"ERROR|CRITICAL|FATAL|PANIC|error|critical|fatal")
"""Levels that `_ERROR` matches; it is slow, and few lines have one."""

_JSON_ERROR = re.compile(r'^\{.*"level": ?"(?:error|critical)"')
_TRACEBACK = re.compile(r"Traceback \(most recent call last\)|^Fatal Python error")
_BEGINS_RECORD = re.compile(
    r"^(?:\d{4}[-/]\d\d[-/]\d\d|\d\d:\d\d:\d\d|\[|\{|(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b|error:)"
)
_CHAINED = ("The above exception was the direct cause", "During handling of the above exception")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Harmless:
    """A log line with the level error that is not a problem of the platform.

    Attributes
    ----------
    service : str
        The service whose log has it.
    pattern : str
        Regular expression that matches a part of the line.
    reason : str
        Why the line is not a problem.
    """

    service: str
    pattern: str
    reason: str


HARMLESS: tuple[Harmless, ...] = (
    Harmless(
        "postgres",
        r"FATAL: +terminating connection due to administrator command",
        "`mikrobot down` stops PostgreSQL last, which closes the connections that clients still hold",
    ),
    Harmless(
        "postgres",
        r"FATAL: +the database system is (?:starting up|not yet accepting connections|shutting down|in recovery mode)",
        "clients of a PostgreSQL that is started again ask until it answers",
    ),
    Harmless(
        "postgres",
        r"FATAL: +connection to client lost",
        "a client ended while its query ran, and PostgreSQL ends the query; why the client ended is in its own log",
    ),
    Harmless(
        "postgres",
        r'violates unique constraint "registered_model_pk"',
        "MLflow registers the name of a model with every version, and continues if the name exists",
    ),
    Harmless(
        "postgres",
        r'violates unique constraint "pk_task_run"',
        "Prefect's API and its recorder of events may write a task run at once; the one that comes second writes again",
    ),
)


@dataclass(frozen=True, slots=True)
class LogErrors:
    """Errors of one log: their number, and the last one as one line; None without errors."""

    count: int = 0
    last: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The state of a service with the errors in its log.

    Attributes
    ----------
    name : str
    pid : int or None
    ready : bool
    address : str
    errors : int
        Error lines since the service was started; 0 while it is down.
    last_error : str or None
    """

    name: str
    pid: int | None
    ready: bool
    address: str
    errors: int
    last_error: str | None


def service_statuses(settings: Settings) -> list[ServiceStatus]:
    """Return the state of every service, PostgreSQL first, with the errors of those that run."""
    statuses = []
    for state in local_stack.status(settings):
        errors = errors_of(state.name, settings.home) if state.pid is not None else LogErrors()
        statuses.append(ServiceStatus(state.name, state.pid, state.ready, state.address, errors.count, errors.last))
    return statuses


def errors_of(name: str, home: Path) -> LogErrors:
    """Return the errors in the log of a service since it was started."""
    path = home / "logs" / f"{name}.log"
    if not path.exists():
        return LogErrors()
    carried = _carried_errors(name, home)
    lines = _lines(path, 0 if carried else pid_records.log_from(name, home))
    if name == "postgres" and (own := _since_postgres_started(lines)) is not lines:
        lines, carried = own, None
    errors = errors_in(lines, name)
    return LogErrors(carried.count + errors.count, errors.last or carried.last) if carried else errors


def carry_errors(name: str, home: Path) -> None:
    """Record the errors of a service before the lines of its log are moved away, so that they stay counted."""
    errors = errors_of(name, home)
    record = {"process": _process_record(name, home), "count": errors.count, "last": errors.last}
    path = _carried_path(name, home)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(record))
    fresh.replace(path)


def _carried_errors(name: str, home: Path) -> LogErrors | None:
    """Return the errors in the moved lines of a running service; None if none were moved since it was started."""
    try:
        record = json.loads(_carried_path(name, home).read_text())
        return LogErrors(record["count"], record["last"]) if record["process"] == _process_record(name, home) else None
    except (OSError, ValueError, KeyError):
        return None


def _carried_path(name: str, home: Path) -> Path:
    return home / "logs" / f"{name}.errors"


def _process_record(name: str, home: Path) -> str:
    """Return what is recorded of the process that writes a log; empty for PostgreSQL, whose log names its starts."""
    path = home / "run" / f"{name}.json"
    return path.read_text() if path.exists() else ""


def errors_in(lines: Iterable[str], service: str = "") -> LogErrors:
    r"""Count the errors in lines of a log; a traceback belongs to the error line before it.

    >>> errors_in(["INFO: 0 ERROR lines", "ERROR: no space", "Traceback (most recent call last):", "OSError: full"])
    LogErrors(count=1, last='ERROR: no space: OSError: full')
    """
    errors = [error for record in _records(lines) if (error := _error(record)) and not _harmless(service, error)]
    return LogErrors(len(errors), errors[-1][:300] if errors else None)


def _records(lines: Iterable[str]) -> Iterator[list[str]]:
    """Group lines into records: a line with a time or a level, and the lines after it, such as a traceback."""
    record: list[str] = []
    for line in filter(None, map(_plain, lines)):
        if record and (_is_error(line) or _BEGINS_RECORD.match(line) or _is_next_traceback(record, line)):
            yield record
            record = []
        record.append(line)
    if record:
        yield record


def _is_next_traceback(record: list[str], line: str) -> bool:
    """Return True if a line starts a separate traceback: not the first of the record, and not chained to the last."""
    if not _TRACEBACK.search(line) or record[-1].startswith(_CHAINED):
        return False
    return any(_TRACEBACK.search(earlier) for earlier in record)


def _error(record: list[str]) -> str:
    """Return an error as one line, with the exception that ends its traceback; empty if the record is no error."""
    head = record[0] if _is_error(record[0]) else ""
    tracebacks = [number for number, line in enumerate(record) if _TRACEBACK.search(line)]
    if not tracebacks:
        return head
    after = record[tracebacks[-1] + 1 :]
    exception = next((line for line in after if not line[0].isspace()), record[tracebacks[-1]])
    return f"{head}: {exception}" if head else exception


def _is_error(line: str) -> bool:
    return bool(_LEVEL.search(line) and (_ERROR.match(line) or _JSON_ERROR.match(line)))


def _plain(line: str) -> str:
    return _COLOUR.sub("", line).rstrip()


def _harmless(service: str, error: str) -> bool:
    return any(harmless.service == service and re.search(harmless.pattern, error) for harmless in HARMLESS)


def _lines(path: Path, start: int) -> list[str]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(start if start <= size else 0, size - MAXIMUM_BYTES))
        return file.read().decode(errors="replace").splitlines()


def _since_postgres_started(lines: list[str]) -> list[str]:
    """Drop the lines of earlier servers, which wrote to the same log."""
    starts = [number for number, line in enumerate(lines) if "LOG:  starting PostgreSQL" in line]
    return lines[starts[-1] :] if starts else lines
