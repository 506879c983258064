"""The two learners: boosted trees, which are served, and a random forest, which they must beat.

Both take missing values as they are, and give the same model for the same data, seed and number
of threads.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

Inputs = NDArray[np.float32]
Outcomes = NDArray[np.bool_]
Weights = NDArray[np.float64]

BOOSTING: dict[str, Any] = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
    "max_bin": 128,
    "max_depth": 5,
    "learning_rate": 0.1,
    "min_child_weight": 100,
    "subsample": 0.7,
    "colsample_bytree": 0.5,
    "reg_lambda": 10,
}
MOST_ROUNDS = 400
PATIENCE = 25
"""Rounds without a better log loss on the validation span after which boosting stops."""

FOREST: dict[str, Any] = {
    "n_estimators": 40,
    "max_depth": 10,
    "min_samples_leaf": 30,
    "max_features": "sqrt",
}
FOREST_SAMPLES = 20_000
"""Samples drawn for each tree, which bounds the baseline's time and size."""


def boost(
    inputs: tuple[Inputs, Inputs],
    broken: tuple[Outcomes, Outcomes],
    weight: tuple[Weights, Weights],
    names: tuple[str, ...],
    seed: int,
    progress: Callable[[float], None],
) -> xgb.Booster:
    """Fit boosted trees, stopping by the validation span.

    Parameters
    ----------
    inputs, broken, weight : pair of ndarray
        Of the training span and of the validation span.
    names : tuple of str
        Of the inputs.
    seed : int
    progress : callable
        Told the share of `MOST_ROUNDS` done.
    """
    binned = {"feature_names": list(names), "max_bin": BOOSTING["max_bin"]}
    train = xgb.QuantileDMatrix(inputs[0], broken[0], weight=weight[0], **binned)
    validation = xgb.QuantileDMatrix(inputs[1], broken[1], weight=weight[1], ref=train, **binned)
    stopping = xgb.callback.EarlyStopping(PATIENCE, save_best=True)
    return xgb.train(
        BOOSTING | {"seed": seed},
        train,
        MOST_ROUNDS,
        evals=[(validation, "validation")],
        callbacks=[stopping, _Told(progress)],
        verbose_eval=False,
    )


def grow_forest(inputs: Inputs, broken: Outcomes, weight: Weights, seed: int) -> RandomForestClassifier:
    """Fit the random forest baseline, each tree on `FOREST_SAMPLES` samples at most."""
    drawn = min(FOREST_SAMPLES, len(inputs))
    forest = RandomForestClassifier(**FOREST, max_samples=drawn, random_state=seed, n_jobs=-1)
    forest.fit(inputs, broken, sample_weight=weight)
    forest.n_jobs = 1  # threads add the trees up in any order, which changes the last digit
    return forest


class _Told(xgb.callback.TrainingCallback):
    """Passes on how far boosting is."""

    def __init__(self, progress: Callable[[float], None]) -> None:
        self._progress = progress

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: Any) -> bool:
        """Tell, every ten rounds; never stops the training."""
        if epoch % 10 == 0:
            self._progress(epoch / MOST_ROUNDS)
        return False
