"""The bars of one symbol by day, with the ids of their trades, and the minutes generated from them.

Everything is a pure function of the bars and the seed: ids count from the first bar of the data. Days and generated
hours stay in memory for as long as they are used.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import pandas as pd

from mikrobot.market.border import MINUTE_US, instant
from mikrobot.market.local_venue.draws import Integers, key_of
from mikrobot.market.local_venue.listed_bars import ListedBars, listed_bars
from mikrobot.market.local_venue.listing import Listing
from mikrobot.market.local_venue.recent import Recent
from mikrobot.market.local_venue.trades import BlockTrades, numbers_of_trades, trades_of

DAY = 1440
"""Minutes of a day."""

_HOUR = 60
_DAYS_KEPT = 8
_DAYS_AT_ONCE = 31
_HOURS_KEPT = 60


class Bars(Protocol):
    """What the venue needs of a market source; see `mikrobot.market.feed.Source`."""

    def first_open(self, symbol: str) -> datetime:
        """Return the open time of the first bar."""

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the bars that open in [start, end)."""


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive bars with their trades.

    Attributes
    ----------
    bars : ListedBars
        n bars.
    trades : BlockTrades
        Their trades.
    first_aggregate, first_trade : ndarray of int64, shape (n,)
        Id of the first aggregate trade and of the first trade of each bar.
    """

    bars: ListedBars
    trades: BlockTrades
    first_aggregate: Integers
    first_trade: Integers


@dataclass(frozen=True, slots=True)
class _Day:
    bars: ListedBars
    first_aggregate: Integers
    first_trade: Integers


class BarHistory:
    """The bars of one symbol, as the venue lists them.

    Parameters
    ----------
    source : Bars
    listing : Listing
    seed : int

    Attributes
    ----------
    first_minute : int
        Open time of the first bar, minutes since the epoch.
    key : int
        Key of the draws.
    block : callable
        Return the bars of an hour, counted since the epoch, with their trades; None if it has none.
    """

    def __init__(self, source: Bars, listing: Listing, seed: int) -> None:
        self.listing = listing
        self.key = key_of(seed, listing.symbol)
        self._source = source
        self.first_minute = _minute(source.first_open(listing.symbol))
        self._ids = {self.first_minute // DAY: (1, 1)}
        self._day = Recent(self._read_day, _DAYS_KEPT)
        self.block = Recent(self._make_block, _HOURS_KEPT)

    def position(self, minute: int) -> tuple[Block, int] | None:
        """Return the block that has the bar of a minute, and its position there; None if there is no such bar."""
        block = self.block(minute // _HOUR)
        if block is None:
            return None
        place = int(np.searchsorted(block.bars.minute, minute))
        return (block, place) if place < len(block.bars) and block.bars.minute[place] == minute else None

    def minutes(self, since: int, until: int) -> Iterator[int]:
        """Yield the minutes in [since, until) that have a bar."""
        for day in range(max(since, self.first_minute) // DAY, -(-until // DAY)):
            minutes = self._day(day).bars.minute
            yield from minutes[(minutes >= since) & (minutes < until)].tolist()

    def last_before(self, minute: int) -> int | None:
        """Return the last minute with a bar before a minute; None if there is none."""
        for day in range((minute - 1) // DAY, self.first_minute // DAY - 1, -1):
            minutes = self._day(day).bars.minute
            place = int(np.searchsorted(minutes, minute))
            if place:
                return int(minutes[place - 1])
        return None

    def minute_of_trade(self, aggregate: int, until: int) -> int | None:
        """Return the minute before `until` whose bar has an aggregate trade; None if it has not happened."""
        self._day(until // DAY)
        days = sorted(day for day in self._ids if day <= until // DAY)
        day = days[max(bisect_left(days, aggregate + 1, key=lambda day: self._ids[day][0]) - 1, 0)]
        bars = self._day(day)
        place = int(np.searchsorted(bars.first_aggregate, aggregate, side="right")) - 1
        return int(bars.bars.minute[place]) if place >= 0 else None

    def prepare(self, minute: int) -> None:
        """Read the day that comes soon after a minute; each symbol does so at another minute."""
        self._day((minute + 2 + self.key % (_HOUR - 4)) // DAY)

    def _read_day(self, day: int) -> _Day:
        while (reached := max(self._ids)) < day:
            self._count(reached, min(reached + _DAYS_AT_ONCE, day))
        bars, aggregates, trades = self._numbered(day, day + 1)
        return _Day(bars, aggregates[:-1], trades[:-1])

    def _count(self, day: int, until: int) -> None:
        """Remember the first ids of the days after `day` up to `until`."""
        bars, aggregates, trades = self._numbered(day, until)
        for later in range(day + 1, until + 1):
            place = int(np.searchsorted(bars.minute, later * DAY))
            self._ids[later] = (int(aggregates[place]), int(trades[place]))

    def _numbered(self, day: int, until: int) -> tuple[ListedBars, Integers, Integers]:
        """Return the bars of the days in [day, until), and the first ids of each bar and of the one that follows."""
        span = (instant(border * DAY * MINUTE_US) for border in (day, until))
        bars = listed_bars(self._source.history(self.listing.symbol, *span), self.listing, self.key)
        aggregate, trade = self._ids.get(day, (1, 1))
        aggregates = aggregate + np.concatenate(([0], np.cumsum(numbers_of_trades(bars, self.listing))))
        return bars, aggregates, trade + np.concatenate(([0], np.cumsum(bars.count)))

    def _make_block(self, hour: int) -> Block | None:
        day = self._day(hour * _HOUR // DAY)
        start, stop = np.searchsorted(day.bars.minute, [hour * _HOUR, (hour + 1) * _HOUR]).tolist()
        if start == stop:
            return None
        bars = day.bars.part(start, stop)
        return Block(
            bars, trades_of(bars, self.listing, self.key), day.first_aggregate[start:stop], day.first_trade[start:stop]
        )


def _minute(time: datetime) -> int:
    return int(time.timestamp()) // 60
