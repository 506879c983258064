"""The clock of a broker's server: which it is, and the conversion of its times to UTC.

MetaTrader 5 sends times of the server as if they were UTC. The weekends of the bars show which clocks it may be, a
fresh quote which of these it is now; where several are left that differ, a time is refused rather than guessed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from mikrobot.domain.errors import FeedError
from mikrobot.market.border import MINUTE_US, Times, epoch_us, instant
from mikrobot.market.clocks import TWICE, FileClock
from mikrobot.runtime import Clock

TOLERANCE_US = 2 * MINUTE_US
"""Largest difference between a fresh quote and the time of this machine."""

REMEDY = "name the clock of the server with --clock, as --clock EET, and see that this machine's clock is right"

_DAY_US = 1440 * MINUTE_US

_LOOKS = 15
"""Seconds for which a fresh quote is waited for."""

_STEP = timedelta(seconds=3)
"""Largest difference between the time that passes between two quotes and between the looks at them."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A fresh quote.

    Attributes
    ----------
    local_us : int
        Its time in the clock of the server, microseconds since the epoch.
    at : datetime
        When it was first seen, UTC.
    """

    local_us: int
    at: datetime


def fresh_quote(look: Callable[[], Mapping[str, int]], clock: Clock) -> Quote | None:
    """Return a quote that has just arrived; None if none does within `_LOOKS` seconds.

    A quote is fresh if it came as long after the one before as the looks at the two are apart. The last quote before a
    weekend, which a terminal shows until the market opens, never is.

    Parameters
    ----------
    look : callable
        Return the time of the last quote by symbol, milliseconds in the clock of the server.
    clock : Clock
    """
    before: dict[str, Quote] = {}
    for wait_s in (0.0, *(1.0,) * _LOOKS):
        clock.sleep(wait_s)
        for symbol, time_ms in look().items():
            quote = Quote(time_ms * 1000, clock.now())
            last = before.setdefault(symbol, quote)
            if quote.local_us > last.local_us:
                moved = timedelta(microseconds=quote.local_us - last.local_us)
                if abs(moved - (quote.at - last.at)) <= _STEP:
                    return quote
                before[symbol] = quote
    return None


class ServerClock:
    """The clock of a server.

    Parameters
    ----------
    candidates : sequence of FileClock
        Those that it may be, the usual one first.
    evidence : str
        What shows them, for messages.
    """

    def __init__(self, candidates: Sequence[FileClock], evidence: str) -> None:
        self._candidates = tuple(candidates)
        self._evidence = evidence

    @property
    def name(self) -> str:
        """The names of the clocks that it may be."""
        return " or ".join(clock.name for clock in self._candidates)

    def narrow(self, quote: Quote) -> None:
        """Keep the clocks that show the time of a fresh quote.

        Raises
        ------
        FeedError
            If none does: the clock of the server has jumped, or this machine's clock is wrong.
        """
        fitting = [clock for clock in self._candidates if abs(_ahead(clock, quote)) <= TOLERANCE_US]
        if not fitting:
            offset = timedelta(minutes=round((quote.local_us - epoch_us(quote.at)) / MINUTE_US))
            raise FeedError(
                f"the server's clock is {_signed(offset)} from UTC at {quote.at:%Y-%m-%d %H:%M:%S}, which is not "
                f"{self.name} ({self._evidence}); {REMEDY}"
            )
        self._candidates = tuple(fitting)

    def ahead(self, quote: Quote) -> timedelta:
        """Return by how much a quote is later than the time at which it was seen; negative: earlier."""
        return timedelta(microseconds=_ahead(self._candidates[0], quote))

    def to_utc(self, what: str, local: Times) -> Times:
        """Convert times of the server to UTC, both in microseconds since the epoch.

        Returns
        -------
        ndarray of int64
            At most `clocks.TWICE` where a time does not exist or exists twice in the clock.

        Raises
        ------
        FeedError
            If clocks that it may be disagree.
        """
        utc, *others = (clock.to_utc(local) for clock in self._candidates)
        for clock, other in zip(self._candidates[1:], others, strict=True):
            if not np.array_equal(utc, other):
                row = int((utc != other).argmax())
                raise FeedError(
                    f"{what}: bars of {instant(int(local[row])):%Y-%m-%d %H:%M} in the server's clock have another "
                    f"time in {self._candidates[0].name} than in {clock.name} ({self._evidence}); {REMEDY}"
                )
        return utc

    def window(self, start: datetime, end: datetime) -> tuple[int, int]:
        """Return times of the server, in seconds, between which everything in [start, end) is, and an hour more."""
        earliest = min(_offsets(self._candidates, start))
        latest = max(_offsets(self._candidates, end))
        return (epoch_us(start) + earliest) // 1_000_000, -((-epoch_us(end) - latest) // 1_000_000)


def _ahead(clock: FileClock, quote: Quote) -> int:
    """Return a quote minus the time at which it was seen, microseconds; 0 in an hour that exists twice."""
    utc = int(clock.to_utc(np.array([quote.local_us], dtype=np.int64))[0])
    return 0 if utc == TWICE else utc - epoch_us(quote.at)


def _offsets(clocks: Iterable[FileClock], time: datetime) -> list[int]:
    """Return the offsets from UTC that the clocks have around a time, microseconds: those at three noons."""
    day = epoch_us(time) // _DAY_US
    noons = (day + np.array([-1, 0, 1], dtype=np.int64)) * _DAY_US + _DAY_US // 2
    return [int(offset) for clock in clocks for offset in noons - clock.to_utc(noons)]


def _signed(offset: timedelta) -> str:
    return f"-{-offset}" if offset < timedelta(0) else f"+{offset}"
