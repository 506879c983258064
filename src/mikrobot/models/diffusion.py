"""The diffusion baseline, which every model must beat: it uses geometry and volatility only.

A driftless random walk of known volatility reaches a near level more often than a far one; the skill of a
model is its uplift over that. SciPy and scikit-learn are imported only where a baseline is fitted or
predicts, so a baseline can be read without them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.kind import Reach
from mikrobot.models.labels.samples import thin

Floats = NDArray[np.float64]

DISCRETE_MONITORING = 0.5826  # Broadie, Glasserman, Kou (1997): -zeta(1/2) / sqrt(2 pi)

MOST_REACH = 12.0
"""Limit of the reach; no random walk goes further."""

SAMPLES = 200_000
"""Maximum number of training samples, spread evenly over time."""

_POINTS = 256

_LEAST = 1e-9
_EPSILON = np.finfo(np.float64).eps

RIDGE = 40.0
"""Ridge penalty on the weights: a prior with mean 0 and standard deviation 0.16 per deviation of the level."""


@dataclass(frozen=True)
class Diffusion:
    """Calibrated probability that a driftless random walk reaches a price.

    The reach of a log distance d at volatility sigma within h minutes is z = d / (k sigma sqrt(h)).
    The scale k is the same for all samples, or log k is a weighted sum of volatility levels, with weights
    fitted on the training samples. P = 2 (1 - Phi(z)) if every price within the horizon counts. If only
    the closes count (discrete monitoring once a minute), d is longer by 0.5826 k sigma. If only the last
    close counts, P = 1 - Phi(z), and d may be negative.

    Attributes
    ----------
    reach : "close", "extreme" or "end"
        Prices that decide the outcome; see `Task.reach`.
    scale : float
        k, or its value at the centres, fitted by log loss.
    low, high : float
        Range of the reach over which `logits` are evenly spaced; beyond it the first or the last one applies.
    logits : tuple of float
        Calibrated log odds: splines of the reach, fitted by logistic regression, and made non-increasing.
    weights, centres : tuple of float
        log k = log scale + weights (levels - centres); empty where k is the same for all samples.
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
            Positive; standard deviation of a minute's log return, up to a constant factor, which k absorbs.
        minutes : ndarray of float64, shape (samples,)
            Minutes to the end of the horizon.
        outcome : ndarray of bool, shape (samples,)
            Both outcomes occur.
        levels : ndarray of float, shape (samples, levels), optional
            Logarithms of volatilities known at the time of each sample; NaN, where missing, counts as the mean.
        """
        from scipy.optimize import minimize_scalar
        from scipy.special import ndtr
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import SplineTransformer

        chosen = thin(np.arange(len(outcome)), SAMPLES)
        distance, sigma, minutes, outcome = distance[chosen], sigma[chosen], minutes[chosen], outcome[chosen]

        def loss(log_scale: float) -> float:
            z = _reach(reach, np.exp(log_scale) * sigma, distance, minutes)
            return _log_loss(np.clip(_tail_factor(reach) * ndtr(-z), _EPSILON, 1.0 - _EPSILON), outcome)

        scale = float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-3}).x))
        step, weights, centres = scale * sigma, np.empty(0), np.empty(0)
        if levels is not None:
            standard, centres, unit = _standardised(levels[chosen])
            shift, weights = _fit_weights(reach, step, distance, minutes, outcome=outcome, levels=standard)
            scale, step, weights = scale * np.exp(shift), step * np.exp(shift + standard @ weights), weights / unit
        z = _reach(reach, step, distance, minutes)
        curve = make_pipeline(
            SplineTransformer(n_knots=8, degree=3, knots="quantile", extrapolation="linear"),
            LogisticRegression(C=10.0, solver="newton-cholesky"),
        ).fit(z[:, None], outcome)
        low, high = float(z.min()), float(z.max())
        logits = curve.decision_function(np.linspace(low, high, _POINTS)[:, None])
        falling = tuple(np.minimum.accumulate(logits).tolist())
        return cls(reach, float(scale), low, high, falling, tuple(weights.tolist()), tuple(centres.tolist()))

    def logit(self, distance: Floats, sigma: Floats, minutes: Floats, levels: NDArray[Any] | None = None) -> Floats:
        """Return the log odds of each sample; NaN where its distance or volatility is unknown.

        `levels` is required if the baseline was fitted with levels, with the same columns.
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
    """Return the factor of the normal tail: 2 if reaching the price once counts (reflection principle), else 1."""
    return 1.0 if reach == "end" else 2.0


