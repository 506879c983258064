"""The mixture sequential probability ratio test (mSPRT), which stays valid if evaluated after every observation.

The test statistic is the likelihood ratio of a difference of means, mixed over a normal prior of the
difference. Without a difference it is a martingale, so the probability that it ever exceeds ``1 / alpha``
is at most `alpha`, at any stopping time. The variance is estimated from the data, so the first look needs
`FEWEST` observations of each arm. There is no look while an arm, or the difference of the pairs, has zero
variance.

The means must be close to normal; rare large wins delay this. Simulated false alarm rates at
``alpha = 0.05`` over 1,000 observations, with a prior of 0.5 R: at most 4 % for outcomes of -1 R and
+2.5 R. If 5 % of the outcomes win 19 R and the rest lose 1 R: 1 % between two equal arms, and
`SKEWED_ALARMS` if the difference itself is that skewed, as for an arm compared with one that hardly trades.

References
----------
Robbins (1970), Statistical methods related to the law of the iterated logarithm.
Johari, Koomen, Pekelis, Walsh (2022), Always valid inference, Operations Research 70(3).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

FEWEST = 30
"""Minimum observations of each arm before the first look."""

NOISE = 1e-9
"""Standard deviation, in R or relative to the largest observation, up to which differences are float rounding."""

SKEWED = 2.0
"""Skewness of the outcomes, that of an exponential distribution, up to which simulations kept `alpha`."""

SKEWED_ALARMS = 0.12
"""Simulated false alarm rate at an `alpha` of 0.05 if 5 % of the differences are +19 R and the others -1 R."""

_LARGEST_PLAN = 10_000_000


@dataclass(frozen=True, slots=True)
class Sequence:
    """The result of the test after each observation.

    Attributes
    ----------
    difference : ndarray of float
        Candidate minus control, R; NaN before the first look.
    p_value : ndarray of float
        Running minimum; 1 before the first look.
    low, high : ndarray of float
        Confidence sequence: it contains the true difference at all times simultaneously with a
        probability of ``1 - alpha``. Infinite before the first look.
    """

    difference: Floats
    p_value: Floats
    low: Floats
    high: Floats


def paired(differences: Floats, tau: float, alpha: float) -> Sequence:
    """Test the mean of paired differences, candidate minus control, after each pair.

    Parameters
    ----------
    differences : ndarray of float
        In order of time along the last axis; other axes are separate streams.
    tau : float
        Standard deviation of the prior of the difference, positive: the expected size of an effect.
    alpha : float
        False alarm rate.
    """
    centre, spread, looked = _running(differences, np.ones(differences.shape, dtype=bool))
    return _sequence(centre, spread, looked, tau, alpha=alpha)


def independent(values: Floats, is_candidate: NDArray[np.bool_], tau: float, alpha: float) -> Sequence:
    """Test the difference of the means of two samples after each observation of either.

    Parameters
    ----------
    values : ndarray of float
        Observations of both arms in order of time along the last axis.
    is_candidate : ndarray of bool
        Same shape.
    tau, alpha : float
        As in `paired`.
    """
    centre, spread, looked = _running(values, is_candidate)
    control, control_spread, control_looked = _running(values, ~is_candidate)
    return _sequence(centre - control, spread + control_spread, looked & control_looked, tau, alpha=alpha)


def boundary(variance: Floats | float, tau: float, alpha: float) -> Floats:
    """Return the estimated difference beyond which the test rejects, given the variance of the estimate."""
    spread = np.asarray(variance, "float64")
    squared: Floats = spread * (spread + tau**2) / tau**2 * (np.log1p(tau**2 / spread) - 2 * np.log(alpha))
    return np.sqrt(squared)


def needed(effect: float, variance: float, alpha: float, power: float) -> int:
    """Return the maximum number of observations the test needs to detect an effect with probability `power`.

    Uses only the probability of detection at the last look, so the test needs fewer observations on average.

    Parameters
    ----------
    effect : float
        True difference, also used as the standard deviation of the prior.
    variance : float
        Variance of the difference after one observation (of each arm).
    alpha, power : float
        False alarm rate and detection probability.
    """
    low, high = FEWEST, _LARGEST_PLAN
    while low < high:
        middle = (low + high) // 2
        spread = variance / middle
        detection = ndtr((effect - boundary(spread, effect, alpha)) / np.sqrt(spread))
        low, high = (low, middle) if detection >= power else (middle + 1, high)
    return low


def _running(values: Floats, counted: NDArray[np.bool_]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return the running mean, its variance (ddof 1), and a mask of the observations from the first look on.

    Sums the distances from the first value, which are exactly 0 if the values are constant.
    """
    if not values.shape[-1]:
        return values, values, counted
    count = np.cumsum(counted, axis=-1, dtype=np.int64)
    many = np.maximum(count, 1)
    first = np.take_along_axis(values, np.argmax(counted, axis=-1, keepdims=True), axis=-1)
    moved = np.where(counted, values - first, 0.0)
    centre = np.cumsum(moved, axis=-1) / many
    squares = np.cumsum(moved**2, axis=-1) - many * centre**2
    variance = np.maximum(squares, 0.0) / np.maximum(count - 1, 1)
    largest = np.maximum.accumulate(np.where(counted, np.abs(values), 1.0), axis=-1)
    looked = (count >= FEWEST) & (variance > (NOISE * np.maximum(largest, 1.0)) ** 2)
    return first + centre, variance / many, looked


def _sequence(centre: Floats, spread: Floats, looked: NDArray[np.bool_], tau: float, *, alpha: float) -> Sequence:
    """Compute the test from running estimates and their variances."""
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
