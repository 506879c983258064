"""The page of the skill of predictions: figures with intervals, skill by day, and probability against frequency."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from mikrobot.domain.errors import StoreError
from mikrobot.models.bins import first_of_bins, sums_of_bins
from mikrobot.monitoring.outcomes import Outcomes
from mikrobot.monitoring.performance_verdict import WindowSkill
from mikrobot.monitoring.skill import NORMAL_95, Skill

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 10
"""Bins of the curve of probability against frequency."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows of a symbol.

    Attributes
    ----------
    symbol, model : str
        The model with its version.
    counted : str
        How many outcomes are known.
    skills : mapping of str to Skill
        By span, which the table names.
    days : sequence of WindowSkill
    outcomes : Outcomes
    """

    symbol: str
    model: str
    counted: str
    skills: Mapping[str, Skill]
    days: Sequence[WindowSkill]
    outcomes: Outcomes


def write(shown: Sequence[Shown], source: str, *, simulated: bool, page: Path) -> None:
    """Write the page; its folder is created, an older page is replaced.

    Raises
    ------
    StoreError
        If the page cannot be written.
    """
    pictures = {part.symbol: _picture(part) for part in shown if part.skills}
    text = _TEMPLATES.get_template("performance.html.j2").render(
        shown=shown, pictures=pictures, source=source, simulated=simulated, reach=NORMAL_95
    )
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        partial = page.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(page)
    except OSError as error:
        raise StoreError(f"the page of the skill cannot be written to {page}: {error.strerror}") from error


def _picture(part: Shown) -> str:
    """Return both charts of a symbol as a data URI."""
    from matplotlib.figure import Figure  # here, because the command does not draw

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    by_day, curve = figure.subplots(1, 2, width_ratios=(2, 1))
    _draw_days(by_day, part.days)
    _draw_curve(curve, part.outcomes)
    image = io.StringIO()
    figure.savefig(image, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(image.getvalue().encode()).decode()


def _draw_days(axes: "Axes", days: Sequence[WindowSkill]) -> None:
    times = [day.since for day in days]
    values = [day.skill.auc.value for day in days]
    errors = [NORMAL_95 * day.skill.auc.error for day in days]
    axes.errorbar(times, values, errors, fmt="o", ms=4, label="realised, 95 %")  # type: ignore[arg-type]
    axes.plot(times, [day.skill.auc_promised for day in days], "_", ms=14, label="promised")  # type: ignore[arg-type]
    axes.set_ylabel("AUC of a day")
    axes.tick_params(axis="x", rotation=30)
    axes.legend(frameon=False)


def _draw_curve(axes: "Axes", outcomes: Outcomes) -> None:
    value, number, count = np.unique(outcomes.probability, return_inverse=True, return_counts=True)
    true = np.bincount(number[outcomes.outcome], minlength=len(value))
    size, predicted, observed = sums_of_bins(first_of_bins(count, BINS), count, value * count, true)
    top = float(max((predicted / size).max(), (observed / size).max()))
    axes.plot([0, top], [0, top], lw=1, color="#8a94a0")
    axes.plot(predicted / size, observed / size, "o-", ms=4)
    axes.set_xlabel("probability")
    axes.set_ylabel("frequency")


_TEMPLATES = Environment(
    loader=PackageLoader("mikrobot.monitoring"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip
