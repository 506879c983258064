"""The trading report of a run: collect its records from the stores for `analytics`, which computes and writes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mikrobot.analytics import report as reporting
from mikrobot.live import accounts, wiring
from mikrobot.live.operator_states import of_run
from mikrobot.live.session import recorded_run, segments_so_far
from mikrobot.models.catalog import TRADED
from mikrobot.models.task import Task
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from mikrobot.store.runs import Run, Runs
from mikrobot.store.trading_states import TradingStates
from mikrobot.workflows.prediction_skill import skills_of


@dataclass(frozen=True, slots=True)
class TradingReport:
    """The trading report of a run and its files."""

    run: Run
    report: reporting.Report

    @property
    def paths(self) -> dict[str, str]:
        """Paths of the files: the HTML page, the Markdown and the picture."""
        report = self.report
        return {
            "trading": str(report.html),
            "trading_markdown": str(report.markdown),
            "trading_picture": str(report.png),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the paths and every figure as plain JSON values."""
        return {"run": self.run.id, "reports": self.paths, **self.report.assessment.to_json()}


def write(settings: Settings, run_id: str | None, days: int | None = None) -> TradingReport:
    """Write the trading report of a run.

    Parameters
    ----------
    settings : Settings
    run_id : str or None
        None: the latest run.
    days : int or None
        Report only on the last days of its market hours, into a folder of its own; earlier profit and loss are
        part of the opening balance.

    Raises
    ------
    UsageError
        If there is no such run.
    """
    with database.open_pool(settings) as pool:
        runs = Runs(pool)
        run = recorded_run(runs, run_id)
        facts = _facts(settings, run, BarStore(pool), Ledger(pool), runs=runs)
        facts = replace(facts, states=of_run(TradingStates(pool), run))
    into = report_folder(settings, run)
    if days is not None:
        facts, into = facts.since(facts.ends_at - timedelta(days=days)), into / f"last-{days}-days"
    rules = wiring.rules_of(settings, run)
    task = Task(TRADED, rules.swing, rules.horizon_minutes)
    skills = skills_of(task, facts.bars, facts.predictions, entry=rules.entry_probability)
    return TradingReport(run, reporting.write(replace(facts, skills=skills), into))


def report_folder(settings: Settings, run: Run) -> Path:
    """Return the folder of the reports of a run."""
    reports: Path = settings.home / "reports" / run.id
    return reports


def _facts(settings: Settings, run: Run, bars: BarStore, ledger: Ledger, *, runs: Runs) -> reporting.Facts:
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
            "answers of": f"the {rules.model} or the baseline",
        },
        levels=Task(TRADED, rules.swing).columns,
        opening=rules.balance,
        bars=accounts.traded_bars(run, bars, segments),
        predictions=ledger.predictions(run.id),
        decisions=ledger.decisions(run.id),
        orders=ledger.orders(run.id),
        fills=accounts.fills(ledger, run),
        charges=accounts.charges_of(ledger, run),
        counts={
            name: trading[name]
            for name in ("signals", "decisions", "approved", "orders", "fills")
            if name in trading and segments[-1].trade_until == run.ends_at
        },
        models=[
            _model(name, training) for name, model in summary.get("models", {}).items() for training in _trained(model)
        ],
        checks=[reporting.CheckFacts(**suite) for suite in summary.get("checks", {}).get("suites", [])],
        latencies_ms=summary.get("latency_ms", {}),
        drift=_drift(summary.get("drift")),
    )


def _drift(drift: Mapping[str, Any] | None) -> reporting.DriftFacts | None:
    if not drift:
        return None
    symbols = drift.get("symbols", [drift])  # one verdict for all symbols, as up to version 0.2.0
    widest = max(symbols, key=lambda symbol: symbol["share"])
    return reporting.DriftFacts(drift["verdict"], drift["share"], tuple(widest["drifted"]), Path(drift["report"]))


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
