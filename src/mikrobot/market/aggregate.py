"""Aggregation of closed bars to a higher timeframe.

A higher bar opens on its boundary (M5 at :00, :05, ...; H1 on the hour, UTC) and contains the lower
bars inside it. Minutes without a bar are skipped; a period without any lower bar has no bar.
"""

import numpy as np
import pandas as pd

from mikrobot.domain.market import Timeframe
from mikrobot.market.border import bar_frame, microseconds


def aggregate(bars: pd.DataFrame, timeframe: Timeframe, of: Timeframe = Timeframe.M1) -> pd.DataFrame:
    """Return the closed bars of a higher timeframe.

    Parameters
    ----------
    bars : DataFrame
        A bar frame. It should begin on a boundary of `timeframe`; otherwise the first bar is incomplete.
    timeframe : Timeframe
        A multiple of `of`.
    of : Timeframe
        Timeframe of `bars`.

    Returns
    -------
    DataFrame
        A bar frame. volume, trades and taker_volume are sums, NaN if any part is unknown; spread is
        that of the last part. The last bar is included only if `bars` reach its close, so that
        later bars change nothing.

    Raises
    ------
    ValueError
        If `timeframe` is not a multiple of `of`.
    """
    length, part = timeframe.seconds * 1_000_000, of.seconds * 1_000_000
    if length % part:
        raise ValueError(f"{timeframe.value} bars cannot be built from {of.value} bars")
    times = microseconds(bars["open_time"])
    reached = times[-1] + part if len(times) else 0
    buckets = times - times % length
    closed = int(np.searchsorted(buckets, reached - length, side="right"))
    starts = np.flatnonzero(np.diff(buckets[:closed], prepend=-1))
    return _joined(bars.iloc[:closed], buckets[starts], starts)


def _joined(bars: pd.DataFrame, times: np.ndarray, starts: np.ndarray) -> pd.DataFrame:
    opened, high, low, close, spread = (bars[name].to_numpy() for name in ("open", "high", "low", "close", "spread"))
    if not len(starts):
        return bars.iloc[:0].copy()
    last = np.append(starts[1:], len(bars)) - 1
    prices = np.stack(
        (opened[starts], np.maximum.reduceat(high, starts), np.minimum.reduceat(low, starts), close[last])
    )
    volume, trades, taker_volume = (
        np.add.reduceat(bars[name].to_numpy(), starts) for name in ("volume", "trades", "taker_volume")
    )
    return bar_frame(times, prices, volume, spread[last], trades=trades, taker_volume=taker_volume)
