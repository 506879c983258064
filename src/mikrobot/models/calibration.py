"""From a score to a probability: a monotone, piecewise-linear map fitted on held-out samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression

Floats = NDArray[np.float64]

SAMPLES_PER_BIN = 100
MOST_BINS = 25

_STEP = 1e-9


@dataclass(frozen=True, slots=True)
class Calibration:
    """Straight lines between knots.

    Attributes
    ----------
    scores, probabilities : tuple of float
        The knots; both increase from 0 to 1.

    >>> Calibration((0.0, 0.5, 1.0), (0.0, 0.2, 1.0))(np.array([0.25, 0.5])).tolist()
    [0.1, 0.2]
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        for knots in (self.scores, self.probabilities):
            if len(knots) < 2 or (knots[0], knots[-1]) != (0.0, 1.0) or not np.all(np.diff(knots) > 0):
                raise ValueError(f"expected knots that increase from 0 to 1, found {knots}")
        if len(self.scores) != len(self.probabilities):
            raise ValueError(f"expected as many probabilities as {len(self.scores)} scores")

    def __call__(self, score: NDArray[Any]) -> Floats:
        """Map scores in [0, 1] to probabilities; the order of two scores is kept."""
        return np.asarray(np.interp(score, self.scores, self.probabilities), dtype=np.float64)

    @classmethod
    def fit(cls, scores: NDArray[Any], outcomes: NDArray[np.bool_]) -> "Calibration":
        """Fit by isotonic regression on bins of equal size.

        Bins, `SAMPLES_PER_BIN` samples or more in each, keep a small sample from being followed into its
        noise; each counts one extra sample at the base rate, so that no probability is 0 or 1.

        Parameters
        ----------
        scores : ndarray of float, shape (samples,)
            In [0, 1], of samples that the model was not trained on.
        outcomes : ndarray of bool, shape (samples,)
        """
        order = np.argsort(scores, kind="stable")
        bins = np.array_split(order, max(1, min(MOST_BINS, len(order) // SAMPLES_PER_BIN)))
        size = np.array([len(members) for members in bins], dtype=np.float64)
        mean_score = np.array([scores[members].mean() for members in bins], dtype=np.float64)
        hits = np.array([outcomes[members].sum() for members in bins], dtype=np.float64)
        rate = isotonic_regression((hits + outcomes.mean()) / (size + 1.0), sample_weight=size)
        return cls(*_knots(mean_score, rate, size))


def _knots(score: Floats, rate: Floats, size: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Merge bins of one rate or one score (equal but for rounding) into one knot, and pin the ends at 0 and 1."""
    starts = np.flatnonzero(np.r_[True, (np.diff(rate) > _STEP) & (np.diff(score) > _STEP)])
    weight = np.add.reduceat(size, starts)
    scores = np.add.reduceat(score * size, starts) / weight
    rates = np.add.reduceat(rate * size, starts) / weight
    inside = (scores > 0.0) & (scores < 1.0) & (rates > 0.0) & (rates < 1.0)
    return (0.0, *map(float, scores[inside]), 1.0), (0.0, *map(float, rates[inside]), 1.0)
