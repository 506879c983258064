"""A trained model: its spec, graph, diffusion baseline, calibration and intervals.

This module neither trains nor stores models and does not access the registry.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.errors import FeatureMismatch, ModelError
from mikrobot.models.calibration import Calibration
from mikrobot.models.conformal import BOTH, Intervals, Sets, between
from mikrobot.models.diffusion import Diffusion
from mikrobot.models.graph import Scorer, constant
from mikrobot.models.inputs import SideInputs
from mikrobot.models.labels.samples import SIDES
from mikrobot.models.spec import ModelSpec
from mikrobot.models.task import Task

NEARLY = 1e-7
"""Minimum distance of scores from 0 and 1, where log odds are infinite."""

BLOCK = 256
"""Rows that are predicted at once: their inputs stay in the cache of a core."""


@dataclass(frozen=True, slots=True)
class Start:
    """The diffusion baseline of one input, as log odds that are added to those of a graph.

    Attributes
    ----------
    input : str
        Name of the input: distance to the price that makes the outcome true, in sigmas of the horizon.
    curve : Diffusion
        Fitted with that distance, a sigma of 1, one minute, and the levels of the volatility.
    share : float
        Factor of the log odds; 1 if the graph was trained to correct them.
    """

    input: str
    curve: Diffusion
    share: float = 1.0

    @classmethod
    def fit(
        cls, task: Task, seen: SideInputs, name: str, inputs: NDArray[np.float32], *, outcome: NDArray[np.bool_]
    ) -> "Start":
        """Fit on training samples in order of time; samples without a distance are left out.

        Parameters
        ----------
        task : Task
        seen : SideInputs
            The definition of the inputs.
        name : str
            Name of the input that is the distance.
        inputs : ndarray of float32, shape (samples, inputs)
        outcome : ndarray of bool, shape (samples,)
        """
        distance = inputs[:, seen.names.index(name)].astype(np.float64)
        own = np.isfinite(distance)
        ones, levels = np.ones(int(own.sum())), seen.levels(inputs)[own]
        return cls(name, Diffusion.fit(task.reach, distance[own], ones, ones, outcome=outcome[own], levels=levels))

    def __call__(self, inputs: NDArray[np.float32], seen: SideInputs) -> NDArray[np.float64]:
        """Return the log odds of samples; 0 where the distance is missing."""
        distance, ones = inputs[:, seen.names.index(self.input)].astype(np.float64), np.ones(len(inputs))
        odds = self.curve.logit(distance, ones, ones, seen.levels(inputs))
        return np.where(np.isfinite(odds), self.share * odds, 0.0)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The calibrated diffusion baseline, which uses only geometry and the volatility forecast.

    Attributes
    ----------
    start : Start
        Fitted on the training span.
    calibration : Calibration
        Fitted on the validation span, like that of the model.
    intervals : Intervals
    """

    start: Start
    calibration: Calibration
    intervals: Intervals


@dataclass(frozen=True, slots=True)
class Answered:
    """Predictions for both sides of feature rows, each of shape (rows, 2): upwards and downwards.

    Attributes
    ----------
    probability, low, high : ndarray of float64
        Served probability and its bounds; NaN where there is nothing to predict on that side. The bounds of a
        model without intervals are also NaN.
    sets : ndarray of int8
        Prediction sets, see `models.conformal`; undefined where the probability is NaN.
    """

    probability: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    sets: Sets


