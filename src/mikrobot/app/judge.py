"""`mikrobot evaluate`: an existing model on bars it may never have seen, judged as in training.

Reads bars from files and computes their features and labels; the model and its baselines come
from the registry as they are. Nothing is fitted here, and nothing is stored.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from mikrobot.app import stack
from mikrobot.domain.errors import ModelError
from mikrobot.features.catalog import CATALOG
from mikrobot.market.replay import ReplaySource
from mikrobot.models.model import Model
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.training.computed import rows_of
from mikrobot.training.controls import controls
from mikrobot.training.dataset import Dataset, build, needed
from mikrobot.training.evaluation import evaluate, predict_baselines
from mikrobot.training.gate import to_beat

Say = Callable[[str], None]
Bars = Mapping[str, pd.DataFrame]


def judge(
    settings: Settings, clock: Clock, named: str, paths: Sequence[Path], control: bool, say: Say
) -> dict[str, Any]:
    """Judge a registered model on files of bars; start the registry if it is down, and stop it again.

    Parameters
    ----------
    named : str
        ``name``, ``name@alias`` or ``name@version``; without either the champion.
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
    model = load_model(settings, clock, named, say)
    found = judged(model, bars, settings.seed, control, say)
    found["data"] = {"files": [str(path) for path in paths], **found["data"]}
    return found


def judged(model: Model, bars: Bars, seed: int, control: bool = False, say: Say = lambda line: None) -> dict[str, Any]:
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
    contract = model.contract
    contract.accept(CATALOG.version)
    if not contract.diffusion:
        raise ModelError(
            f"model {contract.name} version {contract.version} keeps no baselines to be judged beside; train it again"
        )
    say(f"computing features and labels of {', '.join(bars)}")
    columns = needed(model.inputs, model.contract.task)
    data = build(bars, rows_of(bars, columns), "file", model.inputs, model.contract.task)
    say(f"judging {len(data):,} samples")
    trained_until = np.datetime64(contract.trained_until.replace(tzinfo=None))
    found = {
        "model": contract.name,
        "version": contract.version,
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
            made = build(walk, rows_of(walk, columns), "file", model.inputs, model.contract.task)
            found["controls"][name] = _evaluated(model, made, seed)
        found["baselines"]["control"] = {"auc": found["controls"]["gaussian"]["metrics"]["auc"]}
    return found


def load_model(settings: Settings, clock: Clock, named: str, say: Say) -> Model:
    """Load a registered model, ``name``, ``name@alias`` or ``name@version``; start the registry if it is down.

    Its probabilities are those of its training: a rolling window may know the outcomes of the bars that are judged.
    """
    from mikrobot.models.registry import CHAMPION, Registry

    name, _, alias = named.partition("@")
    with stack.running(settings, clock, say, ("mlflow",)):
        registry = Registry(settings.mlflow_url)
        if alias.isdigit():
            return registry.load_version(name, alias, rolled=False)
        return registry.load(name, alias or CHAMPION, rolled=False)


def table(found: Mapping[str, Any]) -> Table:
    """Show an evaluation: the model beside what it must beat, and where it is good."""
    shown = Table(title=f"{found['model']} version {found['version']}", title_justify="left", box=None, padding=(0, 2))
    for heading in ("", "AUC", "Brier", "calibration error", "accuracy", "model over it"):
        shown.add_column(heading, justify="left" if not heading else "right")
    shown.add_row("model", *_figures(found["metrics"]), "")
    for name, said in found["baselines"].items():
        if name != "control":
            over = found["uplift"][f"over_{name.removeprefix('diffusion_')}"]["auc"]
            shown.add_row(name.replace("_", " "), *_figures(said), _interval(over))
    shown.add_row("majority", "0.5000", "", "", f"{found['majority_accuracy']:.4f}", "")
    for name, walk in found.get("controls", {}).items():
        over = walk["uplift"][f"over_{to_beat(walk['uplift'])}"]["auc"]
        shown.add_row(f"{name} control", *_figures(walk["metrics"]), _interval(over))
    data = found["data"]
    said = (
        f"{data['samples']:,} samples from {data['from']} to {data['to']}, base rate {found['base_rate']:.4f}, "
        f"{data['seen_share']:.0%} of them within the span of the training"
    )
    shown.caption = "\n".join([said, *(_band(each) for each in found["selective"] if each["coverage"])])
    shown.caption_justify = "left"
    return shown


def _read(paths: Sequence[Path]) -> dict[str, pd.DataFrame]:
    source = ReplaySource(paths)
    return {symbol: source.history(symbol, *source.span(symbol)) for symbol in source.symbols()}


def _evaluated(model: Model, data: Dataset, seed: int) -> dict[str, Any]:
    if data.outcome.all() or not data.outcome.any():
        raise ModelError(
            f"expected samples of both outcomes from {data.time.min()} to {data.end.max()}, found {len(data)} of "
            f"{data.outcome[0]} only; give more bars"
        )
    contract = model.contract
    said = predict_baselines(contract.diffusion, data, model.inputs)
    return evaluate(model.score(data.inputs), said, data, contract.task.kind, seed)


def _figures(said: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(f"{said[name]:.4f}" for name in ("auc", "brier", "ece", "accuracy"))


def _interval(over: Mapping[str, float | None]) -> str:
    if over["low"] is None:
        return f"{over['value']:+.4f}"
    return f"{over['value']:+.4f} [{over['low']:+.4f}, {over['high']:+.4f}]"


def _band(each: Mapping[str, Any]) -> str:
    return (
        f"promising precision {each['band']['precision']:.2f}: coverage {each['coverage']:.3f}, "
        f"precision {each['precision'] or 0.0:.3f}, recall {each['recall_covered'] or 0.0:.3f} among the covered, "
        f"{each['recall_all'] or 0.0:.3f} of all"
    )
