"""Compares each bar of the present with the ticks of its minute, a minute after its close. Changes no bar."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mikrobot.domain.errors import FeedError, UnknownSymbol
from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.live.bar_truth import known_at
from mikrobot.live.session import PRESENT
from mikrobot.market.feed import Source
from mikrobot.market.tick_range import HasTicks, bar_of_ticks, outside
from mikrobot.runtime import Clock
from mikrobot.store.bars import BarStore
from mikrobot.telemetry import logger

log = logger("streamer")

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class TickCheck:
    """The comparison of one source.

    Attributes
    ----------
    name : str
        Of the source.
    source : HasTicks
    bars : BarStore
        Has its bars, and gets the differences.
    clock : Clock
    """

    name: str
    source: HasTicks
    bars: BarStore
    clock: Clock

    @classmethod
    def of(cls, source: Source, bars: BarStore, clock: Clock) -> "TickCheck | None":
        """Return the comparison of a live source; None of one that has no ticks of the past."""
        return cls(source.name, source, bars, clock) if source.live and isinstance(source, HasTicks) else None

    def compare(self, symbols: Sequence[str], close_time: datetime) -> Iterator[Bar]:
        """Yield the bars that ticks make up and that contradict the bars of the minute before a close.

        A contradiction is logged and kept in the table `bar_disagreement`. A venue that does not answer is logged, and
        its minute is not compared.
        """
        if self.clock.now() - close_time >= PRESENT:
            return
        until = close_time - _MINUTE
        for symbol in symbols:
            given = self.bars.versions.as_known(
                self.name, symbol, Timeframe.M1, until - _MINUTE, end=until, at=max(self.clock.now(), until)
            )
            for bar in bars_of(symbol, given):
                contradiction = self._contradiction(bar)
                if contradiction is not None:
                    yield contradiction

    def _contradiction(self, bar: Bar) -> Bar | None:
        try:
            ticks = self.source.ticks(bar.symbol, bar.open_time, bar.close_time)
        except (FeedError, UnknownSymbol) as error:
            log.warning("ticks_not_compared", symbol=bar.symbol, close_time=bar.close_time, reason=str(error))
            return None
        if not ticks:
            return None
        of_ticks = bar_of_ticks(bar, ticks)
        fields = outside(bar, of_ticks)
        if not fields:
            return None
        log.warning("bar_contradicted", symbol=bar.symbol, close_time=bar.close_time, fields=fields)
        since = known_at(bar.close_time, self.clock.now())
        self.bars.disagreements.add(self.name, bar, of_ticks, fields=fields, known_at=since)
        return of_ticks
