from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from mikrobot.domain.serialisation import plain
from mikrobot.models.bos import BosInputs
from mikrobot.models.spec import ModelSpec
from mikrobot.models.task import Task
from mikrobot.training.card import Card
from mikrobot.training.dataset import Dataset
from mikrobot.training.evaluation import evaluate, fit_baselines, predict_baselines

INPUTS = BosInputs(5)


@pytest.fixture
def card(make_dataset: Callable[..., Dataset]) -> Card:
    """The card of the diffusion baseline itself, evaluated as if it were a model."""
    data = make_dataset()
    baselines = predict_baselines(fit_baselines(data, np.arange(4000), Task(), INPUTS), data, INPUTS)
    spec = ModelSpec(
        name="bos",
        version="3",
        source="replay",
        symbols=("BTCUSDT", "EURUSD"),
        feature_hash="abc",
        columns=INPUTS.columns,
        swing=5,
        horizon_minutes=5,
        trained_from=datetime(2024, 3, 4, tzinfo=UTC),
        trained_until=datetime(2024, 3, 8, tzinfo=UTC),
        metrics=plain(evaluate(baselines["atr"], baselines, data, "bos", seed=1)),
    )
    return Card(spec, "passed", ["EURUSD"], "0" * 64, "0.1.0", 7, {"boosting.max_depth": 5}, {"level_atr": 1.0})


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_a_card_shows_use_metrics_slices_bands_targets_and_parameters(card: Card, form: str) -> None:
    written = getattr(card, form)()
    metrics = card.spec.metrics
    for text in (
        card.use,
        f"{metrics['metrics']['auc']:.4f}",
        f"{metrics['by_session']['london']['metrics']['auc']:.4f}",
        "precision 0.85, recall 0.90",
        "not reached: moves within the next minutes depend on information",
        "A perfectly calibrated model would show a calibration error (ece) of 0.0",
        "boosting.max_depth",
    ):
        assert text in written
    assert "{'" not in written
    assert "None" not in written


def test_a_target_reached_in_a_confidence_band_names_its_coverage(card: Card) -> None:
    card.spec.metrics["selective"][1].update(precision=0.86, coverage=0.11, recall_all=0.05)
    assert "reached selectively, at coverage 0.110 (recall of all events 0.050)" in card.markdown()
