"""The baseline that every model must beat: geometry and volatility, nothing else.

A driftless walk of known volatility reaches a near level more often than a far one. What a model
says beyond that is skill. SciPy and scikit-learn are imported where a baseline is fitted or predicts, so that one is
read without them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.kind import Reach

Floats = NDArray[np.float64]

DISCRETE_MONITORING = 0.5826  # Broadie, Glasserman, Kou (1997): -zeta(1/2) / sqrt(2 pi)

MOST_REACH = 12.0
"""Reach beyond which nothing changes: no walk goes so far."""

SAMPLES = 200_000
"""Training samples that are used at most, spread evenly over time."""

_POINTS = 256

_LEAST = 1e-9

RIDGE = 40.0
"""Penalty on the squares of weights: as if each were known to be 0 but for 0.16 a deviation of its level."""


@dataclass(frozen=True)
class Diffusion:
    """Probability that a driftless walk reaches a price, calibrated.

    The reach of a log distance d by a volatility sigma within h minutes is z = d / (k sigma sqrt(h)),
    k being one scale for all samples, or log k a weighted sum of levels of the volatility: the forecast
    with its weights fitted anew. P = 2 (1 - Phi(z)) if any price on the way counts. If only the
    closes do, a walk that is looked at once a minute, d is longer by 0.5826 k sigma; if only the last
    close does, P = 1 - Phi(z), and d may be negative.

    Attributes
    ----------
    reach : "close", "extreme" or "end"
        Which prices decide; see `Task.reach`.
    scale : float
        k, or its value at the centres, fitted by log loss.
    low, high : float
        Reaches between which `logits` are evenly spaced; beyond them the first or the last holds.
    logits : tuple of float
        Calibrated log odds: splines of the reach, fitted by logistic regression, and kept from rising
        where few samples let them.
    weights, centres : tuple of float
        log k = log scale + weights (levels - centres); empty where k is the same for all.
    """

    reach: Reach
    scale: float
    low: float
    high: float
    logits: tuple[float, ...]
    weights: tuple[float, ...] = ()
    centres: tuple[float, ...] = ()

    @classmethod
    def fit(
        cls,
        reach: Reach,
        distance: Floats,
        sigma: Floats,
        minutes: Floats,
        *,
        outcome: NDArray[np.bool_],
        levels: Floats | None = None,
    ) -> "Diffusion":
        """Fit the scale and the weights, then calibrate, all on training samples in order of time.

        Parameters
        ----------
        reach : "close", "extreme" or "end"
        distance : ndarray of float64, shape (samples,)
            Log distance from the close to the price.
        sigma : ndarray of float64, shape (samples,)
            Positive; standard deviation of a minute's log return, up to a factor, which k takes up.
        minutes : ndarray of float64, shape (samples,)
            Time left.
        outcome : ndarray of bool, shape (samples,)
            Both outcomes occur.
        levels : ndarray of float, shape (samples, levels), optional
            Logarithms of volatilities known at the time of each sample; NaN, where missing, counts as the mean.
        """
        from scipy.optimize import minimize_scalar
        from scipy.special import ndtr
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import log_loss
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import SplineTransformer

        chosen = np.unique(np.linspace(0, len(outcome) - 1, SAMPLES).astype(np.int64))
        distance, sigma, minutes, outcome = distance[chosen], sigma[chosen], minutes[chosen], outcome[chosen]

        def loss(log_scale: float) -> float:
            z = _reach(reach, np.exp(log_scale) * sigma, distance, minutes)
            return float(log_loss(outcome, _tail_factor(reach) * ndtr(-z)))

        scale = float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-3}).x))
        step, weights, centres = scale * sigma, np.empty(0), np.empty(0)
        if levels is not None:
            known, centres, unit = _standardised(levels[chosen])
            moved, weights = _fit_weights(reach, step, distance, minutes, outcome=outcome, levels=known)
            scale, step, weights = scale * np.exp(moved), step * np.exp(moved + known @ weights), weights / unit
        z = _reach(reach, step, distance, minutes)
        curve = make_pipeline(
            SplineTransformer(n_knots=8, degree=3, knots="quantile", extrapolation="linear"),
            LogisticRegression(C=10.0, max_iter=300),
        ).fit(z[:, None], outcome)
        low, high = float(z.min()), float(z.max())
        logits = curve.decision_function(np.linspace(low, high, _POINTS)[:, None])
        falling = tuple(np.minimum.accumulate(logits).tolist())
        return cls(reach, float(scale), low, high, falling, tuple(weights.tolist()), tuple(centres.tolist()))

    def logit(self, distance: Floats, sigma: Floats, minutes: Floats, levels: NDArray[Any] | None = None) -> Floats:
        """Return the log odds of each sample; NaN where its distance or volatility is unknown.

        `levels` is needed where it was fitted with them, of the same columns.
        """
        step = self.scale * sigma
        if levels is not None and self.weights:
            parts = (levels - self._centres) * self._weights
            parts = np.where(np.isfinite(parts), parts, 0.0)
            step = step * np.exp(np.ascontiguousarray(parts).sum(axis=1))  # in rows: one alone is summed as among many
        z = _reach(self.reach, step, distance, minutes)
        return np.asarray(np.interp(z, *self._curve), dtype=np.float64)

    def predict(self, distance: Floats, sigma: Floats, minutes: Floats, levels: NDArray[Any] | None = None) -> Floats:
        """Return the probability of each sample; see `logit`."""
        from scipy.special import expit

        return np.asarray(expit(self.logit(distance, sigma, minutes, levels)), dtype=np.float64)

    @cached_property
    def _curve(self) -> tuple[Floats, Floats]:
        return np.linspace(self.low, self.high, len(self.logits)), np.asarray(self.logits)

    @cached_property
    def _weights(self) -> Floats:
        return np.asarray(self.weights)

    @cached_property
    def _centres(self) -> Floats:
        return np.asarray(self.centres)


def _tail_factor(reach: Reach) -> float:
    """Return what the tail of the normal distribution is multiplied by: a walk that is beyond may come back."""
    return 1.0 if reach == "end" else 2.0


def _standardised(levels: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Return levels in deviations from their mean, 0 where missing; the means; the deviations, 1 of a constant."""
    known = np.isfinite(levels)
    counts = np.maximum(known.sum(axis=0), 1)
    centres = np.where(known, levels, 0.0).sum(axis=0, dtype=np.float64) / counts
    apart = np.where(known, levels - centres, 0.0)
    unit = np.sqrt((apart**2).sum(axis=0) / counts)
    unit = np.where(unit > _LEAST, unit, 1.0)
    return apart / unit, centres, unit


