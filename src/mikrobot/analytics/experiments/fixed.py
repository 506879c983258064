"""The classical t-test with a fixed number of observations, and the sample size it needs.

Its false alarm rate is valid only if the test is evaluated once, at the planned number of observations.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.power import TTestIndPower, TTestPower
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from mikrobot.analytics.experiments.sequential import NOISE

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A t-test of the difference of means, candidate minus control, with its confidence interval, R."""

    difference: float
    low: float
    high: float
    p_value: float


def paired(differences: Floats, alpha: float) -> Comparison | None:
    """Test the mean of paired differences; None with fewer than two, or if all are equal."""
    if not _varies(differences):
        return None
    stats = DescrStatsW(differences)
    _, p_value, _ = stats.ttest_mean(0.0)
    low, high = stats.tconfint_mean(alpha)
    return Comparison(float(stats.mean), float(low), float(high), float(p_value))


def independent(candidate: Floats, control: Floats, alpha: float) -> Comparison | None:
    """Test the difference of the means of two samples of unequal variance (Welch); None if a sample does not vary."""
    if not (_varies(candidate) and _varies(control)):
        return None
    stats = CompareMeans(DescrStatsW(candidate), DescrStatsW(control))
    _, p_value, _ = stats.ttest_ind(usevar="unequal")
    low, high = stats.tconfint_diff(alpha, usevar="unequal")
    return Comparison(float(candidate.mean() - control.mean()), float(low), float(high), float(p_value))


def needed(effect: float, deviation: float, alpha: float, power: float, *, pairs: bool) -> int:
    """Return the number of pairs, or of observations of each arm, to detect an effect with probability `power`.

    Parameters
    ----------
    effect : float
        Difference of the means, positive.
    deviation : float
        Standard deviation of the difference of a pair, or of an observation of either arm.
    alpha, power : float
        False alarm rate and detection probability.
    pairs : bool
        Use the paired test.

    >>> needed(0.5, 1.0, 0.05, 0.8, pairs=False)
    64
    """
    test = TTestPower() if pairs else TTestIndPower()
    count = test.solve_power(effect_size=effect / deviation, alpha=alpha, power=power, alternative="two-sided")
    return max(2, math.ceil(float(np.squeeze(count))))


def _varies(values: Floats) -> bool:
    """Return true if at least two values differ by more than float rounding."""
    return len(values) > 1 and bool(values.std(ddof=1) > NOISE * max(1.0, np.abs(values).max()))
