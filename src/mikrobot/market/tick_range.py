"""Compares a bar with the ticks of its minute: no bid is outside the range of the bar. Reads no source.

The ticks that a terminal has may be some of all, so that the first and the last of them, and their number, show nothing
about the bar.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from mikrobot.domain.market import Bar
from mikrobot.domain.market_events import Tick

_ROUNDING = 1e-9
"""Relative difference of two floats of the same price."""


@runtime_checkable
class HasTicks(Protocol):
    """A source of ticks of the past."""

    def ticks(self, symbol: str, start: datetime, end: datetime) -> list[Tick]:
        """Return the best prices in [start, end) in order of time.

        Raises
        ------
        FeedError
            If the venue does not respond; the same call may be retried.
        UnknownSymbol
            If the source does not have the symbol.
        """


def bar_of_ticks(bar: Bar, ticks: Sequence[Tick]) -> Bar:
    """Return the bar that the bids of the minute of a bar make up; `ticks` has at least one, in order of time."""
    bids = [tick.bid for tick in ticks]
    return Bar(bar.symbol, bar.open_time, bids[0], max(bids), min(bids), bids[-1])


def outside(bar: Bar, of_ticks: Bar) -> tuple[str, ...]:
    """Return which ends of the range of a bar ticks are beyond.

    >>> bar = Bar("EURUSD", datetime(2025, 1, 1), 1.1, 1.2, 1.0, 1.1)
    >>> outside(bar, Bar("EURUSD", datetime(2025, 1, 1), 1.1, 1.2, 0.9, 1.1))
    ('low',)
    """
    slack = _ROUNDING * bar.high
    ends = (("high", of_ticks.high > bar.high + slack), ("low", of_ticks.low < bar.low - slack))
    return tuple(name for name, beyond in ends if beyond)
