"""The trades of a minute as the venue publishes them, and the klines that they aggregate to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mikrobot.market.local_venue.bar_history import BarHistory, Block
from mikrobot.market.local_venue.clock import MINUTE_MS
from mikrobot.market.local_venue.draws import draw
from mikrobot.market.local_venue.trades import EVENTS

_GROUP = 4
"""Book events whose times are drawn from the same span, so that some are close together."""


@dataclass(frozen=True, slots=True)
class Trade:
    """An aggregate trade.

    Attributes
    ----------
    time_ms : int
        Milliseconds since the epoch.
    price, size : int
        Price units and size units.
    buy : bool
        The taker bought.
    aggregate, first, last : int
        Id of the aggregate trade, and of the first and last trade in it.
    """

    time_ms: int
    price: int
    size: int
    buy: bool
    aggregate: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Kline:
    """A one-minute kline, forming or closed.

    Attributes
    ----------
    minute : int
        Open time, minutes since the epoch.
    open, high, low, close : int
        Price units.
    volume, taker : int
        Volume, and the part that takers bought, in size units.
    value, taker_value : int
        The same in quote currency, in price units times size units.
    count : int
        Number of trades.
    first, last : int
        Ids of the first and the last trade; -1 if there is none.
    """

    minute: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    taker: int
    value: int
    taker_value: int
    count: int
    first: int
    last: int


def kline_of(minute: int, trades: Iterable[Trade]) -> Kline | None:
    """Return the kline of trades in time order; None if there is none."""
    kline: Kline | None = None
    for trade in trades:
        kline = _opened(minute, trade) if kline is None else _updated(kline, trade)
    return kline


def forming_klines(minute: int, trades: Sequence[Trade], times_ms: Iterable[int]) -> list[tuple[int, Kline]]:
    """Return each time with the kline of the trades up to it, from the first trade on."""
    klines: list[tuple[int, Kline]] = []
    kline: Kline | None = None
    place = 0
    for time_ms in times_ms:
        while place < len(trades) and trades[place].time_ms <= time_ms:
            kline = _opened(minute, trades[place]) if kline is None else _updated(kline, trades[place])
            place += 1
        if kline is not None:
            klines.append((time_ms, kline))
    return klines


def _opened(minute: int, trade: Trade) -> Kline:
    price, first = trade.price, trade.first
    return _updated(Kline(minute, price, price, price, price, 0, 0, 0, 0, 0, first, first), trade)


def _updated(kline: Kline, trade: Trade) -> Kline:
    bought, value = trade.size if trade.buy else 0, trade.price * trade.size
    return replace(
        kline,
        high=max(kline.high, trade.price),
        low=min(kline.low, trade.price),
        close=trade.price,
        volume=kline.volume + trade.size,
        taker=kline.taker + bought,
        value=kline.value + value,
        taker_value=kline.taker_value + trade.price * bought,
        count=kline.count + trade.last - trade.first + 1,
        last=trade.last,
    )


def trades_of_minute(history: BarHistory, minute: int) -> list[Trade]:
    """Return the trades of a minute, in order; empty if it has no bar or no trades."""
    position = history.position(minute)
    if position is None:
        return []
    block, place = position
    number = int(block.trades.number[place])
    times = event_times(history, minute)
    columns = (block.trades.price, block.trades.size, block.trades.buy, block.trades.count, block.trades.event)
    aggregate, first = int(block.first_aggregate[place]), int(block.first_trade[place])
    trades = []
    for price, size, buy, count, event in zip(*(column[place, :number].tolist() for column in columns), strict=True):
        trades.append(Trade(times[event], price, size, buy, aggregate, first, first + count - 1))
        aggregate, first = aggregate + 1, first + count
    return trades


def event_times(history: BarHistory, minute: int) -> list[int]:
    """Return the times of the book events of a minute, milliseconds since the epoch, not decreasing."""
    span = MINUTE_MS * _GROUP // EVENTS
    within = draw(history.key + 100, span, np.array([[minute]]), np.arange(EVENTS).reshape(-1, _GROUP))
    starts = minute * MINUTE_MS + span * np.arange(EVENTS // _GROUP)[:, None]
    return [int(time) for time in (starts + np.sort(within, axis=1)).ravel()]


def klines_of_block(block: Block) -> list[Kline]:
    """Return the closed klines of a block."""
    bars, trades = block.bars, block.trades
    worth = trades.price.astype(object) * trades.size.astype(object)
    value, taker_value = worth.sum(axis=1), (worth * trades.buy).sum(axis=1)
    columns = (bars.minute, bars.open, bars.high, bars.low, bars.close, bars.volume, bars.taker)
    first = np.where(bars.count > 0, block.first_trade, -1)
    last = np.where(bars.count > 0, block.first_trade + bars.count - 1, -1)
    rows = zip(*(column.tolist() for column in (*columns, value, taker_value, bars.count, first, last)), strict=True)
    return [Kline(*row) for row in rows]
