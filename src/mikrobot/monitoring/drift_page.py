"""The drift report: one page with the verdicts of all symbols, and for each symbol a page of Evidently's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from mikrobot.domain.drift import DriftKind, WindowVerdict
from mikrobot.domain.errors import StoreError
from mikrobot.monitoring.drift_reference import DriftReference
from mikrobot.monitoring.drift_report import SymbolDrift, summed_up

NEWEST = 60
"""Windows that the page lists for a symbol."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the report shows of a symbol.

    Attributes
    ----------
    drift : SymbolDrift
    reference : DriftReference or None
        None if nothing was judged.
    rows : (DataFrame, DataFrame) or None
        Rows of the reference and of the newest window; None if there is no window.
    """

    drift: SymbolDrift
    reference: DriftReference | None = None
    rows: tuple[pd.DataFrame, pd.DataFrame] | None = None


def write(
    comparisons: Sequence[Comparison], source: str, *, simulated: bool, report: Path, workspace: Path | None = None
) -> list[SymbolDrift]:
    """Write the report and the pages of the symbols next to it; return their drift with the paths of their pages.

    Parameters
    ----------
    report : Path
        Its folder is created; an older report is replaced.
    simulated : bool
        The rows come from generated bars; shown at the top of every page.
    workspace : Path or None
        Workspace of Evidently's that gets a snapshot of each page.

    Raises
    ------
    StoreError
        If a page cannot be written.
    """
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        symbols = [
            _with_page(comparison, report, simulated=simulated, workspace=workspace) for comparison in comparisons
        ]
        text = _TEMPLATES.get_template("drift.html.j2").render(
            symbols=symbols, source=source, simulated=simulated, figures=figures, most=NEWEST,
            verdict=summed_up([drift.verdict for drift in symbols]),
        )  # fmt: skip
        partial = report.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(report)
    except OSError as error:
        raise StoreError(f"the drift report cannot be written to {report}: {error.strerror}") from error
    return symbols


def figures(window: WindowVerdict) -> str:
    """Return what was measured in a window in one line."""
    measured = window.figures
    if window.kind is DriftKind.FEATURES:
        return (
            f"{measured['share']:.0%} of the columns, shift {measured['mean_shift']:.1f}, "
            f"volatility {measured['volatility']:.2f}"
        )
    if window.kind is DriftKind.PREDICTIONS:
        return f"{measured['share']:.0%} of the probabilities, shift {measured['mean_shift']:.1f}"
    if window.kind is DriftKind.CALIBRATION:
        return f"bias {measured['bias']['value']:+.3f}, slope {measured['slope']['value']:+.2f}"
    return (
        f"AUC {measured['auc']['value']:.3f}, promised {measured['auc_promised']:.3f}; "
        f"Brier {measured['brier']['value']:.4f}, promised {measured['brier_promised']:.4f}"
    )


def _with_page(comparison: Comparison, report: Path, *, simulated: bool, workspace: Path | None) -> SymbolDrift:
    drift, reference = comparison.drift, comparison.reference
    if reference is None or comparison.rows is None:
        return drift
    from mikrobot.monitoring import evidently_page  # here, because its import takes seconds

    page = report.with_name(f"drift-{drift.symbol}.html")
    evidently_page.write(drift, reference, comparison.rows, page, simulated=simulated, workspace=workspace)
    return replace(drift, page=page)


_TEMPLATES = Environment(
    loader=PackageLoader("mikrobot.monitoring"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip
