"""Scores of predicted probabilities against observed outcomes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    brier_score_loss,
    f1_score,
    log_loss,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
)

from mikrobot.models.bins import first_of_bins, sums_of_bins
from mikrobot.training.evaluation_figures import ReliabilityBin

Floats = NDArray[np.float64]
Outcomes = NDArray[np.bool_]

THRESHOLD = 0.5
MIN_RECALL = 0.60
"""Recall at which `precision_at_recall` is read."""

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
    predicted = probability >= THRESHOLD
    base = outcome.mean()
    brier = float(brier_score_loss(outcome, probability))
    return {
        "auc": float(roc_auc_score(outcome, probability)),
        "accuracy": float(np.mean(predicted == outcome)),
        "precision": float(precision_score(outcome, predicted, zero_division=0.0)),
        "recall": float(recall_score(outcome, predicted, zero_division=0.0)),
        "f1": float(f1_score(outcome, predicted, zero_division=0.0)),
        "precision_at_recall": precision_at_recall(probability, outcome),
        "brier": brier,
        "brier_skill": float(1.0 - brier / (base * (1.0 - base))),
        "log_loss": float(log_loss(outcome, probability)),
        "ece": calibration_error(probability, outcome),
    }


def precision_at_recall(probability: Floats, outcome: Outcomes, recall: float = MIN_RECALL) -> float:
    """Return the best precision at any threshold with at least this recall.

    >>> precision_at_recall(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, True]), recall=0.6)
    0.75
    """
    precision, recalls, _ = precision_recall_curve(outcome, probability)
    return float(precision[recalls >= recall].max())


def calibration_error(probability: Floats, outcome: Outcomes, bins: int = BINS) -> float:
    """Return the expected calibration error over bins of about equal size.

    It is the mean distance between predicted probability and observed frequency. Equal probabilities
    share a bin, so the result does not depend on the order of the samples.

    >>> calibration_error(np.full(4, 0.5), np.array([False, False, True, True]))
    0.0
    """
    _, predicted, observed = _binned(probability, outcome, bins)
    return float(np.abs(predicted - observed).sum() / len(probability))


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
        for size, predicted, observed in zip(*_binned(probability, outcome, bins), strict=True)
    )


def _binned(probability: Floats, outcome: Outcomes, bins: int) -> list[NDArray[Any]]:
    """Return the number of samples, the sum of the probabilities and the number of true outcomes of each bin."""
    value, number, count = np.unique(probability, return_inverse=True, return_counts=True)
    return sums_of_bins(first_of_bins(count, bins), count, value * count, np.bincount(number, outcome))