def _standardised(levels: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Return standardised levels (0 where missing), their means, and their standard deviations (1 for a constant)."""
    present = np.isfinite(levels)
    counts = np.maximum(present.sum(axis=0), 1)
    centres = np.where(present, levels, 0.0).sum(axis=0, dtype=np.float64) / counts
    centred = np.where(present, levels - centres, 0.0)
    unit = np.sqrt((centred**2).sum(axis=0) / counts)
    unit = np.where(unit > _LEAST, unit, 1.0)
    return centred / unit, centres, unit


def _fit_weights(
    reach: Reach, step: Floats, distance: Floats, minutes: Floats, *, outcome: NDArray[np.bool_], levels: Floats
) -> tuple[float, Floats]:
    """Fit the weights of standardised levels in log k by log loss with a ridge penalty.

    The curvature is the expected one (Fisher scoring), with which a few steps suffice.

    Returns
    -------
    tuple of (float, ndarray of float64, shape (levels,))
        The shift of log k for all samples, and the weights.
    """
    from scipy.optimize import minimize
    from scipy.special import ndtr

    inputs = np.column_stack([np.ones(len(levels)), levels])
    way, looks = _way(reach, step, distance, minutes), _looks(reach, minutes)
    factor = _tail_factor(reach)
    ridge = RIDGE / len(outcome) * np.append(0.0, np.ones(levels.shape[1]))

    def predicted(weights: Floats) -> tuple[Floats, Floats]:
        """Return the probabilities, and their derivatives by log k."""
        shorter = way * np.exp(-np.clip(inputs @ weights, -MOST_REACH, MOST_REACH))
        z = np.clip(shorter + looks, -MOST_REACH, MOST_REACH)
        p = np.clip(factor * ndtr(-z), _LEAST, 1.0 - _LEAST)
        return p, factor * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi) * shorter

    def loss(weights: Floats) -> tuple[float, Floats]:
        p, rising = predicted(weights)
        slope = np.where(outcome, -1.0 / p, 1.0 / (1.0 - p)) * rising
        value = _log_loss(p, outcome) + 0.5 * ridge @ weights**2
        return float(value), inputs.T @ slope / len(outcome) + ridge * weights

    def curvature(weights: Floats) -> Floats:
        p, rising = predicted(weights)
        return (inputs.T * (rising**2 / (p * (1.0 - p)))) @ inputs / len(outcome) + np.diag(ridge)

    start = np.zeros(inputs.shape[1])
    fitted = minimize(loss, start, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-6}).x
    return float(fitted[0]), np.asarray(fitted[1:])


def _log_loss(probability: Floats, outcome: NDArray[np.bool_]) -> float:
    return float(-np.log(np.where(outcome, probability, 1.0 - probability)).mean())


def _reach(reach: Reach, step: Floats, distance: Floats, minutes: Floats) -> Floats:
    z = _way(reach, step, distance, minutes) + _looks(reach, minutes)
    return np.asarray(np.minimum(np.maximum(z, -MOST_REACH), MOST_REACH), dtype=np.float64)


def _way(reach: Reach, step: Floats, distance: Floats, minutes: Floats) -> Floats:
    ahead = distance if reach == "end" else np.maximum(distance, 0.0)
    return np.asarray(ahead / (step * np.sqrt(minutes)))


def _looks(reach: Reach, minutes: Floats) -> Floats | float:
    """Return the correction of the reach for discrete monitoring, where only the close of each minute counts."""
    return DISCRETE_MONITORING / np.sqrt(minutes) if reach == "close" else 0.0
