"""Charts of the account: equity and drawdown, the distribution of results, results by hour, and costs."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import accumulate

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mikrobot.analytics.charts.style import (
    DOWN,
    DOWN_WASH,
    GRID,
    INK,
    MUTED,
    UP,
    axis,
    fragment,
    quiet_stretches,
)
from mikrobot.analytics.periods import WEEKDAYS, by_hour
from mikrobot.analytics.returns import drawdowns
from mikrobot.domain.trading import Trade

MAXIMUM_POINTS = 3_000
"""Maximum points of a curve; a longer curve is thinned to the lowest and highest mark of each part."""

_BINS = 40
_BENCHMARKS = ("#9a7b2f", "#7a5c9e")


def equity_figure(
    equity: pd.Series,
    opening: Decimal,
    others: Mapping[str, pd.Series],
    currency: str,
    *,
    maximum: int = MAXIMUM_POINTS,
    nav: pd.Series | None = None,
) -> str:
    """Draw the equity with its benchmarks, and the drawdown below.

    Parameters
    ----------
    equity : Series of float
        By instant, UTC.
    opening : Decimal
    others : mapping of str to Series
        Equity of the benchmarks.
    currency : str
    maximum : int
        Maximum points of a curve.
    nav : Series of float, optional
        Equity without deposits, the basis of the drawdown; by default the equity.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.04)
    for (name, series), colour in zip(others.items(), _BENCHMARKS, strict=False):
        drawn = thinned(series, maximum)
        figure.add_trace(
            go.Scatter(x=drawn.index, y=drawn, name=name, mode="lines", line={"color": colour, "width": 1}), 1, 1
        )
    drawn = thinned(equity, maximum)
    figure.add_trace(
        go.Scatter(x=drawn.index, y=drawn, name="equity", mode="lines", line={"color": INK, "width": 2}), 1, 1
    )
    figure.add_hline(float(opening), line={"color": MUTED, "width": 1, "dash": "dot"}, row=1, col=1)
    fallen = thinned(100 * drawdowns(equity if nav is None else nav, float(opening)), maximum)
    figure.add_trace(
        go.Scatter(
            x=fallen.index, y=fallen, name="drawdown", mode="lines", fill="tozeroy", fillcolor=DOWN_WASH,
            line={"color": DOWN, "width": 1}, hovertemplate="%{x|%Y-%m-%d %H:%M}: %{y:.2f} %<extra></extra>",
        ), 2, 1,
    )  # fmt: skip
    figure.update_xaxes(**axis(rangebreaks=quiet_stretches([at.to_pydatetime() for at in drawn.index])))
    figure.update_yaxes(**axis(title={"text": currency, "standoff": 8}, tickformat="~f"), row=1, col=1)
    figure.update_yaxes(**axis(title={"text": "drawdown, %", "standoff": 8}, tickformat="~f"), row=2, col=1)
    return fragment(figure, 440, hovermode="x unified")


def thinned(series: pd.Series, maximum: int) -> pd.Series:
    """Thin a series to the lowest and the highest value of each part, which keeps all peaks.

    >>> thinned(pd.Series([0, 5, 1, 1, -5, 1]), 4).tolist()
    [0, 5, 1, -5]
    """
    if len(series) <= maximum:
        return series
    parts = np.array_split(np.arange(len(series)), max(1, maximum // 2))
    values = series.to_numpy()
    kept = {int(part[place]) for part in parts for place in (values[part].argmin(), values[part].argmax())}
    return series.iloc[sorted(kept)]


def distribution_figure(in_r: Sequence[float]) -> str:
    """Draw the histogram of trade results in R."""
    values = np.asarray(in_r)
    low, high = (min(-1.5, float(values.min())), max(1.5, float(values.max()))) if len(values) else (-1.5, 1.5)
    counts, edges = np.histogram(values, bins=_BINS, range=(low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    bars = go.Bar(
        x=middles, y=counts, width=np.diff(edges), marker={"color": [UP if at > 0 else DOWN for at in middles]},
        hovertemplate="about %{x:.2f} R: %{y} trades<extra></extra>",
    )  # fmt: skip
    figure = go.Figure(bars)
    if len(values):
        mean = float(values.mean())
        figure.add_vline(mean, line={"color": INK, "width": 1.5}, annotation_text=f"mean {mean:+.2f} R")
    figure.update_xaxes(**axis(title={"text": "net result, R", "standoff": 4}))
    figure.update_yaxes(**axis(title={"text": "trades", "standoff": 8}))
    return fragment(figure, 300, bargap=0.05)


def hours_figure(trades: Sequence[Trade], currency: str) -> str:
    """Draw the net result by weekday and hour of the entry, UTC; hours without trades are blank."""
    results, counts = by_hour(trades)
    shown = np.where(counts > 0, results, np.nan)
    reach = float(np.nanmax(np.abs(shown))) if counts.any() else 1.0
    heat = go.Heatmap(
        z=shown, x=list(range(24)), y=list(WEEKDAYS), customdata=counts, zmin=-reach, zmax=reach, xgap=2, ygap=2,
        colorscale=[[0, DOWN], [0.5, "#f6f8fa"], [1, UP]], colorbar={"title": currency, "thickness": 10},
        hovertemplate="%{y} %{x}:00: %{z:+.2f}, %{customdata} trades<extra></extra>",
    )  # fmt: skip
    figure = go.Figure(heat)
    figure.update_xaxes(**axis(title={"text": "hour of entry, UTC", "standoff": 4}, dtick=2, showgrid=False))
    figure.update_yaxes(**axis(autorange="reversed", showgrid=False))
    return fragment(figure, 300)


def costs_figure(costs: Mapping[str, Decimal], gross: Decimal, currency: str) -> str:
    """Draw a waterfall from the result before costs, through each kind of cost, to the net result."""
    names = ["before costs", *(name.replace(", ", ",<br>") for name in costs), "net"]
    amounts = [float(gross), *(-float(amount) for amount in costs.values()), 0.0]
    kinds = ["absolute", *("relative" for _ in costs), "total"]
    bars = go.Waterfall(
        x=amounts, y=names, measure=kinds, orientation="h", connector={"line": {"color": GRID}},
        text=[f"{amount:,.2f}" for amount in (*amounts[:-1], sum(amounts))],
        textposition="outside", cliponaxis=False, constraintext="none",
        increasing={"marker": {"color": UP}}, decreasing={"marker": {"color": DOWN}},
        totals={"marker": {"color": INK}},
    )  # fmt: skip
    figure = go.Figure(bars)
    figure.update_xaxes(
        **axis(title={"text": currency, "standoff": 4}, tickformat="~f", range=_padded_range(amounts[:-1]))
    )
    figure.update_yaxes(**axis(autorange="reversed"))
    return fragment(figure, 300)


def _padded_range(steps: Sequence[float]) -> list[float]:
    """Return the range of a running sum, with space for a label at both ends."""
    sums = [0.0, *accumulate(steps)]
    low, high = min(sums), max(sums)
    padding = 0.5 * (high - low) or 1.0
    return [low - padding, high + padding]
