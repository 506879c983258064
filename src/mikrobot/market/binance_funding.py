"""The funding rates of Binance USD-M, as its REST API sends them.

References
----------
Binance USD-M documentation of 2026-04, GET /fapi/v1/fundingRate.
"""

from collections.abc import Collection
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from mikrobot.domain.errors import FeedError
from mikrobot.domain.funding import FundingRate
from mikrobot.market.binance_rest import REMEDY
from mikrobot.market.border import instant

_MINUTE_MS = 60_000
_LAST_MS = 4_102_444_800_000  # 2100
_SHOWN = 80


def rates_of(answer: Any, symbols: Collection[str]) -> list[FundingRate]:
    """Return the funding of symbols in an answer, in order of time, then of symbol.

    Funding times have some milliseconds, which are cut. An empty mark price, as of old rates, is none.

    Raises
    ------
    FeedError
        If the answer is no list of funding rates.

    >>> row = {"symbol": "BTCUSDT", "fundingTime": 1735689600002, "fundingRate": "0.00010000", "markPrice": "94000.1"}
    >>> rates_of([row], ["BTCUSDT"])[0].at.isoformat()
    '2025-01-01T00:00:00+00:00'
    """
    if not isinstance(answer, list):
        raise FeedError(f"Binance sent no funding rates but {str(answer)[:_SHOWN]!r}; {REMEDY}")
    rates = [_rate(row) for row in answer if isinstance(row, dict) and row.get("symbol") in symbols]
    return sorted(rates, key=lambda rate: (rate.at, rate.symbol))


def last_stamp(answer: list[dict[str, Any]]) -> int:
    """Return the latest funding time of a valid answer, milliseconds."""
    return max(int(row["fundingTime"]) for row in answer)


def _rate(row: dict[str, Any]) -> FundingRate:
    try:
        stamp, rate = row["fundingTime"], Decimal(row["fundingRate"])
        mark = Decimal(row["markPrice"]) if row.get("markPrice") else None
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise _odd(row) from error
    if type(stamp) is not int or not 0 < stamp < _LAST_MS or not rate.is_finite() or abs(rate) >= 1:
        raise _odd(row)
    if mark is not None and not (mark.is_finite() and mark > 0):
        raise _odd(row)
    return FundingRate(str(row["symbol"]), instant(stamp // _MINUTE_MS * _MINUTE_MS * 1000), rate, mark)


def _odd(row: dict[str, Any]) -> FeedError:
    return FeedError(f"{row.get('symbol')}: Binance sent {str(row)[:_SHOWN]!r} as funding; {REMEDY}")


PAGE = 1000
"""Rates of an answer, more than Binance has perpetuals."""

CUT = timedelta(milliseconds=999)
"""Milliseconds of a funding time that are cut."""
