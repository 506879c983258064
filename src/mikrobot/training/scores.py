"""How good probabilities are against what happened."""

from collections.abc import Mapping, Sequence
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

Floats = NDArray[np.float64]
Outcomes = NDArray[np.bool_]

THRESHOLD = 0.5
CAUGHT = 0.60
"""Recall at which `precision_at_recall` is read."""

BINS = 20


def scores(probability: Floats, outcome: Outcomes) -> dict[str, float]:
    """Score probabilities.

    Parameters
    ----------
    probability : ndarray of float, shape (samples,)
    outcome : ndarray of bool, shape (samples,)
        Both outcomes occur.

    Returns
    -------
    dict
        ``auc``; ``accuracy``, ``precision``, ``recall`` and ``f1`` at 0.5 (0 where nothing reaches it);
        ``precision_at_recall``, the best precision at any threshold with a recall of `CAUGHT` or more;
        ``brier``; ``brier_skill`` over always saying the base rate; ``log_loss``; ``ece``, the
        `calibration_error`.

    >>> found = scores(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    >>> found["auc"], found["accuracy"], round(found["brier"], 3)
    (1.0, 1.0, 0.025)
    """
    said = probability >= THRESHOLD
    base = outcome.mean()
    brier = float(brier_score_loss(outcome, probability))
    return {
        "auc": float(roc_auc_score(outcome, probability)),
        "accuracy": float(np.mean(said == outcome)),
        "precision": float(precision_score(outcome, said, zero_division=0.0)),
        "recall": float(recall_score(outcome, said, zero_division=0.0)),
        "f1": float(f1_score(outcome, said, zero_division=0.0)),
        "precision_at_recall": precision_at_recall(probability, outcome),
        "brier": brier,
        "brier_skill": float(1.0 - brier / (base * (1.0 - base))),
        "log_loss": float(log_loss(outcome, probability)),
        "ece": calibration_error(probability, outcome),
    }


def precision_at_recall(probability: Floats, outcome: Outcomes, recall: float = CAUGHT) -> float:
    """Return the best precision at any threshold that catches at least this share of what happened.

    >>> precision_at_recall(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, True]), recall=0.6)
    0.75
    """
    precision, caught, _ = precision_recall_curve(outcome, probability)
    return float(precision[caught >= recall].max())


def calibration_error(probability: Floats, outcome: Outcomes, bins: int = BINS) -> float:
    """Return the mean distance between what was said and what happened, over bins of about equal size.

    Equal probabilities share a bin, so that the order of the samples changes nothing.

    >>> calibration_error(np.full(4, 0.5), np.array([False, False, True, True]))
    0.0
    """
    _, said, happened = _binned(probability, outcome, bins)
    return float(np.abs(said - happened).sum() / len(probability))


def calibration_noise(bins: Sequence[Mapping[str, Any]]) -> float:
    """Return the calibration error that chance alone shows in the bins of `reliability`, if all that was said is right.

    The mean absolute deviation of a binomial count is sqrt(2 variance / pi), near enough.

    >>> round(calibration_noise([{"samples": 100, "said": 0.5}, {"samples": 100, "said": 0.1}]), 4)
    0.0319
    """
    counts, said = (np.array([each[name] for each in bins], dtype=np.float64) for name in ("samples", "said"))
    return float(np.sqrt(2.0 / np.pi * counts * said * (1.0 - said)).sum() / counts.sum())


def reliability(probability: Floats, outcome: Outcomes, bins: int = BINS) -> list[dict[str, Any]]:
    """Return what was said and what happened in bins of about equal size, the lowest first.

    Equal probabilities share a bin.

    >>> reliability(np.array([0.1, 0.3, 0.8, 0.8]), np.array([False, False, True, True]), bins=2)
    [{'samples': 2, 'said': 0.2, 'happened': 0.0}, {'samples': 2, 'said': 0.8, 'happened': 1.0}]
    """
    return [
        {"samples": int(size), "said": float(said / size), "happened": float(happened / size)}
        for size, said, happened in zip(*_binned(probability, outcome, bins), strict=True)
    ]


def _binned(probability: Floats, outcome: Outcomes, bins: int) -> list[NDArray[Any]]:
    """Return the samples of each bin, the sum of their probabilities, and how many came true."""
    value, number, count = np.unique(probability, return_inverse=True, return_counts=True)
    return sums_of_bins(first_of_bins(count, bins), count, value * count, np.bincount(number, outcome))
