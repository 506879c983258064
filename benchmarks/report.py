"""Benchmark of the trading report, compared with plotly alone and with writing the page."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks.features import simulated_bars
from benchmarks.timing import Measurement, Timed, compared, scaled
from mikrobot.analytics import report as reporting
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.trading import Decision, Fill, FillReason, OrderIntent, Side

TRADES = 10_000
BARS = 120_000
ROUNDS = 3

_SYMBOL = "EURUSD"
_HELD = timedelta(minutes=10)


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Time the report of ten thousand trades over twelve weeks of bars."""
    count = scaled(TRADES, scale, least=100)
    facts = traded(simulated_bars(_SYMBOL, scaled(BARS, scale, least=3_000)), count)
    with TemporaryDirectory() as folder:
        path = Path(folder)
        page = reporting.write(facts, path).html.read_bytes()
        yield compared(
            f"report of {count:,} trades", "s",
            lambda: reporting.write(facts, path),
            Timed("plotly, the bars alone", lambda: _bars_alone(facts.bars[_SYMBOL])),
            limit=Timed("writing the page", lambda: (path / "page").write_bytes(page)), rounds=scaled(ROUNDS, scale),
        )  # fmt: skip


def traded(bars: pd.DataFrame, count: int) -> reporting.Facts:
    """Make up a run that enters at random and leaves ten minutes later, with a reason for each trade."""
    rng, pair, lots, fee = np.random.default_rng(7), instrument(_SYMBOL), Decimal("0.10"), Decimal("0.35")
    orders, fills, decisions = [], [], []
    for number, position in enumerate(np.sort(rng.integers(0, len(bars) - 11, count)).tolist()):
        at = bars["open_time"].iloc[position].to_pydatetime()
        side = Side.BUY if rng.random() < 0.5 else Side.SELL
        entry, leave = (pair.quantize(float(bars["open"].iloc[position + held])) for held in (0, 10))
        stop, target = (entry - side.sign * pair.quantize(0.001), entry + side.sign * pair.quantize(0.002))
        key, pnl = f"r/{number}", (side.sign * (leave - entry) * lots * pair.lot).quantize(Decimal("0.01"))
        decisions.append(
            Decision(key, _SYMBOL, at, True, side, ("level passed: 1.07", "spread passed: 8 %") * 4, "simple_break@0")
        )
        orders.append(OrderIntent(key, key, _SYMBOL, side, lots, stop, target, at, at + _HELD))
        fills += [
            Fill(f"{key}/in", key, _SYMBOL, side, lots, entry, FillReason.ENTRY, fee, Decimal(0), at),
            Fill(f"{key}/out", key, _SYMBOL, side.opposite, lots, leave, FillReason.TIME, fee, pnl, at + _HELD),
        ]
    return _facts(bars, decisions, orders, fills)


def _facts(
    bars: pd.DataFrame, decisions: list[Decision], orders: list[OrderIntent], fills: list[Fill]
) -> reporting.Facts:
    first, last = (bars["open_time"].iloc[at].to_pydatetime() for at in (0, -1))
    assert isinstance(first, datetime)
    return reporting.Facts(
        run_id="benchmark",
        source="simulated",
        simulated=True,
        starts_at=first,
        ends_at=last,
        written_at=last,
        profile="session1",
        opening=Decimal(10_000),
        bars={_SYMBOL: bars},
        predictions=[],
        decisions=decisions,
        orders=orders,
        fills=fills,
        counts={},
        models=[],
        checks=[],
    )


def _bars_alone(bars: pd.DataFrame) -> str:
    """Draw every bar with plotly, as a page of its own."""
    import plotly.graph_objects as go

    prices = {name: bars[name] for name in ("open", "high", "low", "close")}
    return str(go.Figure(go.Candlestick(x=bars["open_time"], **prices)).to_html(include_plotlyjs=True))
