"""A test that may be looked at after every observation: the mixture sequential probability ratio test.

The likelihood ratio of a difference of means, mixed over a normal prior of the difference. It is
a martingale where there is no difference, so the chance that it ever exceeds ``1 / alpha`` is at
most `alpha`, whenever one looks and stops. The variance is estimated from the data, for which it
needs `FEWEST` observations of an arm before the first look.

References
----------
Robbins (1970), Statistical methods related to the law of the iterated logarithm.
Johari, Koomen, Pekelis, Walsh (2022), Always valid inference, Operations Research 70(3).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Floats = NDArray[np.float64]

FEWEST = 30
"""Observations of an arm before the first look."""

_LARGEST_PLAN = 10_000_000


@dataclass(frozen=True, slots=True)
class Sequence:
    """What the test says after each observation.

    Attributes
    ----------
    difference : ndarray of float
        Candidate less control, R; NaN before the first look.
    p_value : ndarray of float
        The smallest so far; 1 before the first look.
    low, high : ndarray of float
        Confidence sequence: at all times together it holds the true difference with a probability
        of ``1 - alpha``. Infinite before the first look.
    """

    difference: Floats
    p_value: Floats
    low: Floats
    high: Floats


def paired(differences: Floats, tau: float, alpha: float) -> Sequence:
    """Test the mean of pairwise differences, candidate less control, after each pair.

    Parameters
    ----------
    differences : ndarray of float
        In order of time along the last axis; more axes are separate streams.
    tau : float
        Standard deviation of the prior of the difference, positive: the size that is looked for.
    alpha : float
    """
    count = np.arange(1, differences.shape[-1] + 1)
    centre, variance = _running(differences, count)
    return _sequence(centre, variance / count, np.broadcast_to(count >= FEWEST, differences.shape), tau, alpha)


def independent(values: Floats, is_candidate: NDArray[np.bool_], tau: float, alpha: float) -> Sequence:
    """Test the difference of the means of two samples after each observation of either.

    Parameters
    ----------
    values : ndarray of float
        Observations of both arms in order of time along the last axis.
    is_candidate : ndarray of bool
        Same shape.
    tau, alpha : float
        As of `paired`.
    """
    centres, spreads, looked = [], [], np.ones(values.shape, dtype=bool)
    for arm in (is_candidate, ~is_candidate):
        count = np.cumsum(arm, axis=-1, dtype=np.int64)
        centre, variance = _running(np.where(arm, values, 0.0), count)
        centres.append(centre)
        spreads.append(variance / np.maximum(count, 1))
        looked &= count >= FEWEST
    return _sequence(centres[0] - centres[1], spreads[0] + spreads[1], looked, tau, alpha)


def boundary(variance: Floats | float, tau: float, alpha: float) -> Floats:
    """Return the difference beyond which the test rejects, where a mean of that variance was estimated."""
    spread = np.asarray(variance, "float64")
    squared: Floats = spread * (spread + tau**2) / tau**2 * (np.log1p(tau**2 / spread) - 2 * np.log(alpha))
    return np.sqrt(squared)


def needed(effect: float, variance: float, alpha: float, power: float) -> int:
    """Return after how many observations the test has found an effect with a chance of `power`, at the latest.

    Counts the chance of the last look alone, so that fewer are needed on average.

    Parameters
    ----------
    effect : float
        The true difference, which is the prior's size as well.
    variance : float
        Of the difference after one observation (of each arm).
    alpha, power : float
    """
    low, high = FEWEST, _LARGEST_PLAN
    while low < high:
        middle = (low + high) // 2
        spread = variance / middle
        found = norm.cdf((effect - boundary(spread, effect, alpha)) / np.sqrt(spread))
        low, high = (low, middle) if found >= power else (middle + 1, high)
    return low


def _running(values: Floats, count: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return mean and variance (ddof 1) so far, of values that are 0 where they do not count."""
    many = np.maximum(count, 1)
    centre = np.cumsum(values, axis=-1) / many
    squares = np.cumsum(values**2, axis=-1)
    variance = np.maximum(squares - many * centre**2, 0.0) / np.maximum(count - 1, 1)
    return centre, variance


def _sequence(centre: Floats, spread: Floats, looked: NDArray[np.bool_], tau: float, alpha: float) -> Sequence:
    """Turn estimates and their variances into the test; no look is taken where nothing varies."""
    looked = looked & (spread > 0)
    safe = np.where(looked, spread, 1.0)
    log_ratio = 0.5 * np.log(safe / (safe + tau**2)) + centre**2 * tau**2 / (2 * safe * (safe + tau**2))
    p_value = np.where(looked, np.exp(-np.maximum(log_ratio, 0.0)), 1.0)
    reach = np.where(looked, boundary(safe, tau, alpha), np.inf)
    return Sequence(
        difference=np.where(looked, centre, np.nan),
        p_value=np.minimum.accumulate(p_value, axis=-1),
        low=np.maximum.accumulate(centre - reach, axis=-1),
        high=np.minimum.accumulate(centre + reach, axis=-1),
    )
