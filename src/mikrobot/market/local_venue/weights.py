"""The request weights of Binance, and the limit of an address. Reads no clock."""

from collections.abc import Mapping
from dataclasses import dataclass

from mikrobot.market.local_venue.clock import MINUTE_MS

BAN_MS = 120_000
"""Shortest ban: Binance spot API, "IP limits"."""

PATIENCE = 10
"""Requests refused with 429 in a row before a ban."""

_Steps = tuple[tuple[int, int], ...]
"""Pairs of a largest limit and its weight."""

_SPOT_DEPTH: _Steps = ((100, 5), (500, 25), (1000, 50), (5000, 250))
_USDM_DEPTH: _Steps = ((50, 2), (100, 5), (500, 10), (1000, 20))
_USDM_KLINES: _Steps = ((99, 1), (499, 2), (1000, 5), (1500, 10))
_FIXED: Mapping[str, Mapping[str, int]] = {
    "spot": {"ping": 1, "time": 1, "exchangeInfo": 20, "klines": 2, "aggTrades": 4},
    "usdm": {"ping": 1, "time": 1, "exchangeInfo": 1, "aggTrades": 20, "fundingRate": 1},
}
_BY_LIMIT: Mapping[tuple[str, str], tuple[int, _Steps]] = {
    ("spot", "depth"): (100, _SPOT_DEPTH),
    ("usdm", "depth"): (500, _USDM_DEPTH),
    ("usdm", "klines"): (500, _USDM_KLINES),
}


def weight_of(market: str, name: str, given_limit: int | None) -> int:
    """Return the weight of a request.

    Parameters
    ----------
    market : str
        "spot" or "usdm".
    name : str
        Last part of the path.
    given_limit : int or None
        Parameter `limit`; None: the default.

    >>> weight_of("spot", "depth", 5000), weight_of("usdm", "klines", 499), weight_of("usdm", "klines", None)
    (250, 2, 5)
    """
    if (market, name) not in _BY_LIMIT:
        return _FIXED[market][name]
    default, steps = _BY_LIMIT[market, name]
    wanted = default if given_limit is None else given_limit
    return next((weight for most, weight in steps if wanted <= most), steps[-1][1])


@dataclass(frozen=True, slots=True)
class Charge:
    """The outcome of a request.

    Attributes
    ----------
    used : int
        Weight used in this minute, this request included.
    status : int
        200, 429 or 418.
    retry_after_s : int
        Seconds until requests are answered again.
    """

    used: int
    status: int = 200
    retry_after_s: int = 0


class WeightBudget:
    """The weight that one address has used on one market.

    Parameters
    ----------
    limit : int
        Weight per minute of market time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._minute = 0
        self._used = 0
        self._refused = 0
        self._banned_until_ms = 0

    def charge(self, weight: int, now_ms: int) -> Charge:
        """Count a request.

        Above the limit it is refused with 429 until the minute ends, and after `PATIENCE` refusals with 418 until
        the ban ends.
        """
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._minute, self._used = minute, 0
            self._refused = 0
        self._used += weight
        if now_ms < self._banned_until_ms:
            return Charge(self._used, 418, _seconds(self._banned_until_ms - now_ms))
        if self._used <= self._limit:
            return Charge(self._used)
        self._refused += 1
        if self._refused > PATIENCE:
            self._banned_until_ms = now_ms + BAN_MS
            return Charge(self._used, 418, _seconds(BAN_MS))
        return Charge(self._used, 429, _seconds((minute + 1) * MINUTE_MS - now_ms))


def _seconds(milliseconds: int) -> int:
    return -(-milliseconds // 1000)
