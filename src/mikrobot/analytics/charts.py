"""The pictures of the trading report: the balance, and the trades on the bars they were made on.

Figures are HTML fragments that expect plotly.js on the page.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from mikrobot.domain.trading import Side, Trade

CROWDED_TRADES = 50
"""From this many trades on a chart the markers are drawn smaller."""

QUIET = timedelta(days=30)
"""Longer stretches without a trade are cut out of the balance: a run may replay hours that lie years apart."""

MAXIMUM_BARS = 2_000
"""More M1 bars than this are drawn as longer ones, which keeps the page quick."""

STEPS_MINUTES = (1, 5, 15, 60, 240, 1440)
UP, DOWN, INK, MUTED, GRID = "#1a7f6b", "#b8433a", "#2a5d9f", "#5f6b7a", "#e8ebef"


def plotly_script() -> str:
    """Return plotly.js, to be put on the page once, before the figures."""
    return str(get_plotlyjs())


def balance_figure(
    curve: Sequence[tuple[datetime, Decimal]], opening: Decimal, starts_at: datetime, ends_at: datetime, currency: str
) -> str:
    """Draw the realised balance over a run as steps; stretches without a trade longer than `QUIET` are cut out.

    Parameters
    ----------
    curve : sequence of (instant, balance)
        After each closed trade, in order of time.
    opening : Decimal
    starts_at, ends_at : datetime
        The ends of the time axis, UTC.
    currency : str
    """
    last = curve[-1][1] if curve else opening
    times = [starts_at, *(at for at, _ in curve), max([ends_at, *(at for at, _ in curve)])]
    values = [float(balance) for balance in (opening, *(balance for _, balance in curve), last)]
    figure = go.Figure(
        go.Scatter(x=times, y=values, mode="lines", line={"shape": "hv", "color": INK, "width": 2}, name="balance")
    )
    figure.add_hline(float(opening), line={"color": MUTED, "width": 1, "dash": "dot"})
    figure.update_xaxes(rangebreaks=_quiet_stretches(times))
    return _fragment(figure, 300, currency)


def _quiet_stretches(times: Sequence[datetime]) -> list[dict[str, Any]]:
    """Return the stretches of the time axis in which nothing closed, less a margin at both ends."""
    margin = QUIET / 10
    return [
        {"bounds": [(before + margin).isoformat(), (after - margin).isoformat()]}
        for before, after in pairwise(times)
        if after - before > QUIET
    ]


def trades_figure(bars: pd.DataFrame, trades: Sequence[Trade]) -> str:
    """Draw the bars of one symbol with entry, stop, target and exit of each trade on it.

    Parameters
    ----------
    bars : DataFrame
        A bar frame, M1.
    trades : sequence of Trade
        Of that symbol.
    """
    drawn, minutes = longer_bars(bars)
    figure = go.Figure(_candles(drawn, f"{minutes}-minute bars"))
    if trades:
        figure.add_traces([*_levels(trades), *_paths(trades), *_entries(trades), _exits(trades)])
    return _fragment(figure, 460, "bid price")


def longer_bars(bars: pd.DataFrame, maximum: int = MAXIMUM_BARS) -> tuple[pd.DataFrame, int]:
    """Merge M1 bars into the shortest longer ones of which there are at most `maximum`.

    Returns
    -------
    (DataFrame, int)
        open_time, open, high, low, close; and the length of a bar in minutes.
    """
    merged, minutes = bars, 1
    for minutes in STEPS_MINUTES:
        groups = bars.groupby(bars["open_time"].dt.floor(f"{minutes}min"))
        merged = groups.agg({"open": "first", "high": "max", "low": "min", "close": "last"}).reset_index()
        if len(merged) <= maximum:
            break
    return merged, minutes


def _candles(bars: pd.DataFrame, name: str) -> Any:
    return go.Candlestick(
        x=bars["open_time"],
        **{field: bars[field] for field in ("open", "high", "low", "close")},
        name=name,
        increasing={"line": {"color": UP, "width": 1}, "fillcolor": "#b9ddd4"},
        decreasing={"line": {"color": DOWN, "width": 1}, "fillcolor": "#ecc9c5"},
    )


def _levels(trades: Sequence[Trade]) -> list[Any]:
    return [
        _segments(
            [
                (trade.entry.filled_at, getattr(trade.order, level), trade.exit.filled_at, getattr(trade.order, level))
                for trade in trades
            ],
            name=level,
            line={"color": colour, "width": 1.5, "dash": "dot"},
        )
        for level, colour in (("stop", DOWN), ("target", UP))
    ]


def _paths(trades: Sequence[Trade]) -> list[Any]:
    """Connect entry and exit, won and lost trades apart."""
    return [
        _segments(
            [
                (trade.entry.filled_at, trade.entry.price, trade.exit.filled_at, trade.exit.price)
                for trade in trades
                if (trade.pnl > 0) is won
            ],
            name="won" if won else "lost",
            line={"color": UP if won else DOWN, "width": 2.5},
        )
        for won in (True, False)
    ]


def _segments(lines: Sequence[tuple[datetime, Decimal, datetime, Decimal]], **style: Any) -> Any:
    """Draw many line segments as one trace; a None lifts the pen."""
    times = [at for start, _, end, _ in lines for at in (start, end, None)]
    prices = [at for _, first, _, last in lines for at in (float(first), float(last), None)]
    return go.Scatter(x=times, y=prices, mode="lines", hoverinfo="skip", **style)


def _entries(trades: Sequence[Trade]) -> list[Any]:
    return [
        _markers(
            [(trade.entry.filled_at, trade.entry.price, _told(trade)) for trade in trades if trade.order.side is side],
            name=side.value,
            symbol="triangle-up" if side is Side.BUY else "triangle-down",
            color=INK,
        )
        for side in Side
    ]


def _exits(trades: Sequence[Trade]) -> Any:
    points = [(trade.exit.filled_at, trade.exit.price, _told(trade)) for trade in trades]
    return _markers(points, name="exit", symbol="x-thin", color="#20262e")


def _markers(points: Sequence[tuple[datetime, Decimal, str]], name: str, symbol: str, color: str) -> Any:
    size = 10 if len(points) < CROWDED_TRADES else 6
    return go.Scatter(
        x=[at for at, _, _ in points],
        y=[float(price) for _, price, _ in points],
        text=[text for _, _, text in points],
        hovertemplate="%{text}<br>%{x|%H:%M} at %{y}<extra></extra>",
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": size, "color": color, "line": {"color": color, "width": 2}},
    )


def _told(trade: Trade) -> str:
    return f"{trade.order.side.value} {trade.order.lots} lots, {trade.exit.reason.value}, {trade.pnl:+.2f}"


def _fragment(figure: Any, height: int, unit: str) -> str:
    axis = {"gridcolor": GRID, "linecolor": GRID, "zeroline": False, "automargin": True}
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 30, "b": 8},
        font={"family": "system-ui, sans-serif", "size": 12, "color": MUTED},
        paper_bgcolor="#fff",
        plot_bgcolor="#fff",
        hovermode="closest",
        legend={"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top"},
        showlegend=len(figure.data) > 1,
        xaxis=axis | {"rangeslider": {"visible": False}, "title": {"text": "UTC", "standoff": 4}},
        yaxis=axis | {"title": {"text": unit, "standoff": 8}, "tickformat": "~f"},
    )
    config = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config=config, default_width="100%"))
