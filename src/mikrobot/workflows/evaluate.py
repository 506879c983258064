"""`mikrobot evaluate`: evaluate a registered model on other bars, with the metrics of training.

Reads bars from files and computes their features and labels; loads the model and its baselines unchanged
from the registry. Fits nothing and stores nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.domain.errors import ModelError
from mikrobot.features.catalog import CATALOG
from mikrobot.market.replay import ReplaySource
from mikrobot.models.model import Model
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack
from mikrobot.training.computed import rows_of
from mikrobot.training.controls import controls
from mikrobot.training.dataset import Dataset, build, needed
from mikrobot.training.evaluation import evaluate, predict_baselines

Say = Callable[[str], None]
Bars = Mapping[str, pd.DataFrame]


def judge(
    settings: Settings, clock: Clock, named: str, paths: Sequence[Path], *, control: bool, say: Say
) -> dict[str, Any]:
    """Evaluate a registered model on files of bars; start the registry if it is down, and stop it again.

    Parameters
    ----------
    named : str
        ``name``, ``name@alias`` or ``name@version``; see `registered.one`.
    paths : sequence of Path
        Files or folders of M1 bars.
    control : bool
        Also evaluate it on random walks derived from the same bars, which have no edge.
    say : callable
        Called with one line of text for each step.

    Returns
    -------
    dict
        As `judged`, with ``data.files``.

    Raises
    ------
    BarError, UnknownSymbol
        If a file has invalid bars or an unknown symbol.
    FeatureMismatch
        If the model was trained on other features than this program computes.
    ModelError
        If there is no such model, or the bars do not give samples of both outcomes.
    ServiceError
        If the registry does not start.
    """
    bars = _read(paths)
    with local_stack.running(settings, clock, say, ("mlflow",)):
        from mikrobot.models.registry import Registry
        from mikrobot.workflows import registered

        model = registered.one(Registry(settings.mlflow_url), named, list(bars))
    evaluation = judged(model, bars, settings.seed, control=control, say=say)
    evaluation["data"] = {"files": [str(path) for path in paths], **evaluation["data"]}
    return evaluation


def judged(
    model: Model, bars: Bars, seed: int, *, control: bool = False, say: Say = lambda line: None
) -> dict[str, Any]:
    """Evaluate a model on bars.

    Parameters
    ----------
    model : Model
    bars : mapping of str to DataFrame
        Closed M1 bars by symbol, bar frames.
    seed : int
        Seed of the bootstrap and of the controls.
    control : bool

    Returns
    -------
    dict
        Plain JSON values: ``model``, ``version``, ``data`` (``from``, ``to``, ``samples``, and ``seen_share``: the
        share of samples within the training span); then the keys of `evaluate`. With `control`, ``controls``
        has the same for each walk, and ``baselines.control`` the AUC on the Gaussian one.

    Raises
    ------
    FeatureMismatch, ModelError
        As `judge`.
    """
    spec = model.spec
    spec.accept(CATALOG.version)
    if not spec.diffusion:
        raise ModelError(
            f"model {spec.name} version {spec.version} has no baselines to be compared with; train it again"
        )
    say(f"computing features and labels of {', '.join(bars)}")
    columns = needed(model.inputs, model.spec.task)
    data = build(bars, rows_of(bars, columns), "file", model.inputs, task=model.spec.task)
    say(f"judging {len(data):,} samples")
    trained_until = np.datetime64(spec.trained_until.replace(tzinfo=None))
    evaluation = {
        "model": spec.name,
        "version": spec.version,
        "data": {
            "from": f"{data.time.min()}Z",
            "to": f"{data.end.max()}Z",
            "samples": len(data),
            "seen_share": float(np.mean(data.time <= trained_until)),
        },
        **_evaluated(model, data, seed),
    }
    if control:
        evaluation["controls"] = {}
        for name, walk in controls(bars, seed).items():
            say(f"judging the {name} control")
            dataset = build(walk, rows_of(walk, columns), "file", model.inputs, task=model.spec.task)
            evaluation["controls"][name] = _evaluated(model, dataset, seed)
        evaluation["baselines"]["control"] = {"auc": evaluation["controls"]["gaussian"]["metrics"]["auc"]}
    return evaluation


def _read(paths: Sequence[Path]) -> dict[str, pd.DataFrame]:
    source = ReplaySource(paths)
    return {symbol: source.history(symbol, *source.span(symbol)) for symbol in source.symbols()}


def _evaluated(model: Model, data: Dataset, seed: int) -> dict[str, Any]:
    if data.outcome.all() or not data.outcome.any():
        raise ModelError(
            f"expected samples of both outcomes from {data.time.min()} to {data.end.max()}, found {len(data)} of "
            f"{data.outcome[0]} only; give more bars"
        )
    spec = model.spec
    baselines = predict_baselines(spec.diffusion, data, model.inputs)
    return evaluate(model.score(data.inputs), baselines, data, spec.task.kind, seed=seed)
