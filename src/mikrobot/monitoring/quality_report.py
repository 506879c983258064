"""The report on feature quality: a page that opens without a network, and the same in Markdown.

Shows what `features.quality` found and, where there is a model, what it makes of its inputs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from mikrobot.domain.errors import StoreError
from mikrobot.features.catalog import CATALOG
from mikrobot.features.quality import OUTLYING, REDUNDANT, Quality

IMPORTANT = 20
"""Inputs of a model that are listed."""


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """A model and what its inputs gave it.

    Attributes
    ----------
    name, version : str
    importance : mapping of str to float
        Input -> its share of the loss that the splits of the model saved, the largest first.
    """

    name: str
    version: str
    importance: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Where a report lies."""

    html: Path
    markdown: Path


def write(
    found: Sequence[Quality],
    source: str,
    *,
    simulated: bool,
    written_at: datetime,
    models: Sequence[ModelInputs],
    folder: Path,
) -> QualityReport:
    """Write ``quality.html`` and ``quality.md`` into a folder, which is created.

    Parameters
    ----------
    found, source, simulated, written_at
    models : sequence of ModelInputs
        Those that answered on these rows.
    folder : Path

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    view = {
        "found": found,
        "source": source,
        "simulated": simulated,
        "written_at": written_at,
        "models": [(each, list(each.importance.items())[:IMPORTANT]) for each in models if each.importance],
        "version": CATALOG.version,
        "outlying": OUTLYING,
        "redundant": REDUNDANT,
    }
    report = QualityReport(folder / "quality.html", folder / "quality.md")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (report.html, report.markdown):
            partial = path.with_suffix(".partial")
            partial.write_text(_TEMPLATES.get_template(f"{path.name}.j2").render(view), encoding="utf-8")
            partial.replace(path)
    except OSError as error:
        raise StoreError(f"the quality report cannot be written to {folder}: {error.strerror}") from error
    return report


def _number(value: float) -> str:
    """Write three to four digits.

    >>> [_number(value) for value in (0.000123456, 1.10523, 65432.1, float("nan"))]
    ['0.0001235', '1.105', '65,430', 'none']
    """
    if math.isnan(value):
        return "none"
    if abs(value) >= 1000:
        return f"{float(f'{value:.4g}'):,.0f}"
    return f"{value:.4g}"


def _share(value: float | None) -> str:
    """Write a share in percent, and what is next to nothing or next to all as such.

    >>> [_share(value) for value in (None, 0.0, 0.0004, 0.25, 0.9996, 1.0)]
    ['none', '0 %', '< 0.1 %', '25 %', '> 99.9 %', '100 %']
    """
    if value is None:
        return "none"
    if 0 < value < 0.001:
        return "< 0.1 %"
    if 0.999 < value < 1:
        return "> 99.9 %"
    return f"{100 * value:.3g} %"


_TEMPLATES = Environment(
    loader=ChoiceLoader([PackageLoader("mikrobot.monitoring"), PackageLoader("mikrobot")]),
    autoescape=select_autoescape(("html.j2",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"number": _number, "share": _share}
