"""Hyperparameter search for boosted trees, on the training span only.

Each trial is scored by walk-forward cross-validation with purged and embargoed folds; the validation
and test spans are not used. A trial that is behind the others after a fold is pruned. The same seed
finds the same parameters, unless the time budget runs out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import Trial, TrialState

from mikrobot.domain.errors import ModelError
from mikrobot.models.labels.samples import thin
from mikrobot.training.learners import BOOSTING, Matrices, Parameters, Samples, boost, matrices
from mikrobot.training.splits import folds

Progress = Callable[[int, int], None]
"""Callback that receives the number of finished trials and the number of all trials."""

FOLDS = 3

SEARCH_SAMPLES = 60_000
"""Maximum number of training samples per fold, spread over its span; the search needs fewer than the final fit."""

SCORED_SAMPLES = 20_000
"""Maximum number of scored samples per fold, spread over its span."""

SEARCH_BINS = 64
"""Bins per input during the search: half as many as in a model, so that a round takes less time."""

TRIALS_TO_COMPARE = 5
"""Number of complete trials before later ones may be pruned."""

SHARE_KEPT = 30.0
"""Percentage of trials that continue after each fold."""


@dataclass(frozen=True, slots=True)
class Search:
    """The result of a search.

    Attributes
    ----------
    parameters : mapping
        The best parameters; the defaults if no trial beat them.
    loss : float
        Mean log loss of the best parameters over the folds.
    default_loss : float
        Mean log loss of the default parameters over the folds.
    trials, pruned : int
        Number of trials, and number of those that were pruned.
    """

    parameters: Parameters
    loss: float
    default_loss: float
    trials: int
    pruned: int


DEFAULTS = Search(BOOSTING, float("nan"), float("nan"), 0, 0)
"""Result of a search without trials."""


def search(
    train: Samples,
    time: NDArray[np.datetime64],
    end: NDArray[np.datetime64],
    horizon: timedelta,
    *,
    trials: int,
    budget_s: float,
    seed: int,
    progress: Progress = lambda finished, trials: None,
) -> Search:
    """Search the parameters of boosted trees.

    Parameters
    ----------
    train : Samples
        The training span.
    time, end : ndarray of datetime64[us], shape (samples,)
        Times when each sample and its label were known, UTC.
    horizon : timedelta
        Horizon of the labels.
    trials : int
        Number of trials; the first one has the default parameters. 0 returns `DEFAULTS`.
    budget_s : float
        Seconds after which no new trial begins; without any finished trial, the result is `DEFAULTS`.
    seed : int
    progress : callable

    Raises
    ------
    ModelError
        If a fold has one outcome only.
    """
    if trials == 0:
        return DEFAULTS
    spans = _folds(train, time, end, horizon)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.PercentilePruner(SHARE_KEPT, n_startup_trials=TRIALS_TO_COMPARE),
    )
    study.enqueue_trial({name: value for name, value in BOOSTING.items() if name != "max_bin"})
    study.optimize(
        lambda trial: _loss(trial, spans, seed),
        n_trials=trials,
        timeout=budget_s,
        callbacks=[lambda study, trial: progress(len(study.trials), trials)],
    )
    finished = [trial for trial in study.trials if trial.state.is_finished()]
    if not finished:
        return DEFAULTS
    return Search(
        parameters=BOOSTING | study.best_params,
        loss=float(study.best_value),
        default_loss=float(finished[0].values[0]),
        trials=len(finished),
        pruned=sum(trial.state is TrialState.PRUNED for trial in finished),
    )


def _folds(
    train: Samples, time: NDArray[np.datetime64], end: NDArray[np.datetime64], horizon: timedelta
) -> list[Matrices]:
    """Return the binned samples of each fold."""
    binned = []
    for number, (trained, scored) in enumerate(folds(time, end, horizon, FOLDS), 1):
        parts = train.take(thin(trained, SEARCH_SAMPLES)), train.take(thin(scored, SCORED_SAMPLES))
        for part in parts:
            if len(np.unique(part.outcome)) < 2:
                raise ModelError(
                    f"fold {number} of {FOLDS} of the training span, {time.min()} to {end.max()}: expected both "
                    f"outcomes, found only one in {len(part)} samples; train on more history, or without trials"
                )
        binned.append(matrices(*parts, SEARCH_BINS))
    return binned


def _loss(trial: Trial, spans: list[Matrices], seed: int) -> float:
    parameters = {
        "max_depth": trial.suggest_int("max_depth", 3, 8),
        "learning_rate": trial.suggest_float("learning_rate", 0.05, 0.2, log=True),
        "min_child_weight": trial.suggest_float("min_child_weight", 20.0, 1_000.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 1.0, 100.0, log=True),
    }
    losses: list[float] = []
    for number, fold in enumerate(spans):
        losses.append(boost(fold, seed, BOOSTING | parameters | {"max_bin": SEARCH_BINS}).loss)
        trial.report(float(np.mean(losses)), number)
        if trial.should_prune():
            raise optuna.TrialPruned
    return float(np.mean(losses))
