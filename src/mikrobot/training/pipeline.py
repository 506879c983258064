"""One training run: samples, split, search, learners, calibration, evaluation, promotion gate, registration.

The model is trained on the first span, calibrated on the second and evaluated once on the third. No data
after the third span is used. If the run fails, the current champion stays in service.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.domain.errors import ModelError
from mikrobot.domain.market import close_times
from mikrobot.domain.serialisation import plain
from mikrobot.models import graph
from mikrobot.models.calibration import Calibration
from mikrobot.models.diffusion import Diffusion
from mikrobot.models.graph import Scorer
from mikrobot.models.model import Model
from mikrobot.models.registry import Registry
from mikrobot.models.scope import Scope, scopes_of
from mikrobot.models.spec import ModelSpec
from mikrobot.settings import Settings
from mikrobot.telemetry import logger
from mikrobot.training import dataset, leakage, repetition
from mikrobot.training.card import Card
from mikrobot.training.champion_comparison import rule
from mikrobot.training.dataset import Dataset, Rows
from mikrobot.training.evaluation import evaluate, fit_baselines, predict_baselines
from mikrobot.training.evaluation_figures import Evaluation
from mikrobot.training.fitting import Fitted, Progress, answers, fit
from mikrobot.training.learners import Parameters
from mikrobot.training.lineage import code_version
from mikrobot.training.promotion_gate import Ruling
from mikrobot.training.recipes import Recipe, recipe_of
from mikrobot.training.rolling import Predictions
from mikrobot.training.scores import scores
from mikrobot.training.splits import EMBARGO, Split, walk_forward

log = logger("training")

FEWEST_SAMPLES = 50
"""Samples below which a span is too short for training, calibration or evaluation."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The result of a training run.

    Attributes
    ----------
    version : str
        Version in the registry.
    evaluation : Evaluation
        Of the test span; `baselines` also has the compared learners.
    rulings : mapping of Scope to Ruling
        Rulings of the promotion gate; the version is now the champion of each scope whose ruling promotes it.
    spec : ModelSpec
    """

    version: str
    evaluation: Evaluation
    rulings: Mapping[Scope, Ruling]
    spec: ModelSpec

    @property
    def reason(self) -> str:
        """All rulings in one line."""
        return reasons(self.rulings)

    @property
    def champion_of(self) -> tuple[str, ...]:
        """Symbols of which the version is now the champion."""
        return tuple(scope.symbol for scope, ruling in self.rulings.items() if ruling.promote)

    @property
    def challenger_of(self) -> tuple[str, ...]:
        """Symbols of which the version is now the challenger."""
        return tuple(scope.symbol for scope, ruling in self.rulings.items() if ruling.waits)


def reasons(rulings: Mapping[Scope, Ruling]) -> str:
    """Return the rulings of all symbols in one line; a single ruling has no symbol before it."""
    if len(rulings) == 1:
        return next(iter(rulings.values())).reason
    return "; ".join(f"{scope.symbol}: {ruling.reason}" for scope, ruling in rulings.items())


def train(
    name: str,
    bars: Mapping[str, pd.DataFrame],
    rows: Rows,
    registry: Registry,
    *,
    settings: Settings,
    source: str,
    feature_hash: str,
    trade_from: datetime | None = None,
    shadow_asked: int = 0,
    again: bool = True,
    progress: Progress = lambda stage, share: None,
) -> TrainingResult:
    """Train a model, register it, and promote it for each symbol where the promotion gate passes it.

    For a symbol where only the shadow predictions are missing, the version becomes the challenger.

    Parameters
    ----------
    name : str
        A kind of model, one of `mikrobot.models.catalog.MODELS`.
    bars : mapping of str to DataFrame
        Closed M1 bars by symbol, bar frames.
    rows : Rows
        Reader of the feature store.
    registry : Registry
    settings : Settings
        ``swing``, ``horizon_minutes``, ``trials``, ``tuning_seconds`` and ``seed`` are used.
    source : str
        Market source of the bars and rows.
    feature_hash : str
        Version of the feature definitions behind the rows.
    trade_from : datetime, optional
        UTC; bars that close later are not used, not even for labels.
    shadow_asked : int
        Number of shadow predictions required before promotion.
    again : bool
        Train also if a version that answers was trained on the same data with the same settings.
    progress : callable

    Raises
    ------
    UnchangedData
        If there is such a version, and not `again`; nothing is trained.
    ModelError
        If there is too little history, only one outcome, or no feature values; the message names the span.
    LeakageError
        If an input contains the outcome.
    ServiceError
        If the registry does not answer.
    """
    recipe = recipe_of(name, settings)
    progress("dataset", 0.0)
    data = dataset.build(_until(bars, trade_from), rows, source, recipe.inputs, task=recipe.task)
    del rows  # a reader may hold all rows of a symbol; a caller that keeps no name for it then frees them
    identity = {
        repetition.DATA: data.sha256,
        repetition.CONFIGURATION: repetition.configuration(recipe, settings, feature_hash, code_version()),
    }
    if not again:
        repetition.refuse(registry, name, scopes_of(source, map(str, np.unique(data.symbol))), identity)
    split = _split(recipe, data)
    fitted = _fit(recipe, data, split, settings, progress=progress)
    progress("evaluation", 0.0)
    evaluation = assess(recipe, fitted, data, split, seed=settings.seed)
    model = _model(_spec(recipe, fitted, data, source, feature_hash=feature_hash, evaluation=evaluation), fitted)
    progress("registry", 0.0)
    rulings = rule(model, registry, data, split.test, trade_from=trade_from, shadow_asked=shadow_asked)
    version = _register(
        registry, model, fitted, data, split=split, settings=settings, rulings=rulings, identity=identity
    )
    _promote(registry, model, version, rulings)
    progress("registry", 1.0)
    result = TrainingResult(version, evaluation, rulings, model.spec)
    log.info(
        "trained", model=name, version=version, champion_of=result.champion_of, reason=result.reason,
        **evaluation.metrics,
    )  # fmt: skip
    return result


def study(recipe: Recipe, data: Dataset, settings: Settings) -> Evaluation:
    """Split samples, train on the first span, calibrate on the second, evaluate on the third; register nothing.

    Raises
    ------
    ModelError, LeakageError
        As `train`.
    """
    split = _split(recipe, data)
    fitted = _fit(recipe, data, split, settings)
    return assess(recipe, fitted, data, split, seed=settings.seed)


def _split(recipe: Recipe, data: Dataset) -> Split:
    split = walk_forward(data.time, data.end, recipe.horizon)
    check(data, split)
    return split


def check(data: Dataset, split: Split) -> None:
    """Refuse spans that are too short or have only one outcome.

    Raises
    ------
    ModelError
        If a span has fewer than `FEWEST_SAMPLES` samples, or only one outcome.
    """
    for name in ("train", "validation", "test"):
        chosen = getattr(split, name)
        true = int(data.outcome[chosen].sum())
        where = f"{name} span of {', '.join(np.unique(data.symbol))}, {data.time.min()} to {data.end.max()}"
        if len(chosen) < FEWEST_SAMPLES:
            raise ModelError(
                f"{where}: expected at least {FEWEST_SAMPLES} samples, found {len(chosen)}; train on more history"
            )
        if true in (0, len(chosen)):
            raise ModelError(f"{where}: all {len(chosen)} samples have the outcome {true > 0}; train on more history")


def _fit(
    recipe: Recipe, data: Dataset, split: Split, settings: Settings, *,
    progress: Progress = lambda stage, share: None,
) -> Fitted:  # fmt: skip
    """Fit the diffusion baselines, refuse inputs that contain the outcome, and fit the model."""
    diffusion = fit_baselines(data, split.train, recipe.task, recipe.inputs)
    _check_leakage(recipe, data, split, diffusion, seed=settings.seed)
    return fit(recipe, data, split, diffusion, settings=settings, progress=progress)


def _check_leakage(
    recipe: Recipe, data: Dataset, split: Split, diffusion: Mapping[str, Diffusion], *, seed: int
) -> None:
    tested = data.only(split.train[leakage.stretch(data.symbol[split.train])])
    baselines = predict_baselines(diffusion, tested, recipe.inputs)
    leakage.check(tested, recipe.inputs.names, baselines.get("forecast", baselines["atr"]), seed)


def assess(recipe: Recipe, fitted: Fitted, data: Dataset, split: Split, *, seed: int) -> Evaluation:
    """Evaluate the model on the test span against its baselines and the compared learners; see `evaluate`."""
    names, before, test = recipe.inputs.names, data.only(split.validation), data.only(split.test)
    predicted = answers(recipe, fitted, data, split.test)
    history = Predictions(fitted.validated, before.outcome, before.time, before.end)
    baselines = predict_baselines(fitted.diffusion, test, recipe.inputs)
    evaluation = evaluate(predicted, baselines, test, recipe.task.kind, seed=seed, history=history)
    compared = {}
    for name, learned in fitted.compared.items():
        scorer = Scorer(graph.joined([learned.member], len(names)), len(names))
        calibration = Calibration.fit(scorer(before.inputs), before.outcome)
        compared[name] = scores(calibration(scorer(test.inputs)), test.outcome)
    return replace(evaluation, baselines={**evaluation.baselines, **compared})


def _until(bars: Mapping[str, pd.DataFrame], trade_from: datetime | None) -> Mapping[str, pd.DataFrame]:
    if trade_from is None:
        return bars
    return {symbol: frame[close_times(frame) <= pd.Timestamp(trade_from)] for symbol, frame in bars.items()}


def _model(spec: ModelSpec, fitted: Fitted) -> Model:
    return Model(spec, fitted.graph, fitted.start, fitted.calibration, fitted.intervals, fitted.baseline)


def _spec(
    recipe: Recipe, fitted: Fitted, data: Dataset, source: str, *, feature_hash: str, evaluation: Evaluation
) -> ModelSpec:
    return ModelSpec(
        name=recipe.task.kind,
        version="",
        source=source,
        symbols=tuple(str(symbol) for symbol in np.unique(data.symbol)),
        feature_hash=feature_hash,
        columns=recipe.inputs.columns,
        swing=recipe.task.swing,
        horizon_minutes=recipe.task.horizon,
        trained_from=_utc(data.time.min()),
        trained_until=_utc(data.end.max()),
        metrics=plain(evaluation),
        diffusion=fitted.diffusion,
        mode=recipe.task.mode,
        importance=fitted.importance(recipe.inputs.names),
    )


def _register(
    registry: Registry, model: Model, fitted: Fitted, data: Dataset, *, split: Split, settings: Settings,
    rulings: Mapping[Scope, Ruling], identity: Mapping[str, str],
) -> str:  # fmt: skip
    spec = model.spec
    symbols = spec.symbols
    parameters = _parameters(fitted, split, settings)
    card = Card(
        spec=spec,
        ruling=reasons(rulings),
        symbols=symbols,
        data_sha256=data.sha256,
        code_version=code_version(),
        seed=settings.seed,
        parameters=parameters,
        importance=spec.importance,
    )
    return registry.log(
        model,
        parameters=parameters | {"swing": spec.swing, "horizon_minutes": spec.horizon_minutes},
        metrics=dict(flattened({name: spec.metrics[name] for name in _LOGGED})),
        tags={
            "trained_from": spec.trained_from.isoformat(),
            "trained_until": spec.trained_until.isoformat(),
            "feature_hash": spec.feature_hash,
            **identity,
            "code_version": card.code_version,
            "use": card.use,
        },
        data_name=f"{spec.source}-{','.join(symbols)}",
        data_sha256=data.sha256,
        booster=fitted.booster,
        texts={"card.md": card.markdown(), "card.html": card.html()},
    )


def _parameters(fitted: Fitted, split: Split, settings: Settings) -> dict[str, Any]:
    boosting: Parameters = fitted.search.parameters if fitted.booster is not None else {}
    return {
        **{f"boosting.{name}": value for name, value in boosting.items()},
        "boosting.rounds": fitted.booster.num_boosted_rounds() if fitted.booster is not None else 0,
        **({"walk.share": fitted.start.share} if fitted.start is not None else {}),
        "search.trials": fitted.search.trials,
        "search.pruned": fitted.search.pruned,
        "seed": settings.seed,
        "embargo_minutes": EMBARGO.total_seconds() / 60,
        "validation_from": str(split.validation_from),
        "test_from": str(split.test_from),
        **{f"samples.{name}": len(getattr(split, name)) for name in ("train", "validation", "test")},
    }


def _promote(registry: Registry, model: Model, version: str, rulings: Mapping[Scope, Ruling]) -> None:
    """Give a version its roles: the baseline where it has one, and what each ruling decides in its scope."""
    if model.baseline is not None:
        registry.stand_in(model.spec.name, version)
    for scope, ruling in rulings.items():
        _carry_out(ruling, registry, model.spec.name, version, scope=scope)


def _carry_out(ruling: Ruling, registry: Registry, name: str, version: str, *, scope: Scope) -> None:
    """Promote a version in a scope, make it the challenger, or only record the reason of the refusal.

    A champion that may no longer serve the scope is withdrawn; the baseline of the new version then serves it.
    """
    if ruling.promote:
        registry.promote(name, version, ruling.reason, [scope.symbol])
        return
    registry.record(name, version, scope.symbol, ruling.reason)
    if ruling.waits:
        registry.challenge(name, version, scope)
    elif ruling.unfit:
        registry.withdraw(name, scope, ruling.unfit)


_LOGGED = (
    *("samples", "base_rate", "majority_accuracy", "metrics", "baselines", "uplift"),
    *("payoff", "intervals", "by_symbol"),
)
"""Metrics logged to MLflow for charts; the spec has the whole evaluation."""


def flattened(metrics: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Return nested metrics by dotted name, without lists and None.

    >>> flattened({"metrics": {"auc": 0.8}, "uplift": {"low": None}, "reliability": []})
    [('metrics.auc', 0.8)]
    """
    pairs: list[tuple[str, float]] = []
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            pairs += flattened(value, f"{prefix}{name}.")
        elif value is not None and not isinstance(value, list):
            pairs.append((prefix + name, float(value)))
    return pairs


def _utc(time: np.datetime64) -> datetime:
    naive: datetime = time.astype("datetime64[us]").item()
    return naive.replace(tzinfo=UTC)
