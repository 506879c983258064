"""Bootstrap confidence intervals for statistics of an autocorrelated series.

Uses the stationary bootstrap, with blocks of geometrically distributed length that wrap around the end,
and percentile intervals.

References
----------
Politis, Romano (1994), The stationary bootstrap, JASA 89(428).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Function from resamples, one per row, to one value per row."""

RESAMPLES = 1_000
LEVEL = 0.95
FEWEST = 10
"""Minimum number of observations for an interval."""

_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of level `LEVEL`, or None with a reason if it cannot be estimated.

    Attributes
    ----------
    low, high : float or None
    reason : str
        Empty if there is an interval.
    """

    low: float | None
    high: float | None
    reason: str = ""


def intervals(
    values: Floats,
    statistics: Mapping[str, Statistic],
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    block: float | None = None,
) -> dict[str, Interval]:
    """Compute the interval of each statistic of a series, all from the same resamples.

    Parameters
    ----------
    values : ndarray of float
        The series in order of time.
    statistics : mapping of str to callable
    rng : Generator
    resamples : int
    level : float
    block : float, optional
        Mean block length, 1 or more; by default the cube root of the length of the series, the growth
        rate of Politis and Romano.

    Returns
    -------
    dict of str to Interval
        None if there are fewer than `FEWEST` values, or if a bound is not finite, as for the profit
        factor when resamples contain no loss.
    """
    if len(values) < FEWEST:
        reason = f"{len(values)} observations, {FEWEST} are needed"
        return {name: Interval(None, None, reason) for name in statistics}
    length = block if block is not None else max(1.0, len(values) ** (1 / 3))
    estimates: dict[str, list[Floats]] = {name: [] for name in statistics}
    with np.errstate(divide="ignore", invalid="ignore"):
        for drawn in stationary_indices(len(values), length, resamples, rng):
            sample = values[drawn]
            for name, statistic in statistics.items():
                estimates[name].append(statistic(sample))
    return {name: _interval(np.concatenate(parts), level) for name, parts in estimates.items()}


def stationary_indices(n: int, block: float, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of resamples of a series of length `n`, one resample per row, in chunks that fit into memory.

    Each index is the previous index plus one, wrapping around at the end. With probability ``1 / block``
    it is a random index instead.
    """
    rows = max(1, _CHUNK // n)
    steps = np.arange(n)
    for start in range(0, resamples, rows):
        shape = (min(rows, resamples - start), n)
        jumps = rng.random(shape) < 1 / block
        jumps[:, 0] = True
        jumped = np.maximum.accumulate(np.where(jumps, steps, 0), axis=1)
        targets = rng.integers(0, n, shape)
        yield (np.take_along_axis(targets, jumped, axis=1) + steps - jumped) % n


def mean(sample: Floats) -> Floats:
    """Return the mean of each row."""
    means: Floats = sample.mean(axis=1)
    return means


def share_positive(sample: Floats) -> Floats:
    """Return the share of positive values of each row."""
    shares: Floats = (sample > 0).mean(axis=1)
    return shares


def profit_factor(sample: Floats) -> Floats:
    """Return the sum of gains over the sum of losses of each row; infinite without a loss."""
    gains, losses = np.clip(sample, 0, None).sum(axis=1), -np.clip(sample, None, 0).sum(axis=1)
    factors: Floats = gains / losses
    return factors


def sharpe(periods: int, rate: float) -> Statistic:
    """Return a statistic: the annualised Sharpe ratio of each row of daily returns in excess of a daily rate."""

    def of(sample: Floats) -> Floats:
        deviation = sample.std(axis=1, ddof=1)
        return np.where(deviation > 0, (sample.mean(axis=1) - rate) / deviation * np.sqrt(periods), np.nan)

    return of


def _interval(estimates: Floats, level: float) -> Interval:
    """Return the percentile interval of the estimates; NaN estimates are ignored if they are at most 5 %."""
    defined = estimates[~np.isnan(estimates)]
    if len(defined) < 0.95 * len(estimates):
        return Interval(None, None, "undefined in more than 5 % of the resamples")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    if not np.isfinite([low, high]).all():
        return Interval(None, None, "unbounded: some resamples contain no loss")
    return Interval(float(low), float(high))
