"""The learners: boosted trees, random forest, neural network and support vector machine.

Each learner is fitted on one span, may use a second one for early stopping, and becomes a member of a
graph. The same samples, parameters and seed give the same bytes. This module computes no labels.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from mikrobot.models import graph
from mikrobot.models.graph import Member
from mikrobot.models.labels.samples import thin

Parameters = Mapping[str, Any]
Matrices = tuple[xgb.QuantileDMatrix, xgb.DMatrix]
"""Training samples and watched samples, as XGBoost takes them."""
Progress = Callable[[float], None]
"""Callback that receives the completed share, 0 to 1."""

THREADS = 2
"""Number of threads; fixed, because the sums of boosting depend on it."""

BOOSTING: dict[str, Any] = {
    "max_depth": 5,
    "learning_rate": 0.07,
    "min_child_weight": 100,
    "subsample": 0.7,
    "colsample_bytree": 0.5,
    "reg_lambda": 10.0,
    "max_bin": 128,
}
MOST_ROUNDS = 400
WATCHED_SAMPLES = 100_000
"""Maximum number of samples for early stopping, spread over the watched span."""

BINNED_SAMPLES = 60_000
"""Maximum number of training samples that the bins are computed from, spread over the span."""

EVALUATED_EVERY = 5
"""Rounds from one evaluation on the watched span to the next; one takes as long as two or three rounds."""

PATIENCE = 25
"""Boosting stops after this number of rounds without a better log loss on the watched span."""

FOREST: dict[str, Any] = {"n_estimators": 40, "max_depth": 10, "min_samples_leaf": 30, "max_features": "sqrt"}
FOREST_SAMPLES = 20_000
"""Samples drawn for each tree."""

NETWORK: dict[str, Any] = {"hidden_layer_sizes": (32, 16), "alpha": 1e-3, "learning_rate_init": 1e-3}
NETWORK_EPOCHS = 30

SUPPORT: dict[str, Any] = {"C": 0.3, "gamma": 0.003}
SUPPORT_SAMPLES = 8_000
"""Maximum number of training samples of the support vector machine; they limit the cost of a prediction."""

APART = -1_000.0
"""Value that replaces missing values for a forest: far from every input, so that trees can split it off."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one span, as input of a learner.

    Attributes
    ----------
    inputs : ndarray of float32, shape (samples, inputs)
        NaN where missing.
    outcome : ndarray of bool, shape (samples,)
    weight : ndarray of float64, shape (samples,)
    margin : ndarray of float64, shape (samples,)
        Log odds from which boosting starts; 0 where there is no baseline.
    """

    inputs: NDArray[np.float32]
    outcome: NDArray[np.bool_]
    weight: NDArray[np.float64]
    margin: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.outcome)

    def take(self, chosen: NDArray[np.int64]) -> "Samples":
        """Return the samples of these row numbers, in their order."""
        return Samples(self.inputs[chosen], self.outcome[chosen], self.weight[chosen], self.margin[chosen])

    def thinned(self, most: int) -> "Samples":
        """Return at most `most` samples, evenly spread over the span."""
        return self if len(self) <= most else self.take(thin(np.arange(len(self)), most))


@dataclass(frozen=True, slots=True)
class Learned:
    """A fitted learner.

    Attributes
    ----------
    member : Member
    importance : ndarray of float64, shape (inputs,)
        Share of the gain (trees) or of the absolute weight (network). The shares add up to 1; NaN if the
        learner has no importance.
    booster : Booster or None
        Only of boosted trees; it explains single predictions.
    """

    member: Member
    importance: NDArray[np.float64]
    booster: xgb.Booster | None = None


Learn = Callable[[Samples, Samples, int, Parameters], Learned]
"""(training span, watched span, seed, parameters) -> the fitted learner."""


def boosted(
    train: Samples, watched: Samples, seed: int, parameters: Parameters, *, progress: Progress = lambda share: None
) -> Learned:
    """Fit boosted trees that start from the margin, with early stopping on the watched span."""
    few = watched.thinned(WATCHED_SAMPLES)
    booster = boost(matrices(train, few, int(parameters["max_bin"])), seed, parameters, progress=progress).booster
    return Learned(graph.of_booster("boosted", booster), _gains(booster, train.inputs.shape[1]), booster)


def matrices(train: Samples, watched: Samples, bins: int) -> Matrices:
    """Bin the first span, and convert the second one to evaluate on, for any number of `boost` calls."""
    few = train.thinned(BINNED_SAMPLES)
    first = _binned(train, bins, None if few is train else _binned(few, bins))
    second = xgb.DMatrix(  # without bins, which a prediction would have to convert to values again
        watched.inputs, watched.outcome, weight=watched.weight, base_margin=watched.margin, nthread=THREADS
    )
    return first, second


def _binned(samples: Samples, bins: int, ref: xgb.QuantileDMatrix | None = None) -> xgb.QuantileDMatrix:
    """Bin samples, by the bins of others if these are given."""
    return xgb.QuantileDMatrix(
        samples.inputs,
        samples.outcome,
        weight=samples.weight,
        base_margin=samples.margin,
        max_bin=bins,
        ref=ref,
        nthread=THREADS,
    )


@dataclass(frozen=True, slots=True)
class Boosted:
    """Boosted trees up to the round with the smallest loss.

    Attributes
    ----------
    booster : Booster
    loss : float
        Log loss on the watched span.
    """

    booster: xgb.Booster
    loss: float


def boost(
    spans: Matrices,
    seed: int,
    parameters: Parameters,
    *,
    progress: Progress = lambda share: None,
) -> Boosted:
    """Fit boosted trees on the first span, with early stopping on the second."""
    settings = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "base_score": 0.5,
        "seed": seed,
        "nthread": THREADS,
        **parameters,
    }
    trained, watched = spans
    stopping = _EarlyStopping(watched, progress)
    booster = xgb.train(settings, trained, MOST_ROUNDS, callbacks=[stopping])
    return Boosted(booster[: stopping.rounds], stopping.loss)


def forest(train: Samples, watched: Samples, seed: int, parameters: Parameters) -> Learned:
    """Fit a random forest; missing values get a separate value that trees can split off."""
    trees = RandomForestClassifier(
        random_state=seed, n_jobs=THREADS, max_samples=min(FOREST_SAMPLES, len(train)), **parameters
    )
    fitted = make_pipeline(SimpleImputer(strategy="constant", fill_value=APART, keep_empty_features=True), trees)
    fitted.fit(train.inputs, train.outcome, **{"randomforestclassifier__sample_weight": train.weight})
    trees.set_params(bootstrap=False)  # else the conversion, which reads every property, draws all samples again
    return Learned(graph.of_classifier("forest", fitted, train.inputs.shape[1]), trees.feature_importances_)


def network(train: Samples, watched: Samples, seed: int, parameters: Parameters) -> Learned:
    """Fit a small feed-forward network on standardised inputs; missing values become the median."""
    net = MLPClassifier(
        random_state=seed, max_iter=NETWORK_EPOCHS, early_stopping=True, n_iter_no_change=4, **parameters
    )
    fitted = _standardised(net)
    fitted.fit(train.inputs, train.outcome)
    weights = np.abs(net.coefs_[0]).sum(axis=1)
    return Learned(graph.of_classifier("network", fitted, train.inputs.shape[1]), weights / weights.sum())


def support_vectors(train: Samples, watched: Samples, seed: int, parameters: Parameters) -> Learned:
    """Fit a support vector machine on samples spread over the span, and its Platt scaling on the watched span."""
    few = train.thinned(SUPPORT_SAMPLES)
    fitted = _standardised(SVC(random_state=seed, **parameters))
    fitted.fit(few.inputs, few.outcome, **{"svc__sample_weight": few.weight})
    value = fitted.decision_function(watched.thinned(SUPPORT_SAMPLES).inputs)
    odds = LogisticRegression(C=1e6).fit(value[:, None], watched.thinned(SUPPORT_SAMPLES).outcome)
    platt = (float(odds.coef_[0, 0]), float(odds.intercept_[0]))
    width = train.inputs.shape[1]
    return Learned(graph.of_classifier("support", fitted, width, platt), np.full(width, np.nan))


LEARNERS: dict[str, tuple[Learn, Parameters]] = {
    "boosted": (boosted, BOOSTING),
    "random_forest": (forest, FOREST),
    "network": (network, NETWORK),
    "support_vectors": (support_vectors, SUPPORT),
}
"""Every learner by name, with its default parameters."""


def _standardised(learner: MLPClassifier | SVC) -> Pipeline:
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), learner)


def _gains(booster: xgb.Booster, width: int) -> NDArray[np.float64]:
    gains = np.zeros(width)
    for name, gain in booster.get_score(importance_type="total_gain").items():
        gains[int(name.removeprefix("f"))] = gain
    return gains / gains.sum() if gains.any() else gains


class _EarlyStopping(xgb.callback.TrainingCallback):
    """Evaluates the trees on the watched span, stops without progress, and reports the rounds.

    XGBoost's own early stopping evaluates after each round, which takes longer than the rounds.

    Attributes
    ----------
    rounds : int
        Number of rounds with the smallest loss so far.
    loss : float
    """

    def __init__(self, watched: xgb.DMatrix, progress: Progress) -> None:
        self._watched = watched
        self._progress = progress
        self.rounds = 0
        self.loss = math.inf

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Return True to stop the training."""
        rounds = epoch + 1
        self._progress(min(1.0, rounds / MOST_ROUNDS))
        if rounds % EVALUATED_EVERY and rounds < MOST_ROUNDS:
            return False
        loss = float(model.eval_set([(self._watched, "watched")], epoch).rpartition(":")[2])
        if loss < self.loss:
            self.rounds, self.loss = rounds, loss
        return rounds - self.rounds >= PATIENCE
