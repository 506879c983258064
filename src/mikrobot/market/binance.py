"""The Binance spot source: public one-minute klines over REST, without an account.

Klines have no bid and ask, so spreads are unknown. An odd kline does not stop the others: one without a usable time is
left out and logged; one with odd values is passed on, and the checks of bars put it into quarantine with their reason.
Does not use streams, orders or account data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Thread
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from binance.client import Client
from binance.exceptions import BinanceAPIException, BinanceRequestException
from requests.exceptions import RequestException

from mikrobot.domain.errors import FeedError, UnknownSymbol
from mikrobot.domain.instruments import registry
from mikrobot.domain.instruments.entries import Entry
from mikrobot.domain.market import empty_bars
from mikrobot.domain.sources import SOURCES, at_address
from mikrobot.market.binance_instruments import entry_of
from mikrobot.market.binance_messages import MICROSECONDS_FROM
from mikrobot.market.border import bar_frame, epoch_us, instant, within_volume
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.telemetry import logger

log = logger("market")

DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT")
TIMEOUT_S = 10.0

R = TypeVar("R")
Kline = list[Any]
"""Open time (ms), open, high, low, close, volume (as text), close time (ms), quote volume, number of
trades, volume bought by takers, and two more: Binance spot API, GET /api/v3/klines."""

_NUMBERS = (1, 2, 3, 4, 5, 8, 9)
"""Positions of open, high, low, close, volume, trades and taker volume in a kline."""

PAGE = 1000  # maximum number of klines per response: Binance spot API, GET /api/v3/klines

_MINUTE_MS = 60_000
_LAST_MS = 4_102_444_800_000  # 2100
_LONGEST_WAIT_S = 120.0
_WAITS = 3
_SURELY_CLOSED = timedelta(hours=1)
_TOO_MANY = (418, 429)
_UNKNOWN_SYMBOL = -1121
_SHOWN = 120
"""Characters of an odd kline in a log."""

_REMEDY = "check the network, or trade another source (--source simulated)"


def open_source(settings: Settings, clock: Clock) -> "BinanceSource":
    """Return the source that the settings describe."""
    name = settings.source or at_address("binance", settings.binance_url)
    return BinanceSource(settings.symbols or DEFAULT_SYMBOLS, settings.binance_url, clock, TIMEOUT_S, name=name)


class BinanceSource:
    """Closed one-minute klines of Binance spot.

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
        ``binance``, or ``binance-local`` for another server of its protocol.

    Raises
    ------
    UnknownSymbol
        If a symbol is one that Binance spot does not trade.
    """

    live = True

    def __init__(
        self, symbols: Sequence[str], url: str, clock: Clock, timeout_s: float, *, name: str = "binance"
    ) -> None:
        self.name, self.simulated = name, SOURCES[name].simulated
        for symbol in symbols:
            if registry.is_known(symbol) and registry.instrument(symbol).asset != "crypto":
                raise UnknownSymbol(f"{symbol} is not traded on Binance spot; give crypto symbols, as BTCUSDT")
        self._symbols = tuple(symbols)
        self._clock = clock
        self._timeout_s = timeout_s
        self._client = _client(url, timeout_s)
        self._listed: dict[str, datetime] = {}

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols, in the order given."""
        return self._symbols

    def instruments(self) -> dict[str, Entry]:
        """Return the instruments of the symbols as Binance lists them now.

        Raises
        ------
        FeedError
            If Binance does not respond, or does not trade a symbol at present.
        UnknownSymbol
            If Binance does not list a symbol.
        """
        return {symbol: self._instrument(symbol) for symbol in self._symbols}

    def _instrument(self, symbol: str) -> Entry:
        # python-binance's public call downloads the listings of all symbols, some 15 MB.
        answer = self._ask(symbol, lambda: self._client._get("exchangeInfo", data={"symbol": symbol}))
        listings = answer.get("symbols") if isinstance(answer, dict) else None
        if not isinstance(listings, list) or len(listings) != 1 or not isinstance(listings[0], dict):
            raise FeedError(f"{symbol}: Binance sent no exchangeInfo but {str(answer)[:80]!r}; {_REMEDY}")
        return entry_of(symbol, listings[0])

    def span(self, symbol: str) -> tuple[datetime, datetime]:
        """Return the open time of the first kline and the close time of the last closed one.

        Raises
        ------
        FeedError
            If Binance does not respond, or has no closed kline in the last day.
        UnknownSymbol
            If it is not one of the symbols, or Binance does not list it.
        """
        first, now = self.first_open(symbol), self._clock.now()
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
                raise FeedError(f"{symbol}: Binance has no klines; {_REMEDY}")
            self._listed[symbol] = instant(oldest.klines[0][0] * 1000)
        return self._listed[symbol]

    def history(self, symbol: str, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the closed klines that open in [start, end), as a bar frame with NaN spreads.

        A kline counts as closed when both the local clock and Binance's server time have reached its close. Values
        are as Binance sent them, NaN where they are no numbers; the caller checks them.

        Raises
        ------
        FeedError
            If Binance does not respond in time, refuses, or sends a response that is mostly not of klines.
        UnknownSymbol
            If it is not one of the symbols, or Binance does not list it.
        """
        since, until = epoch_us(start) // 1000, epoch_us(min(end, self._closed_before(end))) // 1000
        klines: list[Kline] = []
        while since < until and (page := self._page(symbol, since, until - 1, PAGE)).klines:
            asked = [kline for kline in page.klines if since <= kline[0] < until]
            if not asked:
                raise FeedError(f"{symbol}: Binance sent klines of other times than the requested ones; {_REMEDY}")
            klines += asked
            since = asked[-1][0] + (1 + page.odd_at_end) * _MINUTE_MS
        return _frame(klines)

    def time(self) -> datetime:
        """Return the time of the clock or of Binance's server, whichever is earlier, UTC.

        Raises
        ------
        FeedError
            If Binance does not respond.
        """
        server = self._ask("the server's time", self._client.get_server_time)
        try:
            return min(self._clock.now(), instant(int(server["serverTime"]) * 1000))
        except (KeyError, TypeError, ValueError) as error:
            raise FeedError(f"Binance sent no server time but {str(server)[:80]!r}; {_REMEDY}") from error

    def _closed_before(self, end: datetime) -> datetime:
        """Return the open time before which every kline has closed."""
        if end < self._clock.now() - _SURELY_CLOSED:
            return end
        return self.time() - timedelta(minutes=1) + timedelta(milliseconds=1)

    def _page(self, symbol: str, since: int, until: int | None, limit: int) -> "_Page":
        """Return the klines that open from `since` to `until`, milliseconds, both included."""
        if symbol not in self._symbols:
            raise UnknownSymbol(f"{symbol} is not a symbol of this source; the symbols are {', '.join(self._symbols)}")
        bounds = {"startTime": since} if until is None else {"startTime": since, "endTime": until}
        answer = self._ask(symbol, lambda: self._client.get_klines(symbol=symbol, interval="1m", limit=limit, **bounds))
        if not isinstance(answer, list):
            raise FeedError(f"{symbol}: Binance sent no klines but {str(answer)[:80]!r}; {_REMEDY}")
        page, odd = _page_of(answer)
        if len(odd) > len(page.klines):
            reason, kline = odd[0]
            raise FeedError(f"{symbol}: Binance sent no klines but {str(kline)[:80]!r}, {reason}; {_REMEDY}")
        for reason, kline in odd:
            log.warning("kline_left_out", symbol=symbol, reason=reason, kline=str(kline)[:_SHOWN])
        return page

    def _ask(self, what: str, request: Callable[[], R]) -> R:
        """Send a request; wait as long as Binance demands after too many requests."""
        waits = 0
        while True:
            try:
                return request()
            except BinanceAPIException as error:
                seconds = self._retry_after(what, error)
                if waits == _WAITS or seconds > _LONGEST_WAIT_S:
                    raise FeedError(
                        f"{what}: Binance refuses for {seconds:.0f} s (HTTP {error.status_code}, too many requests);"
                        " wait that long, or request less history"
                    ) from error
                log.warning("rate_limited", what=what, seconds=seconds)
                self._clock.sleep(seconds)
                waits += 1
            except BinanceRequestException as error:
                raise FeedError(f"{what}: Binance sent no JSON but {error.message[:80]!r}; {_REMEDY}") from error
            except RequestException as error:
                silent = f"did not answer within {self._timeout_s:g} s ({type(error).__name__})"
                raise FeedError(f"{what}: Binance {silent}; {_REMEDY}") from error

    def _retry_after(self, what: str, error: BinanceAPIException) -> float:
        """Return the seconds that Binance demands to wait, or raise the error that the response means."""
        if error.code == _UNKNOWN_SYMBOL:
            raise UnknownSymbol(f"{what}: Binance does not list this symbol") from error
        if error.status_code not in _TOO_MANY:
            refusal = f"HTTP {error.status_code}: {str(error.message)[:120]}"
            raise FeedError(f"{what}: Binance refused ({refusal}); {_REMEDY}") from error
        return _seconds(error.response.headers.get("Retry-After", ""), self._clock.now())


def reachable(url: str, timeout_s: float) -> bool:
    """Return True if a Binance REST API responds at an address within the timeout.

    The timeout includes name resolution. A refusal, or a response that is not from Binance, gives False.
    """
    answered: list[bool] = []

    def ping() -> None:
        try:
            answered.append(_client(url, timeout_s).ping() == {})
        except (BinanceAPIException, BinanceRequestException, RequestException):
            answered.append(False)

    thread = Thread(target=ping, daemon=True, name="binance-probe")
    thread.start()
    thread.join(timeout_s)
    return answered == [True]


def _client(url: str, timeout_s: float) -> Client:
    client = Client(ping=False, requests_params={"timeout": timeout_s})
    client.API_URL = url.rstrip("/")
    return client


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


def _page_of(answer: list[Any]) -> tuple[_Page, list[tuple[str, Any]]]:
    """Return the usable klines of an answer, and each of the others with the reason."""
    usable: list[Kline] = []
    odd: list[tuple[str, Any]] = []
    odd_at_end = 0
    for row in answer:
        reason = _fault(row, usable[-1][0] if usable else 0)
        if reason:
            odd.append((reason, row))
            odd_at_end += 1
        else:
            usable.append([_milliseconds(row[0]), *row[1:]])
            odd_at_end = 0
    return _Page(usable, odd_at_end), odd


def _fault(row: Any, previous: int) -> str:
    """Return why a row is no kline after one that opens at `previous`, milliseconds; an empty text if it is one."""
    if not isinstance(row, list) or len(row) <= max(_NUMBERS) or type(row[0]) is not int:
        return "which is not the list of a kline"
    time = _milliseconds(row[0])
    if not MICROSECONDS_FROM // 1000 <= time < _LAST_MS:
        return f"whose time {str(row[0])[:20]} is no time of a market"
    if time % _MINUTE_MS:
        return "whose time is not on a whole minute"
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


def _seconds(wait: str, now: datetime) -> float:
    """Return the seconds of a Retry-After header, which has seconds or a date; a minute if it has neither.

    >>> _seconds("17", instant(0)), _seconds("soon", instant(0))
    (17.0, 60.0)
    >>> _seconds("Thu, 01 Jan 1970 00:00:30 GMT", instant(0))
    30.0
    """
    if wait.strip().isdecimal() and len(wait) < 9:
        return float(wait)
    try:
        return max((parsedate_to_datetime(wait) - now).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 60.0
