"""Compare the newest feature rows of a run with older rows (drift), and its online with its offline rows (skew)."""

import math
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.domain.market import Timeframe, close_times
from mikrobot.domain.trading import Prediction
from mikrobot.features.catalog import CATALOG
from mikrobot.live import wiring
from mikrobot.live.session import recorded_run
from mikrobot.monitoring import drift as monitoring
from mikrobot.monitoring.drift_report import DriftReport
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.feast import offline
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows.trading_report import report_folder

CURRENT = timedelta(days=5)
"""Span of the newest rows: one trading week, since in every slow feature the rows of one day differ from those
of a season. Of a shorter history, the newer half."""

REFERENCE_ROWS = 20_000
"""Number of older rows that they are compared with, spread evenly over the history."""


def compare(settings: Settings, run_id: str | None) -> DriftReport:
    """Compare the newest feature rows of a run with older rows, and online with offline rows.

    Parameters
    ----------
    settings : Settings
        The verdict is based on its `drift_share`, not on the value recorded with the run.
    run_id : str or None
        None: the latest run.

    Raises
    ------
    UsageError
        If there is no such run.
    """
    with database.open_pool(settings) as pool:
        run = recorded_run(Runs(pool), run_id)
        bars, predictions = BarStore(pool), Ledger(pool).predictions(run.id)
        reference, current = _events(bars, run)
    settings = wiring.market_of(settings, run)
    comparison = monitoring.compare(
        _rows(settings, reference),
        _rows(settings, current),
        CATALOG.columns,
        report_folder(settings, run) / "drift.html",
        share=settings.drift_share,
        simulated=run.simulated,
    )
    online, skewed = _skew(settings, run, predictions)
    return DriftReport.of(
        comparison, source=run.source, simulated=run.simulated, online_rows=online, skewed_rows=skewed
    )


def _events(bars: BarStore, run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the closes of the older bars and of the newest bars of every symbol."""
    older, newest = [], []
    for segment in run.segments:
        for symbol in segment.symbols:
            frame = bars.range(run.source, symbol, Timeframe.M1, segment.history_from, end=segment.trade_until)
            closes = close_times(frame)
            events = pd.DataFrame({"source": run.source, "symbol": symbol, "event_timestamp": closes})
            younger_half = np.arange(len(events)) >= len(events) // 2
            current = (closes > segment.trade_until - CURRENT) & younger_half
            older.append(_evenly(events[~current], REFERENCE_ROWS // len(run.symbols)))
            newest.append(events[current])
    return pd.concat(older, ignore_index=True), pd.concat(newest, ignore_index=True)


def _evenly(events: pd.DataFrame, most: int) -> pd.DataFrame:
    if len(events) <= most:
        return events
    return events.iloc[np.linspace(0, len(events) - 1, most).astype(np.intp)]


def _rows(settings: Settings, events: pd.DataFrame) -> pd.DataFrame:
    return offline.training_rows(settings, events, CATALOG.columns)


def _skew(settings: Settings, run: Run, predictions: list[Prediction]) -> tuple[int, int]:
    """Count the rows read online, and those that differ in any bit from the offline row.

    Ignores closes after the hours of the run: a live source continues, but its rows are not offline yet.
    """
    online = {(p.symbol, p.close_time): p.features for p in predictions if p.close_time <= run.ends_at}
    if not online:
        return 0, 0
    keys = list(online)
    events = pd.DataFrame(
        {
            "source": run.source,
            "symbol": [symbol for symbol, _ in keys],
            "event_timestamp": pd.to_datetime([at for _, at in keys], utc=True),
        }
    )
    names = list(next(iter(online.values())))
    rows = offline.training_rows(settings, events, names)[names].to_numpy("float64")
    skewed = sum(not _same(online[key], names, row) for key, row in zip(keys, rows, strict=True))
    return len(keys), skewed


def _same(online: Any, names: list[str], offline_row: Any) -> bool:
    return all(
        online[name] == value or (math.isnan(online[name]) and math.isnan(value))
        for name, value in zip(names, offline_row, strict=True)
    )
