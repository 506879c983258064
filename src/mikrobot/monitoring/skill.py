"""The skill of probabilities: realised, by outcomes, and promised, by the probabilities alone.

Promised skill is confidence-based performance estimation (CBPE): a calibrated probability is the expected outcome, so
that the expected confusion matrix at every threshold follows from the probabilities. Outcomes of overlapping horizons
depend on each other; every interval therefore counts blocks of one horizon, not predictions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.bins import first_of_bins, sums_of_bins

Floats = NDArray[np.float64]
Outcome = NDArray[np.bool_]

NORMAL_95 = 1.959964
"""Quantile of the standard normal distribution for intervals of 95 %."""

FEWEST_BLOCKS = 30
"""Blocks below which there is no skill to report."""

BINS = 20
"""Bins of the calibration error, with about equal numbers of predictions."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of predictions with its standard error, which counts blocks of one horizon."""

    value: float
    error: float

    @property
    def deviations(self) -> float:
        """The value in standard errors."""
        return self.value / self.error if self.error > 0.0 else 0.0

    def __str__(self) -> str:
        return f"{self.value:.3f} +/- {NORMAL_95 * self.error:.3f}"

    def to_json(self) -> dict[str, float]:
        """Return the value with the bounds of its 95 % interval."""
        reach = NORMAL_95 * self.error
        return {"value": self.value, "low": self.value - reach, "high": self.value + reach}


@dataclass(frozen=True, slots=True)
class Skill:
    """The skill of predictions whose outcomes are known.

    Attributes
    ----------
    predictions : int
    blocks : int
        Effective sample size: blocks of one horizon with a prediction.
    rate : float
        Share of true outcomes.
    auc, brier : Estimate
        Realised.
    auc_promised, brier_promised : float
        What the probabilities promise.
    brier_excess : Estimate
        Brier score less what was promised; positive if the predictions are worse.
    bias : Estimate
        Mean probability less the share of true outcomes.
    slope : Estimate
        0 if calibrated; positive if the probabilities are too extreme.
    calibration_error : float
        Mean distance of probability and frequency over `BINS` bins.
    confident : int
        Predictions of at least the entry probability.
    precision : Estimate or None
        Share of true outcomes among these; None without one.
    """

    predictions: int
    blocks: int
    rate: float
    auc: Estimate
    brier: Estimate
    auc_promised: float
    brier_promised: float
    brier_excess: Estimate
    bias: Estimate
    slope: Estimate
    calibration_error: float
    confident: int
    precision: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """Return every figure as plain JSON values."""
        return {
            "predictions": self.predictions,
            "blocks": self.blocks,
            "rate": self.rate,
            "auc": self.auc.to_json(),
            "auc_promised": self.auc_promised,
            "brier": self.brier.to_json(),
            "brier_promised": self.brier_promised,
            "brier_excess": self.brier_excess.to_json(),
            "bias": self.bias.to_json(),
            "slope": self.slope.to_json(),
            "calibration_error": self.calibration_error,
            "confident": self.confident,
            "precision": None if self.precision is None else self.precision.to_json(),
        }


