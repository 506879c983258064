"""The search for a learner's parameters, inside the training span only.

Each trial learns from the earlier part of the span and is scored on the later part, purged and
embargoed like every other split; the validation and test spans are not seen. A trial that falls
behind is pruned. With a time budget that does not run out, the same seed finds the same parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import optuna
import xgboost as xgb
from numpy.typing import NDArray
from optuna.trial import Trial, TrialState

from mikrobot.training.learners import BOOSTING, Parameters, Samples, boost, matrices

Progress = Callable[[int, int], None]
"""Told the trials done, and how many there will be."""

SEARCH_SAMPLES = 150_000
"""Samples, spread over the training span, that a trial learns from: what is best is found on fewer than all."""

LATER_SHARE = 0.25
"""Share of the training span that trials are scored on."""

PRUNE_AFTER_ROUNDS = 20
"""Rounds of boosting before a trial may be stopped for being behind."""


@dataclass(frozen=True, slots=True)
class Search:
    """What a search came to.

    Attributes
    ----------
    parameters : mapping
        The best ones; the defaults where no trial beat them.
    loss : float
        Log loss of the best, on the later part of the training span.
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


def search(
    train: Samples,
    time: NDArray[np.datetime64],
    end: NDArray[np.datetime64],
    embargo: timedelta,
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
    embargo : timedelta
        Pause between the two parts of the span.
    trials : int
        The first one is the defaults; 0 searches nothing.
    budget_s : float
        Seconds after which no trial is begun.
    seed : int
    progress : callable

    Raises
    ------
    ValueError
        If either part of the span has one outcome only.
    """
    if trials == 0:
        return Search(BOOSTING, float("nan"), float("nan"), 0, 0)
    earlier, later = _parts(train, time, end, embargo)
    spans = matrices(earlier, later, int(BOOSTING["max_bin"]))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=PRUNE_AFTER_ROUNDS),
    )
    study.enqueue_trial({name: value for name, value in BOOSTING.items() if name != "max_bin"})
    study.optimize(
        lambda trial: _loss(trial, spans, seed),
        n_trials=trials,
        timeout=budget_s,
        callbacks=[lambda study, trial: progress(len(study.trials), trials)],
    )
    begun = study.trials
    return Search(
        parameters=BOOSTING | study.best_params,
        loss=float(study.best_value),
        default_loss=float(begun[0].value or "nan"),
        trials=len(begun),
        pruned=sum(trial.state is TrialState.PRUNED for trial in begun),
    )


def _parts(
    train: Samples, time: NDArray[np.datetime64], end: NDArray[np.datetime64], embargo: timedelta
) -> tuple[Samples, Samples]:
    """Cut the span in two by time, nothing of the later part in the labels of the earlier."""
    start = np.sort(time)[int(len(time) * (1.0 - LATER_SHARE))]
    before = np.flatnonzero((time <= start - np.timedelta64(embargo, "us")) & (end < start))
    after = np.flatnonzero(time >= start)
    parts = train.take(before).thinned(SEARCH_SAMPLES), train.take(after).thinned(SEARCH_SAMPLES // 2)
    for part in parts:
        if len(np.unique(part.outcome)) < 2:
            raise ValueError(f"expected both outcomes in each part of the training span, found one in {len(part)}")
    return parts


def _loss(trial: Trial, spans: tuple[xgb.QuantileDMatrix, xgb.QuantileDMatrix], seed: int) -> float:
    parameters = {
        "max_depth": trial.suggest_int("max_depth", 3, 8),
        "learning_rate": trial.suggest_float("learning_rate", 0.03, 0.2, log=True),
        "min_child_weight": trial.suggest_float("min_child_weight", 20.0, 1_000.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 1.0, 100.0, log=True),
    }
    booster = boost(spans, seed, BOOSTING | parameters, [_Pruning(trial)])
    if trial.should_prune():
        raise optuna.TrialPruned
    return float(booster.best_score)


class _Pruning(xgb.callback.TrainingCallback):
    """Stops a trial whose loss is behind that of the others at the same round."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Report the loss, and answer whether to stop."""
        self._trial.report(evals_log["watched"]["logloss"][-1], epoch)
        return self._trial.should_prune()
