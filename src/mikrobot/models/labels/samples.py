"""Data of all labels: bars as arrays, labelled samples with their horizons, and their weights.

This module has no price patterns. A horizon is valid only if a bar closes at its end and it contains no
session gap.
"""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

SIDES = np.array([1, -1], dtype=np.int8)
"""Order of the sides in every two-column array here: up, down."""

SESSION_GAP_MINUTES = 5
"""Two closes further apart than this have a session gap between them; single minutes can lack a bar in quiet hours."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Times = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Prices:
    """Closed M1 bars of one symbol as arrays, each of shape (bars,).

    Attributes
    ----------
    minute : ndarray of int64
        Close of each bar, minutes since 1970 UTC, strictly increasing.
    high, low, close : ndarray of float64
    """

    minute: Integers
    high: Floats
    low: Floats
    close: Floats

    def __len__(self) -> int:
        return len(self.minute)

    @classmethod
    def of(cls, bars: "pd.DataFrame") -> "Prices":
        """Convert a frame of M1 bars."""
        from mikrobot.domain.market import close_times  # here, because it imports pandas, which reading a spec must not

        closed_at = close_times(bars).dt.tz_convert("UTC").dt.tz_localize(None)
        return cls(
            closed_at.to_numpy("datetime64[m]").astype(np.int64),
            *(bars[name].to_numpy(np.float64) for name in ("high", "low", "close")),
        )


@dataclass(frozen=True, slots=True)
class Labels:
    """Labelled samples of one symbol, in order of time; at most two per close, the upward one first.

    Attributes
    ----------
    row : ndarray of int64, shape (samples,)
        Row of the bar at whose close the sample is taken.
    side : ndarray of int8, shape (samples,)
        +1 for a move or a break upwards, -1 downwards.
    outcome : ndarray of bool, shape (samples,)
        The label; known at `end`.
    end : ndarray of datetime64[us], shape (samples,)
        UTC; last instant of the horizon.
    level : ndarray of float64, shape (samples,)
        Price of the swing level.
    distance : ndarray of float64, shape (samples,)
        Log distance from the close to the price that makes the outcome true; negative if the
        close is beyond it already, which is possible only for a nowcast.
    """

    row: Integers
    side: NDArray[np.int8]
    outcome: NDArray[np.bool_]
    end: Times
    level: Floats
    distance: Floats

    def __len__(self) -> int:
        return len(self.row)

    def only(self, chosen: NDArray[np.bool_]) -> "Labels":
        """Return the samples for which `chosen` is true."""
        return Labels(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def weights(self, prices: Prices) -> Floats:
        """Return the weight of each sample: its `uniqueness` among the labels of its side."""
        starts, ends = prices.minute[self.row], self.end.astype("datetime64[m]").astype(np.int64)
        weights = np.empty(len(self))
        for side in SIDES:
            own = self.side == side
            weights[own] = uniqueness(starts[own], ends[own])
        return weights


def after_minutes(minute: Integers, horizon: int | Integers) -> Integers:
    """Find the bar that closes at the end of each horizon, counted in minutes.

    Parameters
    ----------
    minute : ndarray of int64, shape (bars,)
        Closes, strictly increasing.
    horizon : int or ndarray of int64, shape (bars,)
        Minutes from each close, at least 1.

    Returns
    -------
    ndarray of int64, shape (bars,)
        Row of the bar; -1 where no bar closes at that minute, or a session gap lies before it.

    >>> after_minutes(np.array([1, 2, 4, 5, 20, 21]), 2).tolist()
    [-1, 2, -1, -1, -1, -1]
    """
    end = minute + horizon
    last = np.minimum(np.searchsorted(minute, end), len(minute) - 1)
    return _within_a_session(minute, last, minute[last] == end)


def after_bars(minute: Integers, horizon: int) -> Integers:
    """Find the last bar of each horizon, counted in bars.

    Returns
    -------
    ndarray of int64, shape (bars,)
        Row of the bar; -1 where the data end earlier, or a session gap lies before it.

    >>> after_bars(np.array([1, 2, 4, 5, 20, 21]), 2).tolist()
    [2, 3, -1, -1, -1, -1]
    """
    row = np.arange(len(minute))
    last = np.minimum(row + horizon, len(minute) - 1)
    return _within_a_session(minute, last, last == row + horizon)


def uniqueness(starts: Integers, ends: Integers) -> Floats:
    """Return the average uniqueness of overlapping labels: the mean over a label's horizon of 1 / (active labels).

    Parameters
    ----------
    starts, ends : ndarray of int64, shape (samples,)
        Minutes, of the labels of one symbol and side; a label is active in (start, end].

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
    active = np.cumsum(np.bincount(starts, minlength=span) - np.bincount(ends, minlength=span))
    shares = np.divide(1.0, active, out=np.zeros(span), where=active > 0)
    total = np.concatenate(([0.0], np.cumsum(shares)))
    return np.asarray((total[ends] - total[starts]) / (ends - starts))


def thin(rows: Integers, most: int) -> Integers:
    """Return at most `most` of these rows, evenly spread.

    >>> thin(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _within_a_session(minute: Integers, last: Integers, exists: NDArray[np.bool_]) -> Integers:
    gaps = np.cumsum(np.diff(minute, prepend=minute[:1]) > SESSION_GAP_MINUTES)
    return np.where(exists & (gaps[last] == gaps), last, -1)
