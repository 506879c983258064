"""Keep the logs of a state folder small: move the lines of a large log to numbered files, and delete the oldest.

The processes hold their logs open, so a log is copied and then cut to nothing; they go on at its beginning, since
they append. Counts no errors itself: `service_log` keeps those of the moved lines.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from mikrobot import telemetry
from mikrobot.stack import service_log

log = telemetry.logger("log_rotation")

LARGEST_BYTES = 2_000_000
"""Size from which a log is rotated."""

MOVED_BYTES = 4_000_000
"""Maximum number of bytes of its end that are kept."""

KEPT = 3
"""Maximum number of older parts of a log, ``<name>.log.1`` being the newest."""

TOTAL_BYTES = 40_000_000
"""Maximum size of all logs after a rotation: 50 MB, less what a minute may add."""


def rotate(folder: Path) -> None:
    """Rotate the large logs of a folder, and delete the oldest parts of any log while all are too large together.

    The errors that `status` counts since the start of each service stay counted. Two things may be lost: lines that
    a process writes in the microseconds between the copy and the cut, and all but the last `MOVED_BYTES` of a log
    that has grown by more since the last rotation. A log that cannot be rotated, on a full disk for example, is left
    as it is, with a warning. Only one process may rotate a folder.

    Parameters
    ----------
    folder : Path
        ``home/logs``.
    """
    for path in sorted(folder.glob("*.log")):
        try:
            if path.stat().st_size > LARGEST_BYTES:
                _rotate(path)
        except OSError as error:
            log.warning("log_not_rotated", log=str(path), reason=error.strerror or str(error))
    _delete_oldest(folder)


def _rotate(path: Path) -> None:
    service_log.carry_errors(path.stem, path.parent.parent)
    for number in range(KEPT - 1, 0, -1):
        if (older := _part(path, number)).exists():
            older.replace(_part(path, number + 1))
    _move(path, _part(path, 1))


def _move(path: Path, part: Path) -> None:
    """Move the end of a log, from the beginning of a line, to another file; the log keeps its file."""
    with path.open("r+b") as source, part.open("wb") as target:
        size = source.seek(0, 2)
        source.seek(max(0, size - MOVED_BYTES))
        if size > MOVED_BYTES:
            source.readline()
        shutil.copyfileobj(source, target)
        source.truncate(0)


def _part(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _delete_oldest(folder: Path) -> None:
    """Delete parts, the oldest first, until all logs together fit."""
    left = TOTAL_BYTES - sum(path.stat().st_size for path in folder.glob("*.log"))
    for part in sorted(_parts(folder), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        left -= part.stat().st_size
        if left < 0:
            part.unlink()


def _parts(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*.log.*") if path.is_file())
