"""Evidently's report on the columns of a window that differ most, with the limits of the drift verdict.

Evidently writes 4 MB of its own scripts into every page. They are packed here, and the browser unpacks them.
"""

import base64
import gzip
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import StatTest, register_stattest
from evidently.legacy.core import ColumnType
from evidently.metrics import ValueDrift
from evidently.ui.workspace import Workspace
from jinja2 import Environment, PackageLoader, StrictUndefined

from mikrobot.monitoring.drift_reference import DriftReference
from mikrobot.monitoring.drift_report import SymbolDrift

SHOWN = 20
"""Number of columns that the page shows, those with the largest PSI relative to their limit."""

_LAYOUT = '"layout": {"template"'
"""Beginning of the layout of each of Evidently's plots."""

_LEGEND_BELOW = (
    '"layout": {"legend": {"orientation": "h", "y": -0.3}, "margin": {"l": 50, "r": 10, "t": 40}, "template"'
)
"""The same with the legend below the plot, which leaves room for the plot on a narrow screen."""

MAXIMUM_ROWS = 20_000
"""Rows of the reference that are drawn at most, evenly over time."""


def write(
    drift: SymbolDrift, reference: DriftReference, rows: tuple[pd.DataFrame, pd.DataFrame], page: Path, *,
    simulated: bool, workspace: Path | None = None,
) -> None:  # fmt: skip
    """Write the page; an older one is replaced.

    Parameters
    ----------
    rows : (DataFrame, DataFrame)
        Those of the reference, and those of the newest window, with the columns of the reference.
    page : Path
        In an existing folder.
    simulated : bool
        The rows come from generated bars; shown at the top of the page.
    workspace : Path or None
        Workspace of Evidently's that gets a snapshot of the page, in a project of the symbol.

    Raises
    ------
    OSError
        If the page cannot be written.
    """
    scores = scores_of(reference, rows[1])
    columns = list(scores)[:SHOWN]
    partial = page.with_suffix(".partial")
    compared = distributions(reference, rows, {name: scores[name] for name in columns})
    compared.save_html(str(partial))
    drawn = partial.read_text(encoding="utf-8").replace(_LAYOUT, _LEGEND_BELOW)
    packed = base64.b64encode(gzip.compress(drawn.encode("utf-8"), 9)).decode("ascii")
    text = _TEMPLATES.get_template("evidently.html.j2").render(
        drift=drift, simulated=simulated, window=drift.windows[-1], packed=packed, shown=len(columns),
        columns=[(name, score, reference.columns[name].limit) for name, score in scores.items()],
        left_out=reference.left_out,
    )  # fmt: skip
    partial.write_text(text, encoding="utf-8")
    partial.replace(page)
    if workspace is not None:
        _keep(compared, drift, workspace, simulated=simulated)


def _keep(compared: Any, drift: SymbolDrift, workspace: Path, *, simulated: bool) -> None:
    """Add a snapshot to the project of a symbol; if the newest one is of the same window, it takes its place."""
    opened, name = Workspace.create(str(workspace)), f"{drift.symbol} (SIMULATED)" if simulated else drift.symbol
    project = next(iter(opened.search_project(name)), None) or opened.create_project(name)
    window = drift.windows[-1]
    title = f"{drift.model} {drift.version}, {window.since:%Y-%m-%d} to {window.until:%Y-%m-%d}"
    newest = max((workspace / str(project.id) / "snapshots").glob("*.json"), default=None)  # named in order of time
    if newest is not None and json.loads(newest.read_text(encoding="utf-8")).get("name") == title:
        opened.delete_run(project.id, newest.stem)
    compared.set_name(title)
    opened.add_run(project.id, compared, include_data=False)


def scores_of(reference: DriftReference, current: pd.DataFrame) -> dict[str, float]:
    """Return the PSI of every compared column that has values, the largest relative to its limit first."""
    scores = {
        name: column.psi(current[name].to_numpy("float64"))
        for name, column in reference.columns.items()
        if current[name].notna().any()
    }
    return dict(sorted(scores.items(), key=lambda item: -item[1] / reference.columns[item[0]].limit))


def distributions(
    reference: DriftReference, rows: tuple[pd.DataFrame, pd.DataFrame], scores: Mapping[str, float]
) -> Any:
    """Return Evidently's report on the columns of `scores`, which shows these, each with its own limit."""
    columns = list(scores)
    numerical = DataDefinition(numerical_columns=columns)
    older, newest = (
        Dataset.from_pandas(frame[columns].astype("float64").reset_index(drop=True), data_definition=numerical)
        for frame in (_thin(rows[0]), rows[1])
    )
    method = _registered(scores)
    metrics = [ValueDrift(column=name, method=method, threshold=reference.columns[name].limit) for name in columns]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return Report(metrics).run(newest, older)


def _registered(scores: Mapping[str, float]) -> str:
    """Register the PSI of the drift verdict with Evidently, whose own has other bins; return its name."""

    def measured(
        reference: "pd.Series[float]", current: "pd.Series[float]", kind: ColumnType, threshold: float
    ) -> tuple[float, bool]:
        score = scores[str(current.name)]
        return score, score > threshold

    method = StatTest("psi of ten equal shares", "PSI of ten equal shares", [ColumnType.Numerical])
    register_stattest(method, measured)
    return str(method.name)


def _thin(frame: pd.DataFrame) -> pd.DataFrame:
    if len(frame) <= MAXIMUM_ROWS:
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, MAXIMUM_ROWS).astype(np.intp)]


_TEMPLATES = Environment(
    loader=PackageLoader("mikrobot.monitoring"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip
