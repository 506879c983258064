"""Quotes and bars of one symbol, made from its bars: every bar is exactly the aggregate of its quotes.

Everything is a pure function of the bars, the seed and the minute. Times are UTC; prices are bid, in points.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.instruments.instrument import Instrument
from mikrobot.market.border import MINUTE_US, instant, microseconds
from mikrobot.market.local_venue.bar_history import DAY, Bars
from mikrobot.market.local_venue.draws import Integers, draw, key_of
from mikrobot.market.local_venue.recent import Recent

QUOTES = 12
"""Quotes in a minute."""

_GAP_MS = 60_000 // QUOTES
_LATEST_MS = 700
"""Latest quote of its share of the minute."""

_DAYS_KEPT = 1500
_DAYS_BACK = 5
"""Days in which a last quote is searched for."""


@dataclass(frozen=True, slots=True)
class MinuteBars:
    """Bars of one symbol in time order; every field has the shape (n,).

    Attributes
    ----------
    minute : ndarray of int64
        Open time, minutes since the epoch.
    prices : ndarray of int64, shape (4, n)
        Open, high, low, close in points.
    spread : ndarray of int64
        Points.
    ticks : ndarray of int64
        Number of quotes that the bar reports, at least 1.
    """

    minute: Integers
    prices: NDArray[np.int64]
    spread: Integers
    ticks: Integers

    def part(self, chosen: slice) -> "MinuteBars":
        """Return some of the bars."""
        return MinuteBars(self.minute[chosen], self.prices[:, chosen], self.spread[chosen], self.ticks[chosen])


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote.

    Attributes
    ----------
    time_ms : int
        Milliseconds since the epoch, UTC.
    bid, spread : int
        Points.
    """

    time_ms: int
    bid: int
    spread: int


class SymbolQuotes:
    """The quotes of one symbol.

    Parameters
    ----------
    source : Bars
    instrument : Instrument
    seed : int
    """

    def __init__(self, source: Bars, instrument: Instrument, seed: int) -> None:
        self.instrument = instrument
        self._source = source
        self._key = key_of(seed, instrument.symbol)
        self._point = float(instrument.tick)
        self.digits = max(-int(instrument.tick.normalize().as_tuple().exponent), 0)
        self._usual = max(int(instrument.spread / instrument.tick), 1)
        self.first_minute = int(source.first_open(instrument.symbol).timestamp()) // 60
        self._day = Recent(self._read_day, _DAYS_KEPT)
        self._before: Recent[int, MinuteBars] = Recent(lambda day: self.closed(0, day * DAY), 1)

    def price(self, points: Integers) -> NDArray[np.float64]:
        """Convert prices in points to the floats nearest to them in quote currency."""
        prices: NDArray[np.float64] = np.round(points * self._point, self.digits)
        return prices

    def closed(self, since: int, until: int) -> MinuteBars:
        """Return the bars that open in [since, until), minutes since the epoch."""
        since = max(since, self.first_minute)
        if since >= until:
            return self._day(self.first_minute // DAY).part(slice(0, 0))
        bars = _joined([self._day(day) for day in range(since // DAY, (until - 1) // DAY + 1)])
        first, last = np.searchsorted(bars.minute, [since, until]).tolist()
        return bars.part(slice(first, last))

    def newest(self, now_ms: int, position: int, count: int) -> MinuteBars:
        """Return `count` bars up to the one at a position, counted back from the newest one, the forming bar included.

        Fewer bars, or none, where there are no more.
        """
        minute = now_ms // 60_000
        today = _joined([self.closed(minute // DAY * DAY, minute), self.forming(now_ms)])
        missing = position + count > len(today.minute)
        bars = _joined([self._before(minute // DAY), today]) if missing else today
        end = len(bars.minute) - position
        return bars.part(slice(max(end - count, 0), max(end, 0)))

    def forming(self, now_ms: int) -> MinuteBars:
        """Return the bar of the present minute from its quotes so far; no bar before the first."""
        minute = now_ms // 60_000
        whole = self.closed(minute, minute + 1)
        quotes = [quote.bid for quote in self.quotes(minute) if quote.time_ms <= now_ms]
        if not quotes:
            return whole.part(slice(0, 0))
        prices = np.array([[quotes[0]], [max(quotes)], [min(quotes)], [quotes[-1]]], dtype=np.int64)
        return MinuteBars(whole.minute, prices, whole.spread, -(-whole.ticks * len(quotes) // QUOTES))

    def quotes(self, minute: int) -> list[Quote]:
        """Return the quotes of a minute in time order; none without a bar."""
        bars = self.closed(minute, minute + 1)
        if not len(bars.minute):
            return []
        opened, high, low, close = (int(price) for price in bars.prices[:, 0])
        first, second = (low, high) if close >= opened else (high, low)
        corners, places = (0, QUOTES // 3, 2 * QUOTES // 3, QUOTES - 1), np.arange(QUOTES)
        path = np.rint(np.interp(places, corners, (opened, first, second, close))).astype(np.int64)
        within = places * _GAP_MS + 1 + draw(self._key, _LATEST_MS, np.full(QUOTES, minute), places)
        spread = int(bars.spread[0])
        return [Quote(minute * 60_000 + int(at), int(bid), spread) for at, bid in zip(within, path, strict=True)]

    def last_quote(self, now_ms: int) -> Quote | None:
        """Return the last quote by now; None if there is none of the last days."""
        minute = now_ms // 60_000
        past = [quote for quote in self.quotes(minute) if quote.time_ms <= now_ms]
        if past:
            return past[-1]
        for back in range(_DAYS_BACK):
            bars = self.closed(max((minute // DAY - back) * DAY, 0), min(minute, (minute // DAY - back + 1) * DAY))
            if len(bars.minute):
                return self.quotes(int(bars.minute[-1]))[-1]
        return None

    def _read_day(self, day: int) -> MinuteBars:
        span = (instant(border * DAY * MINUTE_US) for border in (day, day + 1))
        frame = self._source.history(self.instrument.symbol, *span)
        prices = np.stack([frame[name].to_numpy(np.float64) for name in ("open", "high", "low", "close")])
        spread = frame["spread"].to_numpy(np.float64) / self._point
        ticks = frame["volume"].to_numpy(np.float64)
        return MinuteBars(
            microseconds(frame["open_time"]) // MINUTE_US,
            np.rint(prices / self._point).astype(np.int64),
            np.rint(np.where(np.isnan(spread), self._usual, spread)).astype(np.int64),
            np.maximum(np.rint(np.where(np.isnan(ticks), QUOTES, ticks)), 1).astype(np.int64),
        )


def _joined(parts: list[MinuteBars]) -> MinuteBars:
    return MinuteBars(
        np.concatenate([part.minute for part in parts]),
        np.concatenate([part.prices for part in parts], axis=1),
        np.concatenate([part.spread for part in parts]),
        np.concatenate([part.ticks for part in parts]),
    )
