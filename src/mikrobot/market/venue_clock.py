"""The difference between the clock of a venue and ours, measured from the times that the venue reports.

A report is compared with the middle of its round trip, so that it is wrong by half of the round trip at most; of
several, that with the shortest round trip counts. Reads no clock of its own.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from mikrobot.runtime import Clock

SAMPLES = 5
"""Reports that a measurement begins with; each later one adds one."""

KEPT = 20

EVERY = timedelta(seconds=30)
"""Age of the newest report at which another one is requested."""

RESOLUTION = timedelta(milliseconds=2)
"""Error of two reports in whole milliseconds."""

TOLERATED = timedelta(milliseconds=500)
"""Difference beyond which the clock of the venue alone decides when a bar has closed."""


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """One report of the venue's time.

    Attributes
    ----------
    offset : timedelta
        Time of the venue minus ours: positive if our clock is behind.
    round_trip : timedelta
        Time between the request and the answer; the offset is certain up to half of it.
    venue : str
        Its source, where a run trades on several; else empty.
    """

    offset: timedelta
    round_trip: timedelta
    venue: str = ""

    @property
    def is_tolerated(self) -> bool:
        """Whether our clock may decide too."""
        return abs(self.offset) <= TOLERATED

    def agrees(self, other: "ClockOffset") -> bool:
        """Return whether both can be right about clocks that run alike."""
        return abs(self.offset - other.offset) <= (self.round_trip + other.round_trip) / 2 + RESOLUTION


@runtime_checkable
class HasClock(Protocol):
    """A source whose venue reports its time."""

    def clock_offset(self) -> ClockOffset:
        """Return how far the clock of the venue is from ours."""


class VenueClock:
    """The clock of a venue.

    Parameters
    ----------
    ask : callable
        Requests the time of the venue.
    clock : Clock
        Ours.
    """

    def __init__(self, ask: Callable[[], datetime], clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._samples: deque[ClockOffset] = deque(maxlen=KEPT)
        self._asked: datetime | None = None

    def offset(self) -> ClockOffset:
        """Return the report with the shortest round trip, after further requests if they are due.

        A report that contradicts it shows that a clock was set: then those before no longer count.

        Raises
        ------
        FeedError
            If the venue does not respond.
        """
        now = self._clock.now()
        if self._asked is None or not timedelta(0) <= now - self._asked < EVERY:
            for _ in range(1 if self._samples else SAMPLES):
                self._add(self._sampled())
            self._asked = now
        return min(self._samples, key=lambda sample: sample.round_trip)

    def reached(self) -> datetime:
        """Return the time that has certainly been reached at the venue, and by our clock unless it is off, UTC.

        Raises
        ------
        FeedError
            If the venue does not respond.
        """
        measured = self.offset()
        now = self._clock.now()
        venue = now + measured.offset - measured.round_trip / 2
        return min(now, venue) if measured.is_tolerated else venue

    def _sampled(self) -> ClockOffset:
        before = self._clock.now()
        venue = self._ask()
        after = self._clock.now()
        return ClockOffset(venue - (before + (after - before) / 2), after - before)

    def _add(self, sample: ClockOffset) -> None:
        if any(not sample.agrees(other) for other in self._samples):
            self._samples.clear()
        self._samples.append(sample)
