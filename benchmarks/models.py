"""Benchmarks of the models' side: samples from bars, answers one by one and many at once."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xgboost as xgb

from benchmarks.features import simulated_bars, talib_on
from benchmarks.timing import Measurement, Timed, compared, scaled
from mikrobot.models import graph
from mikrobot.models.graph import Scorer
from mikrobot.settings import Settings
from mikrobot.training.computed import rows_of
from mikrobot.training.dataset import Dataset, build, needed
from mikrobot.training.learners import BOOSTING
from mikrobot.training.recipes import recipe_of

BARS = 100_000
ROUNDS = 150
"""Trees of the model that is timed: about as many as a training keeps."""

CALLS = 100
_SYMBOL = "EURUSD"


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time the samples of a frame of bars, and the answers of a model on them."""
    frame = simulated_bars(_SYMBOL, scaled(BARS, scale, least=5_000))
    yield _samples(frame, scale)
    yield from _answers(_built(frame), scale)


def _built(frame: pd.DataFrame) -> Dataset:
    recipe = recipe_of("bos", Settings.model_construct(swing=5, horizon_minutes=5))
    bars = {_SYMBOL: frame}
    return build(bars, rows_of(bars, needed(recipe.inputs, recipe.task)), "bench", recipe.inputs, task=recipe.task)


def _samples(frame: pd.DataFrame, scale: float) -> Measurement:
    close = frame["close"]

    def plainly() -> None:
        talib_on(frame)()
        close[::-1].rolling(5).max()[::-1].shift(-1)
        close[::-1].rolling(5).min()[::-1].shift(-1)

    data = _built(frame)
    return compared(
        "models, features, labels and samples, a bar",
        "us",
        lambda: _built(frame),
        Timed("TA-Lib's 16 indicators and pandas' rolling label", plainly),
        limit=Timed("copying the samples", data.inputs.copy),
        rounds=scaled(3, scale),
        per=len(frame),
    )


def _answers(data: Dataset, scale: float) -> Iterator[Measurement]:
    trees = xgb.DMatrix(data.inputs, data.outcome)
    settings = {"objective": "binary:logistic", "tree_method": "hist", "base_score": 0.5, **BOOSTING}
    booster = xgb.train(settings, trees, scaled(ROUNDS, scale))
    width = data.inputs.shape[1]
    scorer = Scorer(graph.joined([graph.of_booster("boosted", booster)], width), width)
    row = data.inputs[:1]

    def one_by_one() -> None:
        for _ in range(CALLS):
            scorer(row)

    def natively() -> None:
        for _ in range(CALLS):
            booster.inplace_predict(row)

    def copied() -> None:
        for _ in range(CALLS):
            np.ascontiguousarray(row).copy()

    yield compared(
        f"models, {len(data):,} answers at once, a row",
        "us",
        lambda: scorer(data.inputs),
        Timed("XGBoost itself", lambda: booster.inplace_predict(data.inputs)),
        limit=Timed("copying the inputs", data.inputs.copy),
        rounds=scaled(5, scale),
        per=len(data),
    )
    yield compared(
        "models, one answer",
        "us",
        one_by_one,
        Timed("XGBoost itself", natively),
        limit=Timed("copying the inputs", copied),
        rounds=scaled(20, scale),
        per=CALLS,
    )
