"""Feast with the definitions applied, on a database and state folder of each test."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from feature_repo.applying import apply
from mikrobot.features.catalog import CATALOG
from mikrobot.settings import Settings
from mikrobot.store.feast.online import FeatureRows


@pytest.fixture
def applied(database: Settings) -> Settings:
    """Settings of a Feast with the feature view applied."""
    apply(database)
    return database


@pytest.fixture
def rows(applied: Settings) -> FeatureRows:
    """The online rows of the applied view."""
    return FeatureRows(applied)


@pytest.fixture(scope="session")
def feature_frame() -> Callable[..., pd.DataFrame]:
    """A factory of generated feature frames: symbol, close_time and every catalog column."""

    def make(symbol: str = "EURUSD", start: str = "2024-01-30", n: int = 5_000, seed: int = 3) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        values = random.normal(size=(n, len(CATALOG.columns)))
        values[random.random(values.shape) < 0.02] = np.nan
        frame = pd.DataFrame(values, columns=list(CATALOG.columns))
        closes = pd.date_range(start, periods=n, freq="min", tz="UTC").as_unit("us")
        frame.insert(0, "symbol", symbol)
        frame.insert(1, "close_time", closes)
        return frame

    return make
