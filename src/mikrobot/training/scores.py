"""Scores of predicted probabilities against observed outcomes.

They equal those of scikit-learn, which sorts and checks its arguments again for each score; an evaluation
has dozens of slices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.bins import first_of_bins, sums_of_bins
from mikrobot.training.evaluation_figures import ReliabilityBin

Floats = NDArray[np.float64]
Outcomes = NDArray[np.bool_]

THRESHOLD = 0.5
MIN_RECALL = 0.60
"""Recall at which ``precision_at_recall`` is read."""

BINS = 20


def scores(probability: Floats, outcome: Outcomes) -> dict[str, float]:
    """Score predicted probabilities.

    Parameters
    ----------
    probability : ndarray of float, shape (samples,)
    outcome : ndarray of bool, shape (samples,)
        Both outcomes occur.

    Returns
    -------
    dict
        ``auc``; ``accuracy``, ``precision``, ``recall`` and ``f1`` at 0.5 (0 where no probability reaches it);
        ``precision_at_recall``, the best precision at any threshold with a recall of `MIN_RECALL` or more;
        ``brier``; ``brier_skill``, compared with always predicting the base rate; ``log_loss``; ``ece``, the
        `calibration_error`.

    >>> metrics = scores(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    >>> metrics["auc"], metrics["accuracy"], round(metrics["brier"], 3)
    (1.0, 1.0, 0.025)
    """
    ranked, predicted = _Ranked.of(probability, outcome), probability >= THRESHOLD
    hits, alarms, events = (int(np.count_nonzero(flags)) for flags in (predicted & outcome, predicted, outcome))
    base = events / len(outcome)
    brier = float(np.mean((probability - outcome) ** 2))
    return {
        "auc": ranked.auc,
        "accuracy": float(np.mean(predicted == outcome)),
        "precision": hits / alarms if alarms else 0.0,
        "recall": hits / events,
        "f1": 2 * hits / (alarms + events),
        "precision_at_recall": ranked.precision_at(MIN_RECALL),
        "brier": brier,
        "brier_skill": 1.0 - brier / (base * (1.0 - base)),
        "log_loss": _log_loss(probability, outcome),
        "ece": ranked.calibration_error(BINS),
    }


def auc(probability: Floats, outcome: Outcomes) -> float:
    """Return the area under the ROC curve; both outcomes occur.

    >>> auc(np.array([0.1, 0.5, 0.5]), np.array([False, False, True]))
    0.75
    """
    return _Ranked.of(probability, outcome).auc


def calibration_error(probability: Floats, outcome: Outcomes, bins: int = BINS) -> float:
    """Return the expected calibration error over bins of about equal size.

    It is the mean distance between predicted probability and observed frequency. Equal probabilities
    share a bin, so the result does not depend on the order of the samples.

    >>> calibration_error(np.full(4, 0.5), np.array([False, False, True, True]))
    0.0
    """
    return _Ranked.of(probability, outcome).calibration_error(bins)


def calibration_noise(bins: Sequence[ReliabilityBin]) -> float:
    """Return the calibration error that a perfectly calibrated model shows by chance, in the bins of `reliability`.

    The mean absolute deviation of a binomial count is approximately sqrt(2 variance / pi).

    >>> round(calibration_noise([ReliabilityBin(100, 0.5, 0.5), ReliabilityBin(100, 0.1, 0.1)]), 4)
    0.0319
    """
    counts = np.array([part.samples for part in bins], dtype=np.float64)
    predicted = np.array([part.predicted for part in bins])
    return float(np.sqrt(2.0 / np.pi * counts * predicted * (1.0 - predicted)).sum() / counts.sum())


def reliability(probability: Floats, outcome: Outcomes, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Return the reliability curve: predicted probability and observed frequency in bins of about equal size.

    Equal probabilities share a bin; the bins are in ascending order of probability.

    >>> from dataclasses import astuple
    >>> curve = reliability(np.array([0.1, 0.3, 0.8, 0.8]), np.array([False, False, True, True]), bins=2)
    >>> [astuple(part) for part in curve]
    [(2, 0.2, 0.0), (2, 0.8, 1.0)]
    """
    return tuple(
        ReliabilityBin(int(size), float(predicted / size), float(observed / size))
        for size, predicted, observed in zip(*_Ranked.of(probability, outcome).binned(bins), strict=True)
    )


def _log_loss(probability: Floats, outcome: Outcomes) -> float:
    least = np.finfo(probability.dtype).eps
    return float(-np.log(np.clip(np.where(outcome, probability, 1.0 - probability), least, 1.0)).mean())


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The different probabilities in ascending order, each with its numbers of samples and of true outcomes."""

    value: Floats
    count: NDArray[np.int64]
    true: NDArray[np.int64]

    @classmethod
    def of(cls, probability: Floats, outcome: Outcomes) -> "_Ranked":
        value, number, count = np.unique(probability, return_inverse=True, return_counts=True)
        return cls(value, count, np.bincount(number[outcome], minlength=len(value)))

    @property
    def auc(self) -> float:
        """Share of the (true, false) pairs in the right order; ties count half."""
        false = self.count - self.true
        below = false.cumsum() - 0.5 * false
        return float(self.true @ below / (self.true.sum() * false.sum()))

    def precision_at(self, recall: float) -> float:
        """Return the best precision at any threshold with at least this recall."""
        hits, alarms = (counts[::-1].cumsum() for counts in (self.true, self.count))
        return float((hits / alarms)[hits / hits[-1] >= recall].max())

    def calibration_error(self, bins: int) -> float:
        _, predicted, observed = self.binned(bins)
        return float(np.abs(predicted - observed).sum() / self.count.sum())

    def binned(self, bins: int) -> list[NDArray[Any]]:
        """Return the number of samples, the sum of the probabilities and the number of true outcomes of each bin."""
        return sums_of_bins(first_of_bins(self.count, bins), self.count, self.value * self.count, self.true)
