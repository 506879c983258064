"""Labels of unbroken levels: a break within a horizon, or at the close of the forming M5 bar."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.labels.samples import SIDES, Floats, Integers, Labels, Prices, after_minutes

Mode = Literal["close", "wick"]
"""The price that breaks a level: the close of a bar, or its high or low."""

HALF_TICK = 0.5
"""Ticks beyond a level from which an unrounded price counts as beyond: the next price of the grid is a tick away."""

FORMING_MINUTES = 5
"""Length in minutes of the bar whose close a nowcast predicts."""


def bos(prices: Prices, levels: Floats, horizon_minutes: int, mode: Mode = "close") -> Labels:
    """Label every unbroken level: true if price goes beyond it within the horizon.

    There is one sample for each side with a level at the close of bar t; the level is fixed at that
    close. The label is true if any close (mode `wick`: any high, or low for the level below) of the bars
    in (t, t + horizon] lies beyond it. A price at the level is not beyond.

    Parameters
    ----------
    prices : Prices
    levels : ndarray of float64, shape (bars, 2)
        Price of the level above and below after each bar; NaN where there is none.
    horizon_minutes : int
        At least 1.
    mode : "close" or "wick"

    Raises
    ------
    ValueError
        If the arrays differ in length or the horizon is not positive.

    Examples
    --------
    A level of 3 lies above the first two bars; the third close goes beyond it:

    >>> closes = np.array([2.0, 3.0, 3.5, 2.0, 2.0])
    >>> prices = Prices(np.arange(5), closes, closes, closes)
    >>> levels = np.array([[3, np.nan], [3, np.nan], [np.nan, 1], [np.nan, 1], [np.nan, 1]])
    >>> labels = bos(prices, levels, horizon_minutes=2)
    >>> labels.row.tolist(), labels.side.tolist(), labels.outcome.tolist()
    ([0, 1, 2], [1, 1, -1], [True, True, False])
    """
    check(prices, levels, horizon_minutes)
    last = after_minutes(prices.minute, horizon_minutes)
    ups, downs = (prices.close, prices.close) if mode == "close" else (prices.high, prices.low)
    furthest = np.column_stack([_highest(ups, last, horizon_minutes), _highest(-downs, last, horizon_minutes)])
    row, column = np.nonzero(np.isfinite(levels) & (last >= 0)[:, None])
    return _of_levels(prices, levels, row, column, furthest=furthest[row, column], last=last)


def nowcast(prices: Prices, levels: Floats) -> Labels:
    """Label every level of the closed M5 bars: true if the forming M5 bar closes beyond it.

    There is one sample for each side and each M1 close inside the M5 bar, 4 to 1 minutes before its
    end. The time left is `end` less the time of the sample. The close may be beyond the level already.

    Parameters
    ----------
    prices : Prices
    levels : ndarray of float64, shape (bars, 2)
        Price of the M5 level above and below, after the last closed M5 bar; NaN where there is none.

    Raises
    ------
    ValueError
        If the arrays differ in length.

    Examples
    --------
    The bar from minute 5 to 10 closes at 3.5, beyond a level of 3:

    >>> closes = np.array([2.0, 3.5, 2.0, 2.0, 3.5])
    >>> labels = nowcast(Prices(np.arange(6, 11), closes, closes, closes), np.full((5, 2), [3.0, np.nan]))
    >>> labels.row.tolist(), labels.outcome.tolist()
    ([0, 1, 2, 3], [True, True, True, True])
    """
    check(prices, levels, FORMING_MINUTES)
    left = -prices.minute % FORMING_MINUTES
    last = after_minutes(prices.minute, np.maximum(left, 1))
    row, column = np.nonzero(np.isfinite(levels) & ((left > 0) & (last >= 0))[:, None])
    return _of_levels(prices, levels, row, column, furthest=SIDES[column] * prices.close[last[row]], last=last)


def check(prices: Prices, levels: Floats, horizon: int) -> None:
    """Refuse arrays of different lengths and non-positive horizons.

    Raises
    ------
    ValueError
        If there is not one pair of levels for each bar, or the horizon is not positive.
    """
    if levels.shape != (len(prices), 2) or horizon < 1:
        raise ValueError(
            f"expected two levels for each of {len(prices)} bars and a horizon of at least 1, "
            f"found levels of shape {levels.shape}, horizon {horizon}"
        )


def _of_levels(
    prices: Prices, levels: Floats, row: Integers, column: NDArray[np.intp], *, furthest: Floats, last: Integers
) -> Labels:
    side, level = SIDES[column], levels[row, column]
    return Labels(
        row=row,
        side=side,
        outcome=furthest > side * level,
        end=prices.minute[last[row]].astype("datetime64[m]").astype("datetime64[us]"),
        level=level,
        distance=np.asarray(side * np.log(level / prices.close[row]), dtype=np.float64),
    )


def _highest(values: Floats, last: Integers, most: int) -> Floats:
    """Return the highest value of the bars after each bar, up to its last one and at most `most` bars."""
    reached = np.full(len(values), -np.inf)
    row = np.arange(len(values))
    for ahead in range(1, min(most, len(values) - 1) + 1):
        inside = last[:-ahead] >= row[ahead:]
        np.maximum(reached[:-ahead], values[ahead:], out=reached[:-ahead], where=inside)
    return reached
