"""One-minute bars made from the trades of a stream, and whether each has all of its trades.

Trades are numbered without a hole; a number that is missing makes the minutes around it unknown. Volumes are summed
as decimals, so that a bar equals the venue's kline exactly. Takes no bar from the venue.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from mikrobot.domain.market import Bar
from mikrobot.market.border import instant

_MINUTE_MS = 60_000


class AggregateTrade(Protocol):
    """Trades of one order at one price, as a venue sends them."""

    @property
    def symbol(self) -> str:
        """Name of the instrument."""

    @property
    def id(self) -> int:
        """Number of the aggregate trade: one more than that of the one before."""

    @property
    def first_id(self) -> int:
        """Number of the first trade in it."""

    @property
    def last_id(self) -> int:
        """Number of the last trade in it."""

    @property
    def time_ms(self) -> int:
        """Time of the trade, milliseconds since the epoch."""

    @property
    def price(self) -> float:
        """Price of all of them."""

    @property
    def size(self) -> Decimal:
        """Sum of their sizes."""

    @property
    def sold(self) -> bool:
        """Whether the taker sold."""


@dataclass(frozen=True, slots=True)
class TradeBar:
    """A bar that all trades of its minute make up.

    Attributes
    ----------
    bar : Bar
    omitted : int
        Trades that the venue counts and does not send, as those of the insurance fund on USD-M; those between two
        minutes count for both.
    """

    bar: Bar
    omitted: int = 0


@dataclass(slots=True)
class _Minute:
    """A minute of one symbol that is being built."""

    number: int
    whole: bool
    open: float
    high: float
    low: float
    close: float
    volume: Decimal = field(default=Decimal(0))
    sold: Decimal = field(default=Decimal(0))
    trades: int = 0
    omitted: int = 0
    id: int = 0
    last_id: int = 0


class TradeBars:
    """The minute of each symbol that is being built. Not thread-safe."""

    def __init__(self) -> None:
        self._minutes: dict[str, _Minute] = {}

    def put(self, trade: AggregateTrade) -> TradeBar | None:
        """Add a trade; return the bar of the minute that it ends, if all trades of that minute were added.

        A trade that was added before, as from the socket that another one replaces, changes nothing.
        """
        number = trade.time_ms // _MINUTE_MS
        minute = self._minutes.get(trade.symbol)
        if minute is None:
            self._begin(trade, number, whole=False, last_id=trade.first_id - 1)
            return None
        if trade.id <= minute.id:
            return None
        whole = trade.id == minute.id + 1
        if number > minute.number:
            self._begin(trade, number, whole=whole, last_id=minute.last_id if whole else trade.first_id - 1)
            return _finished(minute, trade) if whole and minute.whole else None
        if not whole or number < minute.number:
            minute.whole = False
        _add(minute, trade)
        return None

    def _begin(self, trade: AggregateTrade, number: int, *, whole: bool, last_id: int) -> None:
        price = trade.price
        minute = _Minute(number, whole, price, price, price, price, last_id=last_id)
        _add(minute, trade)
        self._minutes[trade.symbol] = minute


def _add(minute: _Minute, trade: AggregateTrade) -> None:
    price, size = trade.price, trade.size
    if price > minute.high:
        minute.high = price
    elif price < minute.low:
        minute.low = price
    minute.close = price
    minute.volume += size
    if trade.sold:
        minute.sold += size
    minute.trades += trade.last_id - trade.first_id + 1
    minute.omitted += max(trade.first_id - minute.last_id - 1, 0)
    minute.id, minute.last_id = trade.id, trade.last_id


def _finished(minute: _Minute, following: AggregateTrade) -> TradeBar:
    prices = (minute.open, minute.high, minute.low, minute.close)
    bar = Bar(
        following.symbol,
        instant(minute.number * _MINUTE_MS * 1000),
        *prices,
        volume=float(minute.volume),
        trades=float(minute.trades),
        taker_volume=float(minute.volume - minute.sold),
    )
    return TradeBar(bar, minute.omitted + max(following.first_id - minute.last_id - 1, 0))
