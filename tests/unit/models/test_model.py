from datetime import UTC, datetime

import numpy as np
import pytest
import xgboost as xgb

from mikrobot.models.bos import BosInputs
from mikrobot.models.calibration import Calibration
from mikrobot.models.model import Contract, Model


def test_importance_is_the_share_of_the_gain_of_each_input_that_was_split_on():
    rng, inputs = np.random.default_rng(0), BosInputs(5)
    values = rng.normal(size=(2_000, len(inputs.names)))
    outcome = values[:, 3] + 0.3 * values[:, 5] > 0
    values[:, 7] = 0.0  # nothing to split on
    data = xgb.DMatrix(values, outcome, feature_names=list(inputs.names))
    booster = xgb.train({"objective": "binary:logistic", "max_depth": 3, "seed": 0, "nthread": 1}, data, 10)
    at = datetime(2024, 3, 4, tzinfo=UTC)
    contract = Contract("bos", "1", "replay", "0" * 12, inputs.columns, 5, 60, at, at, {})
    found = Model(contract, booster, Calibration((0.0, 1.0), (0.0, 1.0))).importance
    assert list(found)[:2] == [inputs.names[3], inputs.names[5]]
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert inputs.names[7] not in found
    assert sum(found.values()) == pytest.approx(1.0)
