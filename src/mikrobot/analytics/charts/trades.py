"""Price chart of a symbol with its trades: entry, stop, target, broken level and exit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from mikrobot.analytics.charts.style import DOWN, INK, UP, axis, fragment
from mikrobot.domain.trading import Side, Trade

CROWDED_TRADES = 50
"""Number of trades on a chart from which the markers are drawn smaller."""

MAXIMUM_BARS = 2_000
"""Maximum bars on a chart; more M1 bars are merged into longer bars to keep the page fast."""

STEPS_MINUTES = (1, 5, 15, 60, 240, 1440)
LEVEL = "#7a5c9e"


def trades_figure(bars: pd.DataFrame, trades: Sequence[Trade], levels: Mapping[str, float]) -> str:
    """Draw the bars of one symbol with the entry, stop, target, level and exit of each trade.

    Parameters
    ----------
    bars : DataFrame
        A bar frame, M1.
    trades : sequence of Trade
        Trades of that symbol.
    levels : mapping of str to float
        Order id -> price of the swing level whose break was traded.
    """
    drawn, minutes = longer_bars(bars)
    figure = go.Figure(_candles(drawn, f"{minutes}-minute bars"))
    if trades:
        figure.add_traces(
            [*_brackets(trades), _levels(trades, levels), *_paths(trades), *_entries(trades), _exits(trades)]
        )
    figure.update_xaxes(**axis(rangeslider={"visible": False}, title={"text": "UTC", "standoff": 4}))
    figure.update_yaxes(**axis(title={"text": "bid price", "standoff": 8}, tickformat="~f"))
    return fragment(figure, 460)


def longer_bars(bars: pd.DataFrame, maximum: int = MAXIMUM_BARS) -> tuple[pd.DataFrame, int]:
    """Merge M1 bars into the shortest bars that give at most `maximum` of them.

    Returns
    -------
    (DataFrame, int)
        open_time, open, high, low, close; and the bar length in minutes.
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


def _brackets(trades: Sequence[Trade]) -> list[Any]:
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


def _levels(trades: Sequence[Trade], levels: Mapping[str, float]) -> Any:
    """Draw the level of each trade from the decision to the exit."""
    prices = [(trade, Decimal(levels[trade.order.id])) for trade in trades if trade.order.id in levels]
    return _segments(
        [(trade.order.submitted_at, level, trade.exit.filled_at, level) for trade, level in prices],
        name="level",
        line={"color": LEVEL, "width": 1.5},
    )


def _paths(trades: Sequence[Trade]) -> list[Any]:
    """Draw a line from entry to exit of each trade; winning and losing trades are separate traces."""
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
    """Draw many line segments as one trace, separated by NaN."""
    times = _instants([at for start, _, end, _ in lines for at in (start, end, end)])
    prices = np.array([at for _, first, _, last in lines for at in (float(first), float(last), np.nan)])
    return go.Scatter(x=times, y=prices, mode="lines", hoverinfo="skip", **style)


def _instants(times: Sequence[datetime]) -> NDArray[np.datetime64]:
    """Return times as an array; plotly processes arrays many times faster than lists."""
    return np.array([at.replace(tzinfo=None) for at in times], "datetime64[s]")


def _entries(trades: Sequence[Trade]) -> list[Any]:
    return [
        _markers(
            [
                (trade.entry.filled_at, trade.entry.price, _hover_text(trade))
                for trade in trades
                if trade.order.side is side
            ],
            name=side.value,
            symbol="triangle-up" if side is Side.BUY else "triangle-down",
            color=INK,
        )
        for side in Side
    ]


def _exits(trades: Sequence[Trade]) -> Any:
    points = [(trade.exit.filled_at, trade.exit.price, _hover_text(trade)) for trade in trades]
    return _markers(points, name="exit", symbol="x-thin", color="#20262e")


def _markers(points: Sequence[tuple[datetime, Decimal, str]], name: str, symbol: str, color: str) -> Any:
    size = 10 if len(points) < CROWDED_TRADES else 6
    return go.Scatter(
        x=_instants([at for at, _, _ in points]),
        y=np.array([float(price) for _, price, _ in points]),
        text=np.array([text for _, _, text in points], dtype=object),
        hovertemplate="%{text}<br>%{x|%H:%M} at %{y}<extra></extra>",
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": size, "color": color, "line": {"color": color, "width": 2}},
    )


def _hover_text(trade: Trade) -> str:
    return f"{trade.order.side.value} {trade.order.lots} lots, {trade.exit.reason.value}, {trade.pnl:+.2f}"
