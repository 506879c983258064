"""Data quality of the feature rows of one symbol, per column and between columns.

Measures completeness, stuck and out-of-range values, outliers, distributions and redundant columns.
Assesses no model; a market move is a finding only if a value leaves the range in the catalog.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from mikrobot.domain.errors import DataError
from mikrobot.features.catalog import CATALOG
from mikrobot.features.kernel.bars import MINUTE
from mikrobot.features.kernel.composition import Catalog, ColumnSpec
from mikrobot.features.kernel.feature import PRICE

OUTLYING = 3.5
"""Robust z-score beyond which a value is an outlier (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993)."""

_NORMAL = 0.6745
"""Median absolute deviation of a normal distribution, in its standard deviations."""

MOST_OUTLIERS = 0.2
"""Share of outliers above which a column has a finding, unless it is a price, which drifts. The distance to the nearest
gap has 12 % on BTCUSDT in June 2025, the most of all columns on real bars
(``python -m mikrobot.workflows.feature_quality``)."""

STUCK_SHARE = 0.5
"""Share of the known rows in one run of equal values above which a column counts as stuck."""

REDUNDANT = 0.95
"""Absolute rank correlation from which two columns count as redundant."""

FEWEST = 100
"""Minimum number of rows for an assessment."""

BINS = 24

_ROUNDING = 1e-12
"""Share of its sum of squares up to which the variance of a column is rounding."""


@dataclass(frozen=True, slots=True)
class ColumnQuality:
    """Data quality of one column.

    Attributes
    ----------
    spec : ColumnSpec
    known : float
        Share of the rows with a value, 0 to 1.
    lost : int
        Rows without a value after the first with one.
    out_of_range : int
        Values that are infinite or outside the range of the catalog.
    longest_run : int
        Longest run of equal values, in closed bars of the column's timeframe.
    outliers : float or None
        Share of the values with a robust z-score, 0.6745 (x - median) / MAD, beyond `OUTLYING`;
        None where more than half of them are equal, so that the MAD is zero.
    quantiles : tuple of float
        Smallest value, 1 %, median, 99 % and largest value; NaN without values.
    histogram : tuple of int
        Values in `BINS` equal bins from the 1 % to the 99 % quantile; empty where these are equal, except for rounding.
    findings : tuple of str
        Quality problems, one phrase each.
    """

    spec: ColumnSpec
    known: float
    lost: int
    out_of_range: int
    longest_run: int
    outliers: float | None
    quantiles: tuple[float, ...]
    histogram: tuple[int, ...]
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cluster:
    """A group of redundant columns.

    Attributes
    ----------
    columns : tuple of str
        In catalog order.
    weakest : float
        Smallest absolute rank correlation between two of them.
    """

    columns: tuple[str, ...]
    weakest: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Data quality of the feature rows of one symbol.

    Attributes
    ----------
    symbol : str
    rows : int
    first, last : Timestamp
        Closes of the first and the last row, UTC.
    columns : tuple of ColumnQuality
        In catalog order.
    clusters : tuple of Cluster
        Clusters of two or more columns, the largest first.
    """

    symbol: str
    rows: int
    first: pd.Timestamp
    last: pd.Timestamp
    columns: tuple[ColumnQuality, ...]
    clusters: tuple[Cluster, ...]

    @property
    def findings(self) -> dict[str, tuple[str, ...]]:
        """Column -> its findings, for columns with findings."""
        return {column.spec.name: column.findings for column in self.columns if column.findings}


def assess(symbol: str, rows: pd.DataFrame, catalog: Catalog = CATALOG) -> Quality:
    """Assess the feature rows of a span of one symbol.

    Parameters
    ----------
    symbol : str
    rows : DataFrame
        ``close_time`` (UTC, increasing) and every column of the catalog, float64, NaN where missing; one
        row per bar, without gaps except when the market is closed.

    Raises
    ------
    DataError
        If a column is missing or there are fewer than `FEWEST` rows.
    """
    if missing := [name for name in ("close_time", *catalog.columns) if name not in rows]:
        raise DataError(f"{symbol}: expected close_time and the catalog's columns; missing {', '.join(missing)}")
    if len(rows) < FEWEST:
        raise DataError(
            f"{symbol}: expected at least {FEWEST} rows to assess quality, found {len(rows)}; give a longer span"
        )
    closes, values = rows["close_time"], rows[list(catalog.columns)]
    return Quality(
        symbol=symbol,
        rows=len(rows),
        first=closes.iloc[0],
        last=closes.iloc[-1],
        columns=tuple(_column(spec, values[spec.name].to_numpy(np.float64)) for spec in catalog.specs),
        clusters=clusters(values),
    )


