"""The drift verdict of windows of feature rows against a reference, with its reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np
import pandas as pd

from mikrobot.monitoring.drift_reference import (
    AVERAGED,
    LEAST_WANDER,
    DriftReference,
    VolatilityReference,
    log_volatility,
    windows,
)

Verdict = Literal["stable", "drift"]

TOGETHER, OF_LAST = 2, 3
"""A verdict needs this many drifted windows of the last ones, so that one odd week is none."""

REARMED_AFTER = 3
"""Stable windows in a row after which drift counts as a new verdict."""

LEVEL_DEVIATIONS = 3.5
"""Standard deviations by which the volatility of the last windows differs from the reference."""

STEP_DEVIATIONS = 3.0
"""Standard deviations of a step in the volatility that has lasted for 2 or 3 windows."""

STEPS_LASTED = (2, 3)
"""Windows that such a step has lasted."""

LEAST_RATIO = 1.25
"""Smallest factor of the volatility that counts as drift, up or down."""

NAMED = 5
"""Columns that a reason names, those with the largest PSI relative to their limit."""


@dataclass(frozen=True, slots=True)
class WindowDrift:
    """The drift of one window.

    Attributes
    ----------
    since, until : datetime
        Rows that close in (since, until], UTC; known at `until`.
    verdict : "stable" or "drift"
    onset : bool
        A new verdict begins here.
    share : float
        Drifted columns over compared columns, 0 to 1.
    mean_shift : float
        Squared shift of the means of all columns, in units of the usual one: about 1 without drift.
    drifted : mapping of str to float
        Drifted columns, each with the shift of its mean in standard deviations of the reference; the largest PSI
        relative to its limit first.
    volatility : float
        Volatility of the last `AVERAGED` windows over that of the reference.
    reasons : tuple of str
        Why the verdict is drift; empty if it is not.
    """

    since: datetime
    until: datetime
    verdict: Verdict
    onset: bool
    share: float
    mean_shift: float
    drifted: dict[str, float]
    volatility: float
    reasons: tuple[str, ...]


def together(differs: Sequence[bool]) -> bool:
    """Return whether enough of the last windows differ.

    >>> together([True, False, True]), together([True, False, False, True])
    (True, False)
    """
    return sum(differs[-OF_LAST:]) >= TOGETHER


def onsets(drifted: Sequence[bool]) -> list[bool]:
    """Return for each window whether drift begins there.

    >>> onsets([False, True, False, True, False, False, False, True])
    [False, True, False, False, False, False, False, True]
    """
    begins, calm = [], REARMED_AFTER
    for window_drifted in drifted:
        begins.append(window_drifted and calm >= REARMED_AFTER)
        calm = 0 if window_drifted else calm + 1
    return begins


def judge(
    reference: DriftReference, rows: pd.DataFrame, until: datetime, *, volatility: bool = True
) -> list[WindowDrift]:
    """Judge every whole window after a reference.

    Parameters
    ----------
    rows : DataFrame
        ``close_time`` (UTC), the columns of the reference and `VOLATILITY`; in order of time.
    until : datetime
        End of the last window at the latest, UTC.
    volatility : bool
        The volatility is judged too.
    """
    volatilities = list(reference.volatility.recent)
    judged: list[WindowDrift] = []
    wide: list[bool] = []
    moved: list[bool] = []
    for since, part in windows(rows, reference.until, until, reference.window):
        volatilities.append(log_volatility(part))
        shifts, excess = _compared(reference, part)
        share, mean_shift = len(excess) / len(reference.columns), reference.mean_shift(shifts)
        wide.append(share >= reference.share_limit)
        moved.append(mean_shift >= reference.shift_limit)
        drifted = {name: shifts[name] for name in sorted(excess, key=lambda name: -excess[name])}
        reasons = tuple(
            _column_reasons(wide, share, reference, drifted)
            + _shift_reasons(moved, mean_shift, reference, shifts)
            + (_volatility_reasons(reference.volatility, volatilities) if volatility else [])
        )
        judged.append(
            WindowDrift(
                since,
                since + reference.window,
                "drift" if reasons else "stable",
                False,
                share,
                mean_shift,
                drifted,
                float(np.exp(reference.volatility.level(volatilities)[0])),
                reasons,
            )
        )
    begins = onsets([window.verdict == "drift" for window in judged])
    return [replace(window, onset=onset) for window, onset in zip(judged, begins, strict=True)]


def _compared(reference: DriftReference, rows: pd.DataFrame) -> tuple[dict[str, float], dict[str, float]]:
    """Return the shift of every column in a window, and of the drifted ones the PSI over its limit."""
    shifts, excess = {}, {}
    for name, column in reference.columns.items():
        values = rows[name].to_numpy("float64")
        shifts[name] = column.shift(values)
        score = column.psi(values)
        if score > column.limit:
            excess[name] = score / column.limit
    return shifts, excess


def _column_reasons(
    wide: Sequence[bool], share: float, reference: DriftReference, drifted: Mapping[str, float]
) -> list[str]:
    if not together(wide):
        return []
    return [
        f"{share:.0%} of the columns differ from the reference as none of its windows does (limit "
        f"{reference.share_limit:.0%}, reached in {sum(wide[-OF_LAST:])} of the last {OF_LAST} windows): "
        f"{_named(drifted, list(drifted))}"
    ]


def _shift_reasons(
    moved: Sequence[bool], mean_shift: float, reference: DriftReference, shifts: Mapping[str, float]
) -> list[str]:
    if not together(moved):
        return []
    columns = reference.columns
    farthest = sorted(shifts, key=lambda name: -abs(shifts[name]) / max(columns[name].wander, LEAST_WANDER))
    return [
        f"the columns have moved {mean_shift:.1f} times as far as usual, squared (limit {reference.shift_limit:.1f}, "
        f"reached in {sum(moved[-OF_LAST:])} of the last {OF_LAST} windows): {_named(shifts, farthest)}"
    ]


def _named(shifts: Mapping[str, float], names: Sequence[str]) -> str:
    return ", ".join(f"{name} ({shifts[name]:+.1f} standard deviations)" for name in names[:NAMED])


def _volatility_reasons(reference: VolatilityReference, volatilities: Sequence[float]) -> list[str]:
    """Return that the volatility is far from the reference, or that it has changed suddenly."""
    reasons = []
    ratio, deviations = reference.level(volatilities)
    if abs(deviations) >= LEVEL_DEVIATIONS and abs(ratio) >= np.log(LEAST_RATIO):
        reasons.append(
            f"the volatility of the last {AVERAGED} windows is {np.exp(ratio):.2f} times that of the reference, "
            f"{deviations:+.1f} standard deviations"
        )
    for lasted in STEPS_LASTED:
        ratio, deviations = reference.step(volatilities, lasted)
        if abs(deviations) >= STEP_DEVIATIONS and ratio * np.sign(deviations) >= np.log(LEAST_RATIO):
            reasons.append(
                f"the volatility of the last {lasted} windows is at least {np.exp(abs(ratio)):.2f} times "
                f"{'that of' if deviations > 0 else 'smaller than in'} the window before, {deviations:+.1f} standard "
                "deviations"
            )
            break
    return reasons
