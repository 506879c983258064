"""Train models on stored bars or bar files."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from mikrobot import telemetry
from mikrobot.domain.errors import ServingError
from mikrobot.domain.market import Timeframe
from mikrobot.domain.sources import is_live
from mikrobot.features.catalog import CATALOG
from mikrobot.market.reading import reading_of
from mikrobot.market.replay import ReplaySource
from mikrobot.models.scope import CHALLENGER, CHAMPION
from mikrobot.settings import Settings
from mikrobot.stack.prediction_notice import notify
from mikrobot.store.bars import BarStore
from mikrobot.store.feast import offline
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.training import pipeline
from mikrobot.training.computed import rows_of
from mikrobot.training.dataset import needed
from mikrobot.training.fitting import Progress
from mikrobot.training.recipes import recipe_of
from mikrobot.workflows.training_report import TrainingReport

log = telemetry.logger("training")


def train(
    settings: Settings,
    name: str,
    source: str,
    symbols: Sequence[str],
    *,
    start: datetime,
    end: datetime,
    trade_from: datetime | None,
    again: bool = True,
    progress: Progress,
) -> TrainingReport:
    """Train a model on stored bars that open in [start, end).

    Parameters
    ----------
    trade_from : datetime or None
        UTC; nothing later is used. None, on a live source: a challenger first predicts in the champion's shadow.
    again : bool
        Train also if a version that answers was trained on the same data with the same settings.
    progress : callable
        Called with the stage and its completed share.

    Raises
    ------
    UnchangedData
        If there is such a version, and not `again`.
    ModelError
        If there is too little to learn from.
    ServiceError
        If MLflow does not answer.
    """
    with database.open_pool(settings) as pool:
        store = BarStore(pool)
        bars = {symbol: store.range(source, symbol, Timeframe.M1, start, end=end) for symbol in symbols}
    result = pipeline.train(
        name,
        bars,
        partial(offline.training_rows, settings),
        open_registry(settings, signing=True),
        settings=settings,
        source=source,
        feature_hash=CATALOG.version,
        trade_from=trade_from,
        shadow_asked=settings.shadow_predictions if trade_from is None and is_live(source) else 0,
        again=again,
        progress=progress,
    )
    if result.champion_of:
        _notify(settings)
    return _report(result, source)


def train_here(settings: Settings, name: str, data: Sequence[Path], progress: Progress) -> list[TrainingReport]:
    """Train a model on bar files, or on what the latest run has stored.

    Returns
    -------
    list of TrainingReport
        One for the files, or one for each segment of the run.

    Raises
    ------
    BarError, UnknownSymbol
        If a file cannot be used.
    UsageError
        If there is neither a file nor a run.
    ModelError, ServiceError
        As `train`.
    """
    if not data:
        from mikrobot.workflows.default_span import default_spans

        return [
            train(
                settings,
                name,
                part.source,
                part.symbols,
                start=part.start,
                end=part.end,
                trade_from=None,
                progress=progress,
            )
            for part in default_spans()
        ]
    files = ReplaySource(data, reading_of(settings))
    bars = {symbol: files.history(symbol, *files.span(symbol)) for symbol in files.symbols()}
    recipe = recipe_of(name, settings)
    result = pipeline.train(
        name,
        bars,
        rows_of(bars, needed(recipe.inputs, recipe.task)),
        open_registry(settings, signing=True),
        settings=settings,
        source=files.name,
        feature_hash=CATALOG.version,
        progress=progress,
    )
    return [_report(result, files.name)]


def _notify(settings: Settings) -> None:
    """Let the prediction service take a new champion now; if it cannot, it serves the former one."""
    try:
        notify(settings)
    except ServingError as error:
        log.warning("champion_not_served", reason=str(error))


def _report(result: pipeline.TrainingResult, source: str) -> TrainingReport:
    spec = result.spec
    return TrainingReport(
        version=result.version,
        alias=CHAMPION if result.champion_of else CHALLENGER if result.challenger_of else None,
        promoted=bool(result.champion_of),
        champion_of=result.champion_of,
        challenger_of=result.challenger_of,
        reason=result.reason,
        source=source,
        symbols=spec.symbols,
        trained_from=spec.trained_from,
        trained_until=spec.trained_until,
        horizon_minutes=spec.horizon_minutes,
        metrics=result.evaluation,
    )
