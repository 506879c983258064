"""The search for a learner's parameters, inside the training span only.

Each trial walks forward over folds of the span, purged and embargoed like every other split; the
validation and test spans are not seen. A trial that is behind after a fold is pruned. With a time
budget that does not run out, the same seed finds the same parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import optuna
import xgboost as xgb
from numpy.typing import NDArray
from optuna.trial import Trial, TrialState

from mikrobot.domain.errors import ModelError
from mikrobot.training.learners import BOOSTING, Parameters, Samples, boost, matrices
from mikrobot.training.splits import folds

Progress = Callable[[int, int], None]
"""Told the trials done, and how many there will be."""

FOLDS = 3

SEARCH_SAMPLES = 60_000
"""Samples, spread over what a fold knows, that a trial learns from: what is best is found on fewer than all."""

SCORED_SAMPLES = 20_000
"""Samples, spread over the part of a fold that is scored."""

SEARCH_BINS = 64
"""Bins of an input: half as many as a model's, so that a round takes less time."""

TRIALS_TO_COMPARE = 5
"""Trials that are run to their end before others may be pruned for being behind them."""

SHARE_KEPT = 30.0
"""Percent of the trials after a fold that go on to the next."""

Fold = tuple[xgb.QuantileDMatrix, xgb.QuantileDMatrix]
"""What is learned from, and what is scored."""


@dataclass(frozen=True, slots=True)
class Search:
    """What a search came to.

    Attributes
    ----------
    parameters : mapping
        The best ones; the defaults where no trial beat them.
    loss : float
        Log loss of the best, mean over the folds.
    default_loss : float
        Of the default parameters.
    trials, pruned : int
        Trials begun, and those of them that were stopped early.
    """

    parameters: Parameters
    loss: float
    default_loss: float
    trials: int
    pruned: int


DEFAULTS = Search(BOOSTING, float("nan"), float("nan"), 0, 0)
"""Of a search without a trial."""


def search(
    train: Samples,
    time: NDArray[np.datetime64],
    end: NDArray[np.datetime64],
    horizon: timedelta,
    *,
    trials: int,
    budget_s: float,
    seed: int,
    progress: Progress = lambda done, of: None,
) -> Search:
    """Search the parameters of boosting.

    Parameters
    ----------
    train : Samples
        The training span.
    time, end : ndarray of datetime64[us], shape (samples,)
        When each sample and its label were known, UTC.
    horizon : timedelta
        Of the labels.
    trials : int
        The first one is the defaults; 0 searches nothing.
    budget_s : float
        Seconds after which no trial is begun; if none was, the defaults are taken.
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
    begun = [trial for trial in study.trials if trial.state.is_finished()]
    if not begun:
        return DEFAULTS
    return Search(
        parameters=BOOSTING | study.best_params,
        loss=float(study.best_value),
        default_loss=float(begun[0].values[0]),
        trials=len(begun),
        pruned=sum(trial.state is TrialState.PRUNED for trial in begun),
    )


def _folds(train: Samples, time: NDArray[np.datetime64], end: NDArray[np.datetime64], horizon: timedelta) -> list[Fold]:
    """Bin the samples of each fold."""
    binned = []
    for number, (known, scored) in enumerate(folds(time, end, horizon, FOLDS), 1):
        parts = train.take(known).thinned(SEARCH_SAMPLES), train.take(scored).thinned(SCORED_SAMPLES)
        for part in parts:
            if len(np.unique(part.outcome)) < 2:
                raise ModelError(
                    f"fold {number} of {FOLDS} of the training span, {time.min()} to {end.max()}: expected both "
                    f"outcomes, found fewer in {len(part)} samples; train on more history, or without trials"
                )
        binned.append(matrices(*parts, SEARCH_BINS))
    return binned


def _loss(trial: Trial, spans: list[Fold], seed: int) -> float:
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
        losses.append(float(boost(fold, seed, BOOSTING | parameters | {"max_bin": SEARCH_BINS}, []).best_score))
        trial.report(float(np.mean(losses)), number)
        if trial.should_prune():
            raise optuna.TrialPruned
    return float(np.mean(losses))
