"""After the trading: the drift comparison and the trading report of a run.

Collects what the stores hold of the run and hands it to `monitoring` and `analytics`, which
compute and write.
"""

import math
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from mikrobot.analytics import report as reporting
from mikrobot.domain.market import Timeframe, close_times
from mikrobot.domain.trading import Prediction
from mikrobot.features.catalog import CATALOG
from mikrobot.live import accounts, wiring
from mikrobot.live.session import recorded_run, segments_of, segments_so_far
from mikrobot.models.labels.task import Task
from mikrobot.monitoring import drift as monitoring
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.feast import offline
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from mikrobot.store.runs import Run, Runs

CURRENT = timedelta(days=5)
"""The newest rows that are compared with those before them: a trading week, since the rows of one
day differ from a season's in every slow feature; of a shorter history, its younger half."""

REFERENCE_ROWS = 20_000
"""Older rows they are compared with, spread evenly over the history."""


def compare(settings: Settings, run_id: str | None) -> dict[str, Any]:
    """Compare the newest feature rows of a run with those before, and online with offline rows.

    Parameters
    ----------
    settings : Settings
        The verdict is based on its `drift_share`, not on the value recorded with the run.
    run_id : str or None
        None: the latest run.

    Returns
    -------
    dict
        As `Drift`, plain JSON values, with source, simulated, online_rows (rows that the worker read
        online) and skewed_rows (those that differ in any bit from the offline row of the close).

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
    found = monitoring.compare(
        _rows(settings, reference),
        _rows(settings, current),
        CATALOG.columns,
        folder(settings, run) / "drift.html",
        settings.drift_share,
        simulated=run.simulated,
    )
    online, skewed = _skew(settings, run, predictions)
    market = {"source": run.source, "simulated": run.simulated, "online_rows": online, "skewed_rows": skewed}
    return asdict(found) | {"report": str(found.report)} | market


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The trading report of a run, and where it lies."""

    run: Run
    report: reporting.Report

    @property
    def paths(self) -> dict[str, str]:
        """The files, by what they are."""
        report = self.report
        return {
            "trading": str(report.html),
            "trading_markdown": str(report.markdown),
            "trading_picture": str(report.png),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the paths and every figure as plain JSON values."""
        return {"run": self.run.id, "reports": self.paths, **self.report.assessment.to_json()}


def review(settings: Settings, run_id: str | None, days: int | None = None) -> Reviewed:
    """Write the trading report of a run.

    Parameters
    ----------
    settings : Settings
    run_id : str or None
        None: the latest run.
    days : int or None
        Report on the last days of its market hours only, which goes into a folder of its own; what
        was earned before is part of the opening balance.

    Raises
    ------
    UsageError
        If there is no such run.
    """
    with database.open_pool(settings) as pool:
        runs = Runs(pool)
        run = recorded_run(runs, run_id)
        facts = _facts(settings, run, BarStore(pool), Ledger(pool), runs)
    into = folder(settings, run)
    if days is not None:
        facts, into = facts.since(facts.ends_at - timedelta(days=days)), into / f"last-{days}-days"
    return Reviewed(run, reporting.write(facts, into))


def write_report(settings: Settings, run_id: str | None, days: int | None = None) -> dict[str, Any]:
    """Write the trading report as `review` does; return the paths of its files."""
    return review(settings, run_id, days).paths


def folder(settings: Settings, run: Run) -> Path:
    """Return where the reports of a run lie."""
    reports: Path = settings.home / "reports" / run.id
    return reports


def _events(bars: BarStore, run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the closes of the older and of the newest bars of every symbol."""
    older, newest = [], []
    for segment in segments_of(run):
        for symbol in segment.symbols:
            frame = bars.range(run.source, symbol, Timeframe.M1, segment.history_from, segment.trade_until)
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
    """Count the rows read online, and those that are not bit for bit the offline row.

    A live source goes on past the hours of the run, whose rows are not offline yet.
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


def _facts(settings: Settings, run: Run, bars: BarStore, ledger: Ledger, runs: Runs) -> reporting.Facts:
    summary, segments = runs.summary(run.id) or {}, segments_so_far(runs, run)
    trading, rules = summary.get("trading", {}), wiring.rules_of(settings, run)
    return reporting.Facts(
        run_id=run.id,
        source=run.source,
        simulated=run.simulated,
        starts_at=run.starts_at,
        ends_at=segments[-1].trade_until,
        written_at=SystemClock().now(),
        profile=rules.profile,
        rules={
            "entry probability": f"{rules.entry_probability:g}",
            "swing": str(rules.swing),
            "horizon": f"{rules.horizon_minutes} min",
            "answers of": f"the {rules.model}",
        },
        levels=Task("bos", rules.swing).columns,
        opening=rules.balance,
        bars=accounts.traded_bars(run, bars, segments),
        predictions=ledger.predictions(run.id),
        decisions=ledger.decisions(run.id),
        orders=ledger.orders(run.id),
        fills=accounts.fills(ledger, run.id),
        charges=accounts.charges_of(ledger, run),
        counts={
            name: trading[name]
            for name in ("signals", "decisions", "approved", "orders", "fills")
            if name in trading and segments[-1].trade_until == run.ends_at
        },
        models=[_model(name, each) for name, model in summary.get("models", {}).items() for each in _trained(model)],
        checks=[reporting.CheckFacts(**suite) for suite in summary.get("checks", {}).get("suites", [])],
        latencies_ms=summary.get("latency_ms", {}),
        drift=_drift(summary.get("drift")),
    )


def _drift(found: dict[str, Any] | None) -> Any:
    if not found:
        return None
    return SimpleNamespace(**found | {"drifted": tuple(found["drifted"]), "report": Path(found["report"])})


def _trained(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the newest training of a run, then those of its earlier segments."""
    return [model, *model["earlier"]]


def _model(name: str, model: dict[str, Any]) -> reporting.ModelFacts:
    return reporting.ModelFacts(
        name=name,
        version=model["version"],
        trained_from=datetime.fromisoformat(model["trained_from"]),
        trained_until=datetime.fromisoformat(model["trained_until"]),
        horizon_minutes=model["horizon_minutes"],
        metrics={"model": model["metrics"]["metrics"], **model["metrics"]["baselines"]},
    )
