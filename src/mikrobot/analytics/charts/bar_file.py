"""Charts of a bar file: the price, a calendar of gaps, and the volume by hour."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mikrobot.analytics.charts.account import thinned
from mikrobot.analytics.charts.style import DOWN, INK, axis, fragment

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_POINTS = 3_000
_SPACED_WEEKS = 100
"""Weeks up to which a narrow screen has room for a line between two of them."""

_WEEK, _WEEKEND = np.timedelta64(7, "D"), np.timedelta64(1, "D")


def price_figure(bars: pd.DataFrame) -> str:
    """Draw the closes of a bar frame, thinned to their extremes; the line stops where a day has no bar."""
    drawn = thinned(pd.Series(bars["close"].to_numpy(), pd.DatetimeIndex(bars["open_time"])), _POINTS)
    times = drawn.index.to_numpy()
    gaps = np.flatnonzero(np.diff(times) > max(_WEEKEND, 5 * np.median(np.diff(times)))) + 1
    closes, times = np.insert(drawn.to_numpy(), gaps, np.nan), np.insert(times, gaps, times[gaps])
    line = go.Scatter(x=times, y=closes, mode="lines", line={"color": INK, "width": 1})
    figure = go.Figure(line).update_xaxes(**axis()).update_yaxes(**axis(tickformat="~f"))
    return fragment(figure, 260)


def gaps_figure(missing: pd.Series) -> str:
    """Draw a calendar of missing minutes, a column for each week and a row for each weekday.

    Parameters
    ----------
    missing : Series of int
        Open minutes without a bar by day, datetime64 without a time zone.
    """
    days = missing.index.to_numpy("datetime64[D]")
    weekday = (days.astype(np.int64) + 3) % 7
    mondays = days - weekday.astype("timedelta64[D]")
    weeks = np.arange(mondays.min(), mondays.max() + _WEEK, _WEEK)
    cells = np.full((7, len(weeks)), np.nan)
    cells[weekday, (mondays - weeks[0]) // _WEEK] = missing.to_numpy(dtype=float)
    heat = go.Heatmap(
        x=weeks.astype("datetime64[ns]"), y=_DAYS, z=cells, colorscale=[[0, "#eef4f1"], [1, DOWN]],
        zmin=0, xgap=int(len(weeks) <= _SPACED_WEEKS), ygap=1,
        hovertemplate="week of %{x|%Y-%m-%d}, %{y}: %{z} minutes missing<extra></extra>",
    )  # fmt: skip
    figure = go.Figure(heat).update_xaxes(**axis()).update_yaxes(**axis(autorange="reversed"))
    return fragment(figure, 220)


def volume_figure(bars: pd.DataFrame) -> str:
    """Draw the median volume of a bar by hour of the day, UTC."""
    by_hour = bars["volume"].groupby(bars["open_time"].dt.hour).median().reindex(range(24))
    figure = go.Figure(go.Bar(x=list(by_hour.index), y=by_hour, marker={"color": INK}))
    figure.update_xaxes(**axis(title={"text": "hour, UTC"}, dtick=3)).update_yaxes(**axis())
    return fragment(figure, 220)
