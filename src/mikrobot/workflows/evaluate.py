"""`mikrobot evaluate`: evaluate a registered model on other bars, with the metrics of training.

Reads bars from files and computes their features and labels; loads the model and its baselines unchanged
from the registry. Fits nothing and stores nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.domain.errors import ModelError
from mikrobot.domain.serialisation import plain
from mikrobot.features.catalog import CATALOG
from mikrobot.market.reading import reading_of
from mikrobot.market.replay import ReplaySource
from mikrobot.models.model import Model
from mikrobot.runtime import Clock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack
from mikrobot.training.computed import rows_of
from mikrobot.training.controls import controls
from mikrobot.training.dataset import Dataset, build, needed
from mikrobot.training.evaluation import evaluate, predict_baselines
from mikrobot.training.evaluation_figures import Evaluation

Say = Callable[[str], None]
Bars = Mapping[str, pd.DataFrame]


@dataclass(frozen=True, slots=True)
class ModelEvaluation:
    """The evaluation of a registered model on given bars.

    Attributes
    ----------
    model, version : str
    files : tuple of Path
        Files or folders of the bars; empty if the bars were given.
    start, end : str
        First close and last end of a sample, ISO, UTC.
    seen_share : float
        Share of the samples within the training span, 0 to 1.
    evaluation : Evaluation
    controls : mapping of str to Evaluation
        The same on random walks derived from the bars, which have no edge; empty if they were not asked for.
    """

    model: str
    version: str
    files: tuple[Path, ...]
    start: str
    end: str
    seen_share: float
    evaluation: Evaluation
    controls: Mapping[str, Evaluation]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON that `mikrobot evaluate --json` prints; its baselines include the AUC on Gaussian walks."""
        own = plain(self.evaluation)
        if self.controls:
            own["baselines"]["control"] = {"auc": self.controls["gaussian"].metrics["auc"]}
        data = {"from": self.start, "to": self.end, "samples": own["samples"], "seen_share": self.seen_share}
        return {
            "model": self.model,
            "version": self.version,
            "data": ({"files": plain(self.files)} if self.files else {}) | data,
            **own,
            **({"controls": plain(self.controls)} if self.controls else {}),
        }


def judge(
    settings: Settings, clock: Clock, named: str, paths: Sequence[Path], *, control: bool, say: Say
) -> ModelEvaluation:
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
    bars = _read(paths, settings)
    with local_stack.running(settings, clock, say, ("mlflow",)):
        from mikrobot.store.model_registry import open_registry
        from mikrobot.workflows import registered

        model = registered.one(open_registry(settings), named, list(bars))
    return judged(model, bars, settings.seed, files=paths, control=control, say=say)


def judged(
    model: Model, bars: Bars, seed: int, *, files: Sequence[Path] = (), control: bool = False,
    say: Say = lambda line: None,
) -> ModelEvaluation:  # fmt: skip
    """Evaluate a model on bars.

    Parameters
    ----------
    model : Model
    bars : mapping of str to DataFrame
        Closed M1 bars by symbol, bar frames.
    seed : int
        Seed of the bootstrap and of the controls.
    files : sequence of Path
        Files that the bars come from; only named in the result.
    control : bool

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
    own = _evaluated(model, data, seed)
    walks = {}
    if control:
        for name, walk in controls(bars, seed).items():
            say(f"judging the {name} control")
            dataset = build(walk, rows_of(walk, columns), "file", model.inputs, task=model.spec.task)
            walks[name] = _evaluated(model, dataset, seed)
    return ModelEvaluation(
        model=spec.name,
        version=spec.version,
        files=tuple(files),
        start=f"{data.time.min()}Z",
        end=f"{data.end.max()}Z",
        seen_share=float(np.mean(data.time <= trained_until)),
        evaluation=own,
        controls=walks,
    )


def _read(paths: Sequence[Path], settings: Settings) -> dict[str, pd.DataFrame]:
    source = ReplaySource(paths, reading_of(settings))
    return {symbol: source.history(symbol, *source.span(symbol)) for symbol in source.symbols()}


def _evaluated(model: Model, data: Dataset, seed: int) -> Evaluation:
    if data.outcome.all() or not data.outcome.any():
        raise ModelError(
            f"expected samples of both outcomes from {data.time.min()} to {data.end.max()}, found {len(data)} of "
            f"{data.outcome[0]} only; give more bars"
        )
    spec = model.spec
    baselines = predict_baselines(spec.diffusion, data, model.inputs)
    return evaluate(model.score(data.inputs), baselines, data, spec.task.kind, seed=seed)
