"""The evaluation of a model on bars that it has not all seen; e2e/test_stop calls the command."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

from mikrobot.domain.errors import FeatureMismatch, ModelError
from mikrobot.features.catalog import CATALOG
from mikrobot.market.replay import read_bars
from mikrobot.models import graph
from mikrobot.models.bos import BosInputs
from mikrobot.models.calibration import Calibration
from mikrobot.models.model import Model
from mikrobot.models.spec import ModelSpec
from mikrobot.models.task import Task
from mikrobot.training.computed import rows_of
from mikrobot.training.dataset import build, needed
from mikrobot.training.evaluation import fit_baselines
from mikrobot.workflows.evaluate import judged

SEEN = datetime(2025, 3, 11, tzinfo=UTC)


@pytest.fixture(scope="module")
def model(bar_files: dict[str, Path]) -> Model:
    """Return a small model fitted on the first days of the generated market."""
    symbol, bars = read_bars(bar_files["EURUSD"])
    inputs = BosInputs(5)
    data = build(
        {symbol: bars[bars["open_time"] < SEEN]},
        rows_of({symbol: bars}, needed(inputs, Task())),
        "replay",
        inputs,
        task=Task(),
    )
    booster = xgb.train(
        {"objective": "binary:logistic", "max_depth": 3, "base_score": 0.5}, xgb.DMatrix(data.inputs, data.outcome), 30
    )
    whole = graph.joined([graph.of_booster("boosted", booster)], len(inputs.names))
    spec = ModelSpec(
        name="bos",
        version="",
        source="replay",
        symbols=("BTCUSDT", "EURUSD"),
        feature_hash=CATALOG.version,
        columns=inputs.columns,
        swing=5,
        horizon_minutes=5,
        trained_from=datetime(2025, 3, 8, tzinfo=UTC),
        trained_until=SEEN,
        metrics={},
        diffusion=fit_baselines(data, np.arange(len(data)), Task(), inputs),
    )
    return Model(spec, whole, None, Calibration.fit(booster.inplace_predict(data.inputs), data.outcome))


def test_an_evaluation_includes_every_baseline(model: Model, bar_files: dict[str, Path]) -> None:
    bars = dict(read_bars(path) for path in bar_files.values())
    evaluation = judged(model, bars, seed=7, control=True).to_json()
    assert {
        "auc",
        "accuracy",
        "precision",
        "recall",
        "f1",
        "brier",
        "brier_skill",
        "ece",
        "log_loss",
        "precision_at_recall",
    } == set(evaluation["metrics"])
    assert {"diffusion_atr", "control"} <= set(evaluation["baselines"])
    assert set(evaluation["controls"]) == {"flipped", "gaussian"}
    assert evaluation["baselines"]["control"]["auc"] == evaluation["controls"]["gaussian"]["metrics"]["auc"]
    assert set(evaluation["by_symbol"]) == {"EURUSD", "BTCUSDT"}
    assert set(evaluation["by_minutes_left"]) == {"5"}
    assert 0 < evaluation["data"]["seen_share"] < 1
    assert evaluation["metrics"]["auc"] > 0.75


def test_features_of_another_hash_are_refused(model: Model, bar_files: dict[str, Path]) -> None:
    foreign = replace(model, spec=replace(model.spec, feature_hash="0" * 12))
    with pytest.raises(FeatureMismatch, match="trained on features 000000000000"):
        judged(foreign, dict([read_bars(bar_files["EURUSD"])]), seed=7)


def test_bars_too_few_to_judge_by_are_refused(model: Model, bar_files: dict[str, Path]) -> None:
    symbol, bars = read_bars(bar_files["EURUSD"])
    with pytest.raises(ModelError, match="EURUSD: all feature columns are missing"):
        judged(model, {symbol: bars[:10]}, seed=7)
