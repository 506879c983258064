"""Timeframes and bars, as market sources deliver and stores keep them.

Reads, stores and fetches nothing. Prices are float64 here; `Instrument.quantize` is the only
conversion to Decimal.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

import pandas as pd

BAR_COLUMNS = ("open_time", "open", "high", "low", "close", "volume", "spread", "trades", "taker_volume")
"""Columns of a bar frame, in order.

``open_time`` is datetime64[us, UTC], strictly increasing and unique; the others are float64.
Prices are bid. ``volume``, ``spread`` (ask - bid at the close, in price units), ``trades`` (number
of trades) and ``taker_volume`` (the part of the volume that takers bought) are NaN where the source
does not provide them. A row is known at its close, one timeframe after ``open_time``.
"""


class Timeframe(Enum):
    """Length of a bar; the value is its name in settings, tables and feature columns."""

    M1 = "M1"
    M5 = "M5"
    H1 = "H1"

    @property
    def seconds(self) -> int:
        """Length in seconds.

        >>> Timeframe.M5.seconds
        300
        """
        return _SECONDS[self]

    @property
    def delta(self) -> timedelta:
        """Length as a timedelta."""
        return timedelta(seconds=self.seconds)


_SECONDS = {Timeframe.M1: 60, Timeframe.M5: 300, Timeframe.H1: 3600}


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed bar of one symbol.

    Attributes
    ----------
    symbol : str
    open_time : datetime
        UTC. The bar is known at `close_time`, not before.
    open, high, low, close : float
        Bid prices.
    volume : float
        Base units (crypto) or ticks (FX); NaN where unknown.
    spread : float
        ask - bid at the close, in price units; NaN where unknown.
    trades : float
        Number of trades; NaN where unknown.
    taker_volume : float
        Base units bought by takers, at most `volume`; NaN where unknown.
    timeframe : Timeframe
    """

    symbol: str
    open_time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float = float("nan")
    spread: float = float("nan")
    trades: float = float("nan")
    taker_volume: float = float("nan")
    timeframe: Timeframe = Timeframe.M1

    @property
    def close_time(self) -> datetime:
        """Time from which the bar is known, UTC."""
        return self.open_time + self.timeframe.delta


def close_times(bars: pd.DataFrame, timeframe: Timeframe = Timeframe.M1) -> pd.Series:
    """Return the time from which each row of a bar frame is known (datetime64[us, UTC])."""
    return (bars["open_time"] + pd.Timedelta(timeframe.delta)).rename("close_time")


def bars_of(symbol: str, bars: pd.DataFrame) -> list[Bar]:
    """Convert an M1 bar frame to a list of bars of a symbol, in row order."""
    opened = pd.DatetimeIndex(bars["open_time"]).to_pydatetime()
    values = bars[list(BAR_COLUMNS[1:])].to_numpy().tolist()
    return [Bar(symbol, time, *row) for time, row in zip(opened, values, strict=True)]


def empty_bars() -> pd.DataFrame:
    """Return a bar frame without rows, with the right columns and types.

    >>> list(empty_bars()) == list(BAR_COLUMNS)
    True
    """
    frame = pd.DataFrame({name: pd.Series(dtype="float64") for name in BAR_COLUMNS})
    return frame.astype({"open_time": "datetime64[us, UTC]"})
