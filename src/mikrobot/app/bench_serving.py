"""Benchmarks of the prediction service, beside MLflow's own way to serve and the bare model."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.app.bench_features import simulated_bars
from mikrobot.app.bench_stack import await_champion, serving, temporary_settings
from mikrobot.app.timing import Measurement, Timed, compared
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.models.model import Model
from mikrobot.models.registry import Registry
from mikrobot.runtime import SystemClock
from mikrobot.serving.client import PredictionClient
from mikrobot.settings import Settings
from mikrobot.training import pipeline

BARS = 20_000
"""Two weeks of M1 bars: enough for a model of the usual size."""

BATCH = 1_000

_SOURCE, _SYMBOL = "simulated", "EURUSD"


def measure() -> Iterator[Measurement]:
    """Time one prediction and a batch of them, over HTTP and in process."""
    frame = simulated_bars(_SYMBOL, BARS)
    rows = FeaturePipeline([_SYMBOL]).frame(_SYMBOL, frame)
    with temporary_settings() as settings, serving(settings):
        model = train_champion(settings, frame, rows)
        await_champion(settings)
        values = rows[list(model.contract.columns)].to_numpy()[-BATCH:]
        with PredictionClient(settings.bento_url, _SOURCE, SystemClock()) as client:
            yield from _predictions(settings, client, model, values)


def train_champion(settings: Settings, bars: pd.DataFrame, rows: pd.DataFrame) -> Model:
    """Train on simulated bars and their feature rows, and make the model the champion whatever it is worth."""
    registry = Registry(settings.mlflow_url)
    known = rows.assign(source=_SOURCE).rename(columns={"close_time": "event_timestamp"})
    trained = pipeline.train(
        "bos",
        {_SYMBOL: bars},
        lambda events, columns: events.merge(known[["source", "symbol", "event_timestamp", *columns]]),
        registry,
        settings,
        source=_SOURCE,
        feature_hash=CATALOG.version,
    )
    registry.promote("bos", trained.version, "for the benchmark")
    return registry.load("bos", trained.version)


def pyfunc(settings: Settings, model: Model, values: NDArray[np.float64]) -> Timed:
    """Let MLflow predict what it has logged: the graph, for both sides of each row, on inputs made before."""
    import mlflow.pyfunc

    mlflow.set_tracking_uri(settings.mlflow_url)
    loaded = mlflow.pyfunc.load_model(f"models:/{model.contract.name}/{model.contract.version}")
    sides = np.tile(np.array([1, -1], np.int8), len(values))
    inputs = pd.DataFrame(model.inputs(np.repeat(values, 2, axis=0), sides), columns=list(model.inputs.names))
    return Timed("MLflow's pyfunc, in process", lambda: loaded.predict(inputs))


def _predictions(
    settings: Settings, client: PredictionClient, model: Model, values: NDArray[np.float64]
) -> Iterator[Measurement]:
    columns = model.contract.columns
    one, row = values[-1:], dict(zip(columns, values[-1].tolist(), strict=True))
    rows = values.tolist()
    yield compared(
        "prediction, one row over HTTP", "ms",
        lambda: client.predict(_SYMBOL, row),
        pyfunc(settings, model, one), Timed("the bare model", lambda: model.predict(one)), rounds=300,
    )  # fmt: skip
    yield compared(
        f"prediction, {BATCH:,} rows over HTTP", "ms",
        lambda: client.predict_many(_SYMBOL, columns, rows),
        pyfunc(settings, model, values), Timed("the bare model", lambda: model.predict(values)), rounds=30,
    )  # fmt: skip
