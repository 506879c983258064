"""The feature quality report: an HTML page that opens without a network, and the same in Markdown.

Shows the results of `features.quality` and the input importance of each model. Does not compute them.
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
"""Maximum number of inputs listed per model."""


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """A model and the importance of its inputs.

    Attributes
    ----------
    name, version : str
    importance : mapping of str to float
        Input -> its share of the loss reduction (gain) of all splits of the model, the largest first.
    """

    name: str
    version: str
    importance: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The files of a written report."""

    html: Path
    markdown: Path


def write(
    assessed: Sequence[Quality],
    source: str,
    *,
    simulated: bool,
    written_at: datetime,
    models: Sequence[ModelInputs],
    folder: Path,
) -> QualityReport:
    """Write ``quality.html`` and ``quality.md`` into a folder, created if missing.

    Parameters
    ----------
    assessed : sequence of Quality
        One per symbol.
    source : str
    simulated : bool
        The bars were generated, not observed; shown at the top of the report.
    written_at : datetime
        UTC.
    models : sequence of ModelInputs
        The models that predicted on these rows.
    folder : Path

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    view = {
        "assessed": assessed,
        "source": source,
        "simulated": simulated,
        "written_at": written_at,
        "models": [(model, list(model.importance.items())[:IMPORTANT]) for model in models if model.importance],
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
    """Format a number with up to four significant digits; NaN as "none".

    >>> [_number(value) for value in (0.000123456, 1.10523, 65432.1, float("nan"))]
    ['0.0001235', '1.105', '65,430', 'none']
    """
    if math.isnan(value):
        return "none"
    if abs(value) >= 1000:
        return f"{float(f'{value:.4g}'):,.0f}"
    return f"{value:.4g}"


def _share(value: float | None) -> str:
    """Format a share in percent; a share close to 0 or 1 as a bound, None as "none".

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
