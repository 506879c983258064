import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mikrobot.domain.serialisation import plain
from mikrobot.models.bos import BosInputs
from mikrobot.models.task import Task
from mikrobot.training.dataset import Dataset
from mikrobot.training.evaluation import evaluate, fit_baselines, predict_baselines
from mikrobot.training.evaluation_figures import Evaluation

MakeDataset = Callable[..., Dataset]
INPUTS = BosInputs(5)


def judged(data: Dataset, probability: np.ndarray) -> Evaluation:
    train = np.arange(len(data) // 2)
    fitted = fit_baselines(data, train, Task(), INPUTS)
    return evaluate(probability, predict_baselines(fitted, data, INPUTS), data, "bos", seed=3)


def test_an_evaluation_becomes_plain_json_and_is_the_same_each_time(make_dataset: MakeDataset) -> None:
    data = make_dataset()
    probability = np.random.default_rng(1).random(len(data))
    evaluations = [judged(data, probability) for _ in range(2)]
    assert evaluations[0] == evaluations[1]
    assert json.loads(json.dumps(plain(evaluations[0]), allow_nan=False)) == plain(evaluations[1])
    assert evaluations[0].majority_accuracy == pytest.approx(1 - data.outcome.mean())


def test_each_slice_is_compared_with_the_same_baselines(make_dataset: MakeDataset) -> None:
    data = make_dataset()
    evaluation = judged(data, np.full(len(data), 0.3))
    for name in ("by_symbol", "by_session", "by_volatility", "by_distance", "by_minutes_left"):
        parts = getattr(evaluation, name)
        assert isinstance(parts, dict)
        assert sum(part.samples for part in parts.values()) <= len(data)
        for part in parts.values():
            assert set(part.baselines) == {"diffusion_atr"}
            assert set(part.uplift) == {"over_atr"}


def test_a_symbol_with_one_outcome_is_left_out(make_dataset: MakeDataset) -> None:
    data = make_dataset()
    apart = replace(data, symbol=np.where(data.outcome, "EURUSD", "BTCUSDT"))
    assert judged(apart, np.full(len(data), 0.3)).by_symbol == {}


def test_the_forecast_has_a_baseline_of_its_own_where_it_is_known(make_dataset: MakeDataset) -> None:
    """Volatility halves and doubles unseen by the ATR; the forecast has it, but not for every sample."""
    data, rng = make_dataset(), np.random.default_rng(1)
    sigma = 1e-4 * rng.choice([0.5, 2.0], len(data))
    outcome = np.abs(rng.normal(size=len(data))) * sigma * np.sqrt(5) > data.distance
    forecast = replace(data, outcome=outcome, sigma_forecast=np.where(np.arange(len(data)) % 10 == 0, np.nan, sigma))
    fitted = fit_baselines(forecast, np.arange(4000), Task(mode="wick"), INPUTS)
    baselines = predict_baselines(fitted, forecast, INPUTS)
    assert set(baselines) == {"atr", "forecast"}
    np.testing.assert_array_equal(baselines["forecast"][::10], baselines["atr"][::10])
    evaluation = evaluate(baselines["forecast"], baselines, forecast, "bos", seed=1)
    assert evaluation.uplift["over_atr"].auc.low > 0.02
    assert evaluation.uplift["over_forecast"].auc.value == 0


def test_without_a_forecast_there_is_one_baseline(make_dataset: MakeDataset) -> None:
    assert set(fit_baselines(make_dataset(), np.arange(4000), Task(), INPUTS)) == {"atr"}
