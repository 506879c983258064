"""The newest feature row of each symbol, as the live path sees it: written whole, read by name.

Calls the reads and writes of Feast's online store: the DataFrames that Feast puts on top of them
cost ten times as much. Feast answers in no fixed order and ignores age; here the order
is the one asked for, and a row counts only for the bar it was made of.
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
from mikrobot.store.feature_store import JOIN_KEYS, open_feature_store, registered_view
from mikrobot.store.packed import PackedOnlineStore, ReadRow

_COLUMNS = frozenset(CATALOG.columns)


class FeatureRows:
    """The online feature rows as the live path sees them: written whole, read by name.

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    StoreError
        If the definitions are not applied, or are of another version of the catalog, or the
        database is away.
    """

    def __init__(self, settings: Settings) -> None:
        store = open_feature_store(settings)
        self._config = store.config
        self._view = registered_view(store)
        online_store = get_provider(store.config).online_store
        assert isinstance(online_store, PackedOnlineStore)
        self._store = online_store

    def write(self, source: str, symbol: str, close_time: datetime, values: NDArray[np.float64]) -> None:
        """Publish the row of a closed bar, unless a newer one is there.

        Parameters
        ----------
        source, symbol : str
        close_time : datetime
            The instant the row is known at, UTC.
        values : ndarray of float64, shape (columns,)
            In the order of the catalog; NaN where not known.

        Raises
        ------
        FeatureMismatch
            If there are not as many values as columns.
        StoreError
            If the database stays away.
        """
        if len(values) != len(CATALOG.columns):
            raise FeatureMismatch(f"{symbol}: expected {len(CATALOG.columns)} feature values, found {len(values)}")
        named = {name: Value(double_val=value) for name, value in zip(CATALOG.columns, values.tolist(), strict=True)}
        row = (_entity(source, symbol), named, close_time, None)
        self._store.online_write_batch(self._config, self._view, [row], None)

    def read(self, source: str, symbol: str, columns: Sequence[str], closed_at: datetime) -> dict[str, float]:
        """Return values of the row of the bar that closed at an instant.

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
            In the order asked for; NaN where not known.

        Raises
        ------
        StaleFeatures
            If the newest row is of another bar, or there is none.
        FeatureMismatch
            If a column is none of the catalog's.
        StoreError
            If the database stays away.
        """
        unknown = [name for name in columns if name not in _COLUMNS]
        if unknown:
            raise FeatureMismatch(f"no feature of the catalog is named {', '.join(unknown)}")
        event_time, values = self._newest(source, symbol, list(columns))
        if event_time != closed_at or values is None:
            found = "none" if event_time is None else f"that of {event_time:%Y-%m-%d %H:%M}"
            raise StaleFeatures(
                f"{symbol} ({source}): expected the feature row of the bar closed at {closed_at:%Y-%m-%d %H:%M} UTC, "
                f"found {found}; is the streamer running?"
            )
        return {name: _float(values[name]) for name in columns}

    def latest(self, source: str, symbol: str) -> datetime | None:
        """Return the instant the newest row is known at, UTC; None without a row."""
        event_time, _ = self._newest(source, symbol, [])
        return event_time

    def rewind(self, source: str, symbols: Sequence[str]) -> None:
        """Forget the rows of some symbols, so that a replay may start over from earlier bars."""
        self._store.forget(self._config, self._view, [_entity(source, symbol) for symbol in symbols])

    def _newest(self, source: str, symbol: str, columns: list[str]) -> ReadRow:
        (row,) = self._store.online_read(self._config, self._view, [_entity(source, symbol)], columns)
        return row


@lru_cache(maxsize=1024)
def _entity(source: str, symbol: str) -> EntityKey:
    return EntityKey(join_keys=list(JOIN_KEYS), entity_values=[Value(string_val=source), Value(string_val=symbol)])


def _float(value: Value) -> float:
    return value.double_val if value.HasField("double_val") else math.nan
