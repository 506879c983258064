"""Walk-forward splits in time order, purged and embargoed."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Times = NDArray[np.datetime64]

SHARES = (0.7, 0.2, 0.1)
EMBARGO = timedelta(minutes=200)
"""Minimum pause before each later span: 200 M1 bars."""


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to train on, to calibrate on and to test on, cut at the same instants for all symbols.

    Attributes
    ----------
    train, validation, test : ndarray of int64
        Row numbers, increasing.
    validation_from, test_from : datetime64[us]
        UTC; first instants of the validation and the test span.
    """

    train: Indices
    validation: Indices
    test: Indices
    validation_from: np.datetime64
    test_from: np.datetime64


def walk_forward(
    times: Times,
    ends: Times,
    horizon: timedelta,
    shares: tuple[float, float, float] = SHARES,
    *,
    embargo: timedelta = EMBARGO,
) -> Split:
    """Split samples into three spans, the earlier ones purged and embargoed.

    A sample stays in its span only if its label ends before the next span starts, and if its own
    time lies at least max(embargo, horizon) before that start. All symbols are cut at the same
    instants, so that no symbol reveals the future of another.

    Parameters
    ----------
    times : ndarray of datetime64[us], shape (samples,)
        Time when each sample was known, UTC, in any order.
    ends : ndarray of datetime64[us], shape (samples,)
        Time when its label was known.
    horizon : timedelta
        Horizon of the labels.
    shares : tuple of float
        Share of the samples in each span, before purging.

    Raises
    ------
    ValueError
        If there is no sample, or the shares do not add up to 1.

    >>> minutes = np.datetime64("2024-03-11T00:00", "us") + np.arange(10_000) * np.timedelta64(1, "m")
    >>> split = walk_forward(minutes, minutes + np.timedelta64(5, "m"), timedelta(minutes=5))
    >>> int(split.train[-1]), int(split.validation[0]), int(split.validation[-1]), int(split.test[0])
    (6800, 7000, 8800, 9000)
    """
    if len(times) == 0 or not np.isclose(sum(shares), 1.0):
        raise ValueError(f"expected samples and shares that add up to 1, found {len(times)} samples, shares {shares}")
    ordered = np.sort(times)
    ranks = (round(share * len(ordered)) for share in (shares[0], shares[0] + shares[1]))
    first, second = (np.datetime64(ordered[min(len(ordered) - 1, rank)]) for rank in ranks)
    return _cut(times, ends, max(embargo, horizon), first, second=second)


def at_instants(times: Times, ends: Times, horizon: timedelta, validation_from: str, *, test_from: str) -> Split:
    """Split samples at two instants, the earlier spans purged and embargoed as by `walk_forward`.

    Parameters
    ----------
    times, ends, horizon
        As `walk_forward`.
    validation_from, test_from : str
        UTC, in numpy's datetime format.

    >>> minutes = np.datetime64("2024-03-11T00:00", "us") + np.arange(10_000) * np.timedelta64(1, "m")
    >>> split = at_instants(minutes, minutes, timedelta(minutes=5), "2024-03-15", test_from="2024-03-17")
    >>> int(split.train[-1]), int(split.validation[0]), int(split.test[0])
    (5560, 5760, 8640)
    """
    first, second = (np.datetime64(instant, "us") for instant in (validation_from, test_from))
    return _cut(times, ends, max(EMBARGO, horizon), first, second=second)


def folds(
    times: Times, ends: Times, horizon: timedelta, count: int, *, first: float = 0.5, embargo: timedelta = EMBARGO
) -> tuple[tuple[Indices, Indices], ...]:
    """Split one span into walk-forward folds: each fold trains on all samples before its scored part.

    Parameters
    ----------
    times, ends, horizon, embargo
        As `walk_forward`.
    count : int
        Number of folds, at least 1; their scored parts have equal sizes, and the last one ends with the span.
    first : float
        Share of the samples that the first fold trains on, before purging.

    Returns
    -------
    tuple of (ndarray of int64, ndarray of int64)
        For each fold, the training rows, purged and embargoed, and the scored rows.

    >>> minutes = np.datetime64("2024-03-11T00:00", "us") + np.arange(12_000) * np.timedelta64(1, "m")
    >>> rows = folds(minutes, minutes + np.timedelta64(5, "m"), timedelta(minutes=5), 3)
    >>> [(int(train[-1]), int(scored[0]), int(scored[-1])) for train, scored in rows]
    [(5800, 6000, 7999), (7800, 8000, 9999), (9800, 10000, 11999)]
    """
    ordered, pause = np.sort(times), max(embargo, horizon)
    shares = np.linspace(first, 1.0, count + 1)[:-1]
    starts = [np.datetime64(ordered[round(share * len(ordered))]) for share in shares]
    rows = []
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        scored = times >= start if end is None else (times >= start) & (times < end)
        rows.append((np.flatnonzero(_known(times, ends, pause, start)), np.flatnonzero(scored)))
    return tuple(rows)


def _cut(times: Times, ends: Times, pause: timedelta, first: np.datetime64, *, second: np.datetime64) -> Split:
    return Split(
        train=np.flatnonzero(_known(times, ends, pause, first)),
        validation=np.flatnonzero((times >= first) & _known(times, ends, pause, second)),
        test=np.flatnonzero(times >= second),
        validation_from=first,
        test_from=second,
    )


def _known(times: Times, ends: Times, pause: timedelta, start: np.datetime64) -> NDArray[np.bool_]:
    """Return which samples lie at least a pause before an instant and have labels that ended before it."""
    return np.asarray((times <= start - np.timedelta64(pause, "us")) & (ends < start))
