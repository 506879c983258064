"""The order of the minutes of several venues, and how long a minute waits for each of them. Pure: asks nobody.

A minute goes on when each venue has delivered it, at `WAIT` after its close at the latest. A venue that is later than
that is away: no minute waits for it until it is back, and its bars of minutes that went on without it are late. The
bars of a minute are in the order of the symbols.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pandas as pd

from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.market import Bar
from mikrobot.market.feed import DUE, GRACE_S, PATIENCE
from mikrobot.market.sessions import is_open
from mikrobot.telemetry import logger

log = logger("market")

WAIT = DUE + timedelta(seconds=(PATIENCE + 1) * GRACE_S)
"""Time after its close at which a minute goes on without a venue: as long as a bar is waited for and read again."""

PAST_WAIT = timedelta(seconds=60)
"""Time that a minute of the past, and the first one of a start, waits for a venue: it may have much to read."""

Minute = tuple[datetime, list[Bar]]
"""A close time, and the bars that close then."""

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class VenueStatus:
    """The state of one member of a combined source.

    Attributes
    ----------
    venue : str
        Name of the member.
    symbols : tuple of str
    away_since : datetime or None
        Close of the first minute that went on without it, UTC; None if minutes wait for it.
    reason : str
        Why it is away; empty if it is not.
    late : int
        Its bars that came after their minute had gone on.
    """

    venue: str
    symbols: tuple[str, ...]
    away_since: datetime | None = None
    reason: str = ""
    late: int = 0


@dataclass(slots=True)
class Venue:
    """What one member of a combined source has delivered.

    Attributes
    ----------
    name : str
    symbols : tuple of str
    reached : datetime
        Every bar that closes up to then has been delivered, or given up for now; first the start, UTC.
    reached_at : datetime
        When that was so.
    minutes : deque of Minute
        Delivered and not merged yet, in order of time.
    started : bool
        It has delivered something.
    trouble : str
        Why it did not answer; empty if it did.
    ended : bool
        It delivers nothing more.
    away_since : datetime or None
    late : int
        As in `VenueStatus`.
    """

    name: str
    symbols: tuple[str, ...]
    reached: datetime
    reached_at: datetime
    minutes: deque[Minute] = field(default_factory=deque)
    started: bool = False
    trouble: str = ""
    ended: bool = False
    away_since: datetime | None = None
    late: int = 0
    _proved: bool = True
    _trusted: bool = True

    def deliver(self, minute: Minute, now: datetime) -> None:
        """Add a minute, later than all before."""
        self.minutes.append(minute)
        self.advance(minute[0], now)

    def advance(self, until: datetime, now: datetime) -> None:
        """Note that all bars up to a close have been delivered, or given up."""
        if until > self.reached:
            self.reached, self.reached_at, self.started = until, now, True

    def returns(self, merged_until: datetime) -> bool:
        """Return whether minutes wait for it again: it has caught up, the second time only if it is in time then.

        A venue that is always late would else delay every minute of the others.
        """
        if self.reached < merged_until:
            return False
        in_time = self.reached_at - self.reached <= WAIT
        self._proved |= in_time
        return self.away_since is not None and (in_time or self._trusted)

    def leave(self, close_time: datetime) -> None:
        """Note that a minute went on without it."""
        self.away_since, self._trusted, self._proved = close_time, self._proved, False

    def has(self, close_time: datetime) -> bool:
        """Return whether it has delivered a minute, or will not: its markets are closed, or it has ended."""
        if self.minutes or self.reached >= close_time or self.ended:
            return True
        opened = pd.DatetimeIndex([close_time - _MINUTE])
        return not any(is_open(instrument(symbol).session, opened)[0] for symbol in self.symbols)

    def status(self) -> VenueStatus:
        """Return the state."""
        reason = ""
        if self.away_since is not None:
            reason = self.trouble or f"its bars did not come within {WAIT.total_seconds():g} s of their close"
        return VenueStatus(self.name, self.symbols, self.away_since, reason, self.late)


class Merging:
    """Merges the minutes of several venues.

    Parameters
    ----------
    venues : sequence of Venue
    symbols : sequence of str
        In the order of the bars of one minute.
    start : datetime
        Minutes that close later are merged, UTC.
    """

    def __init__(self, venues: Sequence[Venue], symbols: Sequence[str], start: datetime) -> None:
        self._venues = venues
        self._places = {symbol: place for place, symbol in enumerate(symbols)}
        self._reached = start
        self._late: list[Bar] = []
        self._waiting: tuple[datetime, datetime] | None = None

    @property
    def ended(self) -> bool:
        """Whether every venue has ended, and all minutes are merged."""
        return all(venue.ended and not venue.minutes for venue in self._venues)

    def next(self, now: datetime) -> Minute | None:
        """Return the next minute; None if it waits for a venue, or there is none."""
        for venue in self._venues:
            self._look(venue)
        closing = min((venue.minutes[0][0] for venue in self._venues if venue.minutes), default=None)
        if closing is None or not self._may_go_on(closing, now):
            return None
        bars: list[Bar] = []
        for venue in self._venues:
            if venue.minutes and venue.minutes[0][0] == closing:
                bars += venue.minutes.popleft()[1]
        self._reached, self._waiting = closing, None
        return closing, sorted(bars, key=lambda bar: self._places[bar.symbol])

    def take_late(self, most: int) -> list[Bar]:
        """Return bars whose minute went on without them, each once, the first ones first."""
        late, self._late = self._late[:most], self._late[most:]
        return late

    def _look(self, venue: Venue) -> None:
        """Put late bars of a venue aside, and note if it is back."""
        while venue.minutes and venue.minutes[0][0] <= self._reached:
            _, bars = venue.minutes.popleft()
            self._late += bars
            venue.late += len(bars)
        if venue.returns(self._reached):
            log.info("venue_back", source=venue.name, away_since=venue.away_since, reached=venue.reached)
            venue.away_since = None

    def _may_go_on(self, close_time: datetime, now: datetime) -> bool:
        """Return whether a minute waits for no venue any more; those that it waited for in vain are away."""
        awaited = [venue for venue in self._venues if venue.away_since is None and not venue.has(close_time)]
        if not awaited:
            return True
        if self._waiting is None or self._waiting[0] != close_time:
            newest = now - close_time < _MINUTE and all(venue.started for venue in awaited)
            self._waiting = (close_time, close_time + WAIT if newest else now + PAST_WAIT)
        if now < self._waiting[1]:
            return False
        for venue in awaited:
            venue.leave(close_time)
            log.warning("venue_away", source=venue.name, close_time=close_time, reason=venue.status().reason)
        return True
