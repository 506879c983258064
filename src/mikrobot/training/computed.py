"""Feature rows without a store: computed from bars when they are asked for.

For bars that were never materialised: a file to judge a model on, or the bars of a control.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mikrobot.domain.market import close_times
from mikrobot.features.catalog import CATALOG
from mikrobot.features.pipeline import FeaturePipeline
from mikrobot.training.dataset import PIECE, Rows


def rows_of(bars: Mapping[str, pd.DataFrame], columns: Sequence[str]) -> Rows:
    """Return a reader of the feature rows of these bars, by the compiled step that also trades.

    Parameters
    ----------
    bars : mapping of str to DataFrame
        Closed M1 bars by symbol, bar frames.
    columns : sequence of str
        Columns of the catalog that will be asked for; those of the symbol last asked about are kept.
    """
    kept: dict[str, pd.DataFrame] = {}

    def read(events: pd.DataFrame, asked: Sequence[str]) -> pd.DataFrame:
        (symbol,) = events["symbol"].unique()
        if symbol not in kept:
            kept.clear()
            kept[symbol] = _computed(symbol, bars[symbol], columns)
        found = kept[symbol][list(asked)].reindex(pd.DatetimeIndex(events["event_timestamp"]))
        return pd.concat([events.reset_index(drop=True), found.reset_index(drop=True)], axis=1)

    return read


def _computed(symbol: str, bars: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Fold the bars piece by piece; keep only these columns, by time of close."""
    pipeline = FeaturePipeline([symbol])
    picked = [CATALOG.columns.index(name) for name in columns]
    pieces = [bars.iloc[start : start + PIECE] for start in range(0, len(bars), PIECE)]
    values = [pipeline.compute(symbol, piece)[:, picked] for piece in pieces]
    return pd.DataFrame(
        np.concatenate(values) if values else np.empty((0, len(picked))),
        index=pd.DatetimeIndex(close_times(bars)).as_unit("us"),
        columns=list(columns),
    )
