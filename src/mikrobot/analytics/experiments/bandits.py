"""Multi-armed bandits: shares of the next units by arm, with a minimum share for each.

Compared with equal shares, a bandit earns more during an experiment but estimates differences less precisely.

References
----------
Thompson (1933), Biometrika 25; Auer, Cesa-Bianchi, Fischer (2002), Machine Learning 47, section 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mikrobot.analytics.experiments.sequential import NOISE
from mikrobot.domain.errors import UsageError

Floats = NDArray[np.float64]

DRAWS = 10_000
FEWEST = 2
"""Minimum observations of every arm; with fewer, all arms get equal shares."""

SKEW_FEWEST = 30
"""Minimum observations of an arm for an estimate of its skewness."""


@dataclass(frozen=True, slots=True)
class Record:
    """The results of an arm: count, mean and standard deviation (ddof 1) of its observations, R.

    Attributes
    ----------
    skewness : float or None
        Third standardised moment; None with fewer than `SKEW_FEWEST` observations, or if they do not vary.
    """

    count: int
    mean: float
    deviation: float
    skewness: float | None = None


def record(values: Floats) -> Record:
    """Summarise the observations of an arm."""
    if len(values) == 0:
        return Record(0, 0.0, 0.0)
    from scipy.stats import skew  # takes a second, which every command that lists experiments would need

    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    has_skewness = len(values) >= SKEW_FEWEST and deviation > NOISE * max(1.0, float(np.abs(values).max()))
    return Record(len(values), float(values.mean()), deviation, float(skew(values)) if has_skewness else None)


def thompson(
    records: Mapping[str, Record], floor: float, rng: np.random.Generator, draws: int = DRAWS
) -> dict[str, float]:
    """Return the Thompson sampling share of each arm: the floor plus the probability that its mean is the highest.

    The posterior of the mean of an arm is Student's t, for a normal sample with an uninformative prior. The
    probabilities are scaled so that the shares add up to 1.

    Parameters
    ----------
    records : mapping of str to Record
    floor : float
        Minimum share of an arm, from 0 to one over the number of arms.
    rng : Generator
    draws : int
        Number of posterior draws; 1 is Thompson's original rule.

    Returns
    -------
    dict of str to float
        Shares; the sum is 1.
    """
    _check(records, floor)
    if any(arm.count < FEWEST for arm in records.values()):
        return _floored(records, np.full(len(records), 1 / len(records)), floor)
    column = (len(records), 1)
    means = np.reshape([arm.mean for arm in records.values()], column)
    errors = np.reshape([arm.deviation / arm.count**0.5 for arm in records.values()], column)
    freedom = np.reshape([arm.count - 1.0 for arm in records.values()], column)
    drawn = means + errors * rng.standard_t(freedom, (len(records), draws))
    best = np.bincount(drawn.argmax(axis=0), minlength=len(records)) / draws
    return _floored(records, best, floor)


def upper_confidence(records: Mapping[str, Record], floor: float) -> dict[str, float]:
    """Return shares that give everything above the floors to the arm with the highest upper confidence bound.

    The bound is that of UCB1, scaled by the largest standard deviation of the arms, because R has no upper limit.
    """
    _check(records, floor)
    if any(arm.count < FEWEST for arm in records.values()):
        return _floored(records, np.full(len(records), 1 / len(records)), floor)
    total, scale = sum(arm.count for arm in records.values()), max(arm.deviation for arm in records.values())
    bounds = [arm.mean + scale * np.sqrt(2 * np.log(total) / arm.count) for arm in records.values()]
    chosen = np.zeros(len(records))
    chosen[int(np.argmax(bounds))] = 1.0
    return _floored(records, chosen, floor)


def _floored(records: Mapping[str, Record], shares: Floats, floor: float) -> dict[str, float]:
    lifted = floor + (1 - floor * len(records)) * shares
    return dict(zip(records, lifted.tolist(), strict=True))


def _check(records: Mapping[str, Record], floor: float) -> None:
    if not 0 <= floor * len(records) <= 1:
        raise UsageError(f"{len(records)} arms cannot have a floor of {floor:g} each; at most {1 / len(records):.3g}")
