"""The tables of `mikrobot optimize`. Computes nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

_FIGURES = ("return_pct", "sharpe", "max_drawdown_pct", "trades", "expectancy_r")


def tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the figures out of sample, the folds, and the deflated Sharpe ratio."""
    yield _outside(result)
    yield _folds(result)
    yield _deflated(result)


def _outside(result: Mapping[str, Any]) -> Table:
    outside = result["out_of_sample"]
    own, default, difference = (outside[name] for name in ("chosen", "default", "difference"))
    title = f"{result['strategy']} out of sample, {_span(outside)}"
    shown = _table(title, "figure", "chosen parameters", "default parameters", "difference")
    for name in _FIGURES:
        shown.add_row(name.replace("_", " "), *(_value(one, name) for one in (own, default)), _signed(difference[name]))
    for kind, amount in difference["costs"].items():
        shown.add_row(kind, own["costs"].get(kind, "0"), default["costs"].get(kind, "0"), amount)
    return shown


def _folds(result: Mapping[str, Any]) -> Table:
    metric = result["metric"]
    name = metric.replace("_", " ")
    shown = _table("Folds", "traded, unseen", "parameters", f"{name} in sample", f"{name} out of sample", "trades")
    shown.columns[1].justify = "left"
    for fold in result["folds"]:
        chosen = ", ".join(f"{key} {value:g}" for key, value in fold["parameters"].items())
        inside, outside = fold["in_sample"][metric], fold["out_of_sample"]
        values = ("none" if inside is None else f"{inside:.4g}", _value(outside | {"reasons": fold["reasons"]}, metric))
        shown.add_row(_span(fold["traded"]), Text(chosen), *values, str(outside["trades"]))
    return shown


def _deflated(result: Mapping[str, Any]) -> Table:
    judged, trials = result["deflated_sharpe"], result["trials"]
    shown = _table("Parameters chosen on all bars", "figure", "value")
    searches = f"{trials['each_search']} in each of {trials['searches']} searches"
    rows = {
        "trials": searches,
        "Sharpe ratio in sample": _number(judged["sharpe"], judged["reason"]),
        f"largest expected of {judged['trials']} without skill": _number(
            judged["expected_without_skill"], judged["reason"]
        ),
        "deflated Sharpe ratio": _number(judged["probability"], judged["reason"]),
    }
    for name, value in rows.items():
        shown.add_row(name, value)
    return shown


def _table(title: str, *headings: str) -> Table:
    shown = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2))
    for number, heading in enumerate(headings):
        shown.add_column(heading, justify="right" if number else "left", overflow="fold")
    return shown


def _span(span: Mapping[str, str]) -> str:
    return f"{span['from'][:16].replace('T', ' ')} to {span['to'][:16].replace('T', ' ')}"


def _value(figures: Mapping[str, Any], name: str) -> str:
    value = figures[name]
    return str(value) if isinstance(value, int) else _number(value, figures["reasons"].get(name))


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.4g}"


def _number(value: float | None, reason: str | None) -> str:
    return reason or "none" if value is None else f"{value:.4g}"
