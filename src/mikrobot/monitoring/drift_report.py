"""The results of a drift comparison as types. Compares nothing, and does not import Evidently."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Drift:
    """The result of a drift comparison.

    Attributes
    ----------
    verdict : "stable" or "drift"
        "drift" if `share` is at least `limit`.
    share : float
        Drifted columns over compared columns, 0 to 1.
    limit : float
        Minimum share of drifted columns for the verdict "drift".
    drifted : tuple of str
        Columns whose PSI reaches `monitoring.drift.PSI_THRESHOLD`, the largest PSI first.
    scores : mapping of str to float
        PSI by compared column, from 0 (same distribution) upwards.
    left_out : mapping of str to str
        Columns that were not compared, each with the reason.
    report : Path
        One HTML file that needs no network.
    """

    verdict: Literal["stable", "drift"]
    share: float
    limit: float
    drifted: tuple[str, ...]
    scores: Mapping[str, float]
    left_out: Mapping[str, str]
    report: Path


@dataclass(frozen=True, slots=True)
class DriftReport(Drift):
    """The drift of the feature rows of a run, and the skew between its online and offline rows.

    Attributes
    ----------
    source : str
        Market source of the rows.
    simulated : bool
    online_rows : int
        Rows that the worker read online.
    skewed_rows : int
        Those of them that differ in any bit from the offline row of the same close.
    quality : Path or None
        Report on the quality of the feature rows; None if it was not written.
    """

    source: str
    simulated: bool
    online_rows: int
    skewed_rows: int
    quality: Path | None = None

    @classmethod
    def of(cls, drift: Drift, *, source: str, simulated: bool, online_rows: int, skewed_rows: int) -> "DriftReport":
        """Return a comparison with the facts of its run."""
        values = {field.name: getattr(drift, field.name) for field in fields(drift)}
        return cls(**values, source=source, simulated=simulated, online_rows=online_rows, skewed_rows=skewed_rows)
