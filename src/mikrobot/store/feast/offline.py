"""Every feature row of the past: what the batch path writes, and what training reads by Feast.

Files lie under ``home/offline/<version of the catalog>/<source>/<symbol>``: rows of two versions
of the definitions, or of a simulated and a real market, never mix.
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
    """Store the feature rows of a span of bars, in the place of those that were there.

    The same span may be written again: a row that is no longer in it is gone then.

    Parameters
    ----------
    settings : Settings
    source : str
        Name of the market source.
    frame : DataFrame
        Columns ``symbol``, ``close_time`` (datetime64[us, UTC]) and every catalog column, of one
        or more symbols, each in time order. NaN is kept as missing.

    Raises
    ------
    DataError
        If the columns are not those, or the times of a symbol are not strictly increasing.
    StoreError
        If a file cannot be read or written.
    """
    expected = ["symbol", TIMESTAMP, *CATALOG.columns]
    if list(frame.columns) != expected:
        wrong = sorted(set(frame.columns) ^ set(expected)) or ["the same ones in another order"]
        raise DataError(f"expected symbol, {TIMESTAMP} and the catalog's columns; at odds are {', '.join(wrong)}")
    rows = frame.copy(deep=False)
    rows.insert(0, "source", source)
    _rows(settings).replace_span(rows)


def training_rows(settings: Settings, events: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Join features to events, each as it was known at the event's instant.

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
        The events in their order, with the columns asked for (float64). NaN where a value was not
        known, or where no bar closed within the minute that ends at the event.

    Raises
    ------
    FeatureMismatch
        If a column is none of the catalog's.
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
