from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import xgboost as xgb

from mikrobot.models.bos import BosInputs
from mikrobot.models.calibration import Calibration
from mikrobot.models.model import Contract, Model
from mikrobot.training.dataset import Dataset
from mikrobot.training.gate import brier, compared, unfit

INPUTS = BosInputs(5)
UNTIL = datetime(2024, 3, 8, tzinfo=UTC)
CONTRACT = Contract("bos", "3", "replay", "abc", INPUTS.columns, 5, 5, datetime(2024, 3, 4, tzinfo=UTC), UNTIL, {})


def model_that_says(probability: float, contract: Contract = CONTRACT) -> Model:
    """A booster without trees, which answers 0.5, calibrated to one probability."""
    none = xgb.train(
        {"base_score": 0.5, "objective": "binary:logistic"},
        xgb.DMatrix(np.zeros((4, len(INPUTS.names))), [0, 1, 0, 1]),
        0,
    )
    return Model(contract, none, Calibration((0.0, 0.5, 1.0), (0.0, probability, 1.0)))


@pytest.fixture
def data(make_dataset: Callable[..., Dataset]) -> Dataset:
    """A thousand samples, a fifth of them true."""
    made = make_dataset(1000)
    return replace(made, outcome=np.arange(1000) % 5 == 0)


@pytest.mark.parametrize(("old", "new", "promote"), [(0.3, 0.2, True), (0.2, 0.3, False), (0.25, 0.25, True)])
def test_the_better_brier_score_wins_and_a_tie_goes_to_the_newer(
    data: Dataset, old: float, new: float, promote: bool
) -> None:
    ruling = compared(model_that_says(old), model_that_says(new), data, np.arange(500, 1000))
    assert ruling.promote is promote
    said = f"{0.2 * (1 - new) ** 2 + 0.8 * new**2:.5f} on the test span is {'not ' if promote else ''}worse"
    assert said in ruling.reason


def test_the_reason_says_how_much_the_champion_had_seen(data: Dataset) -> None:
    half = datetime(2024, 3, 4, 12, 36, tzinfo=UTC)  # the label of sample 750 ends then
    champion = model_that_says(0.3, replace(CONTRACT, trained_until=half))
    ruling = compared(champion, model_that_says(0.2), data, np.arange(500, 1000))
    assert ruling.reason.endswith("champion 3 had seen 50% of it")
    fresh = model_that_says(0.3, replace(CONTRACT, trained_until=datetime(2024, 3, 4, tzinfo=UTC)))
    assert "had seen" not in compared(fresh, model_that_says(0.2), data, np.arange(500, 1000)).reason


def test_the_brier_score_is_that_of_the_samples_chosen(data: Dataset) -> None:
    chosen = np.random.default_rng(1).permutation(len(data))[:300]
    booster = xgb.train({"objective": "binary:logistic"}, xgb.DMatrix(data.inputs, data.inputs[:, 0] > 1), 5)
    model = Model(CONTRACT, booster, Calibration((0.0, 1.0), (0.0, 1.0)))
    expected = np.mean((booster.inplace_predict(data.inputs[chosen]) - data.outcome[chosen]) ** 2)
    assert brier(model, data, chosen) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"source": "simulated"}, "learned from source simulated, not replay"),
        ({"feature_hash": "def"}, "reads features def, which are abc now"),
        ({"horizon_minutes": 15}, "answers for swing 5 within 15 minutes, not for swing 5 within 5"),
        ({"trained_until": UNTIL + timedelta(minutes=1)}, "had seen data up to 2024-03-08 00:01:00+00:00"),
        ({}, ""),
    ],
    ids=["source", "features", "horizon", "traded hours", "fit"],
)
def test_a_champion_that_may_not_serve_is_told_why(changed: dict[str, object], why: str) -> None:
    champion = model_that_says(0.2, replace(CONTRACT, **changed))  # type: ignore[arg-type]
    found = unfit(champion, model_that_says(0.2), trade_from=UNTIL)
    assert found.startswith(why)
    assert bool(found) is bool(why)
