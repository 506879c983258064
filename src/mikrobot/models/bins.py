"""Bins of sorted values, of about equal size; equal values share a bin."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def first_of_bins(counts: NDArray[np.int64], most: int, fewest: int = 1) -> NDArray[np.int64]:
    """Divide sorted, counted values into at most `most` bins without splitting equal values.

    Parameters
    ----------
    counts : ndarray of int64, shape (values,)
        Number of occurrences of each value, in order of value; at least one value.
    most : int
    fewest : int
        Minimum number of samples per bin, unless there are fewer in total.

    Returns
    -------
    ndarray of int64
        Position of the first value of each bin.

    >>> first_of_bins(np.array([1, 1, 1, 1]), most=2).tolist()
    [0, 2]
    >>> first_of_bins(np.array([1, 9, 1, 1]), most=4).tolist()
    [0, 2, 3]
    >>> first_of_bins(np.array([1, 9, 1, 1]), most=4, fewest=2).tolist()
    [0, 2]
    """
    total = np.cumsum(counts)
    first, before = [0], 0
    while len(first) < most:
        share = -(-(int(total[-1]) - before) // (most - len(first) + 1))
        end = int(np.searchsorted(total, before + max(share, fewest))) + 1
        if end >= len(total) or total[-1] - total[end - 1] < fewest:
            break
        first.append(end)
        before = int(total[end - 1])
    return np.array(first)


def sums_of_bins(first: NDArray[np.int64], *values: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the sums of each of `values` over bins.

    >>> [sums.tolist() for sums in sums_of_bins(np.array([0, 2]), np.array([1, 2, 3, 4]))]
    [[3, 7]]
    """
    return [np.add.reduceat(column, first) for column in values]
