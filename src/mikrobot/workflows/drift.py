"""Judge how far a run has drifted from the training of its models, and compare its online with its offline rows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from mikrobot.domain.drift import DriftEvent, DriftKind, WindowVerdict
from mikrobot.domain.errors import DataError, ModelError
from mikrobot.domain.sources import is_live
from mikrobot.domain.trading import BASELINE as BASELINE_MODEL
from mikrobot.domain.trading import Prediction
from mikrobot.live import wiring
from mikrobot.live.session import recorded_run, segments_so_far
from mikrobot.models.catalog import TRADED
from mikrobot.models.registry import Registry
from mikrobot.models.scope import CHALLENGER, Scope
from mikrobot.models.spec import ModelSpec
from mikrobot.monitoring import drift_page, performance_verdict
from mikrobot.monitoring.drift_events import event_of, repeated_degradation, unreported_degradation, unreported_drift
from mikrobot.monitoring.drift_page import Comparison
from mikrobot.monitoring.drift_reference import DriftReference
from mikrobot.monitoring.drift_report import DriftReport, SymbolDrift, newest, summed_up, verdict_of
from mikrobot.monitoring.drift_verdict import WindowDrift, judge
from mikrobot.monitoring.performance_verdict import WindowSkill
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.drift_history import DriftHistory, Judged
from mikrobot.store.feast import offline
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Run, Runs
from mikrobot.workflows import calibration_halts, drift_rows, performance
from mikrobot.workflows.calibration_halts import miscalibration
from mikrobot.workflows.drift_rows import Rows
from mikrobot.workflows.trading_report import report_folder


def compare(settings: Settings, run_id: str | None) -> DriftReport:
    """Judge the drift of each symbol of a run, store the verdicts, write the report, and compare online with offline.

    A symbol of a live source whose probabilities are miscalibrated is not traded, see `calibration_halts`.

    Parameters
    ----------
    run_id : str or None
        None: the latest run.

    Raises
    ------
    UsageError
        If there is no such run.
    ModelError, ServiceError
        If a model cannot be loaded, or MLflow does not answer.
    StoreError
        If a symbol has no stored rows, or the report cannot be written.
    """
    with database.open_pool(settings) as pool:
        runs = Runs(pool)
        run = recorded_run(runs, run_id)
        registry = open_registry(settings)
        answering, predictions = performance.answering(registry, run), Ledger(pool).predictions(run.id)
        own = wiring.market_of(settings, run)
        comparisons = [
            _of_symbol(own, pool, _judged(answering, run, symbol), registry, end=segment.trade_until)
            for segment in segments_so_far(runs, run)
            for symbol in segment.symbols
        ]
        report = report_folder(own, run) / "drift.html"
        workspace = settings.home / "evidently" if settings.evidently else None
        symbols = drift_page.write(comparisons, run.source, simulated=run.simulated, report=report, workspace=workspace)
        online, skewed = _skew(own, run, predictions)
        challenged = registry.holders(TRADED, CHALLENGER)
        events = [
            event
            for drift in symbols
            for event in _stored(
                DriftHistory(pool), run.source, drift, challenged=Scope(run.source, drift.symbol) in challenged
            )
        ]
        if is_live(run.source):
            now = wiring.market_time(settings, run, SystemClock()).now()
            reasons = {drift.symbol: miscalibration(drift.windows, now) for drift in symbols}
            calibration_halts.apply(pool, run.source, reasons, now=now)
    return DriftReport(
        source=run.source,
        simulated=run.simulated,
        verdict=summed_up([symbol.verdict for symbol in symbols]),
        share=max(symbol.share for symbol in symbols),
        symbols=tuple(symbols),
        events=tuple(events),
        report=report,
        online_rows=online,
        skewed_rows=skewed,
    )


def _judged(answering: Mapping[str, Judged], run: Run, symbol: str) -> Judged:
    if symbol not in answering:
        raise ModelError(f"no model answers for {Scope(run.source, symbol)}; train one: `mikrobot retrain`")
    return answering[symbol]


def _of_symbol(settings: Settings, pool: Pool, judged: Judged, registry: Registry, *, end: datetime) -> Comparison:
    """Judge a symbol."""
    model = registry.load(TRADED, judged.version)
    if judged.model == BASELINE_MODEL:
        model = model.diffusion()
    spec, bars, history = model.spec, BarStore(pool), DriftHistory(pool)
    undecided = SymbolDrift(
        judged.scope.symbol,
        judged.model,
        judged.version,
        "not judged",
        (),
        since=spec.trained_from,
        until=spec.trained_until,
    )
    try:
        rows = drift_rows.read(settings, bars, judged, model, end=end)
        features, predictions = drift_rows.references(history, judged, rows)
    except DataError as error:
        return Comparison(replace(undecided, reasons=(str(error),)))
    judged_windows = judge(features, rows.frame, rows.end)
    windows = [
        *_verdicts(DriftKind.FEATURES, judged_windows),
        *_verdicts(DriftKind.PREDICTIONS, judge(predictions, rows.frame, rows.end, volatility=False)),
        *performance_verdict.judge(
            _windows(pool, judged, features, spec, end=rows.end, entry=settings.entry_probability)
        ),
    ]
    windows.sort(key=lambda window: window.until)
    drift = _described(undecided, windows, judged_windows, features)
    if not windows:
        return Comparison(drift, features)
    return Comparison(drift, features, _newest_rows(rows, features, judged_windows[-1]))


def _windows(
    pool: Pool, judged: Judged, reference: DriftReference, spec: ModelSpec, *, end: datetime, entry: float
) -> list[WindowSkill]:
    """Return the skill of the windows after a reference whose outcomes are all known at the end."""
    measured = performance.of_symbol(pool, judged, spec, entry=entry)
    complete_until = end - timedelta(minutes=spec.horizon_minutes)
    return performance_verdict.of_windows(
        measured.outcomes, reference.until, complete_until, reference.window, horizon=spec.horizon_minutes, entry=entry
    )


def _verdicts(kind: DriftKind, windows: list[WindowDrift]) -> list[WindowVerdict]:
    return [
        WindowVerdict(
            kind,
            window.since,
            window.until,
            window.verdict == "drift",
            window.onset,
            window.reasons,
            {
                "share": window.share,
                "mean_shift": window.mean_shift,
                "volatility": window.volatility,
                "drifted": window.drifted,
            },
        )
        for window in windows
    ]


def _described(
    undecided: SymbolDrift, windows: list[WindowVerdict], judged: list[WindowDrift], reference: DriftReference
) -> SymbolDrift:
    days = reference.window / timedelta(days=1)
    if not windows:
        waits = f"no whole window of {days:g} {'day' if days == 1 else 'days'} has passed since the training"
        return replace(undecided, reasons=(waits,), since=reference.since, window_days=days)
    return replace(
        undecided,
        verdict=verdict_of(windows),
        reasons=tuple(reason for window in newest(windows).values() for reason in window.reasons),
        since=reference.since,
        until=reference.until,
        window_days=days,
        share=judged[-1].share,
        limit=reference.share_limit,
        drifted=tuple(judged[-1].drifted),
        windows=tuple(windows),
    )


def _newest_rows(rows: Rows, reference: DriftReference, window: WindowDrift) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of the reference and of a window."""
    closes = rows.frame["close_time"]
    before = (closes > pd.Timestamp(reference.since)) & (closes <= pd.Timestamp(reference.until))
    within = (closes > pd.Timestamp(window.since)) & (closes <= pd.Timestamp(window.until))
    return rows.frame[before], rows.frame[within]


def _stored(history: DriftHistory, source: str, drift: SymbolDrift, *, challenged: bool) -> list[DriftEvent]:
    """Store the verdicts of a symbol; return the drift and the degradation that no event has reported.

    A degradation that goes on is reported again for every window, unless a challenger waits to take over.
    """
    judged = Judged(Scope(source, drift.symbol), drift.model, drift.version)
    fresh = history.add(judged, drift.windows)
    windows, reported = history.of(judged), history.reported(judged)
    begun = [event_of("drift", judged, window) for window in unreported_drift(windows, reported)]
    degraded = unreported_degradation(windows, fresh, reported)
    if not degraded and not challenged:
        degraded = repeated_degradation(windows, fresh, reported)
    return begun + [event_of("degraded", judged, window) for window in degraded]


def mark_reported(settings: Settings, events: Sequence[DriftEvent]) -> None:
    """Store that events were emitted, so that they are not emitted again.

    Raises
    ------
    StoreError
        If the database fails; they are emitted again then.
    """
    with database.open_pool(settings) as pool:
        DriftHistory(pool).mark(events)


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
