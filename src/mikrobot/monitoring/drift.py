"""Whether feature rows still look like those a model was trained on, by Evidently's PSI.

Describes the inputs, not the model's skill: a column may drift without hurting a prediction. Does
not decide what follows from the verdict.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from jinja2 import Environment, PackageLoader

from mikrobot.domain.errors import DataError, StoreError
from mikrobot.features.catalog import CATALOG

PSI_THRESHOLD = 0.1
"""Population stability index from which a column counts as drifted; Evidently's default."""

ROUNDING = 1e-12
"""Spread of a column, as a share of its size, that is rounding."""

MINIMUM_ROWS = 300
"""Fewer rows drift by chance: two samples of one distribution differ by a PSI of about
(bins - 1) (1/n + 1/m), which reaches 0.1 with Evidently's 10 to 16 bins at n = m = 300."""

PRICE_UNITS = ("price", "price difference")
"""Units of catalog columns that grow and shrink with the price itself."""

MAXIMUM_ROWS = 20_000
"""More rows than this are thinned evenly over time, which keeps a comparison within seconds."""


@dataclass(frozen=True, slots=True)
class Drift:
    """What a comparison found.

    Attributes
    ----------
    verdict : "stable" or "drift"
        "drift" where `share` reaches `limit`.
    share : float
        Drifted columns over compared columns, 0 to 1.
    limit : float
        Share from which the verdict is "drift".
    drifted : tuple of str
        Those with a PSI of `PSI_THRESHOLD` or more, the largest first.
    scores : mapping of str to float
        PSI by compared column, 0 (the same) upwards.
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


def compare(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    columns: Sequence[str],
    report: Path,
    *,
    share: float = 0.5,
    simulated: bool = False,
) -> Drift:
    """Compare the distributions of feature rows, column by column.

    Prices and other values in price units are left out: a price that has moved says nothing about
    the model, which sees prices relative to each other. Left out as well are columns without a
    spread or without values. Rows of one day differ from those of a season in every slow feature,
    so give a `current` of several days where the verdict shall start a training.

    Parameters
    ----------
    reference : DataFrame
        Rows the model was trained on, in order of time; float64, NaN missing.
    current : DataFrame
        Rows it was asked about since, the same.
    columns : sequence of str
        The columns to compare.
    report : Path
        Where the HTML goes; its folder is created, an older report is replaced.
    share : float
        Share of drifted columns from which the verdict is "drift".
    simulated : bool
        The rows are of generated bars; said at the top of the report.

    Raises
    ------
    DataError
        If a column is missing or holds an infinity, if there are fewer than `MINIMUM_ROWS` rows
        on either side, or if no column can be compared.
    StoreError
        If the report cannot be written.
    """
    _check("reference", reference, columns)
    _check("current", current, columns)
    left_out = _left_out(reference, current, columns)
    compared = [name for name in columns if name not in left_out]
    if not compared:
        raise DataError(f"none of the {len(columns)} columns can be compared: {_listed(left_out)}")
    found, scores = _compared(_thin(reference[compared]), _thin(current[compared]), share)
    _write(found, report, simulated=simulated)
    drifted = tuple(sorted((name for name in compared if scores[name] >= PSI_THRESHOLD), key=lambda n: -scores[n]))
    part = len(drifted) / len(compared)
    return Drift("drift" if part >= share else "stable", part, share, drifted, scores, left_out, report)


def _check(side: str, frame: pd.DataFrame, columns: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in frame.columns]:
        raise DataError(f"the {side} rows have no column {', '.join(missing)}; found {', '.join(map(str, frame))}")
    if len(frame) < MINIMUM_ROWS:
        raise DataError(
            f"the {side} rows are {len(frame)}, and drift below {MINIMUM_ROWS} rows is chance; give a longer span"
        )
    infinite = np.isinf(frame[list(columns)].to_numpy("float64"))
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise DataError(f"the {side} rows hold an infinity in {columns[column]}, row {row}; missing values are NaN")


def _left_out(reference: pd.DataFrame, current: pd.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    units = {spec.name: spec.unit for spec in CATALOG.specs}
    reasons = {}
    for name in columns:
        if units.get(name) in PRICE_UNITS:
            reasons[name] = "in price units, which move with the market"
        elif not reference[name].notna().any():
            reasons[name] = "no value in the reference rows"
        elif not current[name].notna().any():
            reasons[name] = "no value in the current rows"
        elif reference[name].nunique() == 1:
            reasons[name] = "constant in the reference rows"
        elif _rounded(reference[name]) or _rounded(current[name]):
            reasons[name] = "constant but for rounding"
    return reasons


def _rounded(values: "pd.Series[float]") -> bool:
    """Tell whether values differ, but by so little that no bins part them."""
    low, high = float(values.min()), float(values.max())
    return 0.0 < high - low <= ROUNDING * max(abs(low), abs(high))


def _thin(frame: pd.DataFrame) -> pd.DataFrame:
    if len(frame) <= MAXIMUM_ROWS:
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, MAXIMUM_ROWS).astype(np.intp)]


def _compared(reference: pd.DataFrame, current: pd.DataFrame, share: float) -> tuple[Any, dict[str, float]]:
    """Run Evidently; return its report, and the PSI by column."""
    numerical = DataDefinition(numerical_columns=list(reference.columns))
    preset = DataDriftPreset(columns=list(reference.columns), method="psi", threshold=PSI_THRESHOLD, drift_share=share)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = Report([preset]).run(
            Dataset.from_pandas(current.reset_index(drop=True), data_definition=numerical),
            Dataset.from_pandas(reference.reset_index(drop=True), data_definition=numerical),
        )
        metrics: list[dict[str, Any]] = found.dict()["metrics"]
    return found, {
        metric["config"]["column"]: float(metric["value"])
        for metric in metrics
        if metric["config"]["type"].endswith(":ValueDrift")
    }


def _write(found: Any, report: Path, *, simulated: bool) -> None:
    """Write Evidently's page with a title, the market where it is simulated, and a layout for narrow screens."""
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        partial = report.with_suffix(".partial")
        found.save_html(str(partial))
        page = partial.read_text(encoding="utf-8").replace("<body>", _opening(simulated=simulated), 1)
        partial.write_text(page, encoding="utf-8")
        partial.replace(report)
    except OSError as error:
        raise StoreError(f"the drift report cannot be written to {report}: {error.strerror}") from error


def _opening(*, simulated: bool) -> str:
    return (
        Environment(loader=PackageLoader("mikrobot.monitoring"), autoescape=True)
        .get_template("drift.html.j2")
        .render(simulated=simulated)
    )


def _listed(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name} is {reason}" for name, reason in reasons.items())
