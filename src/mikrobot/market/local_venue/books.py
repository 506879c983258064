"""Order books inside a minute, generated around the prices at which its trades happen.

Each trade happens at the best price that the book shows before it, and is no larger than what is shown there. A level
has a fixed price of a grid and a size that changes from time to time, so that most of a book stays from one event to
the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mikrobot.market.local_venue.bar_history import BarHistory
from mikrobot.market.local_venue.draws import Integers, draw
from mikrobot.market.local_venue.tape import event_times
from mikrobot.market.local_venue.trades import EVENTS

NEAR, FAR = 10, 10
"""Price levels of each side below the best: close together, and `WIDER` times as far apart."""

WIDER = 16

Level = tuple[int, int]
"""Price units and size units; a size of 0 removes the level."""

_PERIOD = 48
"""Events between two changes of the size of a level."""

_SIZES = 997
_NEAR = np.arange(NEAR, dtype=np.int64)[None, :]
_FAR = np.arange(FAR, dtype=np.int64)[None, :]


@dataclass(frozen=True, slots=True)
class Book:
    """The levels of a book, the best first.

    Attributes
    ----------
    bids, asks : sequence of Level
    """

    bids: Sequence[Level]
    asks: Sequence[Level]


@dataclass(frozen=True, slots=True)
class MinuteBooks:
    """The book after each event of a minute.

    Attributes
    ----------
    minute : int
        Minutes since the epoch.
    times_ms : list of int
        Time of each event, not decreasing.
    books : list of Book
    """

    minute: int
    times_ms: list[int]
    books: list[Book]


def books_of_minute(history: BarHistory, minute: int) -> MinuteBooks | None:
    """Return the books of a minute; None if it has no bar."""
    position = history.position(minute)
    if position is None:
        return None
    price, buy, next_size = _next_trades(history, minute)
    spread = history.listing.spread * np.where(draw(history.key + 101, 8, _events(minute)) == 0, 2, 1)
    bid = np.maximum(np.where(buy, price - spread, price), 1)
    ask = np.maximum(np.where(buy, price, price + spread), bid + 1)
    gap = history.listing.level_gap(int(position[0].bars.open[position[1]]))
    bids = _side(history, minute, _prices(bid, gap, -1), np.where(buy, 0, next_size))
    asks = _side(history, minute, _prices(ask, gap, 1), np.where(buy, next_size, 0))
    books = [Book(*sides) for sides in zip(bids, asks, strict=True)]
    return MinuteBooks(minute, event_times(history, minute), books)


def changes(books: Sequence[Book]) -> Book:
    """Return the levels by which each of these books but the last becomes the last one.

    A level that changed and changed back is among them: a snapshot may have been taken in between. A size of 0 removes
    a level.
    """
    bids = _changed([book.bids for book in books])
    asks = _changed([book.asks for book in books])
    return Book(sorted(bids, reverse=True), sorted(asks))


def _changed(sides: Sequence[Sequence[Level]]) -> list[Level]:
    touched = {price for before, after in pairwise(sides) for price, _ in set(before) ^ set(after)}
    sizes = dict(sides[-1])
    return [(price, sizes.get(price, 0)) for price in touched]


def _next_trades(history: BarHistory, minute: int) -> tuple[Integers, Integers, Integers]:
    """Return price, side and size of the trade that comes next after each event.

    After the last trade the book stays around the close, and the size is 0.
    """
    position = history.position(minute)
    assert position is not None
    block, place = position
    number = int(block.trades.number[place])
    if number == 0:
        closes = np.full(EVENTS, block.bars.close[place], np.int64)
        return closes, np.zeros(EVENTS, np.bool_).astype(np.int64), np.zeros(EVENTS, np.int64)
    event = block.trades.event[place, :number]
    following = np.searchsorted(event, np.arange(EVENTS), side="right")
    nearest = np.minimum(following, number - 1)
    size = np.where(following < number, block.trades.size[place, nearest], 0)
    return block.trades.price[place, nearest], block.trades.buy[place, nearest].astype(np.int64), size


def _prices(best: Integers, gap: int, sign: int) -> Integers:
    """Return the prices of one side after each event; `sign` is -1 for bids and 1 for asks."""
    away = sign * best[:, None]
    near = (away // gap + 1 + _NEAR) * gap
    far = (near[:, -1:] // (WIDER * gap) + 1 + _FAR) * WIDER * gap
    return sign * np.concatenate((away, near, far), axis=1)


def _side(history: BarHistory, minute: int, prices: Integers, at_best: Integers) -> list[list[Level]]:
    """Return the levels of one side after each event."""
    key, listing = history.key + 102, history.listing
    phase = draw(key, _PERIOD, prices)
    period = (_events(minute)[:, None] + phase) // _PERIOD
    unit = listing.level_size(int(prices[0, 0]))
    sizes = (1 + draw(key + 1, _SIZES, prices, period)) * unit
    sizes[:, 0] += at_best
    rows = zip(prices.tolist(), sizes.tolist(), strict=True)
    return [
        [level for level in zip(row_prices, row_sizes, strict=True) if level[0] > 0] for row_prices, row_sizes in rows
    ]


def _events(minute: int) -> Integers:
    return minute * EVENTS + np.arange(EVENTS, dtype=np.int64)
