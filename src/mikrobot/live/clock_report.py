"""The difference between the clock of a live source and ours, in a file of the state folder of the streamer."""

import json
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable

from mikrobot.domain.errors import FeedError
from mikrobot.live import pid_records
from mikrobot.market.venue_clock import ClockOffset


@runtime_checkable
class HasClock(Protocol):
    """A source whose venue reports its time."""

    def clock_offset(self) -> ClockOffset:
        """Return how far the clock of the venue is from ours."""


def write(source: object, home: Path) -> None:
    """Replace the report; a disk that cannot be written, or a silent venue, keeps the one before."""
    if not isinstance(source, HasClock):
        return
    with suppress(OSError, FeedError):  # the supervisor reports the disk, the feed the venue
        offset = source.clock_offset()
        seconds = {"offset_s": offset.offset.total_seconds(), "round_trip_s": offset.round_trip.total_seconds()}
        fresh = _path(home).with_suffix(".new")
        fresh.write_text(json.dumps(seconds))
        fresh.replace(_path(home))


def read(home: Path) -> ClockOffset | None:
    """Return the last report of a streamer that runs; None without one."""
    if pid_records.find("streamer", home) is None:
        return None
    try:
        seconds = json.loads(_path(home).read_text())
        return ClockOffset(timedelta(seconds=seconds["offset_s"]), timedelta(seconds=seconds["round_trip_s"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def forget(home: Path) -> None:
    """Remove the report of an earlier run."""
    _path(home).unlink(missing_ok=True)


def text(offset: ClockOffset) -> str:
    """Return a report in words.

    >>> text(ClockOffset(timedelta(milliseconds=-812), timedelta(milliseconds=40)))
    "the venue's clock is 0.812 s behind ours (+/- 0.020 s)"
    """
    side = "ahead of" if offset.offset > timedelta(0) else "behind"
    seconds, error = abs(offset.offset).total_seconds(), offset.round_trip.total_seconds() / 2
    return f"the venue's clock is {seconds:.3f} s {side} ours (+/- {error:.3f} s)"


def _path(home: Path) -> Path:
    return home / "run" / "venue-clock"
