"""What came of each close: the only room that looks forward.

A label is never an input. Each carries the end of its horizon, so that a split can keep it away
from what comes after.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDES = np.array([1, -1], dtype=np.int8)
"""Order of the sides in every two-column array here: up, down."""

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Labels:
    """Samples of one symbol, in order of time; at most two at one close, the one upwards first.

    Attributes
    ----------
    row : ndarray of int64, shape (samples,)
        Bar at whose close the sample is taken.
    side : ndarray of int8, shape (samples,)
        +1 for a break upwards, -1 downwards.
    broken : ndarray of bool, shape (samples,)
        Whether the level broke within the horizon; known at `end`.
    end : ndarray of datetime64[us], shape (samples,)
        UTC; last instant of the horizon.
    """

    row: NDArray[np.int64]
    side: NDArray[np.int8]
    broken: NDArray[np.bool_]
    end: Times

    def __len__(self) -> int:
        return len(self.row)


def bos(closed_at: Times, closes: Floats, levels: Floats, horizon_minutes: int) -> Labels:
    """Label every standing level by whether a close goes beyond it within the horizon.

    One sample for each side on which a level stands at the close of bar t, frozen at that close:
    broken if any close in (t, t + horizon] lies beyond it. A close at the level is not beyond.
    Samples whose horizon misses a minute (a session gap, the end of the data) are dropped.

    Parameters
    ----------
    closed_at : ndarray of datetime64[us], shape (bars,)
        Closes of M1 bars, UTC, strictly increasing.
    closes : ndarray of float64, shape (bars,)
    levels : ndarray of float64, shape (bars, 2)
        Price of the level above and below after each bar; NaN where none stands.
    horizon_minutes : int
        At least 1.

    Raises
    ------
    ValueError
        If the arrays differ in length or the horizon is not positive.

    Examples
    --------
    A level of 3 stands above three bars; the third close goes beyond it:

    >>> minutes = np.datetime64("2024-03-11T09:01", "us") + np.arange(5) * np.timedelta64(1, "m")
    >>> levels = np.array([[3, np.nan], [3, np.nan], [np.nan, 1], [np.nan, 1], [np.nan, 1]])
    >>> found = bos(minutes, np.array([2.0, 3.0, 3.5, 2.0, 2.0]), levels, horizon_minutes=2)
    >>> found.row.tolist(), found.side.tolist(), found.broken.tolist()
    ([0, 1, 2], [1, 1, -1], [True, True, False])
    """
    if len(closed_at) != len(closes) or levels.shape != (len(closes), 2) or horizon_minutes < 1:
        raise ValueError(
            f"expected one close and two levels for each of {len(closed_at)} times and a horizon of at least 1 minute, "
            f"found {len(closes)} closes, levels of shape {levels.shape}, {horizon_minutes} minutes"
        )
    standing = np.isfinite(levels) & complete(closed_at, horizon_minutes)[:, None]
    row, column = np.nonzero(standing)
    side = SIDES[column]
    furthest = _furthest(closes, horizon_minutes)[row, column]
    return Labels(
        row=row,
        side=side,
        broken=side * furthest > side * levels[row, column],
        end=closed_at[row] + np.timedelta64(horizon_minutes, "m"),
    )


def complete(closed_at: Times, horizon_minutes: int) -> NDArray[np.bool_]:
    """Tell after which closes every minute of the horizon has its bar.

    Parameters
    ----------
    closed_at : ndarray of datetime64[us], shape (bars,)
        Strictly increasing.

    >>> minutes = np.datetime64("2024-03-11T09:01", "us") + np.array([0, 1, 2, 4, 5]) * np.timedelta64(1, "m")
    >>> complete(minutes, 2).tolist()
    [True, False, False, False, False]
    """
    whole = np.zeros(len(closed_at), dtype=bool)
    if len(closed_at) > horizon_minutes:
        lasted = closed_at[horizon_minutes:] - closed_at[:-horizon_minutes]
        whole[:-horizon_minutes] = lasted == np.timedelta64(horizon_minutes, "m")
    return whole


def uniqueness(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Floats:
    """Weigh overlapping labels: the mean, over a label's horizon, of one over the labels alive.

    Parameters
    ----------
    starts, ends : ndarray of int64, shape (samples,)
        Minutes, of the labels of one symbol and side; a label is alive in (start, end].

    Returns
    -------
    ndarray of float64, shape (samples,)
        In (0, 1]; 1 for a label that overlaps no other.

    References
    ----------
    M. López de Prado, "Advances in Financial Machine Learning" (2018), 4.4.

    >>> uniqueness(np.array([0, 1, 10]), np.array([2, 3, 12])).tolist()
    [0.75, 0.75, 1.0]
    """
    if len(starts) == 0:
        return np.empty(0)
    first = starts.min()
    starts, ends = starts - first, ends - first
    span = int(ends.max()) + 1
    alive = np.cumsum(np.bincount(starts, minlength=span) - np.bincount(ends, minlength=span))
    shares = np.divide(1.0, alive, out=np.zeros(span), where=alive > 0)
    total = np.concatenate(([0.0], np.cumsum(shares)))
    return np.asarray((total[ends] - total[starts]) / (ends - starts))


def _furthest(closes: Floats, minutes: int) -> Floats:
    """Return the highest and the lowest of the next closes; NaN where the data end before."""
    reached = np.full((len(closes), 2), np.nan)
    if len(closes) > minutes:
        ahead = np.lib.stride_tricks.sliding_window_view(closes[1:], minutes)
        reached[:-minutes, 0] = ahead.max(axis=1)
        reached[:-minutes, 1] = ahead.min(axis=1)
    return reached
