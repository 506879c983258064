"""Measures a challenger and the champion on one span, for the gate to rule on.

Both are asked as they are served, by the same graph and calibration, but that of their training: a rolling window
may know outcomes of the span that they are judged on.
"""

from datetime import datetime
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.errors import ModelError
from mikrobot.models.model import Model
from mikrobot.models.registry import Registry
from mikrobot.training import gate
from mikrobot.training.dataset import Dataset
from mikrobot.training.gate import Interval, Ruling, Standing
from mikrobot.training.payoff import payoff
from mikrobot.training.scores import calibration_error, calibration_noise, reliability
from mikrobot.training.uplift import uplift

DARING = 0.85
"""Probability of either outcome from which a model counts as daring to speak."""

LATENCY_CALLS = 200
SEED = 1
"""Of the bootstrap."""


def rule(
    challenger: Model, registry: Registry, data: Dataset, test: NDArray[np.int64], trade_from: datetime | None,
    shadow_asked: int = 0,
) -> Ruling:  # fmt: skip
    """Rule on a challenger that is not registered yet.

    Parameters
    ----------
    challenger : Model
    registry : Registry
    data : Dataset
    test : ndarray of int64
        Samples of the challenger's test span.
    trade_from : datetime or None
        UTC; a champion that learned from anything at or after it must not trade from it on.
    shadow_asked : int
        Predictions to be made in the champion's shadow first; the challenger has made none yet.
    """
    name = challenger.contract.name
    said = challenger.score(data.inputs[test])
    standing = stand(challenger, said, data, test)
    version = registry.champion(name)
    if version is None:
        return gate.first(standing, "there was no champion")
    try:
        champion = registry.load_version(name, version, rolled=False)
    except ModelError as error:
        return gate.first(standing, f"the champion could not be loaded: {error}")
    if why := unfit(champion, challenger, trade_from):
        return gate.first(standing, f"champion {version} {why}")
    former, uplifts = champion.score(data.inputs[test]), challenger.contract.metrics["uplift"]
    return gate.against(
        standing,
        stand(champion, former, data, test),
        _over(uplifts[f"over_{gate.to_beat(uplifts)}"]["auc"]),
        _over(uplift(said, former, data.outcome[test], data.time[test], SEED)["auc"]),
        (0, shadow_asked),
    )


def unfit(champion: Model, challenger: Model, trade_from: datetime | None) -> str:
    """Say why a champion may not serve where the challenger would; empty when it may."""
    old, new = champion.contract, challenger.contract
    if old.source != new.source:
        return f"learned from source {old.source}, not {new.source}"
    if old.feature_hash != new.feature_hash:
        return f"reads features {old.feature_hash}, which are {new.feature_hash} now"
    if (old.swing, old.horizon_minutes) != (new.swing, new.horizon_minutes):
        return (
            f"answers for swing {old.swing} within {old.horizon_minutes} minutes, "
            f"not for swing {new.swing} within {new.horizon_minutes}"
        )
    if trade_from is not None and old.trained_until > trade_from:
        return f"had seen data up to {old.trained_until}, later than {trade_from} from where it would trade"
    return ""


def stand(model: Model, said: NDArray[np.float64], data: Dataset, chosen: NDArray[np.int64]) -> Standing:
    """Measure what the gate asks of one model."""
    outcome = data.outcome[chosen]
    yes = said >= 0.5
    dared = np.maximum(said, 1.0 - said) >= DARING
    return Standing(
        calibration_error=calibration_error(said, outcome),
        calibration_noise=calibration_noise(reliability(said, outcome)),
        latency_ms=latency_ms(model, data.inputs[chosen[:LATENCY_CALLS]]),
        coverage=float(dared.mean()),
        precision=float((yes == outcome)[dared].mean()) if dared.any() else 0.0,
        expectancy_r=payoff(said, data.only(chosen), model.contract.task.kind)["expectancy_r"],
    )


def latency_ms(model: Model, inputs: NDArray[np.float32]) -> float:
    """Return the median of answering one row at a time, natively, in milliseconds."""
    took = []
    for row in inputs:
        begun = perf_counter()
        model.score(row[None])
        took.append(perf_counter() - begun)
    return float(np.median(took) * 1e3)


def _over(found: dict[str, float | None]) -> Interval:
    value = found["value"]
    assert value is not None
    return Interval(value, found["low"], found["high"])
