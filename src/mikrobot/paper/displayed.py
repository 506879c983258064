"""Convert a stored order book to the ticks and size steps of a contract. Does not trade."""

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from mikrobot.domain.market_events import Level as Quoted
from mikrobot.domain.order_books import ClosingBook
from mikrobot.paper.book import Depth, Level
from mikrobot.paper.contracts import Contract


def depth_of(contract: Contract, book: ClosingBook) -> Depth | None:
    """Return the levels of a book at which a contract trades; None unless the book is live and has both sides.

    Prices off the tick grid are rounded against the taker and sizes down to whole steps. A level of less than a
    step is left out.

    >>> from datetime import UTC, datetime
    >>> from mikrobot.domain.instruments.registry import instrument
    >>> from mikrobot.paper.contracts import listed
    >>> closed = datetime(2025, 3, 4, 12, tzinfo=UTC)
    >>> book = ClosingBook("BTCUSDT", closed, "live", "", ((99.98, 0.5),), ((100.001, 0.25), (100.01, 1.0)))
    >>> depth_of(listed(instrument("BTCUSDT")), book)
    Depth(bids=((9998, 50000),), asks=((10001, 125000),))
    """
    if book.state != "live":
        return None
    bids, asks = _side(contract, book.bids, ROUND_FLOOR), _side(contract, book.asks, ROUND_CEILING)
    return Depth(bids, asks) if bids and asks else None


def _side(contract: Contract, levels: Iterable[Quoted], rounding: str) -> tuple[Level, ...]:
    """Return the levels of a side in ticks and steps; those that round to one price are one level."""
    sizes: dict[int, Decimal] = {}
    for price, size in levels:
        ticks = int((Decimal(repr(price)) / contract.tick).to_integral_value(rounding))
        if ticks > 0:
            sizes[ticks] = sizes.get(ticks, Decimal(0)) + Decimal(repr(size))
    return tuple((ticks, steps) for ticks, size in sizes.items() if (steps := int(size // contract.step)))
