"""How good predictions are, beside what geometry alone achieves.

"Will price cross a near level soon" is mostly a matter of distance and volatility: a random walk
gets a high AUC too. Skill is what remains over the diffusion baseline, with its interval.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import ndtr
from sklearn.metrics import brier_score_loss, f1_score, log_loss, precision_score, recall_score, roc_auc_score

from mikrobot.models.calibration import Calibration

Floats = NDArray[np.float64]
Outcomes = NDArray[np.bool_]

THRESHOLD = 0.5
ECE_BINS = 20
DRAWS = 300
FEWEST_DAYS = 5
"""Days below which a day-block bootstrap says nothing."""

DISCRETE_MONITORING = 0.5826  # Broadie, Glasserman, Kou (1997): -zeta(1/2) / sqrt(2 pi)


@dataclass(frozen=True, slots=True)
class Diffusion:
    """Probability that a driftless random walk closes beyond a level: distance over ATR, nothing else.

    P = 2 (1 - Phi((d + 0.5826 k) / (k sqrt(h)))) for a distance of d ATRs and h minutes; k turns an
    ATR into a standard deviation.

    Attributes
    ----------
    scale : float
        k, fitted by log loss.
    horizon_minutes : int
    calibration : Calibration
    """

    scale: float
    horizon_minutes: int
    calibration: Calibration

    @classmethod
    def fit(cls, distance_atr: Floats, broken: Outcomes, horizon_minutes: int) -> "Diffusion":
        """Fit the scale, then calibrate, both on the training samples.

        Parameters
        ----------
        distance_atr : ndarray of float, shape (samples,)
            From the close to the level; not negative.
        """

        def loss(log_scale: float) -> float:
            return float(log_loss(broken, _crossing(distance_atr, float(np.exp(log_scale)), horizon_minutes)))

        scale = float(np.exp(minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded", options={"xatol": 1e-3}).x))
        crossing = _crossing(distance_atr, scale, horizon_minutes)
        return cls(scale, horizon_minutes, Calibration.fit(crossing, broken))

    def predict(self, distance_atr: Floats) -> Floats:
        """Return the probability of each sample."""
        return self.calibration(_crossing(distance_atr, self.scale, self.horizon_minutes))


def scores(probability: Floats, broken: Outcomes) -> dict[str, float]:
    """Score probabilities against what happened.

    Parameters
    ----------
    probability : ndarray of float, shape (samples,)
    broken : ndarray of bool, shape (samples,)
        Both outcomes occur.

    Returns
    -------
    dict
        ``auc``; ``accuracy``, ``precision``, ``recall`` and ``f1`` at 0.5 (0 where nothing reaches it);
        ``brier``; ``brier_skill`` over always saying the base rate; ``log_loss``; ``ece``, the
        calibration error over 20 bins of equal size.

    >>> found = scores(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    >>> found["auc"], found["accuracy"], round(found["brier"], 3)
    (1.0, 1.0, 0.025)
    """
    said = probability >= THRESHOLD
    base = broken.mean()
    brier = float(brier_score_loss(broken, probability))
    return {
        "auc": float(roc_auc_score(broken, probability)),
        "accuracy": float(np.mean(said == broken)),
        "precision": float(precision_score(broken, said, zero_division=0.0)),
        "recall": float(recall_score(broken, said, zero_division=0.0)),
        "f1": float(f1_score(broken, said, zero_division=0.0)),
        "brier": brier,
        "brier_skill": float(1.0 - brier / (base * (1.0 - base))),
        "log_loss": float(log_loss(broken, probability)),
        "ece": calibration_error(probability, broken),
    }


def calibration_error(probability: Floats, broken: Outcomes, bins: int = ECE_BINS) -> float:
    """Return the mean distance between what was said and what happened, over bins of equal size."""
    members = np.array_split(np.argsort(probability, kind="stable"), min(bins, len(probability)))
    gaps = [abs(probability[chosen].sum() - broken[chosen].sum()) for chosen in members]
    return float(np.sum(gaps) / len(probability))


def uplift(
    probability: Floats, baseline: Floats, broken: Outcomes, times: NDArray[np.datetime64], seed: int
) -> dict[str, dict[str, float | None]]:
    """Compare with a baseline on the same samples; intervals by a bootstrap over whole UTC days.

    Parameters
    ----------
    probability, baseline : ndarray of float, shape (samples,)
    broken : ndarray of bool, shape (samples,)
    times : ndarray of datetime64, shape (samples,)
        Samples of one day depend on each other, and are drawn together.
    seed : int

    Returns
    -------
    dict
        For ``auc`` (difference) and ``brier_skill`` (share of the baseline's Brier score saved):
        ``value``, and ``low`` and ``high`` of the 95 % interval, None on fewer than `FEWEST_DAYS` days.
    """
    days, day = np.unique(times.astype("datetime64[D]"), return_inverse=True)
    ranked, ranked_baseline = _Ranked.of(probability, broken), _Ranked.of(baseline, broken)
    errors, baseline_errors = (probability - broken) ** 2, (baseline - broken) ** 2

    def compare(weights: Floats) -> tuple[float, float]:
        saved = 1.0 - float(weights @ errors) / float(weights @ baseline_errors)
        return ranked.auc(weights) - ranked_baseline.auc(weights), saved

    value = compare(np.ones(len(broken)))
    low, high = _interval(compare, day, len(days), seed)
    return {name: {"value": value[i], "low": low[i], "high": high[i]} for i, name in enumerate(("auc", "brier_skill"))}


def evaluate(
    probability: Floats,
    baseline: Floats,
    broken: Outcomes,
    times: NDArray[np.datetime64],
    symbols: NDArray[np.str_],
    seed: int,
) -> dict[str, Any]:
    """Judge a model on one span, beside the base rate, the majority and the diffusion baseline.

    Parameters
    ----------
    probability, baseline : ndarray of float, shape (samples,)
        Of the model and of the diffusion with ATR sigma.
    broken : ndarray of bool, shape (samples,)
    times : ndarray of datetime64[us], shape (samples,)
    symbols : ndarray of str, shape (samples,)
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        Plain JSON values: ``samples``, ``base_rate``, ``majority_accuracy``, ``metrics``, ``baselines``,
        ``uplift``, ``by_symbol`` (only symbols with both outcomes).
    """
    base = float(broken.mean())
    by_symbol: dict[str, Any] = {}
    for symbol in np.unique(symbols):
        own = symbols == symbol
        if 0.0 < broken[own].mean() < 1.0:
            model, diffusion = scores(probability[own], broken[own]), scores(baseline[own], broken[own])
            by_symbol[str(symbol)] = {
                "samples": int(own.sum()),
                "base_rate": float(broken[own].mean()),
                "metrics": model,
                "baselines": {"diffusion_atr": diffusion},
            }
    return {
        "samples": len(broken),
        "base_rate": base,
        "majority_accuracy": max(base, 1.0 - base),
        "metrics": scores(probability, broken),
        "baselines": {"diffusion_atr": scores(baseline, broken)},
        "uplift": {"over_atr": uplift(probability, baseline, broken, times, seed)},
        "by_symbol": by_symbol,
    }


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Predictions ranked once, so that every weighting of a bootstrap costs one pass."""

    rank: NDArray[np.int64]
    ranks: int
    broken: Floats

    @classmethod
    def of(cls, probability: Floats, broken: Outcomes) -> "_Ranked":
        distinct, rank = np.unique(probability, return_inverse=True)
        return cls(rank, len(distinct), broken.astype(np.float64))

    def auc(self, weights: Floats) -> float:
        """Share of weighted (broken, unbroken) pairs in the right order; ties count half."""
        broken = np.bincount(self.rank, weights * self.broken, self.ranks)
        unbroken = np.bincount(self.rank, weights * (1.0 - self.broken), self.ranks)
        below = np.cumsum(unbroken) - 0.5 * unbroken
        return float(broken @ below / (broken.sum() * unbroken.sum()))


def _interval(
    compare: Callable[[Floats], tuple[float, float]], day: NDArray[np.int64], days: int, seed: int
) -> tuple[list[float | None], list[float | None]]:
    """Return the 2.5 % and the 97.5 % points of both differences."""
    if days < FEWEST_DAYS:
        return [None, None], [None, None]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(days, np.full(days, 1.0 / days), DRAWS).astype(np.float64)
    found = np.array([compare(weights[day]) for weights in drawn])
    low, high = np.quantile(found, (0.025, 0.975), axis=0)
    return low.tolist(), high.tolist()


def _crossing(distance_atr: Floats, scale: float, horizon_minutes: int) -> Floats:
    reach = (distance_atr + DISCRETE_MONITORING * scale) / (scale * np.sqrt(horizon_minutes))
    return np.asarray(2.0 * ndtr(-reach), dtype=np.float64)
