"""The difference between the clock of a live source and ours, as the streamer reports it."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from mikrobot.domain.errors import FeedError
from mikrobot.live import reports
from mikrobot.market.venue_clock import ClockOffset, HasClock


def write(source: object, home: Path) -> None:
    """Replace the report; a venue that does not answer keeps the one before."""
    if isinstance(source, HasClock):
        with suppress(FeedError):  # the feed reports the venue
            reports.CLOCK.write(source.clock_offset(), home)


def text(offset: ClockOffset) -> str:
    """Return a report in words.

    >>> text(ClockOffset(timedelta(milliseconds=-812), timedelta(milliseconds=40)))
    "the venue's clock is 0.812 s behind ours (+/- 0.020 s)"
    >>> text(ClockOffset(timedelta(seconds=3), timedelta(milliseconds=40), "binance"))
    'the clock of binance is 3.000 s ahead of ours (+/- 0.020 s)'
    """
    side = "ahead of" if offset.offset > timedelta(0) else "behind"
    seconds, error = abs(offset.offset).total_seconds(), offset.round_trip.total_seconds() / 2
    clock = f"the clock of {offset.venue}" if offset.venue else "the venue's clock"
    return f"{clock} is {seconds:.3f} s {side} ours (+/- {error:.3f} s)"
