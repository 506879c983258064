"""Uplift of a model over a baseline on the same samples, with its interval.

Samples of one day depend on each other, so the bootstrap resamples whole UTC days. The AUC of a
resample is computed from counts by day and rank, whose size does not depend on the number of samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mikrobot.training.day_bootstrap import FEWEST_DAYS, Interval
from mikrobot.training.evaluation_figures import Uplift
from mikrobot.training.scores import auc

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
    (estimate,) = uplifts(probability, {"": baseline}, outcome, times, seed=seed, draws=draws).values()
    return estimate


def uplifts(
    probability: Floats, baselines: Mapping[str, Floats], outcome: Outcomes, times: Times, *, seed: int,
    draws: int = DRAWS,
) -> dict[str, Uplift]:  # fmt: skip
    """Return the `uplift` of a model over each of these baselines, all on the same resamples."""
    days, day = np.unique(times.astype("datetime64[D]"), return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(len(days), np.full(len(days), 1 / len(days)), draws).astype(float)
    resamples = np.vstack([np.ones(len(days)), drawn])
    own = _Resampled.of(probability, outcome, day, resamples)
    return {
        name: own.over(_Resampled.of(baseline, outcome, day, resamples), len(days))
        for name, baseline in baselines.items()
    }


@dataclass(frozen=True, slots=True)
class _Resampled:
    """Scores of one prediction on all days, and on each resample.

    Attributes
    ----------
    auc : float
    auc_by_rank, error : ndarray of float64, shape (1 + draws,)
        AUC by approximate ranks, and sum of squared errors; on all days first, then on the resamples.
    """

    auc: float
    auc_by_rank: Floats
    error: Floats

    @classmethod
    def of(cls, predicted: Floats, outcome: Outcomes, day: NDArray[np.intp], resamples: Floats) -> "_Resampled":
        days = resamples.shape[1]
        true, false = _by_day_and_rank(predicted, outcome, day, days)
        error = np.bincount(day, (predicted - outcome) ** 2, days)
        return cls(auc(predicted, outcome), _pairs_in_order(resamples @ true, resamples @ false), resamples @ error)

    def over(self, other: "_Resampled", days: int) -> Uplift:
        """Return the uplift over another prediction of the same resamples."""
        gained = self.auc - other.auc
        by_rank, saved = self.auc_by_rank - other.auc_by_rank, 1.0 - self.error / other.error
        return Uplift(
            auc=_interval(gained, by_rank[1:] + (gained - by_rank[0]), days),
            brier_skill=_interval(float(saved[0]), saved[1:], days),
        )


def _by_day_and_rank(predicted: Floats, outcome: Outcomes, day: NDArray[np.intp], days: int) -> tuple[Floats, Floats]:
    """Return the counts of true and of false outcomes, shape (days, ranks)."""
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, RANKS + 1)[1:-1], method="inverted_cdf"))
    cell = day * (len(edges) + 1) + np.searchsorted(edges, predicted)
    shape = days, len(edges) + 1
    true, false = (np.bincount(cell[own], minlength=shape[0] * shape[1]) for own in (outcome, ~outcome))
    return true.reshape(shape).astype(float), false.reshape(shape).astype(float)


def _pairs_in_order(true: Floats, false: Floats) -> Floats:
    """Return the share of (true, false) pairs in the right order in each row of counts by rank; ties count half."""
    below = np.cumsum(false, axis=1) - 0.5 * false
    with np.errstate(invalid="ignore"):
        return np.asarray((true * below).sum(axis=1) / (true.sum(axis=1) * false.sum(axis=1)))


def _interval(value: float, spread: Floats, days: int) -> Interval:
    low, high = np.nanquantile(spread, (0.025, 0.975)) if days >= FEWEST_DAYS else (np.nan, np.nan)
    return Interval(value, *(None if np.isnan(bound) else float(bound) for bound in (low, high)))
