"""Drift of feature rows from the training rows of a model, measured by Evidently's PSI.

Measures the inputs, not the skill of the model: a column may drift without harming predictions. Does
not act on the verdict.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import psi_stat_test
from evidently.legacy.core import ColumnType
from evidently.metrics import ValueDrift
from jinja2 import Environment, PackageLoader

from mikrobot.domain.errors import DataError, StoreError
from mikrobot.features.catalog import CATALOG
from mikrobot.monitoring.drift_report import Drift

PSI_THRESHOLD = 0.1
"""Population stability index (PSI) at or above which a column counts as drifted; Evidently's default."""

ROUNDING = 1e-12
"""Range of a column, relative to its largest absolute value, up to which differences are rounding."""

MINIMUM_ROWS = 300
"""Minimum number of rows; fewer rows drift by chance. Two samples of one distribution differ by a PSI of
about (bins - 1) (1/n + 1/m), which reaches 0.1 with Evidently's 10 to 16 bins at n = m = 300."""

MAXIMUM_ROWS = 20_000
"""Maximum number of rows compared; longer frames are sampled evenly over time to keep a comparison fast."""

SHOWN = 20
"""Number of columns whose distributions the page shows, those with the largest PSI; to draw one takes longer than to
measure it."""


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

    Columns that move with the price level or the calendar are left out, and so are constant columns and columns
    without values. Slow features of one day always differ from those of a season, so pass several days of `current`
    rows if the verdict starts a training.

    Parameters
    ----------
    reference : DataFrame
        Training rows of the model, in order of time; float64, missing values NaN.
    current : DataFrame
        Rows the model has predicted on since, in the same form.
    columns : sequence of str
        The columns to compare.
    report : Path
        Path of the HTML report; its folder is created, an older report is replaced.
    share : float
        Minimum share of drifted columns for the verdict "drift".
    simulated : bool
        The rows come from generated bars; shown at the top of the report.

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
    reference, current = _thin(reference[compared]), _thin(current[compared])
    scores = _scores(reference, current)
    drifted = tuple(name for name in scores if scores[name] >= PSI_THRESHOLD)
    part = len(drifted) / len(compared)
    drift = Drift("drift" if part >= share else "stable", part, share, drifted, scores, left_out, report)
    _write(_distributions(reference, current, list(scores)[:SHOWN]), drift, simulated=simulated)
    return drift


def _check(side: str, frame: pd.DataFrame, columns: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in frame.columns]:
        raise DataError(f"the {side} rows have no column {', '.join(missing)}; found {', '.join(map(str, frame))}")
    if len(frame) < MINIMUM_ROWS:
        raise DataError(
            f"expected at least {MINIMUM_ROWS} {side} rows, found {len(frame)}: drift of fewer rows is chance; "
            "use a longer span"
        )
    infinite = np.isinf(frame[list(columns)].to_numpy("float64"))
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise DataError(f"the {side} rows have an infinity in {columns[column]}, row {row}; missing values must be NaN")


def _left_out(reference: pd.DataFrame, current: pd.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    moves_with = {spec.name: spec.moves_with for spec in CATALOG.specs}
    reasons = {}
    for name in columns:
        if moves_with.get(name):
            reasons[name] = f"moves with {moves_with[name]}"
        elif not reference[name].notna().any():
            reasons[name] = "no value in the reference rows"
        elif not current[name].notna().any():
            reasons[name] = "no value in the current rows"
        elif reference[name].nunique() == 1:
            reasons[name] = "constant in the reference rows"
        elif _rounded(reference[name]) or _rounded(current[name]):
            reasons[name] = "constant except for rounding"
    return reasons


def _rounded(values: "pd.Series[float]") -> bool:
    """Return true if the values differ by rounding only, so that no bins can separate them."""
    low, high = float(values.min()), float(values.max())
    return 0.0 < high - low <= ROUNDING * max(abs(low), abs(high))


def _thin(frame: pd.DataFrame) -> pd.DataFrame:
    if len(frame) <= MAXIMUM_ROWS:
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, MAXIMUM_ROWS).astype(np.intp)]


def _scores(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, float]:
    """Return Evidently's PSI by column, the largest first."""
    with np.errstate(all="ignore"):
        scores = {
            name: float(
                psi_stat_test.func(
                    reference[name].dropna(), current[name].dropna(), ColumnType.Numerical, PSI_THRESHOLD
                )[0]
            )
            for name in reference.columns
        }
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def _distributions(reference: pd.DataFrame, current: pd.DataFrame, columns: list[str]) -> Any:
    """Return Evidently's report on some columns."""
    numerical = DataDefinition(numerical_columns=columns)
    newest, older = (
        Dataset.from_pandas(frame[columns].reset_index(drop=True), data_definition=numerical)
        for frame in (current, reference)
    )
    metrics = [ValueDrift(column=name, method="psi", threshold=PSI_THRESHOLD) for name in columns]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return Report(metrics).run(newest, older)


def _write(distributions: Any, drift: Drift, *, simulated: bool) -> None:
    """Write Evidently's page below our summary, with a title and a layout for narrow screens."""
    report = drift.report
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        partial = report.with_suffix(".partial")
        distributions.save_html(str(partial))
        page = partial.read_text(encoding="utf-8").replace("<body>", _opening(drift, simulated=simulated), 1)
        partial.write_text(page, encoding="utf-8")
        partial.replace(report)
    except OSError as error:
        raise StoreError(f"the drift report cannot be written to {report}: {error.strerror}") from error


def _opening(drift: Drift, *, simulated: bool) -> str:
    return (
        Environment(loader=PackageLoader("mikrobot.monitoring"), autoescape=True, trim_blocks=True)
        .get_template("drift.html.j2")
        .render(drift=drift, simulated=simulated, threshold=PSI_THRESHOLD, shown=min(SHOWN, len(drift.scores)))
    )


def _listed(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
