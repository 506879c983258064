"""Style of the charts, and their conversion to HTML fragments."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from plotly.offline import get_plotlyjs

QUIET = timedelta(days=30)
"""Gaps without a mark longer than this are cut out of the time axis: a run may replay hours years apart."""

UP, DOWN, INK, MUTED, GRID = "#1a7f6b", "#b8433a", "#2a5d9f", "#5f6b7a", "#e8ebef"
DOWN_WASH = "#f0d3d0"


def plotly_script() -> str:
    """Return plotly.js; the page must include it once, before the charts."""
    return str(get_plotlyjs())


def axis(**more: Any) -> dict[str, Any]:
    """Return the style of an axis."""
    return {"gridcolor": GRID, "linecolor": GRID, "zeroline": False, "automargin": True, **more}


def fragment(figure: Any, height: int, **layout: Any) -> str:
    """Apply the chart style to a figure and return it as HTML."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 30, "b": 8},
        font={"family": "system-ui, sans-serif", "size": 12, "color": MUTED},
        paper_bgcolor="#fff",
        plot_bgcolor="#fff",
        hovermode="closest",
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}, "itemwidth": 30},
        showlegend=len(figure.data) > 1,
    )
    figure.update_layout(**layout)
    config = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config=config, default_width="100%"))


def quiet_stretches(times: Sequence[datetime]) -> list[dict[str, Any]]:
    """Return the gaps between these times to cut out of the axis, leaving a margin at both ends."""
    margin = QUIET / 10
    return [
        {"bounds": [(before + margin).isoformat(), (after - margin).isoformat()]}
        for before, after in pairwise(times)
        if after - before > QUIET
    ]
