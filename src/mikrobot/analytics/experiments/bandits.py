"""How to share units among arms while learning which is best; every arm keeps a floor.

A bandit earns more while it learns and measures less well than equal shares do.

References
----------
Thompson (1933), Biometrika 25; Auer, Cesa-Bianchi, Fischer (2002), Machine Learning 47, section 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import skew

from mikrobot.analytics.experiments.sequential import NOISE
from mikrobot.domain.errors import UsageError

Floats = NDArray[np.float64]

DRAWS = 10_000
FEWEST = 2
"""Observations of an arm below which nothing is believed and all arms share alike."""

SKEW_FEWEST = 30
"""Observations of an arm below which its skewness is not estimated."""


@dataclass(frozen=True, slots=True)
class Record:
    """What an arm has earned: number, mean and standard deviation (ddof 1) of its observations, R.

    Attributes
    ----------
    skewness : float or None
        Third standardised moment; None below `SKEW_FEWEST` observations, or where they do not vary.
    """

    count: int
    mean: float
    deviation: float
    skewness: float | None = None


def record(values: Floats) -> Record:
    """Summarise the observations of an arm."""
    if len(values) == 0:
        return Record(0, 0.0, 0.0)
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    known = len(values) >= SKEW_FEWEST and deviation > NOISE * max(1.0, float(np.abs(values).max()))
    return Record(len(values), float(values.mean()), deviation, float(skew(values)) if known else None)


def thompson(
    records: Mapping[str, Record], floor: float, rng: np.random.Generator, draws: int = DRAWS
) -> dict[str, float]:
    """Give each arm the probability that its mean is the highest, above the floor.

    The mean of an arm has Student's posterior of a normal sample without prior knowledge.

    Parameters
    ----------
    records : mapping of str to Record
    floor : float
        Smallest share of an arm, from 0 to one over their number.
    rng : Generator
    draws : int
        From the posterior; 1 is Thompson's own rule.

    Returns
    -------
    dict of str to float
        Shares, adding up to 1.
    """
    _check(records, floor)
    if any(each.count < FEWEST for each in records.values()):
        return _floored(records, np.full(len(records), 1 / len(records)), floor)
    column = (len(records), 1)
    means = np.reshape([each.mean for each in records.values()], column)
    errors = np.reshape([each.deviation / each.count**0.5 for each in records.values()], column)
    freedom = np.reshape([each.count - 1.0 for each in records.values()], column)
    drawn = means + errors * rng.standard_t(freedom, (len(records), draws))
    best = np.bincount(drawn.argmax(axis=0), minlength=len(records)) / draws
    return _floored(records, best, floor)


def upper_confidence(records: Mapping[str, Record], floor: float) -> dict[str, float]:
    """Give all above the floor to the arm with the highest upper confidence bound.

    The bound is that of UCB1, scaled by the largest deviation seen, since R has no upper limit.
    """
    _check(records, floor)
    if any(each.count < FEWEST for each in records.values()):
        return _floored(records, np.full(len(records), 1 / len(records)), floor)
    total, scale = sum(each.count for each in records.values()), max(each.deviation for each in records.values())
    bounds = [each.mean + scale * np.sqrt(2 * np.log(total) / each.count) for each in records.values()]
    chosen = np.zeros(len(records))
    chosen[int(np.argmax(bounds))] = 1.0
    return _floored(records, chosen, floor)


def _floored(records: Mapping[str, Record], shares: Floats, floor: float) -> dict[str, float]:
    lifted = floor + (1 - floor * len(records)) * shares
    return dict(zip(records, lifted.tolist(), strict=True))


def _check(records: Mapping[str, Record], floor: float) -> None:
    if not 0 <= floor * len(records) <= 1:
        raise UsageError(f"{len(records)} arms cannot have a floor of {floor:g} each; at most {1 / len(records):.3g}")