@dataclass(frozen=True)
class Model:
    """A calibrated ensemble that predicts both sides of a feature row.

    Attributes
    ----------
    spec : ModelSpec
    graph : bytes
        Serialised ONNX graph from the inputs to a score; see `models.graph`.
    start : Start or None
        Diffusion baseline whose log odds are added to those of the graph.
    calibration : Calibration
    intervals : Intervals or None
        Map from the calibrated score to the served probability and its bounds, fitted to the outcomes of the
        validation span or of a rolling window. If None, the calibrated score is served without bounds.
    baseline : Baseline or None
        Diffusion baseline of the same training span, which serves a scope where no version may.
    """

    spec: ModelSpec
    graph: bytes
    start: Start | None
    calibration: Calibration
    intervals: Intervals | None = None
    baseline: Baseline | None = None

    def diffusion(self) -> "Model":
        """Return the baseline as a model of its own, with the same spec.

        Raises
        ------
        ModelError
            If this version has no baseline.
        """
        if self.baseline is None:
            raise ModelError(f"model {self.spec.name} version {self.spec.version} has no baseline; train it again")
        neutral = constant(0.5, len(self.inputs.names))
        return Model(self.spec, neutral, self.baseline.start, self.baseline.calibration, self.baseline.intervals)

    @cached_property
    def inputs(self) -> SideInputs:
        """The inputs that the graph takes, computed from a feature row."""
        return self.spec.inputs

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(self.graph, len(self.inputs.names))

    def uncalibrated(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the uncalibrated score of each sample by the graph and the baseline that it corrects."""
        score = self._scorer(inputs)
        if self.start is None:
            return score
        return corrected(score, self.start(inputs, self.inputs))

    def calibrated(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the calibrated score of each row of `inputs`, the argument of `intervals`."""
        return self.calibration(self.uncalibrated(inputs))

    def score(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the served probability of each row of `inputs`; each row is one side of a feature row."""
        return served(self.calibrated(inputs), self.intervals)

    def predict(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the served probability of each side.

        Parameters
        ----------
        values : ndarray of float64, shape (rows, spec.columns)
            Known at the close of each row's bar; NaN where missing.

        Returns
        -------
        ndarray of float64, shape (rows, 2)
            Upwards and downwards; NaN where there is nothing to predict on that side.

        Raises
        ------
        FeatureMismatch
            If the rows have another number of columns.
        """
        return served(self._both_sides(values), self.intervals)

    def answer(self, values: NDArray[np.float64]) -> Answered:
        """Return the probability of each side with its bounds and prediction set; arguments and errors as `predict`."""
        score = self._both_sides(values)
        if self.intervals is None:
            unknown = np.full_like(score, np.nan)
            return Answered(score, unknown, unknown, np.full(score.shape, BOTH, dtype=np.int8))
        low, high = self.intervals(score)
        return Answered(between(low, high), low, high, self.intervals.sets(np.where(np.isnan(score), 0.0, score)))

    def _both_sides(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the calibrated score of each side; NaN where there is nothing to predict."""
        if values.ndim != 2 or values.shape[1] != len(self.spec.columns):
            raise FeatureMismatch(
                f"model {self.spec.name} version {self.spec.version} expected rows of "
                f"{len(self.spec.columns)} columns, found shape {values.shape}; pass spec.columns, in order"
            )
        if len(values) <= BLOCK:
            return self._block(values)
        return np.concatenate([self._block(values[start : start + BLOCK]) for start in range(0, len(values), BLOCK)])

    def _block(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(values) == 1:
            inputs = self.inputs.of_one(values[0])
        else:
            inputs = self.inputs(np.repeat(values, 2, axis=0), np.tile(SIDES, len(values)))
        predictable = np.isfinite(inputs[:, 0])
        if predictable.all():
            return self.calibrated(inputs).reshape(-1, 2)
        scores = np.full(len(inputs), np.nan)
        if predictable.any():
            scores[predictable] = self.calibrated(inputs[predictable])
        return scores.reshape(-1, 2)


def served(score: NDArray[np.float64], intervals: Intervals | None) -> NDArray[np.float64]:
    """Return the served probability at each calibrated score; NaN at NaN."""
    return score if intervals is None else intervals.probability(score)


def corrected(score: NDArray[np.float64], log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add log odds to those of a score, and return the probability.

    >>> corrected(np.array([0.5, 0.75]), np.array([0.0, 0.0])).round(6).tolist()
    [0.5, 0.75]
    """
    clipped = np.minimum(np.maximum(score, NEARLY), 1.0 - NEARLY)
    return np.asarray(1.0 / (1.0 + (1.0 - clipped) / clipped * np.exp(-log_odds)), dtype=np.float64)
