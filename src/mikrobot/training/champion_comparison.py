"""Measurement of a challenger and the champion of each scope on one span, as input of the promotion gate.

Both models are evaluated as they are served, except that their intervals are those of their training: a rolling
window may contain outcomes of the evaluated span.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.errors import ModelError
from mikrobot.models.model import Model
from mikrobot.models.registry import Registry
from mikrobot.models.scope import CHAMPION, Scope
from mikrobot.training import promotion_gate
from mikrobot.training.dataset import Dataset
from mikrobot.training.day_bootstrap import Interval, Observations, difference, mean
from mikrobot.training.evaluation import predict_baselines
from mikrobot.training.evaluation_figures import Uplift
from mikrobot.training.payoff import FEWEST_TRADES, follow
from mikrobot.training.promotion_gate import Differences, ModelFigures, Ruling
from mikrobot.training.scores import calibration_error, calibration_noise, reliability
from mikrobot.training.uplift import uplift

Floats = NDArray[np.float64]

CONFIDENT = 0.85
"""Probability of either outcome from which a prediction counts as confident."""

LATENCY_CALLS = 200
SEED = 1
"""Seed of the bootstrap."""

NO_CHAMPION = "there was no champion"


@dataclass(frozen=True, slots=True)
class Judged:
    """The evaluation of one model on the samples of one symbol.

    Attributes
    ----------
    probability : ndarray of float64, shape (samples,)
    confident : Observations
        1 for each correct confident prediction, 0 for each wrong one.
    trades : Observations
        Results in R after costs of trades on the predictions.
    over_baseline : Interval
        AUC uplift over the diffusion baseline with the forecast sigma.
    standing : ModelFigures
    """

    probability: Floats
    confident: Observations
    trades: Observations
    over_baseline: Interval
    standing: ModelFigures


def rule(
    challenger: Model, registry: Registry, data: Dataset, test: NDArray[np.int64], *, trade_from: datetime | None,
    shadow_asked: int = 0,
) -> dict[Scope, Ruling]:  # fmt: skip
    """Rule on a challenger that is not registered yet, for each symbol that it was trained on.

    Parameters
    ----------
    challenger : Model
    registry : Registry
    data : Dataset
    test : ndarray of int64
        Row numbers of the challenger's test span.
    trade_from : datetime or None
        UTC; start of trading. A champion trained on later data is unfit.
    shadow_asked : int
        Number of shadow predictions required before promotion; the challenger has made none yet.
    """
    name = challenger.spec.name
    champions = registry.holders(name, CHAMPION)
    loaded: dict[str, Model | ModelError] = {}
    for version in set(champions.values()):
        try:
            loaded[version] = registry.load(name, version, rolled=False)
        except ModelError as error:
            loaded[version] = error
    spans = {scope: test[data.symbol[test] == scope.symbol] for scope in challenger.spec.scopes}
    return {
        scope: _rule(
            challenger, _former(champions.get(scope), loaded), data.only(own), trade_from, shadow_asked=shadow_asked
        )
        for scope, own in spans.items()
    }


def _former(version: str | None, loaded: Mapping[str, Model | ModelError]) -> Model | str:
    """Return the champion, or the reason why there is none to compare with."""
    if version is None:
        return NO_CHAMPION
    model = loaded[version]
    return f"the champion could not be loaded: {model}" if isinstance(model, ModelError) else model


def _rule(
    challenger: Model, former: Model | str, data: Dataset, trade_from: datetime | None, *, shadow_asked: int
) -> Ruling:
    if not 0 < int(data.outcome.sum()) < len(data):
        text = f"all {len(data)} samples of the test span have the same outcome; train on more history"
        return Ruling((promotion_gate.Clause("samples", False, text),))
    own = judge(challenger, data)
    if isinstance(former, str):
        return promotion_gate.first(own.standing, own.over_baseline, former)
    if why := unfit(former, challenger, trade_from):
        reason = f"champion {former.spec.version} {why}"
        return promotion_gate.first(own.standing, own.over_baseline, reason, unfit=True)
    champion = judge(former, data)
    over_champion = _differences(own, champion, data)
    return promotion_gate.against(
        own.standing, champion.standing, own.over_baseline, over_champion, shadow=(0, shadow_asked)
    )


def unfit(champion: Model, challenger: Model, trade_from: datetime | None) -> str:
    """Return the reason why a champion may not serve the challenger's scope; empty if it may."""
    old, new = champion.spec, challenger.spec
    if old.feature_hash != new.feature_hash:
        return f"was trained on features {old.feature_hash}, the current version is {new.feature_hash}"
    if (old.swing, old.horizon_minutes) != (new.swing, new.horizon_minutes):
        return (
            f"predicts for swing {old.swing} and {old.horizon_minutes} minutes, "
            f"expected swing {new.swing} and {new.horizon_minutes} minutes"
        )
    if trade_from is not None and old.trained_until > trade_from:
        return f"was trained on data up to {old.trained_until}, later than the start of trading at {trade_from}"
    return ""


def judge(model: Model, data: Dataset) -> Judged:
    """Measure the figures that the gate needs of one model, on samples of one symbol with both outcomes."""
    probability, outcome = model.score(data.inputs), data.outcome
    confident = np.maximum(probability, 1.0 - probability) >= CONFIDENT
    right = ((probability >= 0.5) == outcome)[confident].astype(float)
    trades, over_baseline = follow(probability, data, model.spec.task.kind).net, _over_baseline(model, data)
    standing = ModelFigures(
        calibration_error=calibration_error(probability, outcome),
        calibration_noise=calibration_noise(reliability(probability, outcome)),
        brier_skill=over_baseline.brier_skill,
        latency_ms=latency_ms(model, data.inputs[:LATENCY_CALLS]),
        coverage=float(confident.mean()),
        precision=float(right.mean()) if len(right) else 0.0,
        expectancy_r=mean(trades, SEED) if len(trades.values) >= FEWEST_TRADES else None,
    )
    return Judged(probability, Observations(right, data.time[confident]), trades, over_baseline.auc, standing)


def latency_ms(model: Model, inputs: NDArray[np.float32]) -> float:
    """Return the median latency of one prediction in the same process, in milliseconds."""
    durations_s = []
    for row in inputs:
        begin = perf_counter()
        model.score(row[None])
        durations_s.append(perf_counter() - begin)
    return float(np.median(durations_s) * 1e3)


def _over_baseline(model: Model, data: Dataset) -> Uplift:
    diffusions = predict_baselines(model.spec.diffusion, data, model.inputs)
    baseline = diffusions.get("forecast", diffusions["atr"])
    return uplift(model.score(data.inputs), baseline, data.outcome, data.time, seed=SEED)


def _differences(own: Judged, champion: Judged, data: Dataset) -> Differences:
    both_confident = len(own.confident.values) and len(champion.confident.values)
    both_traded = own.standing.expectancy_r is not None and champion.standing.expectancy_r is not None
    return Differences(
        auc=_auc(own.probability, champion.probability, data),
        precision=difference(own.confident, champion.confident, SEED) if both_confident else None,
        expectancy_r=difference(own.trades, champion.trades, SEED) if both_traded else None,
    )


def _auc(probability: Floats, other: Floats, data: Dataset) -> Interval:
    return uplift(probability, other, data.outcome, data.time, seed=SEED).auc
