"""The state of the streams of a live source, in a file of the state folder that the streamer writes each minute."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mikrobot.live import pid_records
from mikrobot.market.streams.connection import StreamStatus


def write(statuses: Sequence[StreamStatus], home: Path) -> None:
    """Replace the report; a disk that cannot be written keeps the one before."""
    fresh = _path(home).with_suffix(".new")
    try:
        fresh.write_text(json.dumps([asdict(status) for status in statuses]))
        fresh.replace(_path(home))
    except OSError:  # the supervisor and `status` report the disk
        return


def read(home: Path) -> tuple[StreamStatus, ...]:
    """Return the last report of a streamer that runs; empty without one, and for a source without streams."""
    if pid_records.find("streamer", home) is None:
        return ()
    try:
        return tuple(
            StreamStatus(**{**status, "streams": tuple(status["streams"])})
            for status in json.loads(_path(home).read_text())
        )
    except (OSError, ValueError, TypeError, KeyError):
        return ()


def forget(home: Path) -> None:
    """Remove the report, since the source of this run has no streams."""
    _path(home).unlink(missing_ok=True)


def _path(home: Path) -> Path:
    return home / "run" / "streams"
