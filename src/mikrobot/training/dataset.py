"""Training samples of one task, built from bars: labels, point-in-time model inputs, and weights.

Feature rows come from the feature store through the reader that is passed in; only the labels are
computed from bars. Rows are read in pieces, so memory use is limited to that of the inputs.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.errors import ModelError
from mikrobot.models.inputs import FORECASTS, SideInputs
from mikrobot.models.labels.samples import Labels, Prices
from mikrobot.models.task import ATR, TICK, Task

Rows = Callable[[pd.DataFrame, Sequence[str]], pd.DataFrame]
"""Reader of the feature store: (events, columns) -> rows.

``events`` has the columns ``source``, ``symbol`` and ``event_timestamp`` (datetime64[us, UTC]). The
rows have these and the feature columns, in any order; each row has the values known at its event's time.
"""

PIECE = 100_000
"""Feature rows read at a time."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples of all symbols, grouped by symbol, in order of time within each symbol.

    Attributes
    ----------
    inputs : ndarray of float32, shape (samples, inputs)
        Known at `time`; NaN where missing. The other arrays have the shape (samples,).
    outcome : ndarray of bool
        The label, known at `end`.
    side : ndarray of int8
    weight : ndarray of float64
        By uniqueness among overlapping labels; mean 1.
    time, end : ndarray of datetime64[us]
        UTC; times when the sample and its label were known.
    symbol : ndarray of str
    distance : ndarray of float64
        Log distance to the price that makes the outcome true, between two prices of the grid; see `Labels`.
    sigma_atr, sigma_forecast : ndarray of float64
        Volatility known at `time`, as log return per square root of a minute up to a constant factor: the
        ATR over the close, and the seasonal forecast over the horizon.
    close : ndarray of float64
        Price at `time`.
    move : ndarray of float64
        Log return from `time` to `end`, positive towards the side. It lies in the future and is no input.
    """

    inputs: NDArray[np.float32]
    outcome: NDArray[np.bool_]
    side: NDArray[np.int8]
    weight: Floats
    time: NDArray[np.datetime64]
    end: NDArray[np.datetime64]
    symbol: NDArray[np.str_]
    distance: Floats
    sigma_atr: Floats
    sigma_forecast: Floats
    close: Floats
    move: Floats

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def minutes(self) -> Floats:
        """Minutes from each sample to the end of its horizon."""
        return np.asarray((self.end - self.time) / np.timedelta64(1, "m"))

    @property
    def sha256(self) -> str:
        """SHA-256 hash of every value, label and time."""
        digest = hashlib.sha256()
        for field in fields(self):
            digest.update(np.ascontiguousarray(getattr(self, field.name)).view(np.uint8).data)
        return digest.hexdigest()

    def only(self, chosen: NDArray[np.int64]) -> "Dataset":
        """Return the samples of these row numbers."""
        return Dataset(*(getattr(self, field.name)[chosen] for field in fields(self)))


def build(bars: Mapping[str, pd.DataFrame], rows: Rows, source: str, inputs: SideInputs, *, task: Task) -> Dataset:
    """Build the samples of a task.

    Parameters
    ----------
    bars : mapping of str to DataFrame
        Closed M1 bars by symbol, bar frames.
    rows : Rows
    source : str
        Market source whose feature rows are read.
    inputs : SideInputs
    task : Task

    Raises
    ------
    ModelError
        If a symbol yields no sample, or a feature column is missing or has no value at all.
    """
    return joined([_of_symbol(symbol, frame, rows, source, inputs=inputs, task=task) for symbol, frame in bars.items()])


def needed(inputs: SideInputs, task: Task) -> tuple[str, ...]:
    """Return every catalog column that `build` reads, without duplicates."""
    return tuple(dict.fromkeys((*_anchors(task), *inputs.columns)))


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Concatenate datasets and rescale the weights to mean 1; the inputs of a single one are not copied."""
    if len(parts) == 1:
        (part,) = parts
        return replace(part, weight=part.weight / part.weight.mean())
    columns = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Dataset)}
    columns["weight"] = columns["weight"] / columns["weight"].mean()
    return Dataset(**columns)


