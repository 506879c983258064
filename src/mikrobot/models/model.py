"""What a model is: a contract on its inputs and its past, a graph, where it starts from, a calibration.

Neither trains nor stores; knows no registry.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.errors import FeatureMismatch, ModelError
from mikrobot.models.calibration import Calibration
from mikrobot.models.diffusion import Diffusion
from mikrobot.models.graph import Scorer, constant
from mikrobot.models.inputs import SideInputs
from mikrobot.models.intervals import BOTH, Intervals, Sets, between
from mikrobot.models.labels.samples import SIDES
from mikrobot.models.spec import ModelSpec
from mikrobot.models.task import Task

NEARLY = 1e-7
"""Scores are kept this far from 0 and 1, where log odds have no value."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a walk says of one input, in log odds, which are added to those of a graph.

    Attributes
    ----------
    input : str
        Name of the input: how many sigmas of the horizon away the price is that makes the outcome true.
    curve : Diffusion
        Fitted with that distance, a sigma of 1, one minute, and the levels of the volatility.
    share : float
        By which the log odds are multiplied: 1 where the graph was trained to correct them.
    """

    input: str
    curve: Diffusion
    share: float = 1.0

    @classmethod
    def fit(
        cls, task: Task, seen: SideInputs, name: str, inputs: NDArray[np.float32], *, outcome: NDArray[np.bool_]
    ) -> "Start":
        """Fit on training samples in order of time, of which those without a distance are left out.

        Parameters
        ----------
        task : Task
        seen : SideInputs
            What made the inputs.
        name : str
            Of the input that is the distance.
        inputs : ndarray of float32, shape (samples, inputs)
        outcome : ndarray of bool, shape (samples,)
        """
        away = inputs[:, seen.names.index(name)].astype(np.float64)
        known = np.isfinite(away)
        ones, levels = np.ones(int(known.sum())), seen.levels(inputs)[known]
        return cls(name, Diffusion.fit(task.reach, away[known], ones, ones, outcome=outcome[known], levels=levels))

    def __call__(self, inputs: NDArray[np.float32], seen: SideInputs) -> NDArray[np.float64]:
        """Return the log odds of samples by their inputs; 0 where the distance is unknown."""
        away, ones = inputs[:, seen.names.index(self.input)].astype(np.float64), np.ones(len(inputs))
        odds = self.curve.logit(away, ones, ones, seen.levels(inputs))
        return np.where(np.isfinite(odds), self.share * odds, 0.0)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The calibrated diffusion, which knows geometry and the volatility forecast alone.

    Attributes
    ----------
    start : Start
        Fitted on the training span.
    calibration : Calibration
        Fitted on the validation span, as that of the model.
    intervals : Intervals
    """

    start: Start
    calibration: Calibration
    intervals: Intervals


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model answers about both sides of feature rows, each of shape (rows, 2), upwards and downwards.

    Attributes
    ----------
    probability, low, high : ndarray of float64
        As served, and its bounds; NaN where there is nothing to predict on that side. The bounds are NaN, too,
        of a model without intervals.
    sets : ndarray of int8
        Outcomes that are plausible; see `models.intervals`. Means nothing where the probability is NaN.
    """

    probability: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    sets: Sets


@dataclass(frozen=True)
class Model:
    """A calibrated ensemble that answers for both sides of a feature row.

    Attributes
    ----------
    spec : ModelSpec
    graph : bytes
        Serialised ONNX, from the inputs to a score; see `models.graph`.
    start : Start or None
        Whose log odds are added to those of the graph.
    calibration : Calibration
    intervals : Intervals or None
        From there to the probability that is served and its bounds, by the outcomes that it was calibrated on, or
        by those of a rolling window. None before any is known: the calibrated score is served, without bounds.
    baseline : Baseline or None
        The diffusion of the same training span, which answers where no version may.
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
            If none was fitted with this version.
        """
        if self.baseline is None:
            raise ModelError(f"model {self.spec.name} version {self.spec.version} has no baseline; train it again")
        indifferent = constant(0.5, len(self.inputs.names))
        return Model(self.spec, indifferent, self.baseline.start, self.baseline.calibration, self.baseline.intervals)

    @cached_property
    def inputs(self) -> SideInputs:
        """What the graph sees of a feature row."""
        return self.spec.inputs

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(self.graph, len(self.inputs.names))

    def uncalibrated(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of each sample by the graph and the walk it starts from."""
        score = self._scorer(inputs)
        if self.start is None:
            return score
        return corrected(score, self.start(inputs, self.inputs))

    def calibrated(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the calibrated score of each row of `inputs`: what `intervals` are asked with."""
        return self.calibration(self.uncalibrated(inputs))

    def score(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability, as it is served, of each row of `inputs`, one side of a feature row each."""
        return served(self.calibrated(inputs), self.intervals)

    def predict(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each side, as it is served.

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
        """Return the probability of each side with its bounds and its set; takes and raises what `predict` does."""
        score = self._both_sides(values)
        if self.intervals is None:
            unknown = np.full_like(score, np.nan)
            return Answered(score, unknown, unknown, np.full(score.shape, BOTH, dtype=np.int8))
        low, high = self.intervals(score)
        return Answered(between(low, high), low, high, self.intervals.sets(np.nan_to_num(score)))

    def _both_sides(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the calibrated score of each side; NaN where there is nothing to predict."""
        if values.ndim != 2 or values.shape[1] != len(self.spec.columns):
            raise FeatureMismatch(
                f"model {self.spec.name} version {self.spec.version} expected rows of "
                f"{len(self.spec.columns)} columns, found shape {values.shape}; give spec.columns, in order"
            )
        inputs = self.inputs(np.repeat(values, 2, axis=0), np.tile(SIDES, len(values)))
        scores = np.full(len(inputs), np.nan)
        known = np.isfinite(inputs[:, 0])
        if known.any():
            scores[known] = self.calibrated(inputs[known])
        return scores.reshape(-1, 2)


def served(score: NDArray[np.float64], intervals: Intervals | None) -> NDArray[np.float64]:
    """Return the probability that is served at each calibrated score; NaN at NaN."""
    return score if intervals is None else intervals.probability(score)


def corrected(score: NDArray[np.float64], log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add the log odds of a score to those it starts from; return a probability.

    >>> corrected(np.array([0.5, 0.75]), np.array([0.0, 0.0])).round(6).tolist()
    [0.5, 0.75]
    """
    kept = np.minimum(np.maximum(score, NEARLY), 1.0 - NEARLY)
    return np.asarray(1.0 / (1.0 + (1.0 - kept) / kept * np.exp(-log_odds)), dtype=np.float64)
