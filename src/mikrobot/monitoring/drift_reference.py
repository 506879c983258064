"""The reference of the drift verdict: how much windows of feature rows differ while nothing has drifted.

Feature rows are autocorrelated: the rows of one week always differ from those of a year, so that a fixed limit of the
population stability index (PSI) finds drift almost every week. The reference is therefore cut into windows of the
same length, and the differences of these from the whole reference set the limits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.errors import DataError
from mikrobot.features.catalog import CATALOG

LEAST_WINDOWS = 12
"""Fewest windows of a reference; the limit of a column is the largest PSI of them."""

LEAST_ROWS = 200
"""Fewest rows of a window; a shorter one, as of a holiday, is not judged."""

LEAST_PSI = 0.1
"""Lowest limit of a column: a smaller PSI is no material change, however unusual."""

LEAST_SHARE = 0.3
"""Lowest limit of the share of drifted columns in a window."""

LARGEST_SHIFT = 5.0
"""Shift of a column, in its usual ones, up to which it counts in the mean of all columns."""

LEAST_WANDER = 0.02
"""Smallest usual shift, in standard deviations of the values: a smaller shift is not material."""

SHIFT_DEVIATIONS = 4.0
"""Standard deviations above the mean of the reference at which the mean shift has its limit, at least."""

BINS = 10
"""Bins of a column, with equal shares of the reference; missing values are one more."""

EMPTY = 1e-4
"""Share of a bin without rows, so that its part of the PSI is finite."""

ROUNDING = 1e-12
"""Range of a column, relative to its largest absolute value, up to which differences are rounding."""

VOLATILITY = "m1_return_1"
"""Column whose mean absolute value is the volatility of a window."""

MOST_PERSISTENT = 0.95
"""Largest correlation of the volatility of a window with that of the one before."""

AVERAGED = 3
"""Windows whose mean log volatility is compared with that of the reference."""


@dataclass(frozen=True, slots=True)
class ColumnReference:
    """The distribution of a column, and the PSI that it has without drift.

    Attributes
    ----------
    edges : tuple of float
        Upper ends of the bins, without the last one.
    shares : tuple of float
        Share of the rows in each bin; the last is that of the missing values.
    mean, deviation : float
        Of the values.
    wander : float
        Standard deviation of the means of the windows.
    limit : float
        PSI above which the column of a window has drifted.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    mean: float
    deviation: float
    wander: float
    limit: float

    def psi(self, values: NDArray[np.float64]) -> float:
        """Return the PSI of other values of the column, from 0 (same distribution) upwards."""
        shares = np.maximum(binned(values, np.array(self.edges)), EMPTY)
        expected = np.maximum(np.array(self.shares), EMPTY)
        return float(np.sum((shares - expected) * np.log(shares / expected)))

    def shift(self, values: NDArray[np.float64]) -> float:
        """Return how far the mean of other values lies above that of the reference, in standard deviations."""
        values = values[~np.isnan(values)]
        return float((values.mean() - self.mean) / self.deviation) if len(values) else 0.0


@dataclass(frozen=True, slots=True)
class VolatilityReference:
    """The log volatility of the windows of a reference, as an autoregression of first order.

    Attributes
    ----------
    mean : float
        Of all windows.
    level_deviation : float
        Standard deviation of the mean of `AVERAGED` windows.
    persistence : float
        Correlation of a window with the one before, 0 to 0.95.
    surprise_deviation : float
        Standard deviation of a window around what the one before lets expect.
    recent : tuple of float
        Of the newest windows, the oldest first: those that a first window after the reference is compared with.
    """

    mean: float
    level_deviation: float
    persistence: float
    surprise_deviation: float
    recent: tuple[float, ...]

    def level(self, volatilities: Sequence[float]) -> tuple[float, float]:
        """Return how far the mean of the last `AVERAGED` windows lies above the reference, and in deviations."""
        difference = float(np.mean(volatilities[-AVERAGED:])) - self.mean
        return difference, difference / self.level_deviation if self.level_deviation else 0.0

    def step(self, volatilities: Sequence[float], lasted: int) -> tuple[float, float]:
        """Return the smallest rise since a step `lasted` windows ago, or fall, and the step in deviations.

        The step is fitted to the surprises of the windows since, by generalised least squares.
        """
        distances = np.array(volatilities[-lasted - 1 :]) - self.mean
        surprises = distances[1:] - self.persistence * distances[:-1]
        shape = np.array([1.0] + [1.0 - self.persistence] * (lasted - 1))
        fitted = float(shape @ surprises)
        rises = (distances[1:] - distances[0]) * np.sign(fitted)
        noise = self.surprise_deviation * float(np.sqrt(shape @ shape))
        return float(np.sign(fitted) * rises.min()), fitted / noise if noise else 0.0


