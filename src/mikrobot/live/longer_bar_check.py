"""Compares the bars that minutes make up with the M5 and H1 bars of the venue, a minute after these have closed.

The minutes are taken in their newest versions: a minute that the venue has changed is a difference of another kind.
Changes no bar.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mikrobot.domain.errors import FeedError, UnknownSymbol
from mikrobot.domain.market import Bar, Timeframe
from mikrobot.live.bar_truth import known_at
from mikrobot.live.session import PRESENT
from mikrobot.market.feed import Source
from mikrobot.market.longer_bars import AMOUNTS, COMPARED, PRICES, LongerBars, aggregated, differing, longer_bars_of
from mikrobot.runtime import Clock
from mikrobot.store.bars import BarStore
from mikrobot.telemetry import logger

log = logger("streamer")

SETTLED = timedelta(minutes=1)
"""Time after the close of a longer bar at which it is read: by then the venue has the same bar everywhere."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LongerBarCheck:
    """The comparison of one source.

    Attributes
    ----------
    source : Source
    longer : LongerBars
        The same source.
    bars : BarStore
        Has its minutes, and gets the differences.
    clock : Clock
    """

    source: Source
    longer: LongerBars
    bars: BarStore
    clock: Clock

    @classmethod
    def of(cls, source: Source, bars: BarStore, clock: Clock) -> "LongerBarCheck | None":
        """Return the comparison of a live source; None of one that has no longer bars."""
        return cls(source, source, bars, clock) if source.live and isinstance(source, LongerBars) else None

    def compare(self, symbols: Sequence[str], close_time: datetime) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Compare the longer bars that closed `SETTLED` before a close of the present.

        A difference is logged and kept in the table `bar_disagreement`. A venue that does not answer is logged, and
        those bars are not compared.

        Yields
        ------
        (str, tuple of str)
            The symbol and the values that differ, for each bar that was compared.
        """
        until = close_time - SETTLED
        if self.clock.now() - close_time >= PRESENT:
            return
        for timeframe in COMPARED:
            if (until - _EPOCH) % timeframe.delta:
                continue
            for symbol in symbols:
                pair = self._pair(symbol, timeframe, until)
                if pair is not None:
                    yield symbol, self._differing(*pair)

    def _pair(self, symbol: str, timeframe: Timeframe, until: datetime) -> tuple[Bar, Bar] | None:
        """Return the bar that minutes make up and that of the venue; None if one of them does not exist."""
        start = until - timeframe.delta
        try:
            given = longer_bars_of(symbol, self.longer.longer(symbol, timeframe, start, until), timeframe)
        except (FeedError, UnknownSymbol) as error:
            log.warning("longer_bar_not_compared", symbol=symbol, timeframe=timeframe.value, reason=str(error))
            return None
        minutes = self.bars.versions.as_known(
            self.source.name, symbol, Timeframe.M1, start, end=until, at=max(self.clock.now(), until)
        )
        made_up = [bar for bar in aggregated(symbol, minutes, timeframe) if bar.open_time == start]
        at_venue = [bar for bar in given if bar.open_time == start]
        return (made_up[0], at_venue[0]) if made_up and at_venue else None

    def _differing(self, minutes: Bar, venue: Bar) -> tuple[str, ...]:
        fields = differing(minutes, venue)
        if fields:
            log.warning(
                "longer_bar_differs", symbol=venue.symbol, timeframe=venue.timeframe.value, open_time=venue.open_time,
                fields=fields, minutes=_values(minutes), venue=_values(venue),
            )  # fmt: skip
            since = known_at(venue.close_time, self.clock.now())
            self.bars.disagreements.add(self.source.name, venue, minutes, fields=fields, known_at=since)
        return fields


def _values(bar: Bar) -> dict[str, float]:
    return {name: getattr(bar, name) for name in (*PRICES, *AMOUNTS)}
