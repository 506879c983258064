"""Validation of a live feature row before inference.

The checks of the expectation suite: each value is within its range, and known after the warm-up. A
further check needs earlier bars: the price moves. Reports faults; the caller decides what to do.
"""

import sys
from math import inf

import numpy as np
from numpy.typing import NDArray

from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.pipeline import Seen

STILL = 30
"""Bars in a row at one price after which the feed counts as stuck. The longest such run of EURUSD from
2014 to 2020 has 22 bars; the one before the outage of BTCUSDT on 2023-03-24 had 72 (measured on recorded bars)."""

NAMED = 3
"""Maximum number of columns that a reason names; further columns are only counted."""


class RowCheck:
    """Validate the rows of a catalog one at a time, in a few microseconds each.

    Parameters
    ----------
    catalog : Catalog
    """

    def __init__(self, catalog: Catalog = CATALOG) -> None:
        self._specs = catalog.specs
        largest = sys.float_info.max  # infinity is out of range even without a bound
        self._low = np.array([max(spec.low, -largest) for spec in catalog.specs])
        self._high = np.array([min(spec.high, largest) for spec in catalog.specs])
        self._due = np.array([inf if spec.may_be_missing else spec.warmup for spec in catalog.specs])

    def __call__(self, values: NDArray[np.float64], seen: Seen) -> str:
        """Return the faults of a row as text, empty for a valid row.

        Parameters
        ----------
        values : ndarray of float64, shape (columns,)
            In the order of the catalog.
        seen : Seen
            Counts of its symbol's bars, including the bar of the row.
        """
        sound = (values >= self._low) & (values <= self._high)
        sound |= np.isnan(values) & (self._due >= seen.bars)
        if sound.all() and seen.still < STILL:
            return ""
        wrong = [self._fault(int(number), float(values[number]), seen) for number in np.flatnonzero(~sound)]
        more = [f"{len(wrong) - NAMED} more columns"] if len(wrong) > NAMED else []
        stuck = [f"the price has not moved for {seen.still} bars, is the feed stuck?"] if seen.still >= STILL else []
        return "; ".join([*stuck, *wrong[:NAMED], *more])

    def _fault(self, number: int, value: float, seen: Seen) -> str:
        spec = self._specs[number]
        if np.isnan(value):
            return f"{spec.name} is missing after {seen.bars} bars, expected it known after {spec.warmup}"
        return f"{spec.name} is {value:g}, expected it finite and within [{spec.low:g}, {spec.high:g}]"
