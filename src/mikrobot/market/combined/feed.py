"""The feed of a combined source: its members are followed side by side, and their minutes merged in one order.

Each member has a thread, with its own clock, streams, retries and gaps, as it has alone; see `mikrobot.market.feed`.
`mikrobot.market.combined.merging` decides how long a minute waits for a member.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from threading import Condition

from mikrobot.domain.market import Bar
from mikrobot.market.combined.follower import LOOK_S, Follower
from mikrobot.market.combined.merging import Merging, Minute, Venue, VenueStatus
from mikrobot.market.combined.source import CombinedSource, by_member
from mikrobot.market.combined.streams import CombinedStream
from mikrobot.market.feed import Source, closes
from mikrobot.market.streams.bar_stream import BarStream
from mikrobot.runtime import Clock


def feed_of(
    source: Source, symbols: Sequence[str], start: datetime, end: datetime | None, *, clock: Clock,
    stream: BarStream | None = None,
) -> Iterable[Minute]:  # fmt: skip
    """Return the minutes of a source, single or combined; see `feed.closes`."""
    if not isinstance(source, CombinedSource):
        return closes(source, symbols, start, end, clock=clock, stream=stream)
    assert stream is None or isinstance(stream, CombinedStream)
    return CombinedFeed(source, symbols, start, end, clock=clock, stream=stream)


class CombinedFeed:
    """The merged minutes of a combined source, an iterable of close times and their bars.

    Parameters
    ----------
    source : CombinedSource
    symbols : sequence of str
        In the order of the bars of one minute.
    start, end : datetime
        As in `feed.closes`.
    clock : Clock
    stream : CombinedStream or None
    """

    def __init__(
        self, source: CombinedSource, symbols: Sequence[str], start: datetime, end: datetime | None, *, clock: Clock,
        stream: CombinedStream | None = None,
    ) -> None:  # fmt: skip
        self._clock, self._changed = clock, Condition()
        streams = {} if stream is None else stream.streams
        own = by_member(source.name, {symbol: source.routes[symbol] for symbol in symbols})
        self._venues = [Venue(member, traded, start, clock.now()) for member, traded in own.items()]
        self._followers = [
            Follower(
                source.members[venue.name], venue, self._changed, start, end,
                clock=clock, stream=streams.get(venue.name),
            )
            for venue in self._venues
        ]  # fmt: skip
        self._merging = Merging(self._venues, symbols, start)

    def __iter__(self) -> Iterator[Minute]:
        """Yield the close time and the bars of each minute, in order of time, until every member has ended.

        Raises
        ------
        MikrobotError
            With an end, as `feed.closes` of a member.
        """
        for follower in self._followers:
            follower.begin()
        try:
            while (minute := self._next()) is not None:
                yield minute
        finally:
            for follower in self._followers:
                follower.stop()

    def take_late(self, most: int) -> list[Bar]:
        """Return bars whose minute went on without them, each once, the first ones first."""
        with self._changed:
            return self._merging.take_late(most)

    def status(self) -> list[VenueStatus]:
        """Return the state of each member."""
        with self._changed:
            return [venue.status() for venue in self._venues]

    def _next(self) -> Minute | None:
        """Wait for the next minute; None after the last one."""
        with self._changed:
            while True:
                for follower in self._followers:
                    if follower.failure is not None:
                        raise follower.failure
                if (minute := self._merging.next(self._clock.now())) is not None:
                    self._changed.notify_all()
                    return minute
                if self._merging.ended:
                    return None
                self._changed.wait(LOOK_S)
