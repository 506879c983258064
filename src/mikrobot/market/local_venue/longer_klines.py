"""Klines of five minutes and of an hour, aggregated from the rows of one-minute klines. Knows no socket."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import groupby
from typing import Any

from mikrobot.market.local_venue.clock import MINUTE_MS
from mikrobot.market.local_venue.feed import Feed, Window

LENGTHS: Mapping[str, int] = {"1m": 1, "5m": 5, "1h": 60}
"""Minutes of the intervals that the venue has."""

_OPENED, _OPEN, _HIGH, _LOW, _CLOSE, _VOLUME, _CLOSED, _VALUE, _COUNT, _TAKER, _TAKER_VALUE, _UNUSED = range(12)


def longer_klines(feed: Feed, window: Window, now_ms: int, minutes: int, *, forming: bool) -> list[list[Any]]:
    """Return the klines of so many minutes that open in a window; see `Feed.klines`."""
    length_ms = minutes * MINUTE_MS
    last = (now_ms if window.until_ms is None else min(window.until_ms, now_ms)) // length_ms
    if window.since_ms is None:
        first = last - window.limit
    else:
        first = -(-window.since_ms // length_ms)
        last = min(last, first + window.limit - 1)
    if last < first:
        return []
    asked = Window(first * length_ms, (last + 1) * length_ms - 1, (last - first + 1) * minutes)
    rows = feed.klines(asked, now_ms, forming=forming)
    klines = [_together(list(part), length_ms) for _, part in groupby(rows, lambda row: row[_OPENED] // length_ms)]
    whole = [kline for kline in klines if forming or kline[_CLOSED] < now_ms]
    return whole[-window.limit :] if window.since_ms is None else whole


def changed(row: list[Any]) -> list[Any]:
    """Return a kline with a high that is a hundredth above it."""
    higher = Decimal(row[_HIGH]) * Decimal("1.01")
    return [*row[:_HIGH], _text(higher.quantize(Decimal(row[_HIGH]))), *row[_LOW:]]


def _together(rows: list[list[Any]], length_ms: int) -> list[Any]:
    """Return the kline that one-minute klines make up, in the decimals in which they are written."""
    first, last = rows[0], rows[-1]
    opened = first[_OPENED] // length_ms * length_ms
    return [
        opened,
        first[_OPEN],
        max((row[_HIGH] for row in rows), key=Decimal),
        min((row[_LOW] for row in rows), key=Decimal),
        last[_CLOSE],
        _sum(rows, _VOLUME),
        opened + length_ms - 1,
        _sum(rows, _VALUE),
        sum(row[_COUNT] for row in rows),
        _sum(rows, _TAKER),
        _sum(rows, _TAKER_VALUE),
        first[_UNUSED],
    ]


def _sum(rows: list[list[Any]], place: int) -> str:
    return _text(sum((Decimal(row[place]) for row in rows), Decimal(0)))


def _text(amount: Decimal) -> str:
    return f"{amount:f}"
