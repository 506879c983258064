"""The REST API of the venue: requests in, JSON answers out. Knows no socket."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mikrobot.market.local_venue.clock import MarketClock
from mikrobot.market.local_venue.exchange_info import exchange_info
from mikrobot.market.local_venue.faults import Answer
from mikrobot.market.local_venue.feed import Feed, Window
from mikrobot.market.local_venue.funding import DEFAULT, MOST, funding_rates
from mikrobot.market.local_venue.injection import Injector
from mikrobot.market.local_venue.longer_klines import LENGTHS, changed, longer_klines
from mikrobot.market.local_venue.markets import Market
from mikrobot.market.local_venue.messages import Payload
from mikrobot.market.local_venue.payloads import in_microseconds
from mikrobot.market.local_venue.refusals import Refusal, limit, number, symbol_of, symbols_of
from mikrobot.market.local_venue.weights import Charge, WeightBudget, weight_of

_NAMES = ("ping", "time", "exchangeInfo", "klines", "depth", "aggTrades")

_SPOT_MOST_LEVELS = 5000
_USDM_LEVELS = (5, 10, 20, 50, 100, 500, 1000)
_DEFAULT = 500
_SPOT_DEFAULT_LEVELS = 100
_OTHER_INTERVALS = ("1s", "3m", "15m", "30m", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")

Query = Mapping[str, str]


def names_of(market: Market) -> tuple[str, ...]:
    """Return the last parts of the paths that a market answers."""
    return _NAMES if market.name == "spot" else (*_NAMES, "fundingRate")


class RestApi:
    """The REST API of one market.

    Parameters
    ----------
    market : Market
    feeds : mapping of str to Feed
        By symbol.
    clock : MarketClock
    injector : Injector
    """

    def __init__(self, market: Market, feeds: Mapping[str, Feed], clock: MarketClock, injector: Injector) -> None:
        self._market = market
        self._feeds = feeds
        self._clock = clock
        self._injector = injector
        self._budgets: dict[str, WeightBudget] = {}
        self._requests = 0

    @property
    def requests(self) -> int:
        """Number of requests so far."""
        return self._requests

    def answer(self, name: str, query: Query, address: str, *, microseconds: bool) -> tuple[Answer, Charge]:
        """Return the answer to a request, and what it has used of the weight limit.

        Parameters
        ----------
        name : str
            One of `names_of` its market.
        query : mapping of str to str
        address : str
            Address of the client, whose weight is counted.
        microseconds : bool
            The client wants times in microseconds.
        """
        self._requests += 1
        now_ms = self._clock.now_ms()
        charge = self._charge(name, query, address, now_ms)
        conditions = self._injector.answer(query.get("symbol"), self._requests)
        if conditions.body is not None:
            return conditions, charge
        if charge.status != 200:
            return _too_many(self._market, charge, now_ms), charge
        try:
            body = self._body(name, query, now_ms, conditions)
        except Refusal as refusal:
            refused = {"code": refusal.code, "msg": refusal.reason}
            return replace(conditions, status=refusal.status, body=refused), charge
        spot_wish = microseconds and self._market.name == "spot"
        if conditions.microseconds or spot_wish:
            body = in_microseconds(body)
        return replace(conditions, body=body), charge

    def _charge(self, name: str, query: Query, address: str, now_ms: int) -> Charge:
        budget = self._budgets.setdefault(address, WeightBudget(self._market.weight_limit))
        given = query.get("limit", "")
        wanted = int(given) if given.isdecimal() and len(given) < 9 else None
        return budget.charge(weight_of(self._market.name, name, wanted), now_ms)

    def _body(self, name: str, query: Query, now_ms: int, conditions: Answer) -> Any:
        if name == "ping":
            return {}
        if name == "time":
            return {"serverTime": now_ms + conditions.skew_ms}
        if name == "exchangeInfo":
            return self._exchange_info(query, now_ms + conditions.skew_ms)
        if name == "fundingRate":
            return self._funding(query, now_ms)
        feed = self._feed(symbol_of(query))
        if name == "klines":
            return self._klines(feed, query, now_ms, conditions)
        return self._depth(feed, query, now_ms) if name == "depth" else self._trades(feed, query, now_ms)

    def _feed(self, symbol: str) -> Feed:
        if symbol not in self._feeds:
            raise Refusal(-1121, "Invalid symbol.")
        return self._feeds[symbol]

    def _exchange_info(self, query: Query, now_ms: int) -> Payload:
        wanted = symbols_of(query) if self._market.name == "spot" else None
        feeds = list(self._feeds.values()) if wanted is None else [self._feed(symbol) for symbol in wanted]
        return exchange_info(self._market, (feed.listing for feed in feeds), now_ms)

    def _klines(self, feed: Feed, query: Query, now_ms: int, conditions: Answer) -> list[list[Any]]:
        interval = query.get("interval", "")
        if not interval:
            raise Refusal(-1102, "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.")
        if interval in _OTHER_INTERVALS:
            raise Refusal(-1120, f"Invalid interval; the local venue has {', '.join(LENGTHS)}, not {interval}.")
        if interval not in LENGTHS:
            raise Refusal(-1120, "Invalid interval.")
        since_ms, until_ms = number(query, "startTime"), number(query, "endTime")
        most = limit(query, _DEFAULT, self._market.most_klines, strict=self._is_strict)
        window, forming = Window(since_ms, until_ms, most), not conditions.closed_only
        if LENGTHS[interval] == 1:
            return feed.klines(window, now_ms, forming=forming)
        longer = longer_klines(feed, window, now_ms, LENGTHS[interval], forming=forming)
        return [changed(row) for row in longer] if conditions.longer_differ else longer

    def _funding(self, query: Query, now_ms: int) -> list[Payload]:
        if "symbol" in query:
            self._feed(symbol_of(query))
        symbols = [query["symbol"]] if "symbol" in query else list(self._feeds)
        since_ms, until_ms = number(query, "startTime"), number(query, "endTime")
        most = limit(query, DEFAULT, MOST, strict=True)
        return funding_rates(self._feeds, symbols, Window(since_ms, until_ms, most), now_ms)

    def _trades(self, feed: Feed, query: Query, now_ms: int) -> list[Payload]:
        first_id, since_ms, until_ms = (number(query, name) for name in ("fromId", "startTime", "endTime"))
        most = limit(query, _DEFAULT, self._market.most_trades, strict=self._is_strict)
        if first_id is not None and (since_ms is not None or until_ms is not None):
            raise Refusal(-1128, "Combination of optional parameters invalid.")
        return feed.trades(Window(since_ms, until_ms, most), now_ms, first_id=first_id)

    def _depth(self, feed: Feed, query: Query, now_ms: int) -> Payload:
        if self._market.name == "spot":
            most = limit(query, _SPOT_DEFAULT_LEVELS, _SPOT_MOST_LEVELS, strict=False)
        else:
            given = number(query, "limit")
            most = _DEFAULT if given is None else given
            if most not in _USDM_LEVELS:
                raise Refusal(-4021, f"'{most}' is not valid depth limit.")
        book = feed.depth(most, now_ms)
        if book is None:
            raise Refusal(-1000, "An unknown error occurred while processing the request.", 503)
        return book

    @property
    def _is_strict(self) -> bool:
        return self._market.name == "usdm"


def _too_many(market: Market, charge: Charge, now_ms: int) -> Answer:
    if charge.status == 418:
        until_ms = now_ms + charge.retry_after_s * 1000
        reason = f"Way too many requests; IP banned until {until_ms}."
    else:
        reason = f"Too many requests; current limit is {market.weight_limit} request weight per 1 MINUTE."
    return Answer(charge.status, {"code": -1003, "msg": reason}, charge.retry_after_s)
