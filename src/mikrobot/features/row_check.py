"""The check of a live feature row, before anything is inferred from it.

The same promises that the expectation suite holds a frame to: within the range, and known once the
warm-up is over; and one that only the bars before can break: that the price moves. Says what is
wrong; what follows is the caller's.
"""

import sys
from math import inf

import numpy as np
from numpy.typing import NDArray

from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.pipeline import Seen

STILL = 30
"""Bars in a row at one price after which the feed counts as stuck. The longest such row of EURUSD from
2014 to 2020 has 22, before the outage of BTCUSDT on 2023-03-24 it had 72 (measured on the recorded bars)."""

NAMED = 3
"""Columns that a reason names before it counts the rest."""


class RowCheck:
    """Judges the rows of a catalog, one at a time, in a few microseconds.

    Parameters
    ----------
    catalog : Catalog
    """

    def __init__(self, catalog: Catalog = CATALOG) -> None:
        self._specs = catalog.specs
        largest = sys.float_info.max  # where a range has no bound, infinity still breaks it
        self._low = np.array([max(spec.low, -largest) for spec in catalog.specs])
        self._high = np.array([min(spec.high, largest) for spec in catalog.specs])
        self._due = np.array([inf if spec.may_be_missing else spec.warmup for spec in catalog.specs])

    def __call__(self, values: NDArray[np.float64], seen: Seen) -> str:
        """Say what is wrong with a row, or return an empty text.

        Parameters
        ----------
        values : ndarray of float64, shape (columns,)
            In the order of the catalog.
        seen : Seen
            What its symbol has brought, the bar of the row included.
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
