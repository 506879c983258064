"""Calibration of scores: a monotone, piecewise-linear map to probabilities, fitted on held-out samples."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.bins import first_of_bins, sums_of_bins

Floats = NDArray[np.float64]

SAMPLES_PER_BIN = 100
MOST_BINS = 100

_STEP = 1e-9


@dataclass(frozen=True)
class Calibration:
    """A piecewise-linear map from scores to probabilities, constant beyond the first and the last knot.

    Attributes
    ----------
    scores, probabilities : tuple of float
        The knots, one or more; both increase within [0, 1].

    >>> Calibration((0.2, 0.6), (0.1, 0.3))(np.array([0.0, 0.4, 1.0])).tolist()
    [0.1, 0.2, 0.3]
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.scores) != len(self.probabilities):
            raise ValueError(f"expected as many probabilities as {len(self.scores)} scores")
        for knots in (self.scores, self.probabilities):
            if not knots or knots[0] < 0.0 or knots[-1] > 1.0 or not np.all(np.diff(knots) > 0):
                raise ValueError(f"expected knots that increase within [0, 1], found {knots}")

    def __call__(self, score: NDArray[Any]) -> Floats:
        """Map scores in [0, 1] to probabilities; the map never reverses the order of two scores."""
        return np.asarray(np.interp(score, *self._curve), dtype=np.float64)

    @cached_property
    def _curve(self) -> tuple[Floats, Floats]:
        return np.asarray(self.scores), np.asarray(self.probabilities)

    @classmethod
    def fit(cls, scores: NDArray[Any], outcomes: NDArray[np.bool_]) -> "Calibration":
        """Fit by isotonic regression on bins of about equal size; equal scores share a bin.

        Bins of at least `SAMPLES_PER_BIN` samples prevent overfitting on small samples. Each bin has one extra
        sample at the base rate, and the base rate has one extra sample at 0.5, so no probability is 0 or 1.
        Beyond the mean scores of the first and the last bin, the rates of these bins apply.

        Parameters
        ----------
        scores : ndarray of float, shape (samples,)
            In [0, 1], of samples that the model was not trained on; at least one.
        outcomes : ndarray of bool, shape (samples,)
        """
        from sklearn.isotonic import isotonic_regression  # here, because a service that only answers has no use of it

        value, number, count = np.unique(scores, return_inverse=True, return_counts=True)
        first = first_of_bins(count, MOST_BINS, SAMPLES_PER_BIN)
        size, score, hits = sums_of_bins(first, count, value * count, np.bincount(number, outcomes))
        base = (hits.sum() + 0.5) / (size.sum() + 1.0)
        rate = isotonic_regression((hits + base) / (size + 1.0), sample_weight=size)
        return cls(*_knots(score / size, rate, size))


def _knots(score: Floats, rate: Floats, size: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Merge bins of equal rates (except for rounding) into one knot."""
    first = np.flatnonzero(np.r_[True, np.diff(rate) > _STEP])
    weight, scores, rates = sums_of_bins(first, size, score * size, rate * size)
    return tuple((scores / weight).tolist()), tuple((rates / weight).tolist())
