"""The parts of the quality score that a live feed knows about a bar besides its values. Measures nothing itself."""

from dataclasses import dataclass
from typing import Literal

from mikrobot.domain.order_books import BookState

LATE_FROM_S, LATE_UNTIL_S = 10.0, 60.0
"""Seconds after its close from which a bar is late, and at which it is worthless: the next one has closed. A bar that
is not on the stream is read by REST after 2 s, and three times again, 1 s apart."""

DELAY_FROM_S, DELAY_UNTIL_S = 2.0, 30.0
"""Seconds of a message on its way, beyond the least of the last hour, from which a feed is slow, and is worthless."""

BOOK: dict[BookState, float] = {"live": 1.0, "syncing": 0.96, "suspect": 0.9, "lost": 0.0}
"""The part `book` by the state of an order book; one that only begins does not halt."""

Revision = Literal["none", "volume", "price"]

AGREEMENT: dict[Revision, float] = {"none": 1.0, "volume": 0.97, "price": 0.0}
"""The parts `sources` and `aggregates` by what differs: in a later version of a bar, and between a longer bar of the
venue and its minutes. Trading goes on if the prices are the same."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a bar arrived, and what has become known of the bars before since the last one.

    Attributes
    ----------
    late_s : float or None
        Seconds from its close to its arrival; None for a bar that was read from history.
    delay_s : float or None
        Seconds that its message was on its way, beyond the least of the last hour; None where the venue stamps nothing.
    revision : "none", "volume" or "price"
        The greatest difference between versions of an earlier bar; None where nothing is compared.
    refused : int
        Bars that were refused.
    aggregates : "none", "volume" or "price"
        The greatest difference between a longer bar of the venue and its minutes; None if none was compared.
    book : state of an order book, or None
        None without a book.
    """

    late_s: float | None = None
    delay_s: float | None = None
    revision: Revision | None = None
    refused: int = 0
    book: BookState | None = None
    aggregates: Revision | None = None


def feed_parts(arrival: Arrival) -> dict[str, float]:
    """Return the parts that apply.

    >>> feed_parts(Arrival(late_s=35.0, revision="none"))
    {'lateness': 0.5, 'sources': 1.0}
    """
    parts: dict[str, float] = {}
    if arrival.late_s is not None:
        parts["lateness"] = _falling(arrival.late_s, LATE_FROM_S, LATE_UNTIL_S)
    if arrival.delay_s is not None:
        parts["feed_delay"] = _falling(arrival.delay_s, DELAY_FROM_S, DELAY_UNTIL_S)
    if arrival.revision is not None:
        parts["sources"] = AGREEMENT[arrival.revision]
    if arrival.aggregates is not None:
        parts["aggregates"] = AGREEMENT[arrival.aggregates]
    if arrival.refused:
        parts["refused"] = 0.0
    if arrival.book is not None:
        parts["book"] = BOOK[arrival.book]
    return parts


def _falling(value: float, start: float, end: float) -> float:
    """Return 1 up to `start`, 0 from `end` on, and a straight line between."""
    return min(max((end - value) / (end - start), 0.0), 1.0)
