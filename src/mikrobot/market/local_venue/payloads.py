"""The answers and stream messages of Binance as JSON values, for spot and USD-M. Sends nothing.

Field names and their order are those of recorded payloads. Times are in milliseconds; `in_microseconds` converts a
value that is complete.
"""

from collections.abc import Sequence
from typing import Any

from mikrobot.market.local_venue.books import Level
from mikrobot.market.local_venue.clock import MINUTE_MS
from mikrobot.market.local_venue.listing import PRICE_DECIMALS, Listing, as_text
from mikrobot.market.local_venue.markets import Market
from mikrobot.market.local_venue.messages import Payload
from mikrobot.market.local_venue.tape import Kline, Trade

_STAMPS = frozenset({"E", "T", "t", "serverTime"})
_KLINE_OPEN, _KLINE_CLOSE = 0, 6


class Writer:
    """Write the amounts of one symbol as a market does: spot with 8 decimals, USD-M with those of the grid.

    Parameters
    ----------
    market : Market
    listing : Listing
    """

    def __init__(self, market: Market, listing: Listing) -> None:
        self._spot = market.name == "spot"
        self._symbol = listing.symbol
        self._listing = listing
        self._price_places = 8 if self._spot else listing.price_places
        self._size_places = 8 if self._spot else listing.size_places

    def price(self, units: int) -> str:
        """Return a price."""
        return as_text(units, PRICE_DECIMALS, self._price_places)

    def size(self, units: int) -> str:
        """Return a size."""
        return as_text(units, self._listing.size_decimals, self._size_places)

    def levels(self, levels: Sequence[Level]) -> list[list[str]]:
        """Return levels of a book."""
        return [[self.price(price), self.size(size)] for price, size in levels]

    def kline_row(self, kline: Kline) -> list[Any]:
        """Return a kline of the REST API."""
        opened = kline.minute * MINUTE_MS
        prices = [self.price(price) for price in (kline.open, kline.high, kline.low, kline.close)]
        return [
            opened,
            *prices,
            self.size(kline.volume),
            opened + MINUTE_MS - 1,
            self._value(kline.value),
            kline.count,
            self.size(kline.taker),
            self._value(kline.taker_value),
            "0",
        ]

    def kline_event(self, kline: Kline, time_ms: int, *, closed: bool) -> Payload:
        """Return a message of a kline stream."""
        opened = kline.minute * MINUTE_MS
        state = {
            "t": opened,
            "T": opened + MINUTE_MS - 1,
            "s": self._symbol,
            "i": "1m",
            "f": kline.first,
            "L": kline.last,
            "o": self.price(kline.open),
            "c": self.price(kline.close),
            "h": self.price(kline.high),
            "l": self.price(kline.low),
            "v": self.size(kline.volume),
            "n": kline.count,
            "x": closed,
            "q": self._value(kline.value),
            "V": self.size(kline.taker),
            "Q": self._value(kline.taker_value),
            "B": "0",
        }
        return {"e": "kline", "E": time_ms, "s": self._symbol, "k": state}

    def trade_row(self, trade: Trade) -> Payload:
        """Return an aggregate trade of the REST API."""
        row = {"a": trade.aggregate, "p": self.price(trade.price), "q": self.size(trade.size)}
        row |= {"f": trade.first, "l": trade.last, "T": trade.time_ms, "m": not trade.buy}
        return row | {"M": True} if self._spot else row

    def trade_event(self, trade: Trade) -> Payload:
        """Return a message of an aggTrade stream."""
        return {"e": "aggTrade", "E": trade.time_ms + 1, "s": self._symbol, **self.trade_row(trade)}

    def ticker_event(self, update_id: int, bid: Level, ask: Level, time_ms: int) -> Payload:
        """Return a message of a bookTicker stream."""
        best = {
            "u": update_id,
            "s": self._symbol,
            "b": self.price(bid[0]),
            "B": self.size(bid[1]),
            "a": self.price(ask[0]),
            "A": self.size(ask[1]),
        }
        return best if self._spot else {"e": "bookTicker", **best, "T": time_ms, "E": time_ms}

    def _value(self, units: int) -> str:
        return as_text(units // self._listing.size_unit, PRICE_DECIMALS, self._price_places)


def in_microseconds(value: Any) -> Any:
    """Return an answer or a message with its times in microseconds.

    >>> in_microseconds({"E": 5, "k": {"t": 60000, "T": 119999}})
    {'E': 5000, 'k': {'t': 60000000, 'T': 119999999}}
    """
    if isinstance(value, dict):
        return {
            name: _microseconds(item) if name in _STAMPS and isinstance(item, int) else in_microseconds(item)
            for name, item in value.items()
        }
    if isinstance(value, list) and len(value) > _KLINE_CLOSE and isinstance(value[_KLINE_OPEN], int):
        stamps = (_KLINE_OPEN, _KLINE_CLOSE)
        return [_microseconds(item) if place in stamps else item for place, item in enumerate(value)]
    if isinstance(value, list):
        return [in_microseconds(item) if isinstance(item, dict | list) else item for item in value]
    return value


def _microseconds(stamp: int) -> int:
    """Return a time in microseconds; the last millisecond of a minute becomes its last microsecond."""
    ends = stamp % MINUTE_MS == MINUTE_MS - 1
    return (stamp + 1) * 1000 - 1 if ends else stamp * 1000
