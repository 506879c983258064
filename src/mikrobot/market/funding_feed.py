"""The funding that a market announces, minute by minute: asked from a venue, or read from a recording.

Funding is charged before the bar that opens at its time: that is the instant after the last decision and before the
next fill. A rate that the venue has not published by then is charged with the first minute that has it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from mikrobot.domain.errors import FeedError
from mikrobot.domain.funding import FundingByClose, FundingRate
from mikrobot.telemetry import logger

log = logger("market")

ASKED = (0, 1, 5)
"""Minutes of an hour in which funding is asked for. Funding times are whole hours; a rate may appear late."""

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)

FundingOf = Callable[[datetime, datetime], list[FundingRate]]
"""Returns the funding from a time to another, both included; raises `FeedError` if the venue does not respond."""


class FundingFeed(Protocol):
    """Funding as it becomes known."""

    def charged(self, close_time: datetime) -> list[FundingRate]:
        """Return the funding to charge before the bars that close at a time; times increase from call to call."""


@runtime_checkable
class HasFunding(Protocol):
    """A source whose market has funding."""

    def funding_feed(self, symbols: Sequence[str], since: datetime) -> FundingFeed:
        """Return the funding of symbols from a time on, UTC."""


class VenueFunding:
    """Funding asked from a venue at the hours at which it may be due.

    Parameters
    ----------
    ask : callable
    since : datetime
        Open time of the first bar, UTC; earlier funding is not charged.
    """

    def __init__(self, ask: FundingOf, since: datetime) -> None:
        self._ask = ask
        self._from = since
        self._hour: datetime | None = None
        self._failed = False
        self._charged: set[tuple[str, datetime]] = set()

    def charged(self, close_time: datetime) -> list[FundingRate]:
        """Return the funding that is new; see `FundingFeed.charged`. A venue that does not answer is asked again."""
        opened = close_time - _MINUTE
        hour = opened.replace(minute=0, second=0, microsecond=0)
        if not (self._failed or hour != self._hour or opened.minute in ASKED):
            return []
        self._hour = hour
        try:
            rates = self._ask(self._from, opened)
        except FeedError as error:
            log.warning("funding_not_read", since=self._from, until=opened, reason=str(error))
            self._failed = True
            return []
        self._failed = False
        fresh = [rate for rate in rates if (rate.symbol, rate.at) not in self._charged]
        self._charged |= {(rate.symbol, rate.at) for rate in fresh}
        self._forget(opened, hour)
        for rate in fresh:
            if rate.at < opened:
                log.warning("funding_late", symbol=rate.symbol, at=rate.at, charged_at=opened)
        return fresh

    def _forget(self, opened: datetime, hour: datetime) -> None:
        """Ask no more for what is older than an hour."""
        self._from = max(self._from, hour if opened.minute >= ASKED[-1] else hour - _HOUR)
        self._charged = {(symbol, at) for symbol, at in self._charged if at >= self._from}


class RecordedFunding:
    """Funding as recorded sessions have charged it to symbols from the open time of a bar on."""

    def __init__(self, by_close: FundingByClose, symbols: Sequence[str], since: datetime) -> None:
        self._by_close = {
            close_time: [rate for rate in rates if rate.symbol in symbols]
            for close_time, rates in by_close.items()
            if close_time > since
        }

    def charged(self, close_time: datetime) -> list[FundingRate]:
        """Return what the session charged before the bars that close at a time."""
        return list(self._by_close.get(close_time, ()))
