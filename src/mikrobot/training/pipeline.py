"""One training run: samples, split, learners, calibration, evaluation, registration, gate.

Learns from the first span, calibrates on the second, is judged once on the third. Nothing after
the third is touched, and a champion in service stays in service when the run fails.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb
from sklearn.ensemble import RandomForestClassifier

from mikrobot.domain.errors import ModelError
from mikrobot.domain.market import close_times
from mikrobot.models.bos import BosInputs
from mikrobot.models.calibration import Calibration
from mikrobot.models.diffusion import Diffusion
from mikrobot.models.labels.task import Task
from mikrobot.models.model import Contract, Model
from mikrobot.models.registry import Registry
from mikrobot.settings import Settings
from mikrobot.telemetry import logger
from mikrobot.training import dataset as samples
from mikrobot.training import leakage
from mikrobot.training.dataset import Dataset, Rows
from mikrobot.training.estimators import BOOSTING, FOREST, FOREST_SAMPLES, boost, grow_forest
from mikrobot.training.evaluation import evaluate, fit_baselines, predict_baselines
from mikrobot.training.gate import Ruling, judge
from mikrobot.training.lineage import code_version
from mikrobot.training.rolling import Predictions
from mikrobot.training.scores import scores
from mikrobot.training.splits import EMBARGO, Split, walk_forward

log = logger("training")

NAME = "bos"
FEWEST_SAMPLES = 50
"""Samples below which a span is too short to learn from, calibrate on or judge by."""

Progress = Callable[[str, float], None]
"""Told the stage and its share done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training run came to.

    Attributes
    ----------
    version : str
        In the registry.
    metrics : mapping
        Of the test span, plain JSON values: see `evaluate`; ``baselines`` has the random forest too.
    promoted : bool
        Whether the new version is the champion now.
    reason : str
        Why, or why not.
    contract : Contract
    """

    version: str
    metrics: Mapping[str, Any]
    promoted: bool
    reason: str
    contract: Contract


@dataclass(frozen=True, slots=True)
class Fitted:
    """What the training and validation spans gave."""

    booster: xgb.Booster
    calibration: Calibration
    forest: RandomForestClassifier
    forest_calibration: Calibration
    diffusion: Mapping[str, Diffusion]


def train(
    bars: Mapping[str, pd.DataFrame],
    rows: Rows,
    registry: Registry,
    settings: Settings,
    *,
    source: str,
    feature_hash: str,
    trade_from: datetime | None = None,
    progress: Progress = lambda stage, share: None,
) -> TrainingResult:
    """Train the break-of-structure model, register it, and promote it if the gate lets it pass.

    Parameters
    ----------
    bars : mapping of str to DataFrame
        Closed M1 bars by symbol, bar frames.
    rows : Rows
        Reader of the feature store.
    registry : Registry
    settings : Settings
        ``swing``, ``horizon_minutes`` and ``seed`` are used.
    source : str
        Market source of the bars and rows.
    feature_hash : str
        Version of the feature definitions behind the rows.
    trade_from : datetime, optional
        UTC; bars that close later are not used, not even for labels.
    progress : callable

    Raises
    ------
    ModelError
        If there is too little history, one outcome only, or no feature values; it says where.
    LeakageError
        If an input knows the outcome.
    ServiceError
        If the registry does not answer.
    """
    progress("dataset", 0.0)
    inputs = BosInputs(settings.swing)
    task = Task("bos", settings.swing, settings.horizon_minutes)
    data = samples.build(_until(bars, trade_from), rows, source, inputs, task)
    split = walk_forward(data.time, data.end, timedelta(minutes=settings.horizon_minutes))
    check(data, split)
    diffusion = fit_baselines(data, split.train, task)
    _check_leakage(data, split, inputs, diffusion, settings.seed)
    fitted = fit(data, split, inputs, diffusion, settings.seed, progress)
    progress("evaluation", 0.0)
    metrics = assess(fitted, data, split, settings.seed)
    contract = _contract(data, inputs, settings, source, feature_hash, metrics, fitted.diffusion)
    model = Model(contract, fitted.booster, fitted.calibration)
    progress("registry", 0.0)
    ruling = judge(model, registry, data, split.test, trade_from)
    version = _log(registry, model, fitted, data, split, settings, ruling)
    if ruling.promote:
        registry.promote(NAME, version, ruling.reason)
    else:
        registry.note(NAME, version, "promotion", ruling.reason)
    progress("registry", 1.0)
    log.info("trained", version=version, promoted=ruling.promote, reason=ruling.reason, **metrics["metrics"])
    return TrainingResult(version, metrics, ruling.promote, ruling.reason, model.contract)


def check(data: Dataset, split: Split) -> None:
    """Refuse spans that nothing can be learned from or judged by.

    Raises
    ------
    ModelError
        If a span has fewer than `FEWEST_SAMPLES` samples, or one outcome only.
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


