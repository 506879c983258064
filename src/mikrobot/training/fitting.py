"""Fitting of a model: parameter search and learners on the training span, calibration on the validation span."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from mikrobot.models import graph
from mikrobot.models.calibration import Calibration
from mikrobot.models.conformal import Intervals
from mikrobot.models.diffusion import SAMPLES, Diffusion
from mikrobot.models.graph import Scorer
from mikrobot.models.labels.samples import thin
from mikrobot.models.model import NEARLY, Baseline, Start, corrected, served
from mikrobot.settings import Settings
from mikrobot.training.dataset import Dataset
from mikrobot.training.learners import Learned, Samples, boosted
from mikrobot.training.recipes import Recipe
from mikrobot.training.splits import Split
from mikrobot.training.tuning import Search, search

MOST_TRAINING_SAMPLES = 600_000
"""Maximum number of training samples, spread over the span; the gain from more is below the noise of the market."""

MOST_SHARE = 10.0
"""Maximum weight of the baseline's log odds relative to those of members that were not trained to correct them."""

Progress = Callable[[str, float], None]
"""Callback that receives the stage and its completed share, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The parts of a model fitted on the training and validation spans.

    Attributes
    ----------
    graph : bytes
    start : Start or None
        The diffusion baseline whose log odds are added to those of the graph.
    calibration : Calibration
    intervals : Intervals
    validated : ndarray of float64
        Predicted probabilities of the validation span, as they would be served; see `answers`.
    members, compared : mapping of str to Learned
        Fitted learners of the model, and fitted learners for comparison.
    search : Search
    diffusion : mapping of str to Diffusion
        Baselines that the model is compared with.
    baseline : Baseline or None
        Calibrated baseline that serves a scope where the model may not; None if `start` is None.
    """

    graph: bytes
    start: Start | None
    calibration: Calibration
    intervals: Intervals
    validated: NDArray[np.float64]
    members: Mapping[str, Learned]
    compared: Mapping[str, Learned]
    search: Search
    diffusion: Mapping[str, Diffusion]
    baseline: Baseline | None

    @property
    def booster(self) -> xgb.Booster | None:
        """The boosted trees among the members."""
        return next((member.booster for member in self.members.values() if member.booster is not None), None)

    def importance(self, names: tuple[str, ...]) -> dict[str, float]:
        """Return the mean importance of each input over the members that have one, the largest first."""
        importances = [m.importance for m in self.members.values() if np.isfinite(m.importance).all()]
        if not importances:
            return {}
        shares = np.mean(importances, axis=0)
        return {names[i]: float(shares[i]) for i in np.argsort(-shares, kind="stable")}


def fit(
    recipe: Recipe,
    data: Dataset,
    split: Split,
    diffusion: Mapping[str, Diffusion],
    *,
    settings: Settings,
    progress: Progress,
) -> Fitted:
    """Search the parameters, fit the learners on the training span, and calibrate their mean on the validation span."""
    names = recipe.inputs.names
    start = fitted_start = _start(recipe, data, split.train)
    chosen = thin(split.train, MOST_TRAINING_SAMPLES)
    train, watched = (_samples(recipe, data, rows, start) for rows in (chosen, split.validation))
    progress("search", 0.0)
    best = search(
        train,
        data.time[chosen],
        data.end[chosen],
        recipe.horizon,
        trials=settings.trials if any(learn is boosted for learn, _ in recipe.members.values()) else 0,
        budget_s=settings.tuning_seconds,
        seed=settings.seed,
        progress=lambda finished, trials: progress("search", finished / trials),
    )
    learned: dict[str, Learned] = {}
    for number, (name, (learn, parameters)) in enumerate([*recipe.members.items(), *recipe.compared.items()]):
        progress("learners", number / (len(recipe.members) + len(recipe.compared)))
        learned[name] = learn(train, watched, settings.seed, best.parameters if learn is boosted else parameters)
    members = {name: learned[name] for name in recipe.members}
    joined = graph.joined([member.member for member in members.values()], len(names))
    score = Scorer(joined, len(names))(watched.inputs)
    if start is not None:
        if not recipe.corrects:
            start = replace(start, share=_share(score, watched))
        score = corrected(score, start(watched.inputs, recipe.inputs))
    calibration = Calibration.fit(score, watched.outcome)
    calibrated = calibration(score)
    intervals = Intervals.of(calibrated, watched.outcome)
    return Fitted(
        graph=joined,
        start=start,
        calibration=calibration,
        intervals=intervals,
        validated=served(calibrated, intervals),
        members=members,
        compared={name: learned[name] for name in recipe.compared},
        search=best,
        diffusion=diffusion,
        baseline=None if fitted_start is None else _baseline(fitted_start, recipe, watched),
    )


def _baseline(start: Start, recipe: Recipe, watched: Samples) -> Baseline:
    """Calibrate the diffusion baseline on the validation span."""
    score = corrected(np.full(len(watched.inputs), 0.5), start(watched.inputs, recipe.inputs))
    calibration = Calibration.fit(score, watched.outcome)
    return Baseline(start, calibration, Intervals.of(calibration(score), watched.outcome))


def _start(recipe: Recipe, data: Dataset, chosen: NDArray[np.int64]) -> Start | None:
    if recipe.starts_from is None:
        return None
    distance = data.inputs[:, recipe.inputs.names.index(recipe.starts_from)]
    own = thin(chosen[np.isfinite(distance[chosen])], SAMPLES)
    return Start.fit(recipe.task, recipe.inputs, recipe.starts_from, data.inputs[own], outcome=data.outcome[own])


def _share(score: NDArray[np.float64], watched: Samples) -> float:
    """Return the weight of the baseline's log odds that predicts best when added to the log odds of the score."""
    odds = np.column_stack([logit(np.clip(score, NEARLY, 1.0 - NEARLY)), watched.margin])
    own, baseline = LogisticRegression(C=1e6).fit(odds, watched.outcome).coef_[0]
    if baseline <= 0.0:
        return 0.0
    return float(min(baseline / own, MOST_SHARE)) if own > 0.0 else MOST_SHARE


def _samples(recipe: Recipe, data: Dataset, rows: NDArray[np.int64], start: Start | None) -> Samples:
    inputs = data.inputs[rows]
    margin = np.zeros(len(rows)) if start is None else start(inputs, recipe.inputs)
    return Samples(inputs, data.outcome[rows], data.weight[rows], margin)


def answers(recipe: Recipe, fitted: Fitted, data: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the predicted probabilities of some samples, as they would be served."""
    return served(fitted.calibration(uncalibrated(recipe, fitted, data, rows)), fitted.intervals)


def uncalibrated(recipe: Recipe, fitted: Fitted, data: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the uncalibrated scores of some samples by the graph and the baseline that it corrects."""
    span = _samples(recipe, data, rows, fitted.start)
    score = Scorer(fitted.graph, len(recipe.inputs.names))(span.inputs)
    return score if fitted.start is None else corrected(score, span.margin)
