"""Requests to the REST API of a market of Binance, within its weights, with the errors that its answers mean.

Does not look into answers that are as they should be.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

from binance.client import Client
from binance.exceptions import BinanceAPIException, BinanceRequestException
from requests.exceptions import RequestException

from mikrobot.domain.errors import FeedError, FeedRefused, UnknownSymbol
from mikrobot.market.binance_markets import SPOT, BinanceMarket
from mikrobot.market.border import instant
from mikrobot.market.streams.shared_budget import SharedBudget
from mikrobot.runtime import Clock
from mikrobot.telemetry import logger

log = logger("market")

WEIGHT_SHARE = 0.8
"""Share of a market's weight limit that is used, so that another program of this machine can ask too."""

WEIGHTS_WITHIN = timedelta(minutes=1)

REMEDY = "check the network, or trade another source (--source simulated)"

PATIENCE_S = 120.0
"""Longest time that a request waits until it is allowed."""

HURRIED_S = 5.0
"""The same where bars are followed, which arrive by other ways meanwhile."""

_WAITS = 3
_TOO_MANY = (418, 429)
_UNKNOWN_SYMBOL = -1121
_USED = "x-mbx-used-weight-1m"


class Weights(Protocol):
    """The weight of requests that may be spent within a minute."""

    def take(self, now: datetime, amount: int = 1) -> float:
        """Spend a weight and return 0, or return the seconds until it may be spent."""

    def correct(self, now: datetime, counted: int, since: datetime) -> None:
        """Count as spent what the venue has counted since a time."""

    def refuse(self, until: datetime) -> None:
        """Allow nothing until a time, since the venue refuses."""