def skill(
    probability: Floats, outcome: Outcome, minute: NDArray[np.int64], horizon: int, *, entry: float
) -> Skill | None:
    """Return the skill of predictions; None with fewer than `FEWEST_BLOCKS` blocks, or with one outcome only.

    Parameters
    ----------
    probability : ndarray of float64, shape (predictions,)
    outcome : ndarray of bool, shape (predictions,)
    minute : ndarray of int64, shape (predictions,)
        Closes at which they were made.
    horizon : int
        Minutes until an outcome is known.
    entry : float
        Probability from which a prediction is confident.
    """
    blocks, block = np.unique(minute // horizon, return_inverse=True)
    if len(blocks) < FEWEST_BLOCKS or outcome.all() or not outcome.any():
        return None
    promised = probability * (1.0 - probability)
    squared = (probability - outcome) ** 2
    confident = probability >= entry
    return Skill(
        predictions=len(outcome),
        blocks=len(blocks),
        rate=float(outcome.mean()),
        auc=_auc(probability, outcome, block),
        brier=_mean(squared, block),
        auc_promised=promise(probability, entry)["auc"],
        brier_promised=float(promised.mean()),
        brier_excess=_mean(squared - promised, block),
        bias=_mean(probability - outcome, block),
        slope=_slope(probability, outcome, block),
        calibration_error=_calibration_error(probability, outcome),
        confident=int(confident.sum()),
        precision=_mean(outcome[confident].astype(np.float64), block[confident]) if confident.any() else None,
    )


def promise(probability: Floats, threshold: float) -> dict[str, float]:
    """Return the skill that calibrated probabilities promise.

    Returns
    -------
    dict
        ``auc``, ``accuracy``, ``precision``, ``recall``, ``f1`` at the threshold, and ``brier``. The first five equal
        the CBPE of NannyML.

    >>> {name: round(value, 3) for name, value in promise(np.array([0.2, 0.8]), 0.5).items()}
    {'auc': 0.8, 'accuracy': 0.8, 'precision': 0.8, 'recall': 0.8, 'f1': 0.8, 'brier': 0.16}
    """
    value, count = np.unique(probability, return_counts=True)
    true, false = value * count, (1.0 - value) * count
    below = false.cumsum() - 0.5 * false
    predicted = probability >= threshold
    hits, alarms, events = float(probability[predicted].sum()), int(predicted.sum()), float(probability.sum())
    kept = float((1.0 - probability[~predicted]).sum())
    return {
        "auc": float(true @ below / (true.sum() * false.sum())),
        "accuracy": (hits + kept) / len(probability),
        "precision": hits / alarms if alarms else 0.0,
        "recall": hits / events,
        "f1": 2.0 * hits / (alarms + events),
        "brier": float(np.mean(probability * (1.0 - probability))),
    }


def block_mean(values: Floats, minute: NDArray[np.int64], horizon: int) -> Estimate:
    """Return the mean of predictions made at these closes, with its error by blocks of one horizon in minutes."""
    return _mean(values, np.unique(minute // horizon, return_inverse=True)[1])


def _mean(values: Floats, block: NDArray[np.intp]) -> Estimate:
    mean = float(values.mean())
    return Estimate(mean, _error(values - mean, block))


def _error(influence: Floats, block: NDArray[np.intp]) -> float:
    """Return the standard error of a mean from the influence of each prediction, summed over blocks."""
    _, place = np.unique(block, return_inverse=True)
    sums = np.bincount(place, influence)
    correction = len(sums) / max(len(sums) - 1, 1)
    return float(np.sqrt(correction * (sums @ sums)) / len(influence))


def _auc(probability: Floats, outcome: Outcome, block: NDArray[np.intp]) -> Estimate:
    """Return the area under the ROC curve; its error by the placements of each prediction (DeLong, clustered)."""
    true, false = np.sort(probability[outcome]), np.sort(probability[~outcome])
    placed = np.where(outcome, _share_below(false, probability), 1.0 - _share_below(true, probability))
    value = float(placed[outcome].mean())
    weight = len(outcome) / np.where(outcome, len(true), len(false))
    return Estimate(value, _error((placed - value) * weight, block))


def _share_below(ordered: Floats, values: Floats) -> Floats:
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray((low + high) / (2.0 * len(ordered)))


def _slope(probability: Floats, outcome: Outcome, block: NDArray[np.intp]) -> Estimate:
    """Return the slope of the errors over the probabilities."""
    distance, miss = probability - probability.mean(), probability - outcome
    spread = float(np.mean(distance**2))
    if not spread:
        return Estimate(0.0, 0.0)
    slope = float(np.mean(distance * miss)) / spread
    influence = distance * (miss - miss.mean() - slope * distance) / spread
    return Estimate(slope, _error(influence, block))


def _calibration_error(probability: Floats, outcome: Outcome) -> float:
    value, number, count = np.unique(probability, return_inverse=True, return_counts=True)
    true = np.bincount(number[outcome], minlength=len(value))
    _, predicted, observed = sums_of_bins(first_of_bins(count, BINS), count, value * count, true)
    return float(np.abs(predicted - observed).sum() / len(outcome))
