"""Bars as the venue lists them: whole numbers of price and size units, every count known.

A bar that no trades could make is completed: a count or volume that is unknown, or too small for the prices of the
bar, becomes the smallest possible one or a drawn one. Every other value equals that of the bar frame. Reads no source.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mikrobot.market.border import MINUTE_US, microseconds
from mikrobot.market.local_venue.draws import Integers, draw
from mikrobot.market.local_venue.listing import PRICE_DECIMALS, Listing


@dataclass(frozen=True, slots=True)
class ListedBars:
    """Bars of one symbol in time order; every field has the shape (n,).

    Attributes
    ----------
    minute : ndarray of int64
        Open time, minutes since the epoch.
    open, high, low, close : ndarray of int64
        Price units.
    volume, taker : ndarray of int64
        Volume, and the part that takers bought, in size units.
    count : ndarray of int64
        Number of trades.
    fewest : ndarray of int64
        Smallest number of aggregate trades that make such a bar, 0 to 4.
    """

    minute: Integers
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    volume: Integers
    taker: Integers
    count: Integers
    fewest: Integers

    def __len__(self) -> int:
        return len(self.minute)

    def part(self, start: int, stop: int) -> "ListedBars":
        """Return the bars at the positions [start, stop)."""
        return ListedBars(*(getattr(self, name)[start:stop] for name in self.__slots__))


def listed_bars(frame: pd.DataFrame, listing: Listing, key: int) -> ListedBars:
    """Return the bars of a bar frame as the venue lists them.

    Parameters
    ----------
    frame : DataFrame
        A bar frame.
    listing : Listing
    key : int
        Key of the draws for what the frame does not know.
    """
    minute = microseconds(frame["open_time"]) // MINUTE_US
    prices = [_whole(frame[name], 10**PRICE_DECIMALS) for name in ("open", "high", "low", "close")]
    _, high, low, close = prices
    volume, taker = (_whole(frame[name], listing.size_unit) for name in ("volume", "taker_volume"))
    count = _whole(frame["trades"], 1)
    moved = high > low
    unknown = (volume < 0) | ((volume == 0) & moved)
    count = np.where((count < 0) | (unknown & (count == 0)), 20 + draw(key, 100, minute), count)
    typical = listing.level_size(int(close[0]) if len(close) else 1)
    volume = np.where(unknown, count * typical, volume)
    count = np.where(volume == 0, 0, count)
    drawn = volume * (30 + draw(key + 1, 40, minute)) // 100 // listing.step * listing.step
    taker = np.minimum(np.where((taker < 0) | (unknown & (taker == 0)), drawn, taker), volume)
    sides = (taker > 0).astype(np.int64) + (taker < volume)
    fewest = np.where(volume == 0, 0, np.maximum(_waypoints(prices), sides))
    return ListedBars(
        minute=minute,
        open=prices[0],
        high=high,
        low=low,
        close=close,
        volume=np.maximum(volume, fewest),
        taker=taker,
        count=np.maximum(count, fewest),
        fewest=fewest,
    )


def _waypoints(prices: list[Integers]) -> Integers:
    """Return the smallest number of trades with these open, high, low and close."""
    open_, high, low, close = prices
    missing = (high > np.maximum(open_, close)).astype(np.int64) + (low < np.minimum(open_, close))
    fewest: Integers = np.where((open_ == close) & (missing == 0), 1, 2 + missing)
    return fewest


def _whole(column: pd.Series, unit: int) -> Integers:
    """Return a column in whole units; -1 where it is unknown."""
    values = column.to_numpy(np.float64)
    whole: Integers = np.rint(np.where(np.isnan(values), -1 / unit, values) * unit).astype(np.int64)
    return whole
