"""The thread that follows one member of a combined source, as the member is followed alone."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Condition, Thread
from typing import TypeVar

import pandas as pd

from mikrobot.domain.errors import MikrobotError
from mikrobot.domain.instruments.entries import Entry
from mikrobot.market.combined.member import Member
from mikrobot.market.combined.merging import Minute, Venue
from mikrobot.market.feed import Source, closes
from mikrobot.market.streams.bar_stream import BarStream
from mikrobot.runtime import Clock
from mikrobot.telemetry import logger

log = logger("market")

R = TypeVar("R")

AHEAD = 1_000
"""Minutes that a member may be ahead of the others; then its thread waits."""

AGAIN_S = 30.0
"""Seconds after which a member that could not be followed is followed again."""

LOOK_S = 0.05
"""Real seconds after which a waiting thread looks again."""


class Stopped(Exception):
    """The feed has ended; raised through the feed of a member to end its thread."""


@dataclass(slots=True)
class Follower:
    """Follows one member, and delivers its minutes.

    Attributes
    ----------
    member : Member
    venue : Venue
        Where its minutes are delivered.
    changed : Condition
        Held where a venue is read or changed; notified of each change.
    start : datetime
        Bars opening from then on are delivered next, UTC.
    end : datetime or None
        As in `feed.closes`.
    clock : Clock
    stream : BarStream or None
        Of the member.
    failure : BaseException or None
        What has ended the thread, where the other members may not go on.
    """

    member: Member
    venue: Venue
    changed: Condition
    start: datetime
    end: datetime | None
    clock: Clock
    stream: BarStream | None
    failure: BaseException | None = None
    _stopped: bool = False

    def begin(self) -> None:
        """Start the thread, which ends with the process at the latest."""
        self.member.followed = True
        Thread(target=self._run, daemon=True, name=f"follow-{self.member.name}").start()

    def stop(self) -> None:
        """Let the thread end when it next asks the member."""
        self._stopped = True

    def require_wanted(self) -> None:
        """Check that the thread shall go on.

        Raises
        ------
        Stopped
            If it shall not.
        """
        if self._stopped:
            raise Stopped

    def _run(self) -> None:
        try:
            self._follow()
        except Stopped:
            pass
        except BaseException as error:  # raised again where the minutes are taken
            self.failure = error
        with self.changed:
            self.venue.ended = True
            self.changed.notify_all()

    def _follow(self) -> None:
        """Deliver minutes to the end; without one, a member that cannot be followed is tried again."""
        while True:
            try:
                self._deliver_all()
                return
            except MikrobotError as error:
                if self.end is not None:
                    raise
                log.warning("venue_not_followed", source=self.member.name, reason=str(error))
                self.venue.trouble = str(error)
            self.clock.sleep(AGAIN_S)

    def _deliver_all(self) -> None:
        minutes = closes(
            FollowedSource(self), self.venue.symbols, self.start, self.end,
            clock=self.clock, stream=self.stream, passed=self._pass,
        )  # fmt: skip
        for close_time, bars in minutes:
            self._deliver((close_time, bars))
            self.start = close_time

    def _deliver(self, minute: Minute) -> None:
        with self.changed:
            while len(self.venue.minutes) >= AHEAD:
                self.require_wanted()
                self.changed.wait(LOOK_S)
            self.venue.deliver(minute, self.clock.now())
            self.changed.notify_all()

    def _pass(self, until: datetime) -> None:
        with self.changed:
            self.venue.advance(until, self.clock.now())
            self.changed.notify_all()


class FollowedSource:
    """A member as its follower asks it; notes why it does not answer. See `Source`."""

    live = True

    def __init__(self, follower: Follower) -> None:
        self.name, self.simulated = follower.member.name, follower.member.source.simulated
        self._follower = follower

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols."""
        return self._follower.venue.symbols

    def instruments(self) -> dict[str, Entry]:
        """Return the instruments of the symbols."""
        return self._ask(lambda source: source.instruments())

    def span(self, symbol: str) -> tuple[datetime, datetime]:
        """Return the open time of the first bar and the close time of the last one."""
        return self._ask(lambda source: source.span(symbol))

    def time(self) -> datetime:
        """Return the time up to which the bars of this member have closed."""
        return self._ask(lambda source: source.time())

    def first_open(self, symbol: str) -> datetime:
        """Return the open time of the first bar."""
        return self._ask(lambda source: source.first_open(symbol))

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the closed M1 bars that open in [start, end)."""
        return self._ask(lambda source: source.history(symbol, start, end))

    def _ask(self, work: Callable[[Source], R]) -> R:
        self._follower.require_wanted()
        venue = self._follower.venue
        try:
            answer = self._follower.member.ask(work)
        except MikrobotError as error:
            venue.trouble = str(error)
            raise
        venue.trouble = ""
        return answer
