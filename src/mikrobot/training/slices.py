"""Slices of the samples: by symbol, session, volatility, distance and minutes left."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.training.dataset import Dataset

SESSIONS = ("asia", "london", "overlap", "new_york")
SESSION_HOURS = (17, 27, 32, 36)
"""New York hour at which each session begins, counted past midnight from the daily roll at 17:00."""

REGIMES = ("calm", "usual", "wild")
DISTANCES_ATR = (0.0, 0.5, 1.0, 2.0)

Names = NDArray[np.str_]


def slices(data: Dataset) -> Iterator[tuple[str, Mapping[str, NDArray[np.int64]]]]:
    """Yield each way to slice the samples: its name, and the row numbers of each slice.

    Yields
    ------
    str, mapping of str to ndarray of int64
        ``symbol``; ``session`` (asia from 17:00 New York time, london from 3:00, overlap from 8:00,
        new_york from 12:00); ``volatility`` (thirds of each symbol's ATR over price in these samples);
        ``distance`` (in ATR, to the price that makes the outcome true); ``minutes_left`` (minutes to
        the end of the horizon).
    """
    for name, members in (
        ("symbol", data.symbol),
        ("session", _session(data.time)),
        ("volatility", _regime(data)),
        ("distance", _distance(data)),
        ("minutes_left", np.char.mod("%d", data.minutes)),
    ):
        yield name, {str(part): np.flatnonzero(members == part) for part in np.unique(members)}


def _session(times: NDArray[np.datetime64]) -> Names:
    """Name the session of each instant, daylight saving included.

    >>> _session(np.array(["2024-03-08T12:30", "2024-03-11T12:30"], "datetime64[us]")).tolist()
    ['london', 'overlap']
    """
    distinct, index = np.unique(times, return_inverse=True)
    hour = pd.DatetimeIndex(distinct, tz="UTC").tz_convert("America/New_York").hour.to_numpy()
    since_roll = np.where(hour < 17, hour + 24, hour)
    return np.array(SESSIONS)[np.searchsorted(SESSION_HOURS, since_roll, side="right") - 1][index]


def _regime(data: Dataset) -> Names:
    names = np.empty(len(data), dtype="U5")
    for symbol in np.unique(data.symbol):
        own = data.symbol == symbol
        thirds = np.quantile(data.sigma_atr[own], (1 / 3, 2 / 3))
        names[own] = np.array(REGIMES)[np.searchsorted(thirds, data.sigma_atr[own], side="right")]
    return names


def _distance(data: Dataset) -> Names:
    """Name the slice of each sample, as ``0.5-1`` ATR; ``beyond`` if the close is past the price already."""
    names = ["beyond", *(f"{low:g}-{high:g}" for low, high in pairwise(DISTANCES_ATR))]
    names.append(f"{DISTANCES_ATR[-1]:g}+")
    at = np.searchsorted(DISTANCES_ATR, data.distance / data.sigma_atr, side="right")
    return np.array(names)[at]
