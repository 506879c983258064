"""Volatility regime of a trade: quiet, normal or volatile, by the volatility before its entry."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.trading import Trade

LOOKBACK = 240
"""Number of M1 bars before the entry used for the volatility: four hours."""

NAMES = ("quiet", "normal", "volatile")
UNKNOWN = "unknown"


def volatility_regimes(trades: Sequence[Trade], bars: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return the regime of each trade by order id.

    Volatility is the standard deviation of the last `LOOKBACK` one-minute log returns. Each regime covers
    a third of the bars of a symbol over the whole span, so a regime is known only afterwards and must not
    be used in decisions. The regime is "unknown" if there are too few bars before the entry.

    Parameters
    ----------
    trades : sequence of Trade
    bars : mapping of str to DataFrame
        M1 bar frames by symbol.
    """
    volatility = {symbol: _volatility(frame) for symbol, frame in bars.items() if len(frame) > LOOKBACK}
    thirds = {symbol: np.nanquantile(values, [1 / 3, 2 / 3]).tolist() for symbol, (_, values) in volatility.items()}
    regimes = {}
    for trade in trades:
        symbol = trade.order.symbol
        value = _at(*volatility[symbol], trade.entry.filled_at) if symbol in volatility else math.nan
        regimes[trade.order.id] = UNKNOWN if math.isnan(value) else NAMES[bisect_right(thirds[symbol], value)]
    return regimes


def _volatility(frame: pd.DataFrame) -> tuple[pd.DatetimeIndex, NDArray[np.float64]]:
    """Return the close times and the volatility at each close."""
    closes = pd.DatetimeIndex(frame["open_time"]) + pd.Timedelta(minutes=1)
    returns = pd.Series(np.log(frame["close"].to_numpy("float64"))).diff()
    return closes, returns.rolling(LOOKBACK).std().to_numpy()


def _at(closes: pd.DatetimeIndex, values: NDArray[np.float64], instant: datetime) -> float:
    """Return the latest value at an instant; NaN before the first close."""
    position = int(closes.searchsorted(pd.Timestamp(instant), "right")) - 1
    return float(values[position]) if position >= 0 else math.nan
