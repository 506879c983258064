"""Labels of breaks: the result of the retest, and false breaks.

A break is a close beyond a swing level that was unbroken after the previous bar. A close at the level
is still inside.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.labels.breaks import check
from mikrobot.models.labels.samples import SIDES, Floats, Integers, Labels, Prices, after_bars

NEAR_ATR = 0.2
"""Maximum distance of a retest bar's extreme from the broken level, in ATR of the breaking bar."""

PATIENCE_BARS = 20
"""Maximum number of bars between a break and its retest."""


class Breaks(NamedTuple):
    """Bars that closed beyond a level: their rows in order, their directions and their levels."""

    row: Integers
    side: NDArray[np.int8]
    level: Floats


def breaks(prices: Prices, levels: Floats) -> Breaks:
    """Find the bars that close beyond a level that was unbroken after the previous bar.

    Parameters
    ----------
    levels : ndarray of float64, shape (bars, 2)
        Price of the level above and below after each bar; NaN where there is none.
    """
    before, column = np.nonzero(SIDES * prices.close[1:, None] > SIDES * levels[:-1])
    return Breaks(before + 1, SIDES[column], levels[before, column])


def retest(
    prices: Prices,
    levels: Floats,
    atr: Floats,
    horizon_bars: int = 30,
    *,
    target_atr: float = 1.0,
    stop_atr: float = 1.0,
) -> Labels:
    """Label the first retest of each broken level: true if price then reaches its target before its stop.

    After a break at bar b, the retest is the first bar r in (b, b + 20], before the next break, whose
    extreme comes within 0.2 ATR[b] of the level. The sample is taken at the close of r, unless that
    close is back inside. The label is true if price goes `target_atr` ATR[b] beyond the close of r before
    it goes `stop_atr` ATR[b] against it, within the horizon. It is false if both happen in one bar, or
    neither within the horizon.

    Parameters
    ----------
    prices : Prices
    levels : ndarray of float64, shape (bars, 2)
        Price of the level above and below after each bar; NaN where there is none.
    atr : ndarray of float64, shape (bars,)
        After each bar; a break at a bar without an ATR has no retest.
    horizon_bars : int
    target_atr, stop_atr : float
        Positive.

    Raises
    ------
    ValueError
        If the arrays differ in length, or the horizon or a barrier is not positive.

    Examples
    --------
    Bar 1 breaks 10 with a close at 12, bar 2 returns to 10.1, and bar 3 rises by an ATR of 1:

    >>> low, close, high = np.array([[8, 9, 9], [9, 12, 12], [10.1, 11, 12], [11, 12, 12]], dtype=float).T
    >>> levels = np.array([[10, np.nan], [np.nan, np.nan], [np.nan, np.nan], [np.nan, np.nan]])
    >>> labels = retest(Prices(np.arange(4), high, low, close), levels, np.ones(4), horizon_bars=1)
    >>> labels.row.tolist(), labels.side.tolist(), labels.outcome.tolist()
    ([2], [1], [True])
    """
    check(prices, levels, horizon_bars)
    if len(atr) != len(prices) or not (target_atr > 0.0 and stop_atr > 0.0):
        raise ValueError(
            f"expected the ATR of each of {len(prices)} bars and positive barriers, "
            f"found {len(atr)} ATR values, barriers {target_atr} and {stop_atr}"
        )
    broken = breaks(prices, levels)
    returned = _first_return(prices, broken, atr)
    last = after_bars(prices.minute, horizon_bars)
    kept = (returned >= 0) & (last[returned] >= 0)
    kept &= broken.side * (prices.close[returned] - broken.level) > 0.0
    row, side, unit = returned[kept], broken.side[kept], atr[broken.row[kept]]
    entry = prices.close[row]
    return Labels(
        row=row,
        side=side,
        outcome=_reached_first(prices, row, side, target_atr * unit, stop=stop_atr * unit, bars=horizon_bars),
        end=_end(prices, last[row]),
        level=broken.level[kept],
        distance=np.asarray(side * np.log1p(side * target_atr * unit / entry), dtype=np.float64),
    )


def false_break(prices: Prices, levels: Floats, horizon_bars: int = 5) -> Labels:
    """Label every break at its close: true if a later close within the horizon is back inside.

    Parameters
    ----------
    prices : Prices
    levels : ndarray of float64, shape (bars, 2)
        Price of the level above and below after each bar; NaN where there is none.
    horizon_bars : int

    Raises
    ------
    ValueError
        If the arrays differ in length or the horizon is not positive.

    Examples
    --------
    Bar 1 breaks 10 with a close at 12; the second close after it is back inside:

    >>> closes = np.array([9.0, 12.0, 11.0, 9.5])
    >>> levels = np.array([[10, np.nan], [np.nan, np.nan], [np.nan, np.nan], [np.nan, np.nan]])
    >>> labels = false_break(Prices(np.arange(4), closes, closes, closes), levels, horizon_bars=2)
    >>> labels.row.tolist(), labels.side.tolist(), labels.outcome.tolist()
    ([1], [1], [True])
    """
    check(prices, levels, horizon_bars)
    broken = breaks(prices, levels)
    last = after_bars(prices.minute, horizon_bars)
    kept = last[broken.row] >= 0
    row, side, level = broken.row[kept], broken.side[kept], broken.level[kept]
    later = prices.close[_ahead(row, horizon_bars)]
    return Labels(
        row=row,
        side=side,
        outcome=np.any(side[:, None] * (later - level[:, None]) <= 0.0, axis=1),
        end=_end(prices, last[row]),
        level=level,
        distance=np.asarray(side * np.log(prices.close[row] / level), dtype=np.float64),
    )


def _first_return(prices: Prices, broken: Breaks, atr: Floats) -> Integers:
    """Return the row of the retest of each break; -1 where there is none in time and before the next break."""
    until = np.append(broken.row[1:], len(prices))
    ahead = _ahead(broken.row, PATIENCE_BARS)
    waited = ahead < until[:, None]
    bar = np.minimum(ahead, len(prices) - 1)
    side, level = broken.side[:, None], broken.level[:, None]
    extreme = np.where(side > 0, prices.low[bar], prices.high[bar])
    near = waited & (side * (extreme - level) <= NEAR_ATR * atr[broken.row][:, None])
    return np.where(near.any(axis=1), broken.row + 1 + near.argmax(axis=1), -1)


def _reached_first(
    prices: Prices, row: Integers, side: NDArray[np.int8], target: Floats, *, stop: Floats, bars: int
) -> NDArray[np.bool_]:
    """Return which samples reach the target in an earlier bar than the stop."""
    ahead, entry, up = _ahead(row, bars), prices.close[row][:, None], (side > 0)[:, None]
    risen, fallen = prices.high[ahead] - entry, entry - prices.low[ahead]
    reached = np.where(up, risen, fallen) >= target[:, None]
    stopped = np.where(up, fallen, risen) >= stop[:, None]
    first = reached.argmax(axis=1) < stopped.argmax(axis=1)
    return np.asarray(reached.any(axis=1) & (~stopped.any(axis=1) | first))


def _ahead(row: Integers, bars: int) -> Integers:
    """Return the rows of the next bars after each row, shape (rows, bars)."""
    return row[:, None] + np.arange(1, bars + 1)


def _end(prices: Prices, last: Integers) -> NDArray[np.datetime64]:
    return prices.minute[last].astype("datetime64[m]").astype("datetime64[us]")
