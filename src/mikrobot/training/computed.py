"""Feature rows computed on demand from bars, without a feature store.

For bars that were never materialised: a file to evaluate a model on, or the bars of a control.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.instruments.registry import leads
from mikrobot.domain.market import close_times
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.training.dataset import Rows

AT_ONCE = 10_000
"""Bars computed at a time, so that their rows fit into the processor's cache."""


def rows_of(bars: Mapping[str, pd.DataFrame], columns: Sequence[str]) -> Rows:
    """Return a reader of the feature rows of these bars, computed by the same compiled step as in trading.

    Parameters
    ----------
    bars : mapping of str to DataFrame
        Closed M1 bars by symbol, bar frames. Lead features have values if the symbol's lead is included.
    columns : sequence of str
        Catalog columns that the reader supports; it caches those of the symbol that was read last.
    """
    kept: dict[str, _Rows] = {}

    def read(events: pd.DataFrame, asked: Sequence[str]) -> pd.DataFrame:
        (symbol,) = events["symbol"].unique()
        if symbol not in kept:
            kept.clear()
            kept[symbol] = _computed(symbol, bars, columns)
        values = kept[symbol].at(events["event_timestamp"], [columns.index(name) for name in asked])
        rows = pd.DataFrame(values, columns=list(asked), copy=False)
        return pd.concat([events.reset_index(drop=True), rows], axis=1)

    return read


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one symbol: their times (microseconds since 1970 UTC) and their values."""

    times: NDArray[np.int64]
    values: NDArray[np.float64]

    def at(self, times: "pd.Series[Any]", columns: Sequence[int]) -> NDArray[np.float64]:
        """Return some columns at these instants; NaN where there is no row."""
        asked = pd.DatetimeIndex(times).as_unit("us").asi8
        at = np.minimum(np.searchsorted(self.times, asked), max(len(self.times) - 1, 0))
        if len(self.times) == 0:
            return np.full((len(asked), len(columns)), np.nan)
        values = self.values[at][:, columns]
        values[self.times[at] != asked] = np.nan
        return values


def _computed(symbol: str, bars: Mapping[str, pd.DataFrame], columns: Sequence[str]) -> _Rows:
    """Compute the feature rows of a symbol piece by piece, and keep only these columns."""
    pipeline, frame = FeaturePipeline([symbol]), bars[symbol]
    led_by = leads(bars).get(symbol)
    lead = FeaturePipeline([led_by]).lead_rows(led_by, bars[led_by]) if led_by is not None else None
    picked = [CATALOG.columns.index(name) for name in columns]
    values = np.empty((len(frame), len(picked)))
    for start in range(0, len(frame), AT_ONCE):
        piece = slice(start, start + AT_ONCE)
        values[piece] = pipeline.compute(symbol, frame.iloc[piece], lead)[:, picked]
    return _Rows(pd.DatetimeIndex(close_times(frame)).as_unit("us").asi8, values)
