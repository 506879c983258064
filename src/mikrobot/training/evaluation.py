"""A model on one span, beside what it must beat.

"Will price cross a near level soon" is mostly a matter of distance and volatility: a random walk
gets a high AUC too. Skill is what remains over the diffusion baselines, with its interval.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.diffusion import Diffusion
from mikrobot.models.inputs import SideInputs
from mikrobot.models.task import Task
from mikrobot.training.dataset import Dataset
from mikrobot.training.payoff import payoff
from mikrobot.training.rolling import Predictions, intervals, selective
from mikrobot.training.scores import reliability, scores
from mikrobot.training.slices import slices
from mikrobot.training.uplift import uplift

Floats = NDArray[np.float64]

FEWEST_SAMPLES = 50
"""Samples below which a part is left out."""


def fit_baselines(data: Dataset, train: NDArray[np.int64], task: Task, seen: SideInputs) -> dict[str, Diffusion]:
    """Fit the diffusion baselines on training samples, whose inputs `seen` has made.

    Returns
    -------
    dict
        ``atr``: with the ATR as its volatility; ``forecast``: with the seasonal forecast, its weights fitted anew on
        these samples, if the data have it.
    """
    fitted, levels = {}, seen.levels(data.inputs[train])
    chosen = data.only(train)
    for name, sigma in _sigmas(chosen).items():
        own = np.isfinite(sigma)
        if own.any():
            fitted[name] = Diffusion.fit(
                task.reach,
                chosen.distance[own],
                sigma[own],
                chosen.minutes[own],
                outcome=chosen.outcome[own],
                levels=levels[own] if name == "forecast" else None,
            )
    return fitted


def predict_baselines(fitted: Mapping[str, Diffusion], data: Dataset, seen: SideInputs) -> dict[str, Floats]:
    """Return what the baselines say about samples; without a forecast, its baseline falls back on the ATR's."""
    sigmas, levels = _sigmas(data), seen.levels(data.inputs)
    said = {name: curve.predict(data.distance, sigmas[name], data.minutes, levels) for name, curve in fitted.items()}
    if "forecast" in said:
        said["forecast"] = np.where(np.isfinite(said["forecast"]), said["forecast"], said["atr"])
    return said


def evaluate(
    probability: Floats,
    baselines: Mapping[str, Floats],
    data: Dataset,
    kind: str,
    *,
    seed: int,
    history: Predictions | None = None,
) -> dict[str, Any]:
    """Judge a model beside the base rate, the majority and the diffusion baselines.

    Parameters
    ----------
    probability : ndarray of float, shape (samples,)
    baselines : mapping of str to ndarray of float, shape (samples,)
        As `predict_baselines`.
    data : Dataset
        The samples judged; both outcomes occur.
    kind : str
        Of the task.
    seed : int
        Of the bootstrap.
    history : Predictions, optional
        Earlier predictions of the same model, which fill the first rolling windows.

    Returns
    -------
    dict
        Plain JSON values: ``samples``, ``base_rate``, ``majority_accuracy``, ``metrics`` (see `scores`),
        ``baselines``: {``diffusion_<name>``: the same}, ``uplift``: {``over_<name>``: see `uplift`},
        ``payoff``, ``reliability``, ``selective``, ``intervals``, and ``by_symbol``, ``by_session``, ``by_volatility``,
        ``by_distance``, ``by_minutes_left``: the first six of each part with both outcomes.
    """
    judged = Predictions(probability, data.outcome, data.time, data.end)
    return {
        **_beside(probability, baselines, data, seed),
        "payoff": payoff(probability, data, kind),
        "reliability": reliability(probability, data.outcome),
        "selective": selective(judged, history),
        "intervals": intervals(judged, history),
        **{f"by_{name}": _parts(parts, probability, baselines, data, seed=seed) for name, parts in slices(data)},
    }


def _beside(probability: Floats, baselines: Mapping[str, Floats], data: Dataset, seed: int) -> dict[str, Any]:
    base = float(data.outcome.mean())
    return {
        "samples": len(data),
        "base_rate": base,
        "majority_accuracy": max(base, 1.0 - base),
        "metrics": scores(probability, data.outcome),
        "baselines": {f"diffusion_{name}": scores(said, data.outcome) for name, said in baselines.items()},
        "uplift": {
            f"over_{name}": uplift(probability, said, data.outcome, data.time, seed=seed)
            for name, said in baselines.items()
        },
    }


def _parts(
    parts: Mapping[str, NDArray[np.int64]],
    probability: Floats,
    baselines: Mapping[str, Floats],
    data: Dataset,
    *,
    seed: int,
) -> dict[str, Any]:
    return {
        name: _beside(probability[own], {key: said[own] for key, said in baselines.items()}, data.only(own), seed)
        for name, own in parts.items()
        if len(own) >= FEWEST_SAMPLES and 0.0 < data.outcome[own].mean() < 1.0
    }


def _sigmas(data: Dataset) -> dict[str, Floats]:
    return {"atr": data.sigma_atr, "forecast": data.sigma_forecast}
