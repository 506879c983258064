"""Funding of the venue's perpetuals: every eight hours, at a made-up rate on the last price. Knows no socket."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from mikrobot.market.local_venue.clock import MINUTE_MS
from mikrobot.market.local_venue.draws import key_of
from mikrobot.market.local_venue.feed import Feed, Window
from mikrobot.market.local_venue.messages import Payload

PERIOD_MS = 8 * 60 * MINUTE_MS
"""Between two funding times of most perpetuals of Binance."""

MOST, DEFAULT = 1000, 100
"""Largest `limit`, and the one without the parameter."""

_LATEST_MS = 5
"""Milliseconds that Binance's funding times have beyond the hour."""

_HIGHEST_PPM = 300
_OPENED, _CLOSE = 0, 4


def funding_rates(feeds: Mapping[str, Feed], symbols: Sequence[str], window: Window, now_ms: int) -> list[Payload]:
    """Return the funding rates in a window, as rows of the REST API: the oldest, without a first time the newest."""
    until_ms = now_ms if window.until_ms is None else min(window.until_ms, now_ms)
    last = until_ms // PERIOD_MS
    klines = [kline for symbol in symbols for kline in feeds[symbol].klines(Window(0, None, 1), now_ms, forming=False)]
    oldest = min((kline[_OPENED] for kline in klines), default=now_ms)
    if window.since_ms is None:
        first = max(last - window.limit, oldest // PERIOD_MS)
    else:
        first = max((window.since_ms - _LATEST_MS) // PERIOD_MS, oldest // PERIOD_MS)
        last = min(last, first + window.limit)
    rows = [
        row
        for number in range(first, last + 1)
        for symbol in symbols
        if (row := _row(feeds[symbol], symbol, number)) is not None
        and (window.since_ms or 0) <= row["fundingTime"] <= until_ms
    ]
    return rows[-window.limit :] if window.since_ms is None else rows[: window.limit]


def _row(feed: Feed, symbol: str, number: int) -> Payload | None:
    """Return the funding at a multiple of the period; None before the first price."""
    due_ms = number * PERIOD_MS
    klines = feed.klines(Window(None, due_ms - 1, 1), due_ms, forming=False)
    if not klines:
        return None
    key = key_of("funding", symbol, number)
    ppm = Decimal(key % (2 * _HIGHEST_PPM + 1) - _HIGHEST_PPM)
    return {
        "symbol": symbol,
        "fundingTime": due_ms + key % _LATEST_MS,
        "fundingRate": f"{ppm.scaleb(-6):.8f}",
        "markPrice": f"{Decimal(klines[0][_CLOSE]):.8f}",
    }
