"""The summary of a run: the results of each stage as JSON, for scripts and the console."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mikrobot import settings as configuration
from mikrobot.analytics.assessment import account_performance
from mikrobot.analytics.marks import marked
from mikrobot.analytics.trades import Performance, closed_trades, open_positions
from mikrobot.domain.trading import BASELINE, Fill, OrderIntent
from mikrobot.features.catalog import CATALOG
from mikrobot.live import accounts, arms, wiring
from mikrobot.models.catalog import TRADED
from mikrobot.models.registry import Registry
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows.gate_counts import by_suite
from mikrobot.workflows.train import newest_first


@dataclass(slots=True)
class Stages:
    """The return values of a run's flows, in the order they ran.

    Attributes
    ----------
    ingested, materialized : list of dict
        One for each symbol, as `Backfill` and `Materialized`.
    trained : list of dict
        One for each segment, as `TrainingResult`.
    first_orders : list of datetime or None
        One for each segment: the time at which its first order was placed.
    drift : dict
        The fields of `Drift`, and quality: the path of the report on feature quality.
    """

    ingested: list[dict[str, Any]] = field(default_factory=list)
    materialized: list[dict[str, Any]] = field(default_factory=list)
    trained: list[dict[str, Any]] = field(default_factory=list)
    first_orders: list[datetime | None] = field(default_factory=list)
    drift: dict[str, Any] = field(default_factory=dict)


def run_of(run_id: str) -> Run:
    """Return a recorded run."""
    with database.open_pool(configuration.load()) as pool:
        return Runs(pool).get(run_id)


def conclude(run_id: str, stages: Stages) -> dict[str, Any]:
    """Summarise a run and record the summary with it; return it."""
    settings = configuration.load()
    with database.open_pool(settings) as pool:
        runs = Runs(pool)
        summary = summarize(settings, runs.get(run_id), stages, Ledger(pool), runs=runs, bars=BarStore(pool))
        runs.conclude(run_id, summary)
    return summary


def summarize(
    settings: Settings, run: Run, stages: Stages, ledger: Ledger, *, runs: Runs, bars: BarStore
) -> dict[str, Any]:
    """Return the summary of a run, plain JSON values, without the addresses of its reports."""
    return {
        "run": run.id,
        "source": run.source,
        "simulated": run.simulated,
        "symbols": list(run.symbols),
        "bars": sum(result["rows"] for result in stages.materialized),
        "features": len(CATALOG.columns),
        "checks": _checks(stages),
        "models": _models(stages.trained),
        "answered_by": _answered_by(settings, run, ledger),
        "drift": stages.drift,
        "trading": _trading(settings, run, stages, ledger, bars=bars),
        "arms": {arms.name_of(arm): _arm(settings, arm, ledger, bars) for arm in runs.followers(run.id)},
        "latency_ms": slowest(runs.latencies(run.id)),
        "reports": {"drift": stages.drift["report"], "quality": stages.drift["quality"]},
        "services": addresses(settings),
    }


def addresses(settings: Settings) -> dict[str, str]:
    """Return the addresses of the Prefect UI, MLflow, and the API page of the prediction service."""
    return {"prefect": settings.prefect_url, "mlflow": settings.mlflow_url, "bento": settings.bento_url}


def slowest(latencies: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the latencies by stage; for a stage that several processes ran, those of the slowest process.

    >>> slowest({"a": {"read": {"p50": 1.0, "p99": 2.0}}, "b": {"read": {"p50": 0.5, "p99": 3.0}}})
    {'read': {'p50': 0.5, 'p99': 3.0}}
    """
    by_stage: dict[str, dict[str, float]] = {}
    for stages in latencies.values():
        for stage, times in stages.items():
            if stage not in by_stage or times["p99"] > by_stage[stage]["p99"]:
                by_stage[stage] = times
    return by_stage


def _checks(stages: Stages) -> dict[str, Any]:
    suites = by_suite([result["checks"] for result in (*stages.ingested, *stages.materialized)])
    totals = {name: sum(suite[name] for suite in suites) for name in ("passed", "failed", "quarantined")}
    return {**totals, "suites": suites}


def _answered_by(settings: Settings, run: Run, ledger: Ledger) -> dict[str, Any]:
    """Return the model with the most predictions for each symbol; None if there are no predictions."""
    registry, counts = Registry(settings.mlflow_url), ledger.answers(run.id)
    return {symbol: _origin(registry, counts.get(symbol, {})) for symbol in run.symbols}


def _origin(registry: Registry, counts: Mapping[tuple[str, str], int]) -> dict[str, Any] | None:
    if not counts:
        return None
    model, version = max(counts, key=lambda origin: counts[origin])
    return {
        "model": model,
        "version": None if model == BASELINE else version,
        "trained_on": list(registry.version(TRADED, version).symbols),
    }


def _models(trained: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the trained models, the newest first; a run of several segments trains one for each."""
    return {TRADED: newest_first(trained)} if trained else {}


def _trading(settings: Settings, run: Run, stages: Stages, ledger: Ledger, *, bars: BarStore) -> dict[str, Any]:
    decisions = ledger.decisions(run.id)
    orders, fills, judged = _earned(settings, run, ledger, bars)
    return {
        "signals": sum(decision.side is not None for decision in decisions),
        "decisions": len(decisions),
        "approved": sum(decision.approved for decision in decisions),
        "orders": len(orders),
        "fills": len(fills),
        "trades": judged.trades,
        "pnl": str(judged.pnl),
        "max_drawdown": str(judged.max_drawdown),
        "ambiguous_share": judged.ambiguous_share or 0.0,
        "seconds_to_first_order": _seconds_to_first_order(run, stages),
    }


def _arm(settings: Settings, run: Run, ledger: Ledger, bars: BarStore) -> dict[str, Any]:
    orders, _, judged = _earned(settings, run, ledger, bars)
    return {"run": run.id, "orders": len(orders), "trades": judged.trades, "pnl": str(judged.pnl)}


def _earned(
    settings: Settings, run: Run, ledger: Ledger, bars: BarStore
) -> tuple[list[OrderIntent], list[Fill], Performance]:
    """Return the orders and fills of a run, and its performance, computed as in the trading report."""
    orders, fills, charges = ledger.orders(run.id), accounts.fills(ledger, run.id), accounts.charges_of(ledger, run)
    trades, held = closed_trades(orders, fills), open_positions(orders, fills)
    opening = wiring.rules_of(settings, run).balance
    nav = marked(trades, accounts.traded_bars(run, bars, run.segments), opening, held, charges=charges)["nav"]
    return orders, fills, account_performance(trades, opening, nav, charges)


def _seconds_to_first_order(run: Run, stages: Stages) -> float | None:
    """Return the seconds from the start of the command, including the start of the services."""
    ordered = [at for at in stages.first_orders if at is not None]
    asked = datetime.fromisoformat(run.settings["asked_at"])
    return round((min(ordered) - asked).total_seconds(), 1) if ordered else None
