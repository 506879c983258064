"""The history of feature rows: written by the batch path, and read by training through Feast.

The files are in ``home/offline/<version of the catalog>/<source>/<symbol>``: rows of two versions of the catalog,
or of a simulated and a real market, never mix.
"""

from collections.abc import Sequence

import pandas as pd

from mikrobot.domain.errors import DataError, FeatureMismatch, StoreError
from mikrobot.features.catalog import CATALOG
from mikrobot.settings import Settings
from mikrobot.store.feast.config import (
    JOIN_KEYS,
    TIMESTAMP,
    VIEW,
    offline_folder,
    open_feature_store,
    registered_view,
)
from mikrobot.store.feast.parquet import MonthlyRows


def append(settings: Settings, source: str, frame: pd.DataFrame) -> None:
    """Store the feature rows of a span of bars, and replace the stored rows of the same span.

    The same span may be written again: stored rows that are not in `frame` are deleted.

    Parameters
    ----------
    settings : Settings
    source : str
        Name of the market source.
    frame : DataFrame
        Columns ``symbol``, ``close_time`` (datetime64[us, UTC]) and every catalog column; one or more symbols, each
        in time order. NaN means missing.

    Raises
    ------
    DataError
        If the columns differ from these, or the times of a symbol are not strictly increasing.
    StoreError
        If a file cannot be read or written.
    """
    expected = ["symbol", TIMESTAMP, *CATALOG.columns]
    if list(frame.columns) != expected:
        wrong = sorted(set(frame.columns) ^ set(expected)) or ["the same ones in another order"]
        raise DataError(f"expected symbol, {TIMESTAMP} and the catalog's columns; different are {', '.join(wrong)}")
    rows = frame.copy(deep=False)
    rows.insert(0, "source", source)
    _rows(settings).replace_span(rows)


def training_rows(settings: Settings, events: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Join features to events, each with the value known at the event's instant.

    Parameters
    ----------
    settings : Settings
    events : DataFrame
        Columns ``source``, ``symbol``, ``event_timestamp`` (UTC), and any others, which are kept.
    columns : sequence of str
        Columns of the catalog.

    Returns
    -------
    DataFrame
        The events in their order, with the requested columns (float64). NaN if a value was not known, or if no bar
        closed within the minute that ends at the event.

    Raises
    ------
    FeatureMismatch
        If a column is not in the catalog.
    StoreError
        If a symbol has no stored rows, or the definitions are not applied.
    """
    unknown = [name for name in columns if name not in CATALOG.columns]
    if unknown:
        raise FeatureMismatch(f"no feature of the catalog is named {', '.join(unknown)}")
    for source, symbol in events[list(JOIN_KEYS)].drop_duplicates().itertuples(index=False):
        if not _rows(settings).entity((source, symbol)).is_dir():
            raise StoreError(f"no feature rows of {symbol} ({source}) are stored: materialise them first")
    store = open_feature_store(settings)
    registered_view(store)
    job = store.get_historical_features(events, features=[f"{VIEW}:{name}" for name in columns])
    return job.to_df()[[*events.columns, *columns]]


def _rows(settings: Settings) -> MonthlyRows:
    return MonthlyRows(offline_folder(settings), JOIN_KEYS, TIMESTAMP)
