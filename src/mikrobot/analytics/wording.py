"""How the values of a report read: figures in their units, money, shares and instants.

Text alone; what the values are is computed elsewhere.
"""

import math
from datetime import datetime
from decimal import Decimal
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from mikrobot.analytics.assessment import Assessment
from mikrobot.analytics.figures import MEASURES, Figure
from mikrobot.analytics.intervals import Interval


def figure_rows(judged: Assessment) -> list[dict[str, str]]:
    """Return every figure as text: label, value or the reason of none, interval and convention."""
    return [_shown(name, each, judged) for name, each in judged.figures.items()]


def _shown(name: str, each: Figure, judged: Assessment) -> dict[str, str]:
    """Return a figure as the row of a table."""
    measure, interval = MEASURES[name], judged.intervals.get(name)
    return {
        "label": measure.label,
        "value": _in_unit(each.value, measure.unit) if each.value is not None else each.reason,
        "known": "yes" if each.value is not None else "",
        "interval": _between(interval, measure.unit) if interval and each.value is not None else "",
        "convention": measure.stated,
    }


def _between(interval: Interval, unit: str) -> str:
    if interval.low is None or interval.high is None:
        return interval.reason
    return f"{_in_unit(interval.low, unit)} to {_in_unit(interval.high, unit)}"


def compared(name: str, judged: Assessment) -> dict[str, Any]:
    """Return a figure of the account beside the same of each benchmark, or the reason of none."""
    unit = MEASURES[name].unit
    known = [judged.figures[name], *(each.figures[name] for each in judged.benchmarks.values())]
    values = [_in_unit(each.value, unit) if each.value is not None else each.reason for each in known]
    return {"label": MEASURES[name].label, "values": values}


def _in_unit(value: float, unit: str) -> str:
    """Show a value in its unit.

    >>> _in_unit(0.1234, "share"), _in_unit(-1.5, "R"), _in_unit(75, "minutes")
    ('12.34 %', '\N{MINUS SIGN}1.50 R', '75 min')
    """
    text = {
        "share": lambda: f"{value:,.2%}".replace("%", " %"),
        "money": lambda: f"{value:,.2f}",
        "R": lambda: f"{value:.2f} R",
        "days": lambda: f"{value:,.1f} days",
        "minutes": lambda: f"{value:,.0f} min",
        "times": lambda: f"{value:,.2f}",
    }.get(unit, lambda: f"{value:,.2f}")()
    return text.replace("-", "\N{MINUS SIGN}")


def minute(at: datetime, beside: datetime | None = None) -> str:
    """Show a minute; without its day where that is the same as beside it."""
    return f"{at:%H:%M}" if beside and at.date() == beside.date() else f"{at:%Y-%m-%d %H:%M}"


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}".replace("-", "\N{MINUS SIGN}")


def _signed(amount: Decimal) -> str:
    return f"{amount:+,.2f}".replace("-", "\N{MINUS SIGN}")


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.0%}"


def _percent(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:+.2%}".replace("-", "\N{MINUS SIGN}").replace("%", " %")


def _measured(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.4f}"


def _figure(value: float | None) -> str:
    if value is None:
        return "none"
    return (f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}").replace("-", "\N{MINUS SIGN}")


TEMPLATES = Environment(
    loader=ChoiceLoader([PackageLoader("mikrobot.analytics"), PackageLoader("mikrobot")]),
    autoescape=select_autoescape(("html.j2",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
"""The templates of the page and of the Markdown, with every wording as a filter."""

TEMPLATES.filters |= {
    "minute": minute,
    "money": _money,
    "signed": _signed,
    "share": _share,
    "figure": _figure,
    "measured": _measured,
    "percent": _percent,
}
