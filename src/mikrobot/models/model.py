"""What a model is: a contract on its inputs and its past, a graph, where it starts from, a calibration.

Neither trains nor stores; knows no registry.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.errors import FeatureMismatch, ModelError
from mikrobot.models.calibration import Calibration
from mikrobot.models.catalog import kind_of
from mikrobot.models.diffusion import Diffusion
from mikrobot.models.graph import Scorer, constant
from mikrobot.models.inputs import SideInputs
from mikrobot.models.intervals import BOTH, Intervals, Sets, between
from mikrobot.models.labels.breaks import Mode
from mikrobot.models.labels.samples import SIDES
from mikrobot.models.scope import Scope, scopes_of
from mikrobot.models.task import Task

NEARLY = 1e-7
"""Scores are kept this far from 0 and 1, where log odds have no value."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a model needs, and what it has seen.

    Attributes
    ----------
    name, version : str
        In the registry; the version is empty before registration.
    source : str
        Market source of all that it was trained on.
    symbols : tuple of str
        Symbols it was trained on, in order of name; it answers for no other.
    feature_hash : str
        Version of the feature definitions that it was trained on.
    columns : tuple of str
        Catalog columns, in the order in which `Model.predict` takes them.
    swing : int
        Bars on each side of the swings whose levels it judges.
    horizon_minutes : int
    trained_from, trained_until : datetime
        UTC; nothing outside was used, label horizons and the test span included.
    metrics : mapping
        The evaluation on its test span, as plain JSON values.
    diffusion : mapping of str to Diffusion
        The baselines fitted on its training span, by the name of their volatility: ``atr``, ``forecast``.
    mode : "close" or "wick"
        What breaks a level.
    importance : mapping of str to float
        Share of each input in what the learners know, the largest first. Of two inputs that say the
        same, one may have all.
    """

    name: str
    version: str
    source: str
    symbols: tuple[str, ...]
    feature_hash: str
    columns: tuple[str, ...]
    swing: int
    horizon_minutes: int
    trained_from: datetime
    trained_until: datetime
    metrics: Mapping[str, Any]
    diffusion: Mapping[str, Diffusion] = field(default_factory=dict)
    mode: Mode = "close"
    importance: Mapping[str, float] = field(default_factory=dict)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes it may answer for."""
        return scopes_of(self.source, self.symbols)

    @property
    def task(self) -> Task:
        """What it was asked."""
        return Task(self.name, self.swing, self.horizon_minutes, self.mode)

    @property
    def inputs(self) -> SideInputs:
        """What a model of this name sees of a feature row.

        Raises
        ------
        ModelError
            If this program makes no model of that name.
        """
        return kind_of(self.name).inputs(self.swing, self.mode)

    def accept(self, feature_hash: str) -> None:
        """Check that features of these definitions may be given to the model.

        Raises
        ------
        FeatureMismatch
            If they are not those it was trained on.
        """
        if feature_hash != self.feature_hash:
            raise FeatureMismatch(
                f"model {self.name} version {self.version} was trained on features {self.feature_hash}, "
                f"found {feature_hash}; train a model on the present features"
            )

    def to_json(self) -> str:
        """Write the contract as JSON."""
        return json.dumps(asdict(self) | {name: getattr(self, name).isoformat() for name in _TIMES}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Contract":
        """Read what `to_json` wrote.

        Raises
        ------
        ModelError
            If it is not a contract, with what is wrong.
        """
        try:
            value = json.loads(text)
            times = {name: datetime.fromisoformat(value[name]) for name in _TIMES}
            baselines = {name: Diffusion(**tuples(curve)) for name, curve in value["diffusion"].items()}
            names = {name: tuple(value[name]) for name in ("symbols", "columns")}
            return cls(**value | times | names | {"diffusion": baselines})
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"expected a model contract, found {text[:60]!r} ({error!r}); train again") from error


_TIMES = ("trained_from", "trained_until")


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
        cls, task: Task, seen: SideInputs, name: str, inputs: NDArray[np.float32], outcome: NDArray[np.bool_]
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
        return cls(name, Diffusion.fit(task.reach, away[known], ones, ones, outcome[known], levels))

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
    contract : Contract
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

    contract: Contract
    graph: bytes
    start: Start | None
    calibration: Calibration
    intervals: Intervals | None = None
    baseline: Baseline | None = None

    def diffusion(self) -> "Model":
        """Return the baseline as a model of its own, with the same contract.

        Raises
        ------
        ModelError
            If none was fitted with this version.
        """
        if self.baseline is None:
            raise ModelError(
                f"model {self.contract.name} version {self.contract.version} has no baseline; train it again"
            )
        indifferent = constant(0.5, len(self.inputs.names))
        return Model(
            self.contract, indifferent, self.baseline.start, self.baseline.calibration, self.baseline.intervals
        )

    @cached_property
    def inputs(self) -> SideInputs:
        """What the graph sees of a feature row."""
        return self.contract.inputs

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
        values : ndarray of float64, shape (rows, contract.columns)
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
        if values.ndim != 2 or values.shape[1] != len(self.contract.columns):
            raise FeatureMismatch(
                f"model {self.contract.name} version {self.contract.version} expected rows of "
                f"{len(self.contract.columns)} columns, found shape {values.shape}; give contract.columns, in order"
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


def tuples(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Read the fields of a frozen curve from JSON, which knows lists alone.

    >>> tuples({"scale": 1.0, "logits": [0.5, 0.2]})
    {'scale': 1.0, 'logits': (0.5, 0.2)}
    """
    return {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}


def corrected(score: NDArray[np.float64], log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add the log odds of a score to those it starts from; return a probability.

    >>> corrected(np.array([0.5, 0.75]), np.array([0.0, 0.0])).round(6).tolist()
    [0.5, 0.75]
    """
    kept = np.minimum(np.maximum(score, NEARLY), 1.0 - NEARLY)
    return np.asarray(1.0 / (1.0 + (1.0 - kept) / kept * np.exp(-log_odds)), dtype=np.float64)
