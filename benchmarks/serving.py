"""Benchmarks of the prediction service, compared with MLflow's own serving and with the bare model."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.champion import BARS, FEWEST, SOURCE, SYMBOL, serve_champion
from benchmarks.features import simulated_bars
from benchmarks.temporary_stack import serving, temporary_settings
from benchmarks.timing import Measurement, Timed, compared, scaled
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.models.model import Model
from mikrobot.runtime import SystemClock
from mikrobot.serving.client import PredictionClient
from mikrobot.settings import Settings

BATCH = 1_000


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time one prediction and a batch of them, over HTTP and in process."""
    frame = simulated_bars(SYMBOL, scaled(BARS, scale, least=FEWEST))
    rows = FeaturePipeline([SYMBOL]).frame(SYMBOL, frame)
    with temporary_settings() as settings, serving(settings):
        model = serve_champion(settings, frame, rows)
        values = rows[list(model.spec.columns)].to_numpy()[-BATCH:]
        with PredictionClient(settings.bento_url, SOURCE, SystemClock()) as client:
            yield from _predictions(settings, client, model, values, scale=scale)


def pyfunc(settings: Settings, model: Model, values: NDArray[np.float64]) -> Timed:
    """Let MLflow predict what it has logged: the graph, for both sides of each row, on inputs made before."""
    import mlflow.pyfunc

    mlflow.set_tracking_uri(settings.mlflow_url)
    folder = settings.home / "pyfunc"
    folder.mkdir(exist_ok=True)
    name = f"models:/{model.spec.name}/{model.spec.version}"
    loaded = mlflow.pyfunc.load_model(name, dst_path=str(folder))
    sides = np.tile(np.array([1, -1], np.int8), len(values))
    inputs = pd.DataFrame(model.inputs(np.repeat(values, 2, axis=0), sides), columns=list(model.inputs.names))
    return Timed("MLflow's pyfunc, in process", lambda: loaded.predict(inputs))


def _predictions(
    settings: Settings, client: PredictionClient, model: Model, values: NDArray[np.float64], *, scale: float
) -> Iterator[Measurement]:
    columns = model.spec.columns
    one, row = values[-1:], dict(zip(columns, values[-1].tolist(), strict=True))
    rows = values.tolist()
    yield compared(
        "prediction, one row over HTTP", "ms",
        lambda: client.predict(SYMBOL, row),
        pyfunc(settings, model, one),
        limit=Timed("the bare model", lambda: model.predict(one)), rounds=scaled(300, scale),
    )  # fmt: skip
    yield compared(
        f"prediction, {BATCH:,} rows over HTTP", "ms",
        lambda: client.predict_many(SYMBOL, columns, rows),
        pyfunc(settings, model, values), limit=Timed("the bare model", lambda: model.predict(values)),
        rounds=scaled(30, scale),
    )  # fmt: skip