@dataclass(frozen=True, slots=True)
class DriftReference:
    """The reference of one symbol.

    Attributes
    ----------
    since, until : datetime
        Its span, UTC.
    window : timedelta
        Length of a window.
    columns : mapping of str to ColumnReference
    left_out : mapping of str to str
        Columns that are not compared, each with the reason.
    share_limit : float
        Share of drifted columns from which a window has drifted, 0 to 1.
    shift_limit : float
        Mean squared shift from which a window has drifted; see `mean_shift`.
    volatility : VolatilityReference
    """

    since: datetime
    until: datetime
    window: timedelta
    columns: Mapping[str, ColumnReference]
    left_out: Mapping[str, str]
    share_limit: float
    shift_limit: float
    volatility: VolatilityReference

    def mean_shift(self, shifts: Mapping[str, float]) -> float:
        """Return the mean over the columns of the squared shift of a window, in units of the usual one: about 1.

        Sums up small shifts of many columns, none of which is unusual. The shift of a column counts up to
        `LARGEST_SHIFT`.

        Parameters
        ----------
        shifts : mapping of str to float
            Of every column, in standard deviations of its values; see `ColumnReference.shift`.
        """
        wanders = np.array([max(column.wander, LEAST_WANDER) for column in self.columns.values()])
        scaled = np.array([shifts[name] for name in self.columns]) / wanders
        return float(np.mean(np.minimum(np.abs(scaled), LARGEST_SHIFT) ** 2))


def make_reference(
    rows: pd.DataFrame, columns: Sequence[str], since: datetime, until: datetime, *, window: timedelta
) -> DriftReference:
    """Return the reference of feature rows.

    Parameters
    ----------
    rows : DataFrame
        ``close_time`` (UTC) and the columns, float, missing values NaN; one symbol, in order of time.
    columns : sequence of str
        Those that move with the price level or the calendar are left out.
    since, until : datetime
        Rows that close in (since, until] are used.
    window : timedelta

    Raises
    ------
    DataError
        If there are fewer than `LEAST_WINDOWS` windows with `LEAST_ROWS` rows, or no column can be compared.
    """
    parts = [part for _, part in windows(rows, since, until, window)]
    if len(parts) < LEAST_WINDOWS:
        raise DataError(
            f"the reference from {since:%Y-%m-%d} to {until:%Y-%m-%d} has {len(parts)} windows of {window.days} days "
            f"with {LEAST_ROWS} rows; give at least {LEAST_WINDOWS}, or shorter windows"
        )
    whole = pd.concat(parts)
    left_out = _left_out(whole, columns)
    compared = [name for name in columns if name not in left_out]
    if not compared:
        raise DataError(f"none of the {len(columns)} columns can be compared with a reference")
    plain = {name: _described(whole[name].to_numpy("float64")) for name in compared}
    values = [{name: part[name].to_numpy("float64") for name in compared} for part in parts]
    scores = np.array([[plain[name].psi(part[name]) for name in compared] for part in values])
    shifts = np.array([[plain[name].shift(part[name]) for name in compared] for part in values])
    wanders, limits = shifts.std(axis=0, ddof=1), np.maximum(scores.max(axis=0), LEAST_PSI)
    without_limits = DriftReference(
        since,
        until,
        window,
        {
            name: replace(plain[name], wander=float(wander), limit=float(limit))
            for name, wander, limit in zip(compared, wanders, limits, strict=True)
        },
        left_out,
        max(LEAST_SHARE, float(_shares_without_drift(scores).max())),
        np.inf,
        _volatility([log_volatility(part) for part in parts]),
    )
    usual = np.array([without_limits.mean_shift(dict(zip(compared, shift, strict=True))) for shift in shifts])
    shift_limit = max(float(usual.max()), float(usual.mean() + SHIFT_DEVIATIONS * usual.std(ddof=1)))
    return replace(without_limits, shift_limit=shift_limit)