def forecast_column(minutes: int) -> str:
    """Return the catalog column of the volatility forecast for the shortest horizon that covers these minutes."""
    return f"m1_har_s_{next((horizon for horizon in FORECASTS if horizon >= minutes), FORECASTS[-1])}"


def _of_symbol(symbol: str, bars: pd.DataFrame, rows: Rows, source: str, *, inputs: SideInputs, task: Task) -> Dataset:
    prices = Prices.of(bars)
    read = _Reader(symbol, prices, rows, source)
    anchors = read(np.arange(len(prices)), _anchors(task))
    labels = task.label(prices, anchors[:, :2], anchors[:, 2])
    sigma = anchors[:, 2] / prices.close
    labels = labels.only(sigma[labels.row] > 0.0)
    if len(labels) == 0:
        raise ModelError(
            f"{symbol}: expected samples of a {task.kind} task with swing {task.swing} and horizon {task.horizon}, "
            f"found none in {len(bars)} bars{_spanned(read.times)}; ingest more history"
        )
    return Dataset(
        inputs=_inputs(read, labels, inputs),
        outcome=labels.outcome,
        side=labels.side,
        weight=labels.weights(prices),
        time=read.times[labels.row],
        end=labels.end,
        symbol=np.full(len(labels), symbol),
        distance=labels.distance + task.model.beyond_ticks * np.nan_to_num(anchors[labels.row, 4]),
        sigma_atr=sigma[labels.row],
        sigma_forecast=anchors[labels.row, 3],
        close=prices.close[labels.row],
        move=labels.side.astype(np.float64) * np.log(prices.close[_ended(prices, labels)] / prices.close[labels.row]),
    )


def _anchors(task: Task) -> tuple[str, ...]:
    """Return the columns of the levels, the ATR, the forecast, and the tick."""
    return (*task.columns, ATR, forecast_column(task.horizon), TICK)


def _ended(prices: Prices, labels: Labels) -> NDArray[np.int64]:
    """Return the bar that closes at the end of each horizon."""
    return np.searchsorted(prices.minute, labels.end.astype("datetime64[m]").astype(np.int64))


@dataclass(frozen=True)
class _Reader:
    """Reads feature rows of one symbol by row number of its bars, in pieces."""

    symbol: str
    prices: Prices
    rows: Rows
    source: str

    @property
    def times(self) -> NDArray[np.datetime64]:
        return self.prices.minute.astype("datetime64[m]").astype("datetime64[us]")

    def __call__(self, row: NDArray[np.int64], columns: Sequence[str]) -> Floats:
        values = np.empty((len(row), len(columns)))
        for start in range(0, len(row), PIECE):
            values[start : start + PIECE] = self._read(row[start : start + PIECE], columns)
        if not np.isfinite(values).any():
            raise ModelError(
                f"{self.symbol}: all feature columns are missing for source {self.source!r}{_spanned(self.times)}; "
                "materialise the features of these bars"
            )
        return values

    def _read(self, row: NDArray[np.int64], columns: Sequence[str]) -> Floats:
        """Return the feature rows at these closes, in the same order."""
        times = pd.DatetimeIndex(self.times[row], tz="UTC")
        events = pd.DataFrame({"source": self.source, "symbol": self.symbol, "event_timestamp": times})
        rows = self.rows(events, columns)
        if absent := [name for name in columns if name not in rows]:
            raise ModelError(
                f"{self.symbol}: the feature store has no {', '.join(absent)}; materialise the current features"
            )
        if not np.array_equal(pd.DatetimeIndex(rows["event_timestamp"]).asi8, times.asi8):
            rows = rows.set_index("event_timestamp").reindex(times)
        return rows[list(columns)].to_numpy(np.float64)


def _inputs(read: _Reader, labels: Labels, inputs: SideInputs) -> NDArray[np.float32]:
    """Compute the inputs of every sample, piece by piece."""
    values = np.empty((len(labels), len(inputs.names)), np.float32)
    for start in range(0, len(labels), PIECE):
        piece = slice(start, start + PIECE)
        row, index = np.unique(labels.row[piece], return_inverse=True)
        values[piece] = inputs(read(row, inputs.columns)[index], labels.side[piece])
    return values


def _spanned(times: NDArray[np.datetime64]) -> str:
    return f" from {times[0]} to {times[-1]}" if len(times) else ""
