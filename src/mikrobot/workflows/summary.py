"""Summarise a run: collect the results of its stages and its records, and store the summary with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mikrobot import settings as configuration
from mikrobot.analytics.assessment import account_performance
from mikrobot.analytics.marks import marked
from mikrobot.analytics.trades import Performance, closed_trades, open_positions
from mikrobot.domain.instruments import registry
from mikrobot.domain.serialisation import plain
from mikrobot.domain.trading import BASELINE, Fill, OrderIntent
from mikrobot.features.catalog import CATALOG
from mikrobot.live import accounts, arms, wiring
from mikrobot.market.history import Backfill
from mikrobot.models.catalog import TRADED
from mikrobot.models.registry import Registry
from mikrobot.monitoring.drift_report import DriftReport
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows.decision_list import terminal_reasons
from mikrobot.workflows.gate_counts import Gated, by_suite
from mikrobot.workflows.materialize import Materialized
from mikrobot.workflows.run_summary import AnsweredBy, ArmFigures, Checks, RunSummary, StageLatency, TradingFigures
from mikrobot.workflows.training_report import ModelTrainings, TrainingReport


@dataclass(slots=True)
class Stages:
    """The return values of the flows of a run's segments, in the order they ran.

    Attributes
    ----------
    ingested, materialized : list of Gated
        One for each symbol.
    trained : list of TrainingReport
        One for each segment.
    first_orders : list of datetime or None
        One for each segment: the time at which its first order was placed.
    """

    ingested: list[Gated[Backfill]] = field(default_factory=list)
    materialized: list[Gated[Materialized]] = field(default_factory=list)
    trained: list[TrainingReport] = field(default_factory=list)
    first_orders: list[datetime | None] = field(default_factory=list)


def run_of(run_id: str) -> Run:
    """Return a recorded run; its instruments become those of this process."""
    with database.open_pool(configuration.load()) as pool:
        run = Runs(pool).get(run_id)
    registry.adopt(run.instruments)
    return run


def conclude(run_id: str, stages: Stages, drift: DriftReport) -> RunSummary:
    """Summarise a run and record the summary with it; return it."""
    settings = configuration.load()
    with database.open_pool(settings) as pool:
        runs, ledger, bars = Runs(pool), Ledger(pool), BarStore(pool)
        summary = summarize(settings, runs.get(run_id), stages, drift, ledger=ledger, runs=runs, bars=bars)
        runs.conclude(run_id, plain(summary))
    return summary


def summarize(
    settings: Settings, run: Run, stages: Stages, drift: DriftReport, *, ledger: Ledger, runs: Runs, bars: BarStore
) -> RunSummary:
    """Return the summary of a run, without its trading report."""
    return RunSummary(
        run=run.id,
        source=run.source,
        simulated=run.simulated,
        symbols=run.symbols,
        bars=sum(symbol.result.rows for symbol in stages.materialized),
        features=len(CATALOG.columns),
        checks=_checks(stages),
        models={TRADED: ModelTrainings.of(stages.trained)} if stages.trained else {},
        answered_by=_answered_by(settings, run, ledger),
        drift=drift,
        trading=_trading(settings, run, stages, ledger, bars=bars),
        arms={arms.name_of(arm): _arm(settings, arm, ledger, bars) for arm in runs.followers(run.id)},
        latency_ms=slowest(runs.latencies(run.id)),
        reports={
            "drift": str(drift.report),
            "quality": str(drift.quality),
            "performance": str(drift.performance),
        },
        services=addresses(settings),
    )


def addresses(settings: Settings) -> dict[str, str]:
    """Return the addresses of the Prefect UI, MLflow, and the API page of the prediction service."""
    return {"prefect": settings.prefect_url, "mlflow": settings.mlflow_url, "bento": settings.bento_url}


def slowest(latencies: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, StageLatency]:
    """Return the latencies by stage; for a stage that several processes ran, those of the slowest process.

    >>> slowest({"a": {"read": {"n": 9, "p50": 1.0, "p99": 2.0}}, "b": {"read": {"n": 8, "p50": 0.5, "p99": 3.0}}})
    {'read': StageLatency(n=8, p50=0.5, p99=3.0)}
    """
    by_stage: dict[str, StageLatency] = {}
    for stages in latencies.values():
        for stage, times in stages.items():
            if stage not in by_stage or times["p99"] > by_stage[stage].p99:
                by_stage[stage] = StageLatency(int(times["n"]), times["p50"], times["p99"])
    return by_stage


def _checks(stages: Stages) -> Checks:
    counts = [symbol.checks for symbol in stages.ingested] + [symbol.checks for symbol in stages.materialized]
    suites = by_suite(counts)
    return Checks(
        passed=sum(suite.passed for suite in suites),
        failed=sum(suite.failed for suite in suites),
        quarantined=sum(suite.quarantined for suite in suites),
        suites=suites,
    )


def _answered_by(settings: Settings, run: Run, ledger: Ledger) -> dict[str, AnsweredBy | None]:
    """Return the model with the most predictions for each symbol; None if there are no predictions."""
    registry, counts = open_registry(settings), ledger.answers(run.id)
    return {symbol: _origin(registry, counts.get(symbol, {})) for symbol in run.symbols}


def _origin(registry: Registry, counts: Mapping[tuple[str, str], int]) -> AnsweredBy | None:
    if not counts:
        return None
    model, version = max(counts, key=lambda origin: counts[origin])
    return AnsweredBy(
        model=model,
        version=None if model == BASELINE else version,
        trained_on=registry.version(TRADED, version).symbols,
    )


def _trading(settings: Settings, run: Run, stages: Stages, ledger: Ledger, *, bars: BarStore) -> TradingFigures:
    decisions = ledger.decisions(run.id)
    orders, fills, judged = _earned(settings, run, ledger, bars)
    return TradingFigures(
        signals=sum(decision.side is not None for decision in decisions),
        decisions=len(decisions),
        approved=sum(decision.approved for decision in decisions),
        orders=len(orders),
        fills=len(fills),
        trades=judged.trades,
        pnl=judged.pnl,
        max_drawdown=judged.max_drawdown,
        ambiguous_share=judged.ambiguous_share or 0.0,
        seconds_to_first_order=_seconds_to_first_order(run, stages),
        terminal_reasons=terminal_reasons(decisions),
    )


def _arm(settings: Settings, run: Run, ledger: Ledger, bars: BarStore) -> ArmFigures:
    orders, _, judged = _earned(settings, run, ledger, bars)
    return ArmFigures(run.id, len(orders), judged.trades, judged.pnl)


def _earned(
    settings: Settings, run: Run, ledger: Ledger, bars: BarStore
) -> tuple[list[OrderIntent], list[Fill], Performance]:
    """Return the orders and fills of a run, and its performance, computed as in the trading report."""
    orders, fills, charges = ledger.orders(run.id), accounts.fills(ledger, run), accounts.charges_of(ledger, run)
    trades, held = closed_trades(orders, fills), open_positions(orders, fills)
    opening = wiring.rules_of(settings, run).balance
    nav = marked(trades, accounts.traded_bars(run, bars, run.segments), opening, held, charges=charges)["nav"]
    return orders, fills, account_performance(trades, opening, nav, charges)


def _seconds_to_first_order(run: Run, stages: Stages) -> float | None:
    """Return the seconds from the start of the command, including the start of the services."""
    ordered = [at for at in stages.first_orders if at is not None]
    asked = datetime.fromisoformat(run.settings["asked_at"])
    return round((min(ordered) - asked).total_seconds(), 1) if ordered else None
