"""The skill of the predictions of one run, by symbol and model version, for its trading report."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from mikrobot.analytics.skill_facts import SkillFacts
from mikrobot.domain.trading import Prediction, Side
from mikrobot.models.labels.samples import Prices
from mikrobot.models.task import Task
from mikrobot.monitoring.outcomes import Outcomes, join
from mikrobot.monitoring.skill import skill


def skills_of(
    task: Task, bars: Mapping[str, pd.DataFrame], predictions: Iterable[Prediction], *, entry: float
) -> list[SkillFacts]:
    """Return the skill of predictions by symbol and model version, in order of name.

    Parameters
    ----------
    task : Task
        The task of the predictions.
    bars : mapping of str to DataFrame
        M1 bar frames by symbol; an outcome is known if they reach the end of its horizon.
    predictions : iterable of Prediction
    entry : float
        Probability from which a prediction is confident.
    """
    ordered = sorted((one for one in predictions if one.symbol in bars and len(bars[one.symbol])), key=_key)
    return [
        _skill(task, symbol, model, _outcomes(task, bars[symbol], list(own)), entry=entry)
        for (symbol, model), own in groupby(ordered, key=lambda prediction: _key(prediction)[:2])
    ]


def _key(prediction: Prediction) -> tuple[str, str, float]:
    return prediction.symbol, f"{prediction.model} {prediction.model_version}", prediction.close_time.timestamp()


def _skill(task: Task, symbol: str, model: str, outcomes: Outcomes, *, entry: float) -> SkillFacts:
    realised = None
    if len(outcomes):
        realised = skill(outcomes.probability, outcomes.outcome, outcomes.minute, task.horizon, entry=entry)
    if realised is None:
        return SkillFacts(symbol, model, len(outcomes))
    return SkillFacts(
        symbol=symbol,
        model=model,
        outcomes=realised.predictions,
        blocks=realised.blocks,
        auc=str(realised.auc),
        auc_promised=realised.auc_promised,
        brier=realised.brier.value,
        brier_promised=realised.brier_promised,
        bias=str(realised.bias),
        calibration_error=realised.calibration_error,
    )


def _outcomes(task: Task, frame: pd.DataFrame, predictions: Sequence[Prediction]) -> Outcomes:
    """Return the outcomes of predictions of one symbol in order of time."""
    level = [p.features.get(task.columns[0 if p.side is Side.BUY else 1], np.nan) for p in predictions]
    return join(
        task,
        Prices.of(frame),
        np.array([int(prediction.close_time.timestamp()) // 60 for prediction in predictions], dtype=np.int64),
        np.array([prediction.side is Side.BUY for prediction in predictions]),
        level=np.array(level, dtype=np.float64),
        probability=np.array([prediction.probability for prediction in predictions], dtype=np.float64),
    )
