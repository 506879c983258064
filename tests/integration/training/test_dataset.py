from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from feature_repo.applying import apply
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.models.bos import BosInputs
from mikrobot.models.task import Task
from mikrobot.settings import Settings
from mikrobot.store.feast import offline
from mikrobot.training.dataset import Rows, build


def test_a_dataset_through_feast_equals_one_from_the_computed_rows(
    database: Settings, market: dict[str, pd.DataFrame], rows: Rows
) -> None:
    apply(database)
    pipeline = FeaturePipeline(tuple(market))
    for symbol, frame in market.items():
        offline.append(database, "replay", pipeline.frame(symbol, frame.reset_index(drop=True)))
    asked: list[str] = []

    def watched(events: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
        asked.extend(columns)
        return offline.training_rows(database, events, columns)

    inputs = BosInputs(5)
    stored = build(market, watched, "replay", inputs, task=Task())
    computed = build(market, rows, "replay", inputs, task=Task())
    assert set(asked) == set(inputs.columns)
    np.testing.assert_array_equal(stored.inputs, computed.inputs)
    assert stored.sha256 == computed.sha256
    fifteen = Task(swing=15, horizon=15)
    assert build(market, partial(offline.training_rows, database), "replay", BosInputs(15), task=fifteen).outcome.any()
