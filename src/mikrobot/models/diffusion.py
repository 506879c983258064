"""The baseline that every model must beat: geometry and volatility, nothing else.

A driftless walk of known volatility reaches a near level more often than a far one. What a model
says beyond that is skill.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, ndtr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from mikrobot.models.labels.task import Reach

Floats = NDArray[np.float64]

DISCRETE_MONITORING = 0.5826  # Broadie, Glasserman, Kou (1997): -zeta(1/2) / sqrt(2 pi)

MOST_REACH = 12.0
"""Reach beyond which nothing changes: no walk goes so far."""

SAMPLES = 200_000
"""Training samples that are used at most, spread evenly over time."""

_POINTS = 256


@dataclass(frozen=True, slots=True)
class Diffusion:
    """Probability that a driftless walk reaches a price, calibrated.

    The reach of a log distance d by a volatility sigma within h minutes is z = d / (k sigma sqrt(h)),
    k being one scale for all samples. P = 2 (1 - Phi(z)) if any price on the way counts. If only
    the closes do, a walk that is looked at once a minute, d is longer by 0.5826 k sigma; if only
    the last close does, P = 1 - Phi(z), and d may be negative.

    Attributes
    ----------
    reach : "close", "extreme" or "end"
        Which prices decide; see `Task.reach`.
    scale : float
        k, fitted by log loss.
    low, high : float
        Reaches between which `logits` are evenly spaced; beyond them the first or the last holds.
    logits : tuple of float
        Calibrated log odds: splines of the reach, fitted by logistic regression, and kept from rising
        where few samples let them.
    """

    reach: Reach
    scale: float
    low: float
    high: float
    logits: tuple[float, ...]

    @classmethod
    def fit(
        cls, reach: Reach, distance: Floats, sigma: Floats, minutes: Floats, outcome: NDArray[np.bool_]
    ) -> "Diffusion":
        """Fit the scale, then calibrate, both on training samples in order of time.

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
        """
        chosen = np.unique(np.linspace(0, len(outcome) - 1, SAMPLES).astype(np.int64))
        distance, sigma, minutes, outcome = distance[chosen], sigma[chosen], minutes[chosen], outcome[chosen]

        def loss(log_scale: float) -> float:
            z = _reach(reach, float(np.exp(log_scale)), distance, sigma, minutes)
            return float(log_loss(outcome, (1.0 if reach == "end" else 2.0) * ndtr(-z)))

        scale = float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-3}).x))
        z = _reach(reach, scale, distance, sigma, minutes)
        curve = make_pipeline(
            SplineTransformer(n_knots=8, degree=3, knots="quantile", extrapolation="linear"),
            LogisticRegression(C=10.0, max_iter=300),
        ).fit(z[:, None], outcome)
        low, high = float(z.min()), float(z.max())
        logits = curve.decision_function(np.linspace(low, high, _POINTS)[:, None])
        return cls(reach, scale, low, high, tuple(np.minimum.accumulate(logits).tolist()))

    def logit(self, distance: Floats, sigma: Floats, minutes: Floats) -> Floats:
        """Return the log odds of each sample; NaN where its distance or volatility is unknown."""
        z = _reach(self.reach, self.scale, distance, sigma, minutes)
        grid = np.linspace(self.low, self.high, len(self.logits))
        return np.asarray(np.interp(z, grid, self.logits), dtype=np.float64)

    def predict(self, distance: Floats, sigma: Floats, minutes: Floats) -> Floats:
        """Return the probability of each sample; NaN where its distance or volatility is unknown."""
        return np.asarray(expit(self.logit(distance, sigma, minutes)), dtype=np.float64)


def _reach(reach: Reach, scale: float, distance: Floats, sigma: Floats, minutes: Floats) -> Floats:
    step = scale * sigma
    ahead = distance if reach == "end" else np.maximum(distance, 0.0)
    if reach == "close":
        ahead = ahead + DISCRETE_MONITORING * step
    return np.asarray(np.clip(ahead / (step * np.sqrt(minutes)), -MOST_REACH, MOST_REACH), dtype=np.float64)
