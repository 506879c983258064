"""`mikrobot evaluate`: an existing model on bars it may never have seen, judged as in training.

Reads bars from files and computes their features and labels; the model and its baselines come
from the registry as they are. Nothing is fitted here, and nothing is stored.
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
    """Judge a registered model on files of bars; start the registry if it is down, and stop it again.

    Parameters
    ----------
    named : str
        ``name``, ``name@alias`` or ``name@version``; see `registered.one`.
    paths : sequence of Path
        Files or folders of M1 bars.
    control : bool
        Judge it on walks without an edge, made of the same bars, too.
    say : callable
        Told one line about each step.

    Returns
    -------
    dict
        As `judged`, with ``data.files``.

    Raises
    ------
    BarError, UnknownSymbol
        If a file is not sound.
    FeatureMismatch
        If the model was trained on other features than this program computes.
    ModelError
        If there is no such model, or the bars give nothing to judge by.
    ServiceError
        If the registry does not start.
    """
    bars = _read(paths)
    with local_stack.running(settings, clock, say, ("mlflow",)):
        from mikrobot.models.registry import Registry
        from mikrobot.workflows import registered

        model = registered.one(Registry(settings.mlflow_url), named, list(bars))
    found = judged(model, bars, settings.seed, control=control, say=say)
    found["data"] = {"files": [str(path) for path in paths], **found["data"]}
    return found


def judged(
    model: Model, bars: Bars, seed: int, *, control: bool = False, say: Say = lambda line: None
) -> dict[str, Any]:
    """Judge a model on bars.

    Parameters
    ----------
    model : Model
    bars : mapping of str to DataFrame
        Closed M1 bars by symbol, bar frames.
    seed : int
        Of the bootstrap and the controls.
    control : bool

    Returns
    -------
    dict
        Plain JSON values: ``model``, ``version``, ``data`` (``from``, ``to``, ``samples``, and ``seen_share``: how
        many of them lie within what the model was trained on); then as `evaluate`. With `control`,
        ``controls`` has the same of each walk, and ``baselines.control`` the AUC on the Gaussian one.

    Raises
    ------
    FeatureMismatch, ModelError
        As `judge`.
    """
    spec = model.spec
    spec.accept(CATALOG.version)
    if not spec.diffusion:
        raise ModelError(
            f"model {spec.name} version {spec.version} keeps no baselines to be judged beside; train it again"
        )
    say(f"computing features and labels of {', '.join(bars)}")
    columns = needed(model.inputs, model.spec.task)
    data = build(bars, rows_of(bars, columns), "file", model.inputs, task=model.spec.task)
    say(f"judging {len(data):,} samples")
    trained_until = np.datetime64(spec.trained_until.replace(tzinfo=None))
    found = {
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
        found["controls"] = {}
        for name, walk in controls(bars, seed).items():
            say(f"judging the {name} control")
            made = build(walk, rows_of(walk, columns), "file", model.inputs, task=model.spec.task)
            found["controls"][name] = _evaluated(model, made, seed)
        found["baselines"]["control"] = {"auc": found["controls"]["gaussian"]["metrics"]["auc"]}
    return found


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
    said = predict_baselines(spec.diffusion, data, model.inputs)
    return evaluate(model.score(data.inputs), said, data, spec.task.kind, seed=seed)