def clusters(values: pd.DataFrame, least: float = REDUNDANT) -> tuple[Cluster, ...]:
    """Group columns so that any two of a cluster have an absolute rank correlation of at least `least`.

    Complete linkage on ``1 - |rho|``, so that the bound holds for every pair of a cluster. Each
    column is ranked once over its own values, and a pair is compared where both are known. Without
    missing values this is Spearman's rho. Constant columns are in no cluster.

    Returns
    -------
    tuple of Cluster
        The largest first.

    References
    ----------
    C. Spearman, "The Proof and Measurement of Association between Two Things", 1904.
    """
    varied = values.loc[:, values.nunique() > 1]
    if varied.shape[1] < 2:
        return ()
    related = np.abs(correlations(varied.rank().to_numpy(np.float64)))
    distances = np.clip(1.0 - related, 0.0, 1.0)
    np.fill_diagonal(distances, 0.0)
    tree = hierarchy.linkage(squareform(distances, checks=False), "complete")
    labels = hierarchy.fcluster(tree, 1.0 - least, "distance")
    names = [str(name) for name in varied]
    groups = (np.flatnonzero(labels == label) for label in np.unique(labels))
    grouped = [_cluster(names, group, distances) for group in groups if len(group) > 1]
    return tuple(sorted(grouped, key=lambda cluster: -len(cluster.columns)))


def correlations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation of every pair of columns over the rows where both are known.

    The sums of all pairs are matrix products, a quarter of the time of `DataFrame.corr`.

    Parameters
    ----------
    values : array, rows x columns
        NaN where missing; every column has a value.

    Returns
    -------
    array, columns x columns
        0 for pairs with fewer than `FEWEST` common rows, or constant over them except for rounding.
    """
    has_value = ~np.isnan(values)
    centred = np.where(has_value, values - np.nanmean(values, axis=0), 0.0)
    counted = has_value.astype(np.float64)
    pairs = counted.T @ counted
    sums = centred.T @ counted
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = (centred * centred).T @ counted
        spread = squares - sums * sums / pairs
        spread = np.where(spread > _ROUNDING * squares, spread, 0.0)
        related = (centred.T @ centred - sums * sums.T / pairs) / np.sqrt(spread * spread.T)
    return np.where((pairs >= FEWEST) & np.isfinite(related), related, 0.0)


def _cluster(names: Sequence[str], group: NDArray[Any], distances: NDArray[np.float64]) -> Cluster:
    return Cluster(tuple(names[number] for number in group), float(1.0 - distances[np.ix_(group, group)].max()))


def _column(spec: ColumnSpec, values: NDArray[np.float64]) -> ColumnQuality:
    is_known = ~np.isnan(values)
    present = values[is_known]
    finite = present[np.isfinite(present)]
    lost = int((~is_known[is_known.argmax() :]).sum()) if is_known.any() else 0
    out_of_range = int(len(present) - ((finite >= spec.low) & (finite <= spec.high)).sum())
    run, stuck_value = _longest_run(present)
    outliers = _outliers(finite)
    quantiles = np.quantile(finite, [0, 0.01, 0.5, 0.99, 1]) if len(finite) else np.full(5, np.nan)
    tailed = spec.unit != PRICE.unit  # a price drifts, so it can be far from its median without being wrong
    stuck = run > STUCK_SHARE * len(present)
    findings = {
        f"never known in {len(values):,} rows{f': {spec.may_be_missing}' if spec.may_be_missing else ''}": run == 0,
        f"missing in {lost:,} rows after its first value": lost > 0 and not spec.may_be_missing,
        f"{out_of_range:,} values outside of its range": out_of_range > 0,
        f"stuck at {stuck_value:g} for {run:,} of {len(present):,} rows": stuck,
        f"{outliers or 0:.0%} of the values are outliers": tailed and (outliers or 0.0) > MOST_OUTLIERS,
    }
    return ColumnQuality(
        spec=spec,
        known=float(is_known.mean()),
        lost=lost,
        out_of_range=out_of_range,
        longest_run=-(-run // (spec.timeframe.seconds // MINUTE)),
        outliers=outliers,
        quantiles=tuple(map(float, quantiles)),
        histogram=_histogram(finite, quantiles[1], quantiles[3]),
        findings=tuple(text for text, applies in findings.items() if applies),
    )


def _longest_run(present: NDArray[np.float64]) -> tuple[int, float]:
    """Return the length of the longest run of equal values, and the value."""
    if not len(present):
        return 0, np.nan
    starts = np.flatnonzero(np.r_[True, present[1:] != present[:-1]])
    lengths = np.diff(np.r_[starts, len(present)])
    longest = int(lengths.argmax())
    return int(lengths[longest]), float(present[starts[longest]])


def _outliers(finite: NDArray[np.float64]) -> float | None:
    if not len(finite):
        return None
    departure = np.abs(finite - np.median(finite))
    spread = np.median(departure)
    return float((_NORMAL * departure > OUTLYING * spread).mean()) if spread > 0 else None


def _histogram(finite: NDArray[np.float64], low: float, high: float) -> tuple[int, ...]:
    if not high - low > 2 * BINS * np.spacing(max(abs(low), abs(high))):
        return ()
    return tuple(np.histogram(finite, BINS, (low, high))[0].tolist())
