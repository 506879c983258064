"""Recalibrate the champions on a rolling window of their predictions on a live market and the outcomes.

Probabilities, their bounds and their sets change together: all come from the same window. The graph, and with
it the ranking of the predictions, does not change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.market import Timeframe
from mikrobot.domain.sources import is_live
from mikrobot.domain.trading import Prediction, Side
from mikrobot.models.catalog import TRADED
from mikrobot.models.conformal import Window
from mikrobot.models.labels.samples import Prices
from mikrobot.models.model import Model
from mikrobot.models.registry import Registry
from mikrobot.models.scope import CHAMPION
from mikrobot.models.task import Task
from mikrobot.monitoring.outcomes import join
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.model_registry import open_registry
from mikrobot.store.postgres import database
from mikrobot.training.rolling import FEWEST_KNOWN, WINDOW_DAYS

Outcomes = tuple[NDArray[np.float64], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Recalibration:
    """The outcomes on which the calibration of a champion is based.

    Attributes
    ----------
    version : str
    outcomes : int
        Number of known outcomes of its newest predictions.
    needed : int
        Number of outcomes that a window needs.
    until : datetime or None
        Newest predicted close in the window, UTC; None if no window was stored.
    """

    version: str
    outcomes: int
    needed: int
    until: datetime | None


def recalibrate(settings: Settings, name: str = TRADED) -> list[Recalibration]:
    """Store a window of recent outcomes with each champion; the prediction service uses it from then on.

    The window ends at the newest predicted close. It counts the scores of the version without any window,
    computed again from the inputs in the ledger, since a probability in the ledger may come from an earlier
    window. With fewer than `FEWEST_KNOWN` outcomes, the version keeps the calibration of its training or of its
    previous window. No window is stored for a source of recorded bars: they may be traded again, and the window
    would contain their outcomes.

    Returns
    -------
    list of Recalibration
        One for each champion version.

    Raises
    ------
    ModelError, ServiceError
        If the champion cannot be loaded, or MLflow does not answer.
    """
    registry = open_registry(settings, signing=True)
    champions = sorted(set(registry.holders(name, CHAMPION).values()), key=int)
    return [_recalibrate(settings, registry, name, version) for version in champions]


def _recalibrate(settings: Settings, registry: Registry, name: str, version: str) -> Recalibration:
    model = registry.load(name, version, rolled=False)
    spec = model.spec
    with database.open_pool(settings) as pool:
        predictions = _newest(Ledger(pool).predictions_of(name, version, spec.source, spec.trained_until))
        bars = _bars(BarStore(pool), spec.source, predictions)
    outcomes, window = window_of(model, bars, predictions)
    if window is not None:
        registry.roll(name, version, window)
    return Recalibration(version, outcomes, FEWEST_KNOWN, None if window is None else window.until)


def window_of(
    model: Model, bars: Mapping[str, pd.DataFrame], predictions: Sequence[Prediction]
) -> tuple[int, Window | None]:
    """Return the number of known outcomes of predictions, and their window; None if no window is to be stored."""
    score, outcome = outcomes_of(model.spec.task, bars, calibrated(model, predictions))
    if len(outcome) < FEWEST_KNOWN or not is_live(model.spec.source):
        return len(outcome), None
    return len(outcome), Window.of(max(prediction.close_time for prediction in predictions), score, outcome)


def calibrated(model: Model, predictions: Sequence[Prediction]) -> list[Prediction]:
    """Return the predictions with the calibrated scores of their inputs as probabilities; windows count these."""
    if not predictions:
        return []
    values = np.array([[prediction.features[name] for name in model.spec.columns] for prediction in predictions])
    sides = np.array([1 if prediction.side is Side.BUY else -1 for prediction in predictions], dtype=np.int8)
    scores = model.calibrated(model.inputs(values, sides))
    return [replace(p, probability=float(score)) for p, score in zip(predictions, scores, strict=True)]


def outcomes_of(task: Task, bars: Mapping[str, pd.DataFrame], predictions: Sequence[Prediction]) -> Outcomes:
    """Return the probabilities whose outcome is known from the bars, and the outcomes.

    If a close has several predictions, the last one counts.

    Parameters
    ----------
    task : Task
        A task of breaks; the levels are those that the predictions were made from.
    bars : mapping of str to DataFrame
        Closed M1 bars by symbol, bar frames.
    predictions : sequence of Prediction
    """
    by_symbol = {symbol: [p for p in predictions if p.symbol == symbol] for symbol in bars}
    parts = [_outcomes(task, Prices.of(frame), by_symbol[symbol]) for symbol, frame in bars.items()]
    if not parts:
        return np.empty(0), np.empty(0, bool)
    return np.concatenate([chance for chance, _ in parts]), np.concatenate([outcome for _, outcome in parts])


def _outcomes(task: Task, prices: Prices, predictions: Sequence[Prediction]) -> Outcomes:
    minute = np.array([int(prediction.close_time.timestamp()) // 60 for prediction in predictions], dtype=np.int64)
    up = np.array([prediction.side is Side.BUY for prediction in predictions], dtype=bool)
    level = [prediction.features[task.columns[0 if prediction.side is Side.BUY else 1]] for prediction in predictions]
    probability = [prediction.probability for prediction in predictions]
    joined = join(
        task, prices, minute, up,
        level=np.array(level, dtype=np.float64), probability=np.array(probability, dtype=np.float64),
    )  # fmt: skip
    return joined.probability, joined.outcome


def _newest(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Return the predictions within the window, which ends at the newest close."""
    newest = max((prediction.close_time for prediction in predictions), default=None)
    return [p for p in predictions if newest is not None and p.close_time > newest - timedelta(days=WINDOW_DAYS)]


def _bars(store: BarStore, source: str, predictions: Sequence[Prediction]) -> dict[str, pd.DataFrame]:
    """Read the bars at which the predictions were made, and all later bars."""
    first: dict[str, datetime] = {}
    for prediction in predictions:
        first[prediction.symbol] = min(first.get(prediction.symbol, prediction.close_time), prediction.close_time)
    until = max((prediction.close_time for prediction in predictions), default=None)
    return {
        symbol: store.range(source, symbol, Timeframe.M1, start - timedelta(minutes=1), end=until + timedelta(days=1))
        for symbol, start in first.items()
        if until is not None
    }
