"""Bars of five minutes and an hour: as a venue gives them, and as bars of one minute make them up. Reads no store."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Protocol, runtime_checkable

import pandas as pd

from mikrobot.domain.market import Bar, Timeframe, bars_of
from mikrobot.market.quality.feed_parts import Revision

COMPARED = (Timeframe.M5, Timeframe.H1)
"""Timeframes whose bars are compared with those of the venue."""

PRICES = ("open", "high", "low", "close")
AMOUNTS = ("volume", "trades", "taker_volume")

_ROUNDING = 1e-9
"""Relative difference of two sums of the same amounts."""


@runtime_checkable
class LongerBars(Protocol):
    """A source that also gives bars of longer timeframes."""

    def longer(self, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the closed bars of a timeframe that open in [start, end), as a bar frame.

        Raises
        ------
        FeedError
            If the venue does not respond; the same call may be retried.
        UnknownSymbol
            If the source does not have the symbol.
        """


def aggregated(symbol: str, minutes: pd.DataFrame, timeframe: Timeframe) -> Iterator[Bar]:
    """Yield the bars of a timeframe that M1 bars make up, in order of time.

    Parameters
    ----------
    symbol : str
    minutes : DataFrame
        A bar frame of M1 bars. An amount that is unknown in one of them is unknown in their sum.
    timeframe : Timeframe

    Yields
    ------
    Bar
        Without a spread.
    """
    opened = minutes["open_time"].dt.floor(timeframe.delta)
    for time, part in minutes.groupby(opened):
        open_, close = float(part["open"].iloc[0]), float(part["close"].iloc[-1])
        high, low = float(part["high"].max()), float(part["low"].min())
        volume, trades, taker = (float(part[name].sum(skipna=False)) for name in AMOUNTS)
        yield Bar(
            symbol, pd.Timestamp(str(time)).to_pydatetime(), open_, high, low, close, volume,
            trades=trades, taker_volume=taker, timeframe=timeframe,
        )  # fmt: skip


def longer_bars_of(symbol: str, bars: pd.DataFrame, timeframe: Timeframe) -> list[Bar]:
    """Convert a bar frame of a longer timeframe to bars, in row order."""
    return [replace(bar, timeframe=timeframe) for bar in bars_of(symbol, bars)]


def differing(one: Bar, other: Bar) -> tuple[str, ...]:
    """Return the values in which two bars of the same time differ; one that is unknown in either is not compared.

    >>> bar = Bar("BTCUSDT", datetime(2025, 1, 1), 1.0, 3.0, 0.5, 2.0, volume=0.1 + 0.2)
    >>> differing(bar, Bar("BTCUSDT", datetime(2025, 1, 1), 1.0, 3.0, 0.6, 2.0, volume=0.3, trades=7.0))
    ('low',)
    """
    return tuple(
        name for name in (*PRICES, *AMOUNTS) if not _equal(getattr(one, name), getattr(other, name), name in PRICES)
    )


def gravity(fields: tuple[str, ...]) -> Revision:
    """Return how grave a difference is, from the values that differ.

    >>> gravity(()), gravity(("volume",)), gravity(("close", "volume"))
    ('none', 'volume', 'price')
    """
    if not fields:
        return "none"
    return "price" if any(name in PRICES for name in fields) else "volume"


def _equal(one: float, other: float, is_price: bool) -> bool:  # noqa: FBT001
    if math.isnan(one) or math.isnan(other):
        return True
    return one == other if is_price else math.isclose(one, other, rel_tol=_ROUNDING)
