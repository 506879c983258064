"""The Binance sources, spot and USD-M futures: public klines over REST, without an account.

Klines have no bid and ask, so spreads are unknown. An odd kline does not stop the others: one without a usable time is
left out and logged; one with odd values is passed on, and the checks of bars put it into quarantine with their reason.
Does not use streams, orders or account data.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.domain.errors import FeedError, UnknownSymbol
from mikrobot.domain.funding import FundingRate
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.entries import Entry
from mikrobot.domain.market import Timeframe, empty_bars
from mikrobot.domain.sources import SOURCES, at_address
from mikrobot.market.binance_funding import CUT, PAGE, last_stamp, rates_of
from mikrobot.market.binance_instruments import entry_of
from mikrobot.market.binance_markets import market_of
from mikrobot.market.binance_messages import MICROSECONDS_FROM
from mikrobot.market.binance_rest import HURRIED_S, REMEDY, BinanceRest, Weights, weights_of
from mikrobot.market.border import bar_frame, epoch_us, instant, within_volume
from mikrobot.market.funding_feed import VenueFunding
from mikrobot.market.venue_clock import ClockOffset, VenueClock
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.telemetry import logger

log = logger("market")

DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT")
TIMEOUT_S = 10.0

Kline = list[Any]
"""Open time (ms), open, high, low, close, volume (as text), close time (ms), quote volume, number of
trades, volume bought by takers, and two more: Binance spot API, GET /api/v3/klines."""

_NUMBERS = (1, 2, 3, 4, 5, 8, 9)
"""Positions of open, high, low, close, volume, trades and taker volume in a kline."""

_MINUTE_MS = 60_000
_INTERVALS = {Timeframe.M1: "1m", Timeframe.M5: "5m", Timeframe.H1: "1h"}
_LAST_MS = 4_102_444_800_000  # 2100
_SHOWN = 120
"""Characters of an odd kline in a log."""


def open_source(settings: Settings, clock: Clock) -> "BinanceSource":
    """Return the source that the settings describe."""
    name = settings.source or at_address("binance", settings.binance_url)
    market = market_of(name)
    url, _ = market.addresses(settings)
    weights = weights_of(market, settings.home)
    kind = BinanceFutures if market.futures else BinanceSource
    return kind(settings.symbols or DEFAULT_SYMBOLS, url, clock, TIMEOUT_S, name=name, weights=weights)


class BinanceSource:
    """Closed klines of a market of Binance: those of one minute, and longer ones to compare them with.

    Parameters
    ----------
    symbols : sequence of str
        Coins; one in no table is looked up by `instruments`.
    url : str
        REST address, as ``https://api.binance.com/api``.
    clock : Clock
    timeout_s : float
        Seconds within which each response must begin.
    name : str
        ``binance`` or ``binance-usdm``; ``binance-local`` or ``binance-usdm-local`` for another server of its protocol.
    weights : Weights or None
        The weight of requests that may be spent; None: it is not counted.

    Raises
    ------
    UnknownSymbol
        If a symbol is one that Binance does not trade.
    """

    live = True

    def __init__(
        self,
        symbols: Sequence[str],
        url: str,
        clock: Clock,
        timeout_s: float,
        *,
        name: str = "binance",
        weights: Weights | None = None,
    ) -> None:
        self.name, self.simulated = name, SOURCES[name].simulated
        self._market = market_of(name)
        for symbol in symbols:
            if registry.is_known(symbol) and registry.instrument(symbol).asset != "crypto":
                raise UnknownSymbol(f"{symbol} is not traded on {self._market.title}; give crypto symbols, as BTCUSDT")
        self._symbols = tuple(symbols)
        self._rest = BinanceRest(self._market, url, clock, timeout_s, weights=weights)
        self._venue_clock = VenueClock(self._rest.server_time, clock)
        self._listed: dict[str, datetime] = {}

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols, in the order given."""
        return self._symbols

    def hurry(self) -> None:
        """Raise `FeedRefused` from now on where Binance refuses for long; see `HasPatience`."""
        self._rest.patience_s = HURRIED_S

    def instruments(self) -> dict[str, Entry]:
        """Return the instruments of the symbols as Binance lists them now.

        Raises
        ------
        FeedError
            If Binance does not respond, or does not trade a symbol at present.
        UnknownSymbol
            If Binance does not list a symbol.
        """
        return {symbol: entry_of(symbol, listing) for symbol, listing in self._rest.listings(self._symbols).items()}

    def span(self, symbol: str) -> tuple[datetime, datetime]:
        """Return the open time of the first kline and the close time of the last closed one.

        Raises
        ------
        FeedError
            If Binance does not respond, or has no closed kline in the last day.
        UnknownSymbol
            If it is not one of the symbols, or Binance does not list it.
        """
        first, now = self.first_open(symbol), self.time()
        latest = self.history(symbol, now - timedelta(days=1), now)
        if latest.empty:
            raise FeedError(f"{symbol}: Binance has no closed kline since {now - timedelta(days=1):%Y-%m-%d %H:%M} UTC")
        return first, latest["open_time"].iloc[-1].to_pydatetime() + timedelta(minutes=1)

    def first_open(self, symbol: str) -> datetime:
        """Return the open time of the first kline.

        Raises
        ------
        FeedError
            If Binance does not respond.
        UnknownSymbol
            As `span`.
        """
        if symbol not in self._listed:
            oldest = self._page(symbol, 0, None, limit=1)
            if not oldest.klines:
                raise FeedError(f"{symbol}: Binance has no klines; {REMEDY}")
            self._listed[symbol] = instant(oldest.klines[0][0] * 1000)
        return self._listed[symbol]

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the closed klines that open in [start, end), as a bar frame with NaN spreads.

        A kline counts as closed when `time` has reached its close. Values are as Binance sent them, NaN where they are
        no numbers; the caller checks them.

        Raises
        ------
        FeedError
            If Binance does not respond in time, refuses, or sends a response that is mostly not of klines.
        UnknownSymbol
            If it is not one of the symbols, or Binance does not list it.
        """
        return self._between(symbol, Timeframe.M1, start, end)

    def longer(self, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the closed klines of a timeframe that open in [start, end), as `history` does those of a minute."""
        return self._between(symbol, timeframe, start, end)

    def _between(self, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> pd.DataFrame:
        self._require(symbol)
        closed = self.time() - timeframe.delta + timedelta(milliseconds=1)
        since, until = epoch_us(start) // 1000, epoch_us(min(end, closed)) // 1000
        klines: list[Kline] = []
        while opens := _opens(since, until, timeframe.seconds * 1000):
            page = self._page(symbol, since, until - 1, min(opens, self._market.page), timeframe=timeframe)
            if not page.klines:
                break
            asked = [kline for kline in page.klines if since <= kline[0] < until]
            if not asked:
                raise FeedError(f"{symbol}: Binance sent klines of other times than the requested ones; {REMEDY}")
            klines += asked
            since = asked[-1][0] + (1 + page.odd_at_end) * timeframe.seconds * 1000
        return _frame(klines)

    def time(self) -> datetime:
        """Return the time that has certainly been reached at Binance, UTC.

        Our clock must have reached it too, unless it differs by more than `venue_clock.TOLERATED`.

        Raises
        ------
        FeedError
            If Binance does not respond.
        """
        return self._venue_clock.reached()

    def clock_offset(self) -> ClockOffset:
        """Return how far the clock of Binance is from ours.

        Raises
        ------
        FeedError
            If Binance does not respond.
        """
        return self._venue_clock.offset()

    def _require(self, symbol: str) -> None:
        if symbol not in self._symbols:
            raise UnknownSymbol(f"{symbol} is not a symbol of this source; the symbols are {', '.join(self._symbols)}")

    def _page(
        self, symbol: str, since: int, until: int | None, limit: int, *, timeframe: Timeframe = Timeframe.M1
    ) -> "_Page":
        """Return the klines that open from `since` to `until`, milliseconds, both included."""
        self._require(symbol)
        answer = self._rest.klines(symbol, since, until, limit, interval=_INTERVALS[timeframe])
        if not isinstance(answer, list):
            raise FeedError(f"{symbol}: Binance sent no klines but {str(answer)[:80]!r}; {REMEDY}")
        page, odd = _page_of(answer, timeframe.seconds * 1000)
        if len(odd) > len(page.klines):
            reason, kline = odd[0]
            raise FeedError(f"{symbol}: Binance sent no klines but {str(kline)[:80]!r}, {reason}; {REMEDY}")
        for reason, kline in odd:
            log.warning("kline_left_out", symbol=symbol, reason=reason, kline=str(kline)[:_SHOWN])
        return page


class BinanceFutures(BinanceSource):
    """Closed klines of Binance USD-M, with the funding of its perpetuals; see `BinanceSource`."""

    def funding_feed(self, symbols: Sequence[str], since: datetime) -> VenueFunding:
        """Return the funding of symbols from a time on; see `HasFunding`."""
        return VenueFunding(partial(self.funding, frozenset(symbols)), since)

    def funding(self, symbols: Collection[str], start: datetime, end: datetime) -> list[FundingRate]:
        """Return the funding of symbols whose times are in [start, end], in order of time.

        Raises
        ------
        FeedError
            If Binance does not respond, or sends no funding rates.
        """
        since, until = epoch_us(start) // 1000, epoch_us(end + CUT) // 1000
        rates: list[FundingRate] = []
        while True:
            answer = self._rest.funding(since, until, PAGE)
            rates += rates_of(answer, symbols)
            if len(answer) < PAGE or (last := last_stamp(answer)) <= since:
                return list(dict.fromkeys(rates))
            since = last


@dataclass(frozen=True, slots=True)
class _Page:
    """An answer of Binance.

    Attributes
    ----------
    klines : list of Kline
        With a usable time, in milliseconds, strictly increasing.
    odd_at_end : int
        Number of klines without a usable time after the last of these.
    """

    klines: list[Kline]
    odd_at_end: int


def _opens(since: int, until: int, length: int = _MINUTE_MS) -> int:
    """Return the number of klines of a length that open in [since, until), milliseconds.

    >>> _opens(0, 60_000), _opens(1, 60_000), _opens(1, 60_001), _opens(5, 5), _opens(1, 600_000, 300_000)
    (1, 0, 1, 0, 1)
    """
    return max(-(-until // length) + (-since // length), 0)


def _page_of(answer: list[Any], length: int) -> tuple[_Page, list[tuple[str, Any]]]:
    """Return the usable klines of an answer, and each of the others with the reason."""
    usable: list[Kline] = []
    odd: list[tuple[str, Any]] = []
    odd_at_end = 0
    for row in answer:
        reason = _fault(row, usable[-1][0] if usable else 0, length)
        if reason:
            odd.append((reason, row))
            odd_at_end += 1
        else:
            usable.append([_milliseconds(row[0]), *row[1:]])
            odd_at_end = 0
    return _Page(usable, odd_at_end), odd


def _fault(row: Any, previous: int, length: int) -> str:
    """Return why a row is no kline of a length after one that opens at `previous`, milliseconds; empty if it is one."""
    if not isinstance(row, list) or len(row) <= max(_NUMBERS) or type(row[0]) is not int:
        return "which is not the list of a kline"
    time = _milliseconds(row[0])
    if not MICROSECONDS_FROM // 1000 <= time < _LAST_MS:
        return f"whose time {str(row[0])[:20]} is no time of a market"
    if time % length:
        return "whose time is not on a whole minute" if length == _MINUTE_MS else "whose time is not that of its length"
    if time <= previous:
        return "whose time does not come after the one before"
    return ""


def _milliseconds(stamp: int) -> int:
    """Return an open time in milliseconds, which Binance also sends in microseconds."""
    return stamp // 1000 if stamp >= MICROSECONDS_FROM else stamp


def _frame(klines: list[Kline]) -> pd.DataFrame:
    if not klines:
        return empty_bars()
    times = np.array([row[0] for row in klines], dtype=np.int64) * 1000
    numbers = np.array([[_number(row[place]) for place in _NUMBERS] for row in klines]).T
    volume, trades, bought = numbers[4:]
    unknown = np.full(len(times), np.nan)
    taken = within_volume(bought, volume)
    return bar_frame(times, numbers[:4], volume, unknown, trades=trades, taker_volume=taken)


def _number(field: Any) -> float:
    """Return the number of a field; NaN if it has none."""
    try:
        return float(field)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
