"""Splits in time order that keep what is learned apart from what it is judged on."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Times = NDArray[np.datetime64]

SHARES = (0.7, 0.2, 0.1)
EMBARGO = timedelta(minutes=200)
"""Shortest pause before a span: 200 M1 bars."""


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to learn from, to calibrate on and to judge on, by one clock over all symbols.

    Attributes
    ----------
    train, validation, test : ndarray of int64
        Row numbers, increasing.
    validation_from, test_from : datetime64[us]
        UTC; first instants of the later spans.
    """

    train: Indices
    validation: Indices
    test: Indices
    validation_from: np.datetime64
    test_from: np.datetime64


def folds(
    times: Times,
    ends: Times,
    horizon: timedelta,
    count: int,
    shares: tuple[float, float, float] = SHARES,
    embargo: timedelta = EMBARGO,
) -> tuple[Split, ...]:
    """Walk forward over the samples: windows of one length, each a test span later than the one before.

    Every window is split as by `walk_forward`. The test spans follow each other without a gap, and
    the last one ends with the samples.

    Parameters
    ----------
    times, ends, horizon, shares, embargo
        As `walk_forward`.
    count : int
        Windows, at least 1.

    Raises
    ------
    ValueError
        As `walk_forward`, or if there is to be no window.

    >>> minutes = np.datetime64("2024-03-11T00:00", "us") + np.arange(12_000) * np.timedelta64(1, "m")
    >>> ends = minutes + np.timedelta64(5, "m")
    >>> [(int(f.train[0]), int(f.test[0]), int(f.test[-1])) for f in folds(minutes, ends, timedelta(minutes=5), 3)]
    [(0, 9000, 9999), (1000, 10000, 10999), (2000, 11000, 11999)]
    """
    if len(times) == 0 or not np.isclose(sum(shares), 1.0) or count < 1:
        raise ValueError(
            f"expected samples, shares that add up to 1 and at least 1 fold, "
            f"found {len(times)} samples, shares {shares}, {count} folds"
        )
    ordered = np.sort(times)
    pause = np.timedelta64(max(embargo, horizon), "us")
    window = 1.0 / (1.0 + shares[2] * (count - 1))

    def at(fold: int, share: float) -> np.datetime64:
        rank = round(window * (share + shares[2] * fold) * len(ordered))
        return np.datetime64(ordered[min(len(ordered) - 1, rank)])

    def between(start: np.datetime64, end: np.datetime64) -> Indices:
        return np.flatnonzero((times >= start) & (times <= end - pause) & (ends < end))

    found = []
    for fold in range(count):
        start, validation_from, test_from = (at(fold, share) for share in (0.0, shares[0], shares[0] + shares[1]))
        tested = times >= test_from
        if fold + 1 < count:
            tested &= times < at(fold + 1, shares[0] + shares[1])
        found.append(
            Split(
                train=between(start, validation_from),
                validation=between(validation_from, test_from),
                test=np.flatnonzero(tested),
                validation_from=validation_from,
                test_from=test_from,
            )
        )
    return tuple(found)


def walk_forward(
    times: Times,
    ends: Times,
    horizon: timedelta,
    shares: tuple[float, float, float] = SHARES,
    embargo: timedelta = EMBARGO,
) -> Split:
    """Split samples into three spans, the earlier ones purged and embargoed.

    A sample stays in its span only if its label ends before the next span starts, and if its own
    time lies at least max(embargo, horizon) before that start. All symbols are cut at the same
    instants, so that none tells of another's future.

    Parameters
    ----------
    times : ndarray of datetime64[us], shape (samples,)
        When each sample was known, UTC, in any order.
    ends : ndarray of datetime64[us], shape (samples,)
        When its label was known.
    horizon : timedelta
        Of the labels.
    shares : tuple of float
        Of the samples in each span, before purging.

    Raises
    ------
    ValueError
        If there is no sample, or the shares do not add up to 1.

    >>> minutes = np.datetime64("2024-03-11T00:00", "us") + np.arange(10_000) * np.timedelta64(1, "m")
    >>> split = walk_forward(minutes, minutes + np.timedelta64(5, "m"), timedelta(minutes=5))
    >>> int(split.train[-1]), int(split.validation[0]), int(split.validation[-1]), int(split.test[0])
    (6800, 7000, 8800, 9000)
    """
    (split,) = folds(times, ends, horizon, 1, shares, embargo)
    return split


def at_instants(times: Times, ends: Times, horizon: timedelta, validation_from: str, test_from: str) -> Split:
    """Split samples at two instants, the earlier spans purged and embargoed as by `walk_forward`.

    Parameters
    ----------
    times, ends, horizon
        As `walk_forward`.
    validation_from, test_from : str
        UTC, as numpy writes an instant.

    >>> minutes = np.datetime64("2024-03-11T00:00", "us") + np.arange(10_000) * np.timedelta64(1, "m")
    >>> split = at_instants(minutes, minutes, timedelta(minutes=5), "2024-03-15", "2024-03-17")
    >>> int(split.train[-1]), int(split.validation[0]), int(split.test[0])
    (5560, 5760, 8640)
    """
    first, second = (np.datetime64(instant, "us") for instant in (validation_from, test_from))
    pause = np.timedelta64(max(EMBARGO, horizon), "us")
    return Split(
        train=np.flatnonzero((times <= first - pause) & (ends < first)),
        validation=np.flatnonzero((times >= first) & (times <= second - pause) & (ends < second)),
        test=np.flatnonzero(times >= second),
        validation_from=first,
        test_from=second,
    )
