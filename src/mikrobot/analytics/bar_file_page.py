"""The page of `mikrobot inspect --html`: what bar files hold, with charts; opens without a network."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mikrobot.analytics.charts.style import plotly_script
from mikrobot.analytics.wording import TEMPLATES
from mikrobot.domain.errors import StoreError


@dataclass(frozen=True, slots=True)
class Section:
    """A file on the page.

    Attributes
    ----------
    title : str
    facts : sequence of (str, str)
        What it holds, or why it would be refused.
    charts : mapping of str to str
        HTML of each chart by its heading.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    charts: Mapping[str, str] = field(default_factory=dict)


def write(page: Path, sections: Sequence[Section]) -> None:
    """Write the page, completely or not at all.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    drawn = any(section.charts for section in sections)
    plotly = plotly_script() if drawn else ""
    text = TEMPLATES.get_template("bar_files.html.j2").render(sections=sections, plotly=plotly)
    part = page.with_suffix(".partial")
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        os.replace(part, page)
    except OSError as error:
        raise StoreError(f"{page} cannot be written: {error.strerror}") from error
