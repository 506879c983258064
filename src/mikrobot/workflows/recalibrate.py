"""The calibration of the champions on a rolling window, from their answers on a live market and their outcomes.

Probabilities, their bounds and their sets change together: all are read off the same window. The graph, and
with it the order of the answers, stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.market import Timeframe
from mikrobot.domain.sources import is_live
from mikrobot.domain.trading import Prediction, Side
from mikrobot.models.catalog import TRADED
from mikrobot.models.intervals import Window
from mikrobot.models.labels.samples import Prices
from mikrobot.models.model import Model
from mikrobot.models.registry import WINDOW, Registry
from mikrobot.models.scope import CHAMPION
from mikrobot.models.task import Task
from mikrobot.settings import Settings
from mikrobot.store.bars import BarStore
from mikrobot.store.ledger import Ledger
from mikrobot.store.postgres import database
from mikrobot.training.rolling import FEWEST_KNOWN, WINDOW_DAYS

Known = tuple[NDArray[np.float64], NDArray[np.bool_]]


def recalibrate(settings: Settings, name: str = TRADED) -> list[dict[str, Any]]:
    """Keep the outcomes of the newest days with each champion; the prediction service answers by them from then on.

    The window ends at the newest close that was predicted. What it counts are the scores of the version before
    any window, computed again from the inputs in the ledger: a probability in the ledger may come from an earlier
    window. With fewer than `FEWEST_KNOWN` outcomes, the probabilities and bounds stay those of the training, or
    of the window before. Recorded bars may be traded again, when the window would know their outcomes: of their
    source no window is kept.

    Returns
    -------
    list of dict
        For each version that is a champion: version, outcomes, needed, and until (ISO, UTC; None if nothing
        was kept).

    Raises
    ------
    ModelError, ServiceError
        If the champion cannot be loaded, or MLflow does not answer.
    """
    registry = Registry(settings.mlflow_url)
    champions = sorted(set(registry.holders(name, CHAMPION).values()), key=int)
    return [_recalibrate(settings, registry, name, version) for version in champions]


def _recalibrate(settings: Settings, registry: Registry, name: str, version: str) -> dict[str, Any]:
    found: dict[str, Any] = {"version": version, "outcomes": 0, "needed": FEWEST_KNOWN, "until": None}
    model = registry.load(name, version, rolled=False)
    spec = model.spec
    with database.open_pool(settings) as pool:
        said = _newest(Ledger(pool).said(name, version, spec.source, spec.trained_until))
        bars = _bars(BarStore(pool), spec.source, said)
    found["outcomes"], window = window_of(model, bars, said)
    if window is not None:
        registry.note(name, version, WINDOW, window.to_json())
        found["until"] = window.until.isoformat()
    return found


def window_of(model: Model, bars: Mapping[str, pd.DataFrame], said: Sequence[Prediction]) -> tuple[int, Window | None]:
    """Return how many outcomes of predictions are known, and their window; None where none is to be kept."""
    score, outcome = known(model.spec.task, bars, calibrated(model, said))
    if len(outcome) < FEWEST_KNOWN or not is_live(model.spec.source):
        return len(outcome), None
    return len(outcome), Window.of(max(each.close_time for each in said), score, outcome)


def calibrated(model: Model, said: Sequence[Prediction]) -> list[Prediction]:
    """Return the predictions with the calibrated scores of their inputs, on which windows count, as probabilities."""
    if not said:
        return []
    values = np.array([[each.features[name] for name in model.spec.columns] for each in said])
    sides = np.array([1 if each.side is Side.BUY else -1 for each in said], dtype=np.int8)
    scores = model.calibrated(model.inputs(values, sides))
    return [replace(each, probability=float(score)) for each, score in zip(said, scores, strict=True)]


def known(task: Task, bars: Mapping[str, pd.DataFrame], said: Sequence[Prediction]) -> Known:
    """Return the probabilities whose outcome the bars tell, and the outcomes; of a close said twice the last counts.

    Parameters
    ----------
    task : Task
        Of breaks: the levels are those that the predictions were made from.
    bars : mapping of str to DataFrame
        Closed M1 bars by symbol, bar frames.
    said : sequence of Prediction
    """
    parts = [_known(task, Prices.of(frame), [p for p in said if p.symbol == symbol]) for symbol, frame in bars.items()]
    if not parts:
        return np.empty(0), np.empty(0, bool)
    return np.concatenate([chance for chance, _ in parts]), np.concatenate([outcome for _, outcome in parts])


def _known(task: Task, prices: Prices, said: Sequence[Prediction]) -> Known:
    levels, chances = (np.full((len(prices), 2), np.nan) for _ in range(2))
    minutes = np.array([int(each.close_time.timestamp()) // 60 for each in said], dtype=np.int64)
    rows = np.searchsorted(prices.minute, minutes)
    for row, minute, each in zip(rows, minutes, said, strict=True):
        if row < len(prices) and prices.minute[row] == minute:
            column = 0 if each.side is Side.BUY else 1
            levels[row, column] = each.features[task.columns[column]]
            chances[row, column] = each.probability
    labels = task.label(prices, levels, np.ones(len(prices)))
    chance = chances[labels.row, (labels.side < 0).astype(np.int64)]
    return chance[np.isfinite(chance)], labels.outcome[np.isfinite(chance)]


def _newest(said: Sequence[Prediction]) -> list[Prediction]:
    """Take the days of the window, up to the newest close."""
    newest = max((each.close_time for each in said), default=None)
    return [each for each in said if newest is not None and each.close_time > newest - timedelta(days=WINDOW_DAYS)]


def _bars(store: BarStore, source: str, said: Sequence[Prediction]) -> dict[str, pd.DataFrame]:
    """Read the bars that the predictions were made at, and all that came after."""
    first: dict[str, datetime] = {}
    for each in said:
        first[each.symbol] = min(first.get(each.symbol, each.close_time), each.close_time)
    until = max((each.close_time for each in said), default=None)
    return {
        symbol: store.range(source, symbol, Timeframe.M1, start - timedelta(minutes=1), end=until + timedelta(days=1))
        for symbol, start in first.items()
        if until is not None
    }