def _fit_weights(
    reach: Reach, step: Floats, distance: Floats, minutes: Floats, *, outcome: NDArray[np.bool_], levels: Floats
) -> tuple[float, Floats]:
    """Fit the weights of standard levels in the logarithm of the step by log loss, ridged.

    Returns
    -------
    tuple of (float, ndarray of float64, shape (levels,))
        How much the logarithm moves for all, and the weights.
    """
    from scipy.optimize import minimize
    from scipy.special import ndtr

    inputs = np.column_stack([np.ones(len(levels)), levels])
    way, looks = _way(reach, step, distance, minutes), _looks(reach, minutes)
    factor, ridge = _tail_factor(reach), RIDGE / len(outcome)

    def loss(weights: Floats) -> tuple[float, Floats]:
        shorter = way * np.exp(-np.clip(inputs @ weights, -MOST_REACH, MOST_REACH))
        z = np.clip(shorter + looks, -MOST_REACH, MOST_REACH)
        p = np.clip(factor * ndtr(-z), _LEAST, 1.0 - _LEAST)
        rising = factor * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi) * shorter
        slope = np.where(outcome, -1.0 / p, 1.0 / (1.0 - p)) * rising
        penalised = np.concatenate([[0.0], weights[1:]])
        found = -np.log(np.where(outcome, p, 1.0 - p)).mean() + 0.5 * ridge * (penalised @ penalised)
        return float(found), inputs.T @ slope / len(outcome) + ridge * penalised

    found = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
    return float(found[0]), np.asarray(found[1:])


def _reach(reach: Reach, step: Floats, distance: Floats, minutes: Floats) -> Floats:
    z = _way(reach, step, distance, minutes) + _looks(reach, minutes)
    return np.asarray(np.minimum(np.maximum(z, -MOST_REACH), MOST_REACH), dtype=np.float64)


def _way(reach: Reach, step: Floats, distance: Floats, minutes: Floats) -> Floats:
    ahead = distance if reach == "end" else np.maximum(distance, 0.0)
    return np.asarray(ahead / (step * np.sqrt(minutes)))


def _looks(reach: Reach, minutes: Floats) -> Floats | float:
    """Return by how much the way is longer where only the close of each minute is looked at."""
    return DISCRETE_MONITORING / np.sqrt(minutes) if reach == "close" else 0.0
