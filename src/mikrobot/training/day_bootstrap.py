"""Bootstrap intervals that resample whole UTC days, because samples of one day depend on each other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 1000

FEWEST_DAYS = 5
"""Days below which there is no interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the bounds of its 95 % interval; the bounds are None if there were too few days."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:+.4f} without an interval (it needs {FEWEST_DAYS} days)"
        return f"{self.value:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"

    @property
    def above_zero(self) -> bool:
        """True if the whole interval lies above 0."""
        return self.low is not None and self.low > 0.0

    @property
    def below_zero(self) -> bool:
        """True if the whole interval lies below 0."""
        return self.high is not None and self.high < 0.0


@dataclass(frozen=True, slots=True)
class Observations:
    """Values with their times.

    Attributes
    ----------
    values : ndarray of float64, shape (observations,)
    times : ndarray of datetime64, shape (observations,)
        UTC.
    """

    values: Floats
    times: NDArray[np.datetime64]

    def by_day(self, days: NDArray[np.datetime64]) -> tuple[Floats, Floats]:
        """Return the sum and the number of values on each day; `days` must contain the day of every value."""
        place = np.searchsorted(days, self.times.astype("datetime64[D]"))
        counts = np.bincount(place, minlength=len(days)).astype(np.float64)
        return np.bincount(place, self.values, len(days)).astype(np.float64), counts


def mean(own: Observations, seed: int) -> Interval:
    """Return the mean of at least one value, with its interval.

    >>> days = np.arange("2024-03-04", "2024-03-10", dtype="datetime64[D]")
    >>> mean(Observations(np.ones(6), days), seed=1)
    Interval(value=1.0, low=1.0, high=1.0)
    """
    days = np.unique(own.times.astype("datetime64[D]"))
    sums, counts = own.by_day(days)
    drawn = _drawn(len(days), seed)
    return _interval(float(own.values.mean()), _ratio(drawn @ sums, drawn @ counts), len(days))


def difference(own: Observations, other: Observations, seed: int) -> Interval:
    """Return the mean of `own` less the mean of `other`, with its interval.

    Both have at least one value; the bootstrap draws the same days for both.

    >>> days = np.arange("2024-03-04", "2024-03-10", dtype="datetime64[D]")
    >>> difference(Observations(np.full(6, 2.0), days), Observations(np.ones(6), days), seed=1)
    Interval(value=1.0, low=1.0, high=1.0)
    """
    days = np.unique(np.concatenate([own.times, other.times]).astype("datetime64[D]"))
    drawn = _drawn(len(days), seed)
    means = []
    for observed in (own, other):
        sums, counts = observed.by_day(days)
        means.append(_ratio(drawn @ sums, drawn @ counts))
    return _interval(float(own.values.mean() - other.values.mean()), means[0] - means[1], len(days))


def _drawn(days: int, seed: int) -> Floats:
    return np.random.default_rng(seed).multinomial(days, np.full(days, 1 / days), DRAWS).astype(float)


def _ratio(sums: Floats, counts: Floats) -> Floats:
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan))


def _interval(value: float, spread: Floats, days: int) -> Interval:
    if days < FEWEST_DAYS or np.isnan(spread).all():
        return Interval(value, None, None)
    low, high = np.nanquantile(spread, (0.025, 0.975))
    return Interval(value, float(low), float(high))
