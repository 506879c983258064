"""From bars to samples: point-in-time feature rows, model inputs, labels and weights.

Rows come from the feature store through the reader that is passed in; nothing is computed from
bars here but the labels.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.errors import ModelError
from mikrobot.domain.market import close_times
from mikrobot.models.bos import BosInputs
from mikrobot.models.labels import SIDES, Labels, bos, complete, uniqueness

Rows = Callable[[pd.DataFrame, Sequence[str]], pd.DataFrame]
"""Reader of the feature store: (events, columns) -> rows.

``events`` has the columns ``source``, ``symbol`` and ``event_timestamp`` (datetime64[us, UTC]). The
rows have these and the feature columns, in any order: for each event what was known at that instant.
"""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples of all symbols, symbol after symbol, each in order of time.

    Attributes
    ----------
    values : ndarray of float64, shape (rows, columns)
        Catalog columns, one row a close.
    row : ndarray of int64, shape (samples,)
        Row of `values` that a sample is made from.
    side : ndarray of int8, shape (samples,)
    inputs : ndarray of float32, shape (samples, inputs)
    broken : ndarray of bool, shape (samples,)
        The label.
    weight : ndarray of float64, shape (samples,)
        By uniqueness among overlapping labels; mean 1.
    time, end : ndarray of datetime64[us], shape (samples,)
        UTC; when the sample, and when its label, was known.
    symbol : ndarray of str, shape (samples,)
    """

    values: NDArray[np.float64]
    row: NDArray[np.int64]
    side: NDArray[np.int8]
    inputs: NDArray[np.float32]
    broken: NDArray[np.bool_]
    weight: NDArray[np.float64]
    time: NDArray[np.datetime64]
    end: NDArray[np.datetime64]
    symbol: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def sha256(self) -> str:
        """Hash of every value, label and time: equal only for equal data."""
        digest = hashlib.sha256()
        for field in fields(self):
            digest.update(getattr(self, field.name).tobytes())
        return digest.hexdigest()


def build(
    bars: Mapping[str, pd.DataFrame], rows: Rows, source: str, inputs: BosInputs, horizon_minutes: int
) -> Dataset:
    """Build the samples of a break-of-structure model.

    Parameters
    ----------
    bars : mapping of str to DataFrame
        Closed M1 bars by symbol, bar frames.
    rows : Rows
    source : str
        Market source whose feature rows are read.
    inputs : BosInputs
    horizon_minutes : int

    Raises
    ------
    ModelError
        If a symbol yields no sample, or a feature column is missing or has no value at all.
    """
    return _joined([_of_symbol(symbol, frame, rows, source, inputs, horizon_minutes) for symbol, frame in bars.items()])


def _of_symbol(
    symbol: str, bars: pd.DataFrame, rows: Rows, source: str, inputs: BosInputs, horizon_minutes: int
) -> Dataset:
    closed_at = close_times(bars).dt.tz_localize(None).to_numpy("datetime64[us]")
    usable = np.flatnonzero(complete(closed_at, horizon_minutes))
    if len(usable) == 0:
        raise ModelError(
            f"{symbol}: expected some {horizon_minutes + 1} minutes of bars without a gap to learn from, "
            f"found {len(bars)} bars; ingest more history"
        )
    values = np.full((len(bars), len(inputs.columns)), np.nan)
    values[usable] = _read(symbol, closed_at[usable], rows, source, inputs.columns)
    labels = bos(closed_at, bars["close"].to_numpy(np.float64), inputs.levels(values), horizon_minutes)
    seen = inputs(values[labels.row], labels.side)
    known = np.isfinite(seen[:, 0])
    if not known.any():
        raise ModelError(
            f"{symbol}: expected closes with a standing level of swing {inputs.swing}, found none in {len(bars)} bars "
            f"from {closed_at[0]}; ingest more history"
        )
    labels = Labels(labels.row[known], labels.side[known], labels.broken[known], labels.end[known])
    return Dataset(
        values=values,
        row=labels.row,
        side=labels.side,
        inputs=seen[known],
        broken=labels.broken,
        weight=_weights(labels, closed_at),
        time=closed_at[labels.row],
        end=labels.end,
        symbol=np.full(len(labels), symbol),
    )


def _read(
    symbol: str, closed_at: NDArray[np.datetime64], rows: Rows, source: str, columns: Sequence[str]
) -> NDArray[np.float64]:
    """Read the rows of these closes, in their order."""
    times = pd.DatetimeIndex(closed_at, tz="UTC")
    events = pd.DataFrame({"source": source, "symbol": symbol, "event_timestamp": times})
    found = rows(events, columns)
    if absent := [name for name in columns if name not in found]:
        raise ModelError(f"{symbol}: the feature store has no {', '.join(absent)}; materialise the present features")
    in_order = found.set_index("event_timestamp").reindex(times)
    values = in_order[list(columns)].to_numpy(np.float64)
    if not np.isfinite(values).any():
        raise ModelError(
            f"{symbol}: all feature columns are missing for source {source!r} from {times[0]} to {times[-1]}; "
            "materialise the features of these bars"
        )
    return values


def _weights(labels: Labels, closed_at: NDArray[np.datetime64]) -> NDArray[np.float64]:
    minute = closed_at.astype("datetime64[m]").astype(np.int64)[labels.row]
    until = labels.end.astype("datetime64[m]").astype(np.int64)
    weights = np.empty(len(labels))
    for side in SIDES:
        own = labels.side == side
        weights[own] = uniqueness(minute[own], until[own])
    return weights


def _joined(parts: Sequence[Dataset]) -> Dataset:
    offsets = np.cumsum([0, *(len(part.values) for part in parts)])
    joined = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Dataset)}
    joined["row"] = np.concatenate([part.row + offset for part, offset in zip(parts, offsets, strict=False)])
    joined["weight"] /= joined["weight"].mean()
    return Dataset(**joined)
