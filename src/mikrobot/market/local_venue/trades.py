"""The trades inside bars: prices, sizes and sides that aggregate exactly to each bar.

Prices go from the open over one extreme and the other to the close; the low comes first in a rising bar. All bars of
a block are computed at once. A trade is an aggregate trade of the venue: one or more trades of one price and side.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mikrobot.market.local_venue.draws import Integers, draw
from mikrobot.market.local_venue.listed_bars import ListedBars
from mikrobot.market.local_venue.listing import Listing

EVENTS = 120
"""Book events of a minute; at most one trade at each."""

MOST_TRADES = 40
"""Aggregate trades of a minute at most."""

_WEIGHTS = 16
_LANES = np.arange(MOST_TRADES, dtype=np.int64)[None, :]


@dataclass(frozen=True, slots=True)
class BlockTrades:
    """Trades of n bars; the first `number` lanes of a row are used.

    Attributes
    ----------
    number : ndarray of int64, shape (n,)
        Aggregate trades of each bar.
    price, size, count : ndarray of int64, shape (n, MOST_TRADES)
        Price units, size units, and the trades that an aggregate trade stands for.
    buy : ndarray of bool, shape (n, MOST_TRADES)
        The taker bought.
    event : ndarray of int64, shape (n, MOST_TRADES)
        Book event at which it happens, 1 to EVENTS - 1, increasing.
    """

    number: Integers
    price: Integers
    size: Integers
    count: Integers
    buy: NDArray[np.bool_]
    event: Integers


def numbers_of_trades(bars: ListedBars, listing: Listing) -> Integers:
    """Return the number of aggregate trades of each bar."""
    numbers: Integers = _sides(bars, listing).sum(axis=0)
    return numbers


def trades_of(bars: ListedBars, listing: Listing, key: int) -> BlockTrades:
    """Return the trades of each bar."""
    bought, sold = _sides(bars, listing)
    number = bought + sold
    used = number[:, None] > _LANES
    minute = bars.minute[:, None]
    order = np.where(used, draw(key, 1 << 40, minute, _LANES), 1 << 41)
    rank = np.argsort(np.argsort(order, axis=1, kind="stable"), axis=1, kind="stable")
    buy = used & (rank < bought[:, None])
    sell = used & ~buy
    unit = _size_units(bars, listing)
    weights = 1 + draw(key + 1, _WEIGHTS, minute, _LANES)
    size = _split(bars.taker // unit, buy, weights) + _split((bars.volume - bars.taker) // unit, sell, weights)
    return BlockTrades(
        number=number,
        price=_prices(bars, number, listing, key + 2),
        size=size * unit[:, None],
        count=_split(bars.count, used, 1 + draw(key + 3, _WEIGHTS, minute, _LANES)),
        buy=buy,
        event=_events(number, minute, key + 4),
    )


def _size_units(bars: ListedBars, listing: Listing) -> Integers:
    """Return the size step where volume and taker volume are on it and large enough, else one size unit."""
    on_grid = (bars.volume % listing.step == 0) & (bars.taker % listing.step == 0)
    return np.where(on_grid & (bars.volume // listing.step >= bars.fewest), listing.step, 1)


def _sides(bars: ListedBars, listing: Listing) -> Integers:
    """Return the numbers of buys and of sells of each bar, shape (2, n)."""
    unit = _size_units(bars, listing)
    bought, sold = bars.taker // unit, (bars.volume - bars.taker) // unit
    total = np.minimum(bars.count, MOST_TRADES)
    share = bars.taker / np.maximum(bars.volume, 1)
    least, most = np.minimum(bought, 1), total - np.minimum(sold, 1)
    buys = np.minimum(np.clip(np.rint(total * share).astype(np.int64), least, most), bought)
    sells = np.minimum(total - buys, sold)
    return np.stack((np.minimum(total - sells, bought), sells))


def _split(total: Integers, used: NDArray[np.bool_], weights: Integers) -> Integers:
    """Split each total into positive parts at the used lanes of its row; the first of them takes what remains."""
    share = np.where(used, weights, 0)
    number = used.sum(axis=1)
    beyond = np.where(number > 0, total - number, 0)
    extra = beyond[:, None] * share // np.maximum(share.sum(axis=1), 1)[:, None]
    first = used & (np.cumsum(used, axis=1) == 1)
    remainder = (beyond - extra.sum(axis=1))[:, None]
    parts: Integers = used + extra + np.where(first, remainder, 0)
    return parts


def _prices(bars: ListedBars, number: Integers, listing: Listing, key: int) -> Integers:
    on_grid = np.ones(len(bars), bool)
    for price in (bars.open, bars.high, bars.low, bars.close):
        on_grid &= price % listing.tick == 0
    grid = np.where(on_grid, listing.tick, 1)
    prices = tuple(price // grid for price in (bars.open, bars.high, bars.low, bars.close))
    first, second = _turns(prices, number)
    open_, high, low, close = prices
    before, between = _turning_points(number, bars.minute, key)
    path = _path((open_, first, second, close), (before, between, number - 1))
    reach = np.maximum((high - low) // 8, 1)[:, None]
    noise = draw(key + 2, 2 * reach + 1, bars.minute[:, None], _LANES) - reach
    fixed = (_LANES == 0) | (before[:, None] == _LANES) | (between[:, None] == _LANES) | (number[:, None] - 1 <= _LANES)
    moved = np.clip(path + np.where(fixed, 0, noise), low[:, None], high[:, None])
    return moved * grid[:, None]


def _turns(prices: tuple[Integers, ...], number: Integers) -> tuple[Integers, Integers]:
    """Return the first and the second extreme of each bar; a bar of three trades has the one that it lacks twice."""
    open_, high, low, close = prices
    rising = close >= open_
    first, second = np.where(rising, low, high), np.where(rising, high, low)
    lacking = np.where(high > np.maximum(open_, close), high, low)
    first, second = (np.where(number == 3, lacking, extreme) for extreme in (first, second))
    return np.where(number < 3, open_, first), np.where(number < 3, open_, second)


def _turning_points(number: Integers, minute: Integers, key: int) -> tuple[Integers, Integers]:
    """Return the lanes of the two extremes."""
    half = (number - 2) // 2
    before = np.where(number >= 4, 1 + draw(key, np.maximum(half, 1), minute), np.where(number == 3, 1, 0))
    rest = np.maximum(number - 2 - half, 1)
    return before, np.where(number >= 4, half + 1 + draw(key + 1, rest, minute), before)


def _path(prices: tuple[Integers, ...], lanes: tuple[Integers, ...]) -> Integers:
    """Interpolate between prices at lanes 0 and `lanes`, which do not decrease, in whole numbers."""
    path = np.broadcast_to(prices[0][:, None], (len(prices[0]), MOST_TRADES))
    start = np.zeros_like(lanes[0])
    for before, after, end in zip(prices, prices[1:], lanes, strict=False):
        along = (after - before)[:, None] * (_LANES - start[:, None]) // np.maximum(end - start, 1)[:, None]
        inside = (start[:, None] < _LANES) & (end[:, None] >= _LANES)
        path = np.where(inside, before[:, None] + along, path)
        start = end
    return path


def _events(number: Integers, minute: Integers, key: int) -> Integers:
    cells = np.maximum(number, 1)[:, None]
    return 1 + _LANES * (EVENTS - 1) // cells + draw(key, (EVENTS - 1) // cells, minute, _LANES)
