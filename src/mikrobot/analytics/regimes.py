"""Which market a trade met: quiet, normal or volatile, by the volatility before its entry."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.trading import Trade

LOOKBACK = 240
"""M1 bars before the entry whose returns are judged: four hours."""

NAMES = ("quiet", "normal", "volatile")
UNKNOWN = "unknown"


def volatility_regimes(trades: Sequence[Trade], bars: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Name the regime of each trade by its order's id.

    A third of a symbol's bars belongs to each regime, by the standard deviation of the last
    `LOOKBACK` one-minute log returns. The thirds are those of the whole span: this describes
    afterwards, no decision may use it. "unknown" where the bars before the entry are too few.

    Parameters
    ----------
    trades : sequence of Trade
    bars : mapping of str to DataFrame
        M1 bar frames by symbol.
    """
    known = {symbol: _volatility(frame) for symbol, frame in bars.items() if len(frame) > LOOKBACK}
    thirds = {symbol: np.nanquantile(values, [1 / 3, 2 / 3]).tolist() for symbol, (_, values) in known.items()}
    found = {}
    for trade in trades:
        symbol = trade.order.symbol
        value = _at(*known[symbol], trade.entry.filled_at) if symbol in known else math.nan
        found[trade.order.id] = UNKNOWN if math.isnan(value) else NAMES[bisect_right(thirds[symbol], value)]
    return found


def _volatility(frame: pd.DataFrame) -> tuple[pd.DatetimeIndex, NDArray[np.float64]]:
    """Return close times, and the volatility known at each."""
    closes = pd.DatetimeIndex(frame["open_time"]) + pd.Timedelta(minutes=1)
    returns = pd.Series(np.log(frame["close"].to_numpy("float64"))).diff()
    return closes, returns.rolling(LOOKBACK).std().to_numpy()


def _at(closes: pd.DatetimeIndex, values: NDArray[np.float64], instant: datetime) -> float:
    """Return the value known at an instant; NaN before the first."""
    position = int(closes.searchsorted(pd.Timestamp(instant), "right")) - 1
    return float(values[position]) if position >= 0 else math.nan
