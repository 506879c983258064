"""The difference between the clock of a live source and ours, as the streamer reports it."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable

from mikrobot.domain.errors import FeedError
from mikrobot.live import reports
from mikrobot.market.venue_clock import ClockOffset


@runtime_checkable
class HasClock(Protocol):
    """A source whose venue reports its time."""

    def clock_offset(self) -> ClockOffset:
        """Return how far the clock of the venue is from ours."""


def write(source: object, home: Path) -> None:
    """Replace the report; a venue that does not answer keeps the one before."""
    if isinstance(source, HasClock):
        with suppress(FeedError):  # the feed reports the venue
            reports.CLOCK.write(source.clock_offset(), home)


def text(offset: ClockOffset) -> str:
    """Return a report in words.

    >>> text(ClockOffset(timedelta(milliseconds=-812), timedelta(milliseconds=40)))
    "the venue's clock is 0.812 s behind ours (+/- 0.020 s)"
    """
    side = "ahead of" if offset.offset > timedelta(0) else "behind"
    seconds, error = abs(offset.offset).total_seconds(), offset.round_trip.total_seconds() / 2
    return f"the venue's clock is {seconds:.3f} s {side} ours (+/- {error:.3f} s)"
