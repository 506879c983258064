"""Formatting of the values of a report: figures with their units, money, shares and times.

Does not compute values.
"""

import math
from datetime import datetime
from decimal import Decimal
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from mikrobot.analytics.assessment import Assessment
from mikrobot.analytics.figures import MEASURES, Figure
from mikrobot.analytics.stationary_bootstrap import Interval
from mikrobot.domain.trading_states import TradingState


def figure_rows(assessment: Assessment) -> list[dict[str, str]]:
    """Return every figure as text: label, value or the reason for its absence, interval and convention."""
    return [_row(name, figure, assessment) for name, figure in assessment.figures.items()]


def _row(name: str, figure: Figure, assessment: Assessment) -> dict[str, str]:
    """Return a figure as a table row."""
    measure, interval = MEASURES[name], assessment.intervals.get(name)
    return {
        "label": measure.label,
        "value": _in_unit(figure.value, measure.unit) if figure.value is not None else figure.reason,
        "known": "yes" if figure.value is not None else "",
        "interval": _between(interval, measure.unit) if interval and figure.value is not None else "",
        "convention": measure.stated,
    }


def _between(interval: Interval, unit: str) -> str:
    if interval.low is None or interval.high is None:
        return interval.reason
    return f"{_in_unit(interval.low, unit)} to {_in_unit(interval.high, unit)}"


def compared(name: str, assessment: Assessment) -> dict[str, Any]:
    """Return a figure of the account and of each benchmark as text, with the reason where a value is missing."""
    unit = MEASURES[name].unit
    figures = [assessment.figures[name], *(benchmark.figures[name] for benchmark in assessment.benchmarks.values())]
    values = [_in_unit(figure.value, unit) if figure.value is not None else figure.reason for figure in figures]
    return {"label": MEASURES[name].label, "values": values}


def _in_unit(value: float, unit: str) -> str:
    """Format a value with its unit.

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


def minute(at: datetime, previous: datetime | None = None) -> str:
    """Format a time to the minute; without the date if `previous` is on the same day."""
    return f"{at:%H:%M}" if previous and at.date() == previous.date() else f"{at:%Y-%m-%d %H:%M}"


def _minutes_between(state: TradingState) -> str:
    """Return the length of a trading state in minutes; an empty text if it has not ended."""
    return "" if state.until is None else f"{(state.until - state.since).total_seconds() / 60:,.0f}"


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
"""The Jinja environment of the HTML and Markdown reports, with the formatting functions as filters."""

TEMPLATES.filters |= {
    "minute": minute,
    "minutes_between": _minutes_between,
    "money": _money,
    "signed": _signed,
    "share": _share,
    "figure": _figure,
    "measured": _measured,
    "percent": _percent,
}
