"""A champion for the benchmarks: trained on simulated bars and served, whatever it is worth."""

import pandas as pd

from mikrobot.features.catalog import CATALOG
from mikrobot.models.model import Model
from mikrobot.models.scope import scopes_of
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.stack.supervisor import await_served
from mikrobot.store.model_registry import open_registry
from mikrobot.training import pipeline

SOURCE, SYMBOL = "simulated", "EURUSD"

BARS = 20_000
"""Two weeks of M1 bars: enough for a model of the usual size."""

FEWEST = 3_000
"""Bars below which a span of the training has too few samples."""


def serve_champion(settings: Settings, bars: pd.DataFrame, rows: pd.DataFrame) -> Model:
    """Train on bars of `SYMBOL` and their feature rows, promote the version, and wait until it is served.

    Raises
    ------
    ServiceError
        If the prediction service ends or does not serve it in time.
    """
    registry = open_registry(settings, signing=True)
    stored = rows.assign(source=SOURCE).rename(columns={"close_time": "event_timestamp"})
    trained = pipeline.train(
        "bos",
        {SYMBOL: bars},
        lambda events, columns: events.merge(stored[["source", "symbol", "event_timestamp", *columns]]),
        registry,
        settings=settings,
        source=SOURCE,
        feature_hash=CATALOG.version,
    )
    registry.promote("bos", trained.version, "for the benchmark")
    await_served(settings, scopes_of(SOURCE, [SYMBOL]), SystemClock())
    return registry.load("bos", trained.version)
