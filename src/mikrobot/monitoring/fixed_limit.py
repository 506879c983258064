"""The rule that the drift verdict is compared with: a fixed limit of the population stability index (PSI).

The PSI is that of Evidently, with bins of equal width over both samples. It finds drift in almost every window of
autocorrelated rows; see `drift_reference`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PSI_LIMIT = 0.1
"""PSI from which a column has drifted; Evidently's default."""

SHARE_LIMIT = 0.5
"""Share of drifted columns from which the rule calls it drift."""

MOST_ROWS = 20_000
"""Rows of the reference that are compared, evenly over time."""

FEW = 20
"""Different values up to which each one is a bin."""


def exceeds_fixed_limit(reference: pd.DataFrame, windows: Sequence[pd.DataFrame], columns: Sequence[str]) -> list[bool]:
    """Return for each window whether half of the columns have a PSI of at least 0.1."""
    if len(reference) > MOST_ROWS:
        reference = reference.iloc[np.linspace(0, len(reference) - 1, MOST_ROWS).astype(np.intp)]
    drifted = np.zeros(len(windows))
    for name in columns:
        finite = reference[name].dropna().to_numpy("float64")
        discrete = len(np.unique(finite)) <= FEW
        for at, window in enumerate(windows):
            current = window[name].dropna().to_numpy("float64")
            drifted[at] += bool(len(current)) and equal_width_psi(finite, current, discrete=discrete) >= PSI_LIMIT
    return [bool(share >= SHARE_LIMIT) for share in drifted / len(columns)]


def equal_width_psi(reference: NDArray[np.float64], current: NDArray[np.float64], *, discrete: bool) -> float:
    """Return the PSI as Evidently computes it: Sturges' bins over both samples, or a bin for each value."""
    if discrete:
        values = np.union1d(reference, current)
        edges = np.append(values, np.inf)
    else:
        low, high = (float(pick((pick(reference), pick(current)))) for pick in (np.min, np.max))
        edges = np.linspace(low, high, int(np.ceil(np.log2(len(reference) + len(current)) + 1)) + 1)
    expected, shares = (_filled(np.histogram(sample, edges)[0] / len(sample)) for sample in (reference, current))
    return float(np.sum((expected - shares) * np.log(expected / shares)))


def _filled(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give empty bins the small share that Evidently gives them."""
    smallest = float(shares[shares > 0].min())
    return np.where(shares == 0, smallest / 1e6 if smallest <= 1e-4 else 1e-4, shares)
