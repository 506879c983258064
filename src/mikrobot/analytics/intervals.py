"""Bootstrap intervals for figures of a series whose neighbours may depend on each other.

The stationary bootstrap: blocks of random, geometrically distributed length, wrapped around the
end. Percentile intervals.

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
"""Takes resamples, one a row, and returns a figure for each."""

RESAMPLES = 1_000
LEVEL = 0.95
FEWEST = 10
"""Observations below which no interval is given."""

_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with a probability of `LEVEL`; None with the reason where that cannot be told.

    Attributes
    ----------
    low, high : float or None
    reason : str
        Empty where there is an interval.
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
    """Give each statistic of a series its interval, all from the same resamples.

    Parameters
    ----------
    values : ndarray of float
        The series in order of time.
    statistics : mapping of str to callable
    rng : Generator
    resamples : int
    level : float
    block : float, optional
        Mean length of a block, 1 or more; by default the cube root of the length of the series, the
        rate at which Politis and Romano let it grow.

    Returns
    -------
    dict of str to Interval
        None where there are fewer than `FEWEST` values, or where the end of the interval is not
        finite, as the profit factor's is when resamples hold no loss.
    """
    if len(values) < FEWEST:
        reason = f"{len(values)} observations, {FEWEST} are needed"
        return {name: Interval(None, None, reason) for name in statistics}
    length = block if block is not None else max(1.0, len(values) ** (1 / 3))
    found: dict[str, list[Floats]] = {name: [] for name in statistics}
    with np.errstate(divide="ignore", invalid="ignore"):
        for drawn in stationary_indices(len(values), length, resamples, rng):
            sample = values[drawn]
            for name, statistic in statistics.items():
                found[name].append(statistic(sample))
    return {name: _interval(np.concatenate(parts), level) for name, parts in found.items()}


def stationary_indices(n: int, block: float, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of resamples of a series of `n`, one a row, in pieces that fit into memory.

    Each index follows the one before it, and the first the last, but for jumps to anywhere, which
    come with probability ``1 / block``.
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
    found: Floats = sample.mean(axis=1)
    return found


def share_positive(sample: Floats) -> Floats:
    """Return the share of each row that is above 0."""
    found: Floats = (sample > 0).mean(axis=1)
    return found


def profit_factor(sample: Floats) -> Floats:
    """Return the sum of the gains over that of the losses of each row; infinite without a loss."""
    gains, losses = np.clip(sample, 0, None).sum(axis=1), -np.clip(sample, None, 0).sum(axis=1)
    found: Floats = gains / losses
    return found


def sharpe(periods: int, rate: float) -> Statistic:
    """Return the annualised Sharpe ratio of each row of daily returns, over a daily rate."""

    def of(sample: Floats) -> Floats:
        deviation = sample.std(axis=1, ddof=1)
        return np.where(deviation > 0, (sample.mean(axis=1) - rate) / deviation * np.sqrt(periods), np.nan)

    return of


def _interval(found: Floats, level: float) -> Interval:
    """Take the quantiles of what can be told; values that cannot count as undefined."""
    defined = found[~np.isnan(found)]
    if len(defined) < 0.95 * len(found):
        return Interval(None, None, "undefined in more than one of twenty resamples")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    if not np.isfinite([low, high]).all():
        return Interval(None, None, "unbounded: resamples without a loss")
    return Interval(float(low), float(high))
