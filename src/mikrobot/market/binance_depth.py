"""Depth snapshots of Binance by REST, with the request weight that its answers name.

Makes one request at a time and never waits: its owner decides when the next one is allowed.
"""

import httpx
import msgspec

from mikrobot.domain.errors import FeedError, FeedRefused
from mikrobot.domain.market_events import BookSnapshot
from mikrobot.market.binance_markets import BinanceMarket
from mikrobot.market.binance_messages import snapshot_of

TIMEOUT_S = 10.0

USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"

REFUSED_S = {403: 60.0, 418: 120.0, 429: 60.0}
"""Seconds to wait after a refusal without Retry-After, by its status: to the next minute, or the shortest ban."""


class _RateLimit(msgspec.Struct):
    kind: str = msgspec.field(name="rateLimitType")
    interval: str
    count: int = msgspec.field(name="intervalNum")
    limit: int


class _Listing(msgspec.Struct):
    limits: list[_RateLimit] = msgspec.field(name="rateLimits")


_limits = msgspec.json.Decoder(_Listing).decode


class DepthClient:
    """Requests of one market.

    Parameters
    ----------
    market : BinanceMarket
    url : str
        Address of the API, as ``https://api.binance.com/api`` or ``https://fapi.binance.com/fapi``.

    Attributes
    ----------
    used_weight : int
        Weight that this address has used in the current minute, by the last answer that named it.
    """

    def __init__(self, market: BinanceMarket, url: str) -> None:
        self.used_weight = 0
        self._market = market
        self._client = httpx.Client(base_url=f"{url.rstrip('/')}{market.version}", timeout=TIMEOUT_S)

    def weight_limit(self, symbol: str) -> int:
        """Return the request weight that the market allows an address each minute.

        Raises
        ------
        FeedRefused
            If the address has sent too many requests.
        FeedError
            If Binance does not answer, or names no limit.
        """
        query = {} if self._market.futures else {"symbol": symbol}
        body = self._get("exchangeInfo", query)
        try:
            limits = _limits(body).limits
        except msgspec.DecodeError as error:
            raise FeedError(f"Binance sent no exchangeInfo but {body[:80]!r}") from error
        for limit in limits:
            if (limit.kind, limit.interval, limit.count) == ("REQUEST_WEIGHT", "MINUTE", 1):
                return limit.limit
        raise FeedError("the exchangeInfo of Binance names no REQUEST_WEIGHT of a minute")

    def snapshot(self, symbol: str) -> tuple[BookSnapshot, bytes]:
        """Return the order book of a symbol, and the answer as it was received.

        Raises
        ------
        FeedRefused
            If the address has sent too many requests.
        FeedError
            If Binance does not answer, or sends no order book.
        """
        body = self._get("depth", {"symbol": symbol, "limit": str(self._market.depth_levels)})
        try:
            return snapshot_of(body), body
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FeedError(f"{symbol}: Binance sent no order book but {body[:80]!r}") from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _get(self, path: str, query: dict[str, str]) -> bytes:
        try:
            answer = self._client.get(path, params=query)
        except httpx.HTTPError as error:
            raise FeedError(f"Binance did not answer ({type(error).__name__})") from error
        used = answer.headers.get(USED_WEIGHT, "")
        if used.isdecimal():
            self.used_weight = int(used)
        if answer.status_code in REFUSED_S:
            wait = answer.headers.get("Retry-After", "")
            seconds = float(wait) if wait.isdecimal() and len(wait) < 9 else REFUSED_S[answer.status_code]
            raise FeedRefused(f"Binance refuses for {seconds:.0f} s (HTTP {answer.status_code})", seconds)
        if answer.status_code != httpx.codes.OK:
            raise FeedError(f"Binance refused (HTTP {answer.status_code}): {answer.content[:80]!r}")
        return answer.content
