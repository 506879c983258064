"""The deflated Sharpe ratio: the probability that the best of several trials has more skill than chance explains.

The best of many trials has a high Sharpe ratio even if none of them has skill. Its Sharpe ratio is therefore compared
with the largest one that as many trials without skill would show. Uses the returns of single periods and does not
annualise. Does not know how the trials were found: trials that resemble each other count like independent ones.

References
----------
Bailey, López de Prado (2014), The deflated Sharpe ratio: correcting for selection bias, backtest overfitting and
non-normality, The Journal of Portfolio Management 40(5).
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mikrobot.analytics.figures import Figure, figure, shortfall

EVIDENCE = 0.95
"""Deflated Sharpe ratio below which a result is no evidence of skill."""

_EULER = 0.5772156649015329  # constant of Euler and Mascheroni
_FLAT = 1e-12

Returns = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """The Sharpe ratio of the best of several trials, compared with trials without skill.

    Attributes
    ----------
    trials : int
        Number of trials.
    returns : int
        Number of returns of the best trial.
    sharpe : Figure
        Of the best trial, per period.
    expected : Figure
        Largest Sharpe ratio expected from as many trials without skill, per period.
    skewness, kurtosis : Figure
        Of the returns of the best trial; 0 and 3 for a normal distribution.
    probability : Figure
        Probability that the true Sharpe ratio is above `expected`: the deflated Sharpe ratio.
    """

    trials: int
    returns: int
    sharpe: Figure
    expected: Figure
    skewness: Figure
    kurtosis: Figure
    probability: Figure


def deflated(returns: Returns, sharpes: Sequence[float], trials: int) -> DeflatedSharpe:
    """Compute the deflated Sharpe ratio of the best of several trials.

    Parameters
    ----------
    returns : ndarray of float, shape (n,)
        Returns of the best trial, per period.
    sharpes : sequence of float
        Sharpe ratio per period of each trial that has one, with the best.
    trials : int
        Number of all trials, 1 or more; those without a Sharpe ratio count as well.

    Returns
    -------
    DeflatedSharpe
        Figures are None with a reason if there are too few returns, they do not vary, or fewer than two of several
        trials have a Sharpe ratio.
    """
    missing = shortfall("sharpe", len(returns)) or ("the daily returns do not vary" if _constant(returns) else "")
    if missing:
        return DeflatedSharpe(trials, len(returns), *[Figure(None, missing)] * 5)
    own, (skewness, kurtosis) = sharpe_ratio(returns), moments(returns)
    shape = (Figure(own), Figure(skewness), Figure(kurtosis))
    if trials > 1 and len(sharpes) < 2:
        unknown = Figure(None, "fewer than two trials have a Sharpe ratio")
        return DeflatedSharpe(trials, len(returns), shape[0], unknown, *shape[1:], unknown)
    expected = expected_maximum(statistics.variance(sharpes) if trials > 1 else 0.0, trials)
    chance = probability_above(own, expected, returns=len(returns), skewness=skewness, kurtosis=kurtosis)
    probability = figure(chance, "the standard error of the Sharpe ratio is 0")
    return DeflatedSharpe(trials, len(returns), shape[0], Figure(expected), *shape[1:], probability)


def sharpe_ratio(returns: Returns) -> float:
    """Return the mean over the standard deviation (ddof 1) of returns that vary, per period.

    >>> round(sharpe_ratio(np.array([0.01, 0.02, 0.03])), 6)
    2.0
    """
    return float(returns.mean() / returns.std(ddof=1))


def moments(returns: Returns) -> tuple[float, float]:
    """Return the skewness and the kurtosis of returns that vary: third and fourth standardised moments.

    >>> moments(np.array([-1.0, 1.0]))
    (0.0, 1.0)
    """
    standardised = (returns - returns.mean()) / returns.std()
    return float((standardised**3).mean()), float((standardised**4).mean())


def expected_maximum(variance: float, trials: int) -> float:
    """Return the largest Sharpe ratio expected from trials without skill; 0 for one trial.

    Parameters
    ----------
    variance : float
        Of the Sharpe ratios of the trials.
    trials : int
        1 or more.

    >>> round(expected_maximum(0.5 / 250, 100), 4)  # the example of the paper
    0.1132
    """
    if trials == 1:
        return 0.0
    quantile = NormalDist().inv_cdf
    highest = (1 - _EULER) * quantile(1 - 1 / trials) + _EULER * quantile(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * highest


def probability_above(sharpe: float, threshold: float, *, returns: int, skewness: float, kurtosis: float) -> float:
    """Return the probability that the true Sharpe ratio is above a threshold.

    Parameters
    ----------
    sharpe, threshold : float
        Estimated Sharpe ratio and threshold, per period.
    returns : int
        Number of returns that it is estimated from.
    skewness, kurtosis : float
        Of the returns.

    Returns
    -------
    float
        In [0, 1]; NaN if the standard error of the estimate is 0.

    >>> daily = 2.5 / 250**0.5  # the example of the paper
    >>> round(probability_above(daily, 0.1132, returns=1250, skewness=-3, kurtosis=10), 2)
    0.9
    """
    squared_error = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if squared_error <= 0:
        return math.nan
    return NormalDist().cdf((sharpe - threshold) * math.sqrt(returns - 1) / math.sqrt(squared_error))


def _constant(returns: Returns) -> bool:
    return bool(np.ptp(returns) <= _FLAT)
