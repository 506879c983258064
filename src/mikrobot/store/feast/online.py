"""The newest feature row of each symbol for the live path: written completely, read by column name.

Calls Feast's online store for one row at a time: Feast's own layer of DataFrames takes ten times as long. Feast
returns columns in no fixed order and ignores the age of a row; here columns come in the requested order, and a row
is valid only for its own bar.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import numpy as np
from feast.infra.provider import get_provider
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from numpy.typing import NDArray

from mikrobot.domain.errors import FeatureMismatch, StaleFeatures
from mikrobot.features.catalog import CATALOG
from mikrobot.settings import Settings
from mikrobot.store.feast.config import JOIN_KEYS, open_feature_store, registered_view
from mikrobot.store.feast.online_store import PackedOnlineStore

_PLACES = {name: place for place, name in enumerate(CATALOG.columns)}
"""Position of each column in a row: the fields of the view are the catalog's columns, of the same version."""


class FeatureRows:
    """Reads and writes the online feature rows of the live path.

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    StoreError
        If the definitions are not applied, belong to another version of the catalog, or the database does not
        answer.
    """

    def __init__(self, settings: Settings) -> None:
        store = open_feature_store(settings)
        self._config = store.config
        self._view = registered_view(store)
        online_store = get_provider(store.config).online_store
        assert isinstance(online_store, PackedOnlineStore)
        self._store = online_store

    def write(self, source: str, symbol: str, close_time: datetime, values: NDArray[np.float64]) -> None:
        """Publish the row of a closed bar, unless a newer row is stored.

        Parameters
        ----------
        source, symbol : str
        close_time : datetime
            The instant at which the row is known, UTC.
        values : ndarray of float64, shape (columns,)
            In the order of the catalog; NaN: not known.

        Raises
        ------
        FeatureMismatch
            If the number of values differs from the number of columns.
        StoreError
            If the database does not come back.
        """
        if len(values) != len(CATALOG.columns):
            raise FeatureMismatch(f"{symbol}: expected {len(CATALOG.columns)} feature values, found {len(values)}")
        self._store.write_row(self._config, self._view, _entity(source, symbol), close_time, values=values.tolist())

    def read(self, source: str, symbol: str, columns: Sequence[str], closed_at: datetime) -> dict[str, float]:
        """Return values of the feature row of the bar that closed at an instant.

        Parameters
        ----------
        source, symbol : str
        columns : sequence of str
            Columns of the catalog.
        closed_at : datetime
            UTC.

        Returns
        -------
        dict of str to float
            In the order of `columns`; NaN: not known.

        Raises
        ------
        StaleFeatures
            If the newest row belongs to another bar, or there is none.
        FeatureMismatch
            If a column is not in the catalog.
        StoreError
            If the database does not come back.
        """
        unknown = [name for name in columns if name not in _PLACES]
        if unknown:
            raise FeatureMismatch(f"no feature of the catalog is named {', '.join(unknown)}")
        newest = self._newest(source, symbol)
        if newest is None or newest[0] != closed_at:
            stored = "none" if newest is None else f"that of {newest[0]:%Y-%m-%d %H:%M}"
            raise StaleFeatures(
                f"{symbol} ({source}): expected the feature row of the bar closed at {closed_at:%Y-%m-%d %H:%M} UTC, "
                f"found {stored}; is the streamer running?"
            )
        _, values = newest
        return {name: math.nan if (value := values[_PLACES[name]]) is None else value for name in columns}

    def latest(self, source: str, symbol: str) -> datetime | None:
        """Return the close time of the newest row, UTC; None without a row."""
        newest = self._newest(source, symbol)
        return None if newest is None else newest[0]

    def rewind(self, source: str, symbols: Sequence[str]) -> None:
        """Delete the rows of some symbols, so that a replay can start again from earlier bars."""
        self._store.forget(self._config, self._view, [_entity(source, symbol) for symbol in symbols])

    def _newest(self, source: str, symbol: str) -> tuple[datetime, list[float | None]] | None:
        return self._store.read_row(self._config, self._view, _entity(source, symbol))


@lru_cache(maxsize=1024)
def _entity(source: str, symbol: str) -> EntityKey:
    return EntityKey(join_keys=list(JOIN_KEYS), entity_values=[Value(string_val=source), Value(string_val=symbol)])