class BinanceRest:
    """The REST API of one market.

    Parameters
    ----------
    market : BinanceMarket
    url : str
        Its address, as ``https://api.binance.com/api``.
    clock : Clock
    timeout_s : float
        Seconds within which each response must begin.
    weights : Weights or None
        None: requests are not counted.

    Attributes
    ----------
    patience_s : float
        Longest time that a request waits until it is allowed; a longer one raises `FeedRefused` at once.
    """

    def __init__(
        self, market: BinanceMarket, url: str, clock: Clock, timeout_s: float, *, weights: Weights | None = None
    ) -> None:
        self.patience_s = PATIENCE_S
        self._market, self._clock, self._timeout_s, self._weights = market, clock, timeout_s, weights
        self._refused_until = clock.now()
        self._client = _client(market, url, timeout_s)

    def klines(self, symbol: str, since: int, until: int | None, limit: int, *, interval: str = "1m") -> Any:
        """Return the answer with at most `limit` klines that open from `since` to `until`, milliseconds, both included.

        `interval` is their length by Binance's name of it.

        Raises
        ------
        FeedError
            If Binance does not respond in time, refuses, or sends no JSON.
        UnknownSymbol
            If Binance does not list the symbol.
        """
        bounds = {"startTime": since} if until is None else {"startTime": since, "endTime": until}
        terms = {"symbol": symbol, "interval": interval, "limit": limit, **bounds}
        return self._ask(symbol, "klines", terms, self._market.kline_weight(limit))

    def funding(self, since: int, until: int, limit: int) -> Any:
        """Return the answer with at most `limit` funding rates of all symbols, milliseconds, both included.

        Raises
        ------
        FeedError
            As `klines`.
        """
        terms = {"startTime": since, "endTime": until, "limit": limit}
        return self._ask("funding rates", "fundingRate", terms, 1)

    def listings(self, symbols: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return the listings of symbols: spot answers for one at a time, USD-M for all at once.

        Raises
        ------
        FeedError, UnknownSymbol
            As `klines`.
        """
        if self._market.futures:
            listed = self._listed("exchangeInfo", {})
        else:  # the listings of all symbols would be some 15 MB
            listed = [one for symbol in symbols for one in self._listed(symbol, {"symbol": symbol})]
        named = {str(one.get("symbol")): one for one in listed}
        for symbol in symbols:
            if symbol not in named:
                raise UnknownSymbol(f"{symbol}: {self._market.title} does not list this symbol")
        return {symbol: named[symbol] for symbol in symbols}

    def _listed(self, what: str, terms: Mapping[str, Any]) -> list[dict[str, Any]]:
        answer = self._ask(what, "exchangeInfo", terms, self._market.listing_weight)
        listings = answer.get("symbols") if isinstance(answer, dict) else None
        if not isinstance(listings, list) or not listings or not all(isinstance(one, dict) for one in listings):
            raise FeedError(f"{what}: Binance sent no exchangeInfo but {str(answer)[:80]!r}; {REMEDY}")
        return listings

    def server_time(self) -> datetime:
        """Return the time of the server.

        Raises
        ------
        FeedError
            As `klines`.
        """
        server = self._ask("the server's time", "time", {}, 1)
        try:
            return instant(int(server["serverTime"]) * 1000)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FeedError(f"Binance sent no server time but {str(server)[:80]!r}; {REMEDY}") from error

    def _ask(self, what: str, path: str, terms: Mapping[str, Any], weight: int) -> Any:
        """Send a request; wait as long as Binance demands after too many requests, up to the patience."""
        refusals = 0
        while True:
            self._await_allowed(what, weight)
            try:
                answer = self._sent(path, dict(terms))
                self._correct()
                return answer
            except BinanceAPIException as error:
                seconds = self._retry_after(what, error)
                self._refuse(seconds)
                if refusals == _WAITS or seconds > self.patience_s:
                    raise FeedRefused(f"{what}: {_refusal(seconds, error.status_code)}", seconds) from error
                log.warning("rate_limited", what=what, seconds=seconds)
                refusals += 1
            except BinanceRequestException as error:
                raise FeedError(f"{what}: Binance sent no JSON but {error.message[:80]!r}; {REMEDY}") from error
            except RequestException as error:
                silent = f"did not answer within {self._timeout_s:g} s ({type(error).__name__})"
                raise FeedError(f"{what}: Binance {silent}; {REMEDY}") from error

    def _sent(self, path: str, terms: dict[str, Any]) -> Any:
        if self._market.futures:
            return self._client._request_futures_api("get", path, data=terms)
        return self._client._get(path, data=terms)

    def _await_allowed(self, what: str, weight: int) -> None:
        """Wait until a request of a weight is allowed, and count it."""
        while (seconds := self._allowed_in_s(weight)) > 0:
            if seconds > self.patience_s:
                raise FeedRefused(f"{what}: {_refusal(seconds)}", seconds)
            self._clock.sleep(seconds)

    def _allowed_in_s(self, weight: int) -> float:
        now = self._clock.now()
        if now < self._refused_until:
            return (self._refused_until - now).total_seconds()
        return 0.0 if self._weights is None else self._weights.take(now, weight)

    def _refuse(self, seconds: float) -> None:
        """Send no request for a time; other processes of the state folder neither."""
        self._refused_until = self._clock.now() + timedelta(seconds=seconds)
        if self._weights is not None:
            self._weights.refuse(self._refused_until)

    def _correct(self) -> None:
        """Count the weight that other programs of this machine have used."""
        used = self._client.response.headers.get(_USED, "") if self._client.response is not None else ""
        if self._weights is not None and used.isdecimal() and len(used) < 9:
            now = self._clock.now()
            self._weights.correct(now, int(used), now.replace(second=0, microsecond=0))

    def _retry_after(self, what: str, error: BinanceAPIException) -> float:
        """Return the seconds that Binance demands to wait, or raise the error that the response means."""
        if error.code == _UNKNOWN_SYMBOL:
            raise UnknownSymbol(f"{what}: {self._market.title} does not list this symbol") from error
        if error.status_code not in _TOO_MANY:
            refusal = f"HTTP {error.status_code}: {str(error.message)[:120]}"
            raise FeedError(f"{what}: Binance refused ({refusal}); {REMEDY}") from error
        return _seconds(error.response.headers.get("Retry-After", ""), self._clock.now())


def reachable(url: str, timeout_s: float) -> bool:
    """Return True if the REST API of Binance spot responds at an address within the timeout.

    The timeout includes name resolution. A refusal, or a response that is not from Binance, gives False.
    """
    answered: list[bool] = []

    def ping() -> None:
        try:
            answered.append(_client(SPOT, url, timeout_s).ping() == {})
        except (BinanceAPIException, BinanceRequestException, RequestException):
            answered.append(False)

    thread = Thread(target=ping, daemon=True, name="binance-probe")
    thread.start()
    thread.join(timeout_s)
    return answered == [True]


def weights_of(market: BinanceMarket, home: Path) -> SharedBudget:
    """Return the weight of requests of all processes of a state folder."""
    return SharedBudget(home / market.weights, int(WEIGHT_SHARE * market.weight_limit), WEIGHTS_WITHIN)


def _client(market: BinanceMarket, url: str, timeout_s: float) -> Client:
    client = Client(ping=False, requests_params={"timeout": timeout_s})
    client.API_URL = client.FUTURES_URL = url.rstrip("/")
    return client


def _refusal(seconds: float, status: int | None = None) -> str:
    """Return what an answer demands, or what earlier ones and the weight of requests leave.

    >>> _refusal(17.2)
    'no request to Binance is allowed for 17 s (too many requests); wait that long, or request less history'
    """
    remedy = "wait that long, or request less history"
    if status is None:
        return f"no request to Binance is allowed for {seconds:.0f} s (too many requests); {remedy}"
    return f"Binance refuses for {seconds:.0f} s (HTTP {status}, too many requests); {remedy}"


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
