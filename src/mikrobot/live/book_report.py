"""The states of the live order books, in a file of the state folder that the streamer writes each minute."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mikrobot.live import pid_records
from mikrobot.market.streams.live_book import BookStatus


def write(statuses: Sequence[BookStatus], home: Path) -> None:
    """Replace the report; a disk that cannot be written keeps the one before."""
    fresh = _path(home).with_suffix(".new")
    try:
        fresh.write_text(json.dumps([asdict(status) for status in statuses]))
        fresh.replace(_path(home))
    except OSError:  # the supervisor and `status` report the disk
        return


def read(home: Path) -> tuple[BookStatus, ...]:
    """Return the last report of a streamer that runs; empty without one, and for a source without order books."""
    if pid_records.find("streamer", home) is None:
        return ()
    try:
        return tuple(BookStatus(**status) for status in json.loads(_path(home).read_text()))
    except (OSError, ValueError, TypeError):
        return ()


def forget(home: Path) -> None:
    """Remove the report, since this run has no order books."""
    _path(home).unlink(missing_ok=True)


def _path(home: Path) -> Path:
    return home / "run" / "books"