def windows(
    rows: pd.DataFrame, since: datetime, until: datetime, window: timedelta
) -> Iterator[tuple[datetime, pd.DataFrame]]:
    """Yield the start and the rows of each whole window of (since, until] that has `LEAST_ROWS` rows."""
    closes = rows["close_time"]
    while since + window <= until:
        first, last = (closes.searchsorted(pd.Timestamp(time), "right") for time in (since, since + window))
        if last - first >= LEAST_ROWS:
            yield since, rows.iloc[first:last]
        since += window


def log_volatility(rows: pd.DataFrame) -> float:
    """Return the log of the mean absolute one-minute return of a window."""
    return float(np.log(max(np.nanmean(np.abs(rows[VOLATILITY].to_numpy("float64"))), np.finfo(float).tiny)))


def binned(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of values in each bin, the missing ones last."""
    missing = np.isnan(values)
    counts = np.bincount(np.searchsorted(edges, values[~missing]), minlength=len(edges) + 1)
    shares: NDArray[np.float64] = np.append(counts, missing.sum()) / len(values)
    return shares


def _described(values: NDArray[np.float64]) -> ColumnReference:
    finite = values[~np.isnan(values)]
    edges = np.unique(np.quantile(finite, np.arange(1, BINS) / BINS))
    edges = edges[edges < finite.max()]
    if not len(edges):  # nearly all rows have the largest value
        edges = np.unique(finite)[:-1][-BINS:]
    shares = tuple(binned(values, edges).tolist())
    return ColumnReference(tuple(edges.tolist()), shares, float(finite.mean()), float(finite.std()), 0.0, LEAST_PSI)


def _left_out(rows: pd.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    moves_with = {spec.name: spec.moves_with for spec in CATALOG.specs}
    reasons = {name: f"moves with {moves_with[name]}" for name in columns if moves_with.get(name)}
    for name in columns:
        if name in reasons:
            continue
        values = rows[name].to_numpy("float64")
        if np.isnan(values).all():
            reasons[name] = "no value in the reference"
        elif np.ptp(finite := values[~np.isnan(values)]) <= ROUNDING * np.abs(finite).max():
            reasons[name] = "constant in the reference"
    return reasons


def _shares_without_drift(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each window of the reference the share of columns that drift by the limits of the other windows."""
    others = np.array([np.delete(scores, at, axis=0).max(axis=0) for at in range(len(scores))])
    shares: NDArray[np.float64] = (scores > np.maximum(others, LEAST_PSI)).mean(axis=1)
    return shares


def _volatility(volatilities: Sequence[float]) -> VolatilityReference:
    distances = np.array(volatilities) - np.mean(volatilities)
    spread = float(distances @ distances)
    persistence = float(np.clip(distances[1:] @ distances[:-1] / spread, 0.0, MOST_PERSISTENT)) if spread else 0.0
    averaged = np.convolve(distances, np.ones(AVERAGED) / AVERAGED, "valid")
    return VolatilityReference(
        float(np.mean(volatilities)),
        float(averaged.std(ddof=1)),
        persistence,
        float((distances[1:] - persistence * distances[:-1]).std(ddof=1)),
        tuple(volatilities[-AVERAGED:]),
    )
