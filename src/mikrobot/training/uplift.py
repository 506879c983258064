"""Uplift of a model over a baseline on the same samples, with its interval.

Samples of one day depend on each other, so the bootstrap resamples whole UTC days. The AUC of a
resample is computed from counts by day and rank, whose size does not depend on the number of samples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from mikrobot.training.day_bootstrap import FEWEST_DAYS, Interval
from mikrobot.training.evaluation_figures import Uplift

Floats = NDArray[np.float64]
Outcomes = NDArray[np.bool_]
Times = NDArray[np.datetime64]

DRAWS = 300

RANKS = 512
"""Bins of equal size that approximate ranks; the error of the AUC is below one in this number."""


def uplift(
    probability: Floats, baseline: Floats, outcome: Outcomes, times: Times, *, seed: int, draws: int = DRAWS
) -> Uplift:
    """Return the uplift of a model over a baseline on the same samples; no interval on fewer than `FEWEST_DAYS` days.

    Parameters
    ----------
    probability, baseline : ndarray of float, shape (samples,)
    outcome : ndarray of bool, shape (samples,)
        Both outcomes occur.
    times : ndarray of datetime64, shape (samples,)
    seed : int
    draws : int

    >>> day = np.arange("2024-03-04", "2024-03-14", dtype="datetime64[D]").repeat(2)
    >>> uplift(np.tile([0.2, 0.8], 10), np.full(20, 0.5), np.tile([False, True], 10), day, seed=1).auc
    Interval(value=0.5, low=0.5, high=0.5)
    """
    days, day = np.unique(times.astype("datetime64[D]"), return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(len(days), np.full(len(days), 1 / len(days)), draws).astype(float)
    own, other = (_Daily.of(predicted, outcome, day, len(days)) for predicted in (probability, baseline))
    all_days = np.ones((1, len(days)))
    auc = float(roc_auc_score(outcome, probability) - roc_auc_score(outcome, baseline))
    by_rank = own.auc(drawn) - other.auc(drawn) + (auc - (own.auc(all_days) - other.auc(all_days)))
    return Uplift(
        auc=_interval(auc, by_rank, len(days)),
        brier_skill=_interval(float(_saved(own, other, all_days)[0]), _saved(own, other, drawn), len(days)),
    )


@dataclass(frozen=True, slots=True)
class _Daily:
    """Counts of both outcomes by day and rank, and sums of squared errors by day."""

    true: Floats
    false: Floats
    error: Floats

    @classmethod
    def of(cls, predicted: Floats, outcome: Outcomes, day: NDArray[np.intp], days: int) -> "_Daily":
        edges = np.unique(np.quantile(predicted, np.linspace(0, 1, RANKS + 1)[1:-1], method="inverted_cdf"))
        cell = day * (len(edges) + 1) + np.searchsorted(edges, predicted)
        shape = days, len(edges) + 1
        counts = [np.bincount(cell[own], minlength=shape[0] * shape[1]) for own in (outcome, ~outcome)]
        true, false = (count.reshape(shape).astype(float) for count in counts)
        return cls(true, false, np.bincount(day, (predicted - outcome) ** 2, days).astype(float))

    def auc(self, drawn: Floats) -> Floats:
        """Return the AUC of each resample: the share of (true, false) pairs in the right order; ties count half."""
        true, false = drawn @ self.true, drawn @ self.false
        below = np.cumsum(false, axis=1) - 0.5 * false
        with np.errstate(invalid="ignore"):
            return np.asarray((true * below).sum(axis=1) / (true.sum(axis=1) * false.sum(axis=1)))


def _saved(own: _Daily, other: _Daily, drawn: Floats) -> Floats:
    return np.asarray(1.0 - (drawn @ own.error) / (drawn @ other.error))


def _interval(value: float, spread: Floats, days: int) -> Interval:
    low, high = np.nanquantile(spread, (0.025, 0.975)) if days >= FEWEST_DAYS else (np.nan, np.nan)
    return Interval(value, *(None if np.isnan(bound) else float(bound) for bound in (low, high)))