def fit(
    data: Dataset,
    split: Split,
    inputs: BosInputs,
    diffusion: Mapping[str, Diffusion],
    seed: int,
    progress: Progress,
) -> Fitted:
    """Fit both learners beside the diffusion baselines; calibrate the learners on the validation span."""
    train, validation = split.train, split.validation
    progress("forest", 0.0)
    forest = grow_forest(data.inputs[train], data.outcome[train], data.weight[train], seed)
    booster = boost(
        (data.inputs[train], data.inputs[validation]),
        (data.outcome[train], data.outcome[validation]),
        (data.weight[train], data.weight[validation]),
        inputs.names,
        seed,
        lambda share: progress("boosting", share),
    )
    seen, outcome = data.inputs[validation], data.outcome[validation]
    return Fitted(
        booster=booster,
        calibration=Calibration.fit(booster.inplace_predict(seen), outcome),
        forest=forest,
        forest_calibration=Calibration.fit(forest.predict_proba(seen)[:, 1], outcome),
        diffusion=diffusion,
    )


def _check_leakage(
    data: Dataset, split: Split, inputs: BosInputs, diffusion: Mapping[str, Diffusion], seed: int
) -> None:
    train = data.only(split.train)
    said = predict_baselines(diffusion, train)
    leakage.check(train, inputs.names, said.get("forecast", said["atr"]), seed)


def assess(fitted: Fitted, data: Dataset, split: Split, seed: int) -> dict[str, Any]:
    """Judge the model on the test span, beside the diffusion baselines and the forest; see `evaluate`."""
    test, validation = data.only(split.test), data.only(split.validation)
    before, said = (fitted.calibration(fitted.booster.inplace_predict(span.inputs)) for span in (validation, test))
    metrics = evaluate(
        said,
        predict_baselines(fitted.diffusion, test),
        test,
        seed,
        Predictions(before, validation.outcome, validation.time, validation.end),
    )
    forest = fitted.forest_calibration(fitted.forest.predict_proba(test.inputs)[:, 1])
    metrics["baselines"]["random_forest"] = scores(forest, test.outcome)
    return metrics


def _until(bars: Mapping[str, pd.DataFrame], trade_from: datetime | None) -> Mapping[str, pd.DataFrame]:
    if trade_from is None:
        return bars
    return {symbol: frame[close_times(frame) <= pd.Timestamp(trade_from)] for symbol, frame in bars.items()}


def _contract(
    data: Dataset,
    inputs: BosInputs,
    settings: Settings,
    source: str,
    feature_hash: str,
    metrics: Mapping[str, Any],
    diffusion: Mapping[str, Diffusion],
) -> Contract:
    return Contract(
        name=NAME,
        version="",
        source=source,
        feature_hash=feature_hash,
        columns=inputs.columns,
        swing=settings.swing,
        horizon_minutes=settings.horizon_minutes,
        trained_from=_utc(data.time.min()),
        trained_until=_utc(data.end.max()),
        metrics=metrics,
        diffusion=diffusion,
    )


def _log(
    registry: Registry,
    model: Model,
    fitted: Fitted,
    data: Dataset,
    split: Split,
    settings: Settings,
    ruling: Ruling,
) -> str:
    contract = model.contract
    symbols = ",".join(np.unique(data.symbol))
    return registry.log(
        model,
        fitted.forest,
        parameters={
            **{f"boosting.{name}": value for name, value in BOOSTING.items()},
            **{f"forest.{name}": value for name, value in FOREST.items()},
            "forest.max_samples": FOREST_SAMPLES,
            "boosting.rounds": fitted.booster.num_boosted_rounds(),
            **{f"diffusion.scale_{name}": curve.scale for name, curve in fitted.diffusion.items()},
            "swing": contract.swing,
            "horizon_minutes": contract.horizon_minutes,
            "seed": settings.seed,
            "embargo_minutes": EMBARGO.total_seconds() / 60,
            "validation_from": str(split.validation_from),
            "test_from": str(split.test_from),
            **{f"samples.{name}": len(getattr(split, name)) for name in ("train", "validation", "test")},
        },
        metrics=dict(flattened({name: contract.metrics[name] for name in _LOGGED})),
        tags={
            "source": contract.source,
            "symbols": symbols,
            "trained_from": contract.trained_from.isoformat(),
            "trained_until": contract.trained_until.isoformat(),
            "feature_hash": contract.feature_hash,
            "data_sha256": data.sha256,
            "code_version": code_version(),
            "promotion": ruling.reason,
        },
        data_name=f"{contract.source}-{symbols}",
        data_sha256=data.sha256,
    )


_LOGGED = ("samples", "base_rate", "majority_accuracy", "metrics", "baselines", "uplift", "intervals", "by_symbol")
"""What MLflow charts; the contract has the whole evaluation."""


def flattened(metrics: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """List nested figures by dotted name, without lists and those that are None.

    >>> flattened({"metrics": {"auc": 0.8}, "uplift": {"low": None}, "reliability": []})
    [('metrics.auc', 0.8)]
    """
    found: list[tuple[str, float]] = []
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            found += flattened(value, f"{prefix}{name}.")
        elif value is not None and not isinstance(value, list):
            found.append((prefix + name, float(value)))
    return found


def _utc(time: np.datetime64) -> datetime:
    naive: datetime = time.astype("datetime64[us]").item()
    return naive.replace(tzinfo=UTC)
