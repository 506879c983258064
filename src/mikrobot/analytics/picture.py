"""The report as one PNG image: equity, drawdown, results and hours, for readers without a browser."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from mikrobot.analytics.assessment import Assessment
from mikrobot.analytics.charts.account import MAXIMUM_POINTS, thinned
from mikrobot.analytics.charts.style import DOWN, DOWN_WASH, GRID, INK, MUTED, UP
from mikrobot.analytics.periods import WEEKDAYS, by_hour
from mikrobot.analytics.returns import drawdowns
from mikrobot.analytics.trades import r_multiple
from mikrobot.domain.trading import Trade

_BINS = 40


def save(path: Path, title: str, assessment: Assessment, trades: Sequence[Trade], *, opening: Decimal) -> None:
    """Save the picture as PNG, 1400 by 900 pixels.

    Parameters
    ----------
    path : Path
        An existing file is replaced.
    title : str
    assessment : Assessment
    trades : sequence of Trade
    opening : Decimal
    """
    figure = Figure(figsize=(14, 9), dpi=100)
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=15, color="#20262e")
    parts = figure.subplot_mosaic([["equity"] * 2, ["drawdown"] * 2, ["results", "hours"]], height_ratios=[5, 2, 4])
    figure.subplots_adjust(left=0.05, right=0.985, top=0.92, bottom=0.04, hspace=0.32, wspace=0.1)
    if assessment.marks.empty:
        _message(parts["equity"], "No bar closed in this period: the market was closed.")
        parts["drawdown"].set_axis_off()
    else:
        _equity(parts["equity"], assessment, opening)
        _drawdown(parts["drawdown"], assessment, opening)
    if trades:
        _results(parts["results"], trades)
        _hours(parts["hours"], trades)
    else:
        _message(parts["results"], "No closed trades.")
        parts["hours"].set_axis_off()
    for axes in parts.values():
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GRID)
        axes.tick_params(colors=MUTED, labelsize=9)
    figure.savefig(path, format="png")


def _message(axes: Axes, sentence: str) -> None:
    """Show a sentence instead of an empty chart."""
    axes.set_axis_off()
    axes.text(0, 0.9, sentence, transform=axes.transAxes, fontsize=12, color=MUTED)


def _equity(axes: Axes, assessment: Assessment, opening: Decimal) -> None:
    for name, benchmark in assessment.benchmarks.items():
        drawn = thinned(benchmark.equity, MAXIMUM_POINTS)
        axes.plot(drawn.index, drawn, color=MUTED, linewidth=0.8, label=name)
    drawn = thinned(assessment.marks["equity"], MAXIMUM_POINTS)
    axes.plot(drawn.index, drawn, color=INK, linewidth=1.6, label="equity")
    axes.axhline(float(opening), color=MUTED, linewidth=0.8, linestyle=":")
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    axes.set_title("Equity", loc="left", fontsize=11)


def _drawdown(axes: Axes, assessment: Assessment, opening: Decimal) -> None:
    fallen = thinned(100 * drawdowns(assessment.marks["nav"], float(opening)), MAXIMUM_POINTS)
    axes.fill_between(fallen.index, fallen, 0, color=DOWN_WASH, edgecolor=DOWN, linewidth=0.8)
    axes.set_title("Drawdown, %", loc="left", fontsize=11)


def _results(axes: Axes, trades: Sequence[Trade]) -> None:
    in_r = np.array([r for r in map(r_multiple, trades) if r is not None])
    if len(in_r):
        counts, edges = np.histogram(in_r, bins=_BINS)
        colours = [UP if edge >= 0 else DOWN for edge in edges[:-1]]
        axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=colours)
    axes.set_title("Net results, R", loc="left", fontsize=11)


def _hours(axes: Axes, trades: Sequence[Trade]) -> None:
    results, counts = by_hour(trades)
    reach = max(float(np.abs(results).max()), 1e-9)
    colours = LinearSegmentedColormap.from_list("results", [DOWN, "#f6f8fa", UP])
    shown = np.ma.masked_where(counts == 0, results)
    axes.imshow(shown, cmap=colours, vmin=-reach, vmax=reach, aspect="auto")
    axes.set_yticks(range(7), WEEKDAYS)
    axes.set_xticks(range(0, 24, 2))
    axes.set_title("Net result by weekday and hour of entry, UTC", loc="left", fontsize=11)
