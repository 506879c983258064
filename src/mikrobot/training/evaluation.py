"""Evaluation of a model on one span, compared with its baselines.

Distance and volatility largely decide whether price crosses a near level soon, so a random walk also
gets a high AUC. The skill of a model is its uplift over the diffusion baselines, with an interval.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.diffusion import SAMPLES, Diffusion
from mikrobot.models.inputs import SideInputs
from mikrobot.models.labels.samples import thin
from mikrobot.models.task import Task
from mikrobot.training.dataset import Dataset
from mikrobot.training.evaluation_figures import BaselineComparison, Evaluation
from mikrobot.training.payoff import payoff
from mikrobot.training.rolling import Predictions, intervals, selective
from mikrobot.training.scores import reliability, scores
from mikrobot.training.slices import slices
from mikrobot.training.uplift import uplifts

Floats = NDArray[np.float64]

FEWEST_SAMPLES = 50
"""Samples below which a slice is left out."""


def fit_baselines(data: Dataset, train: NDArray[np.int64], task: Task, seen: SideInputs) -> dict[str, Diffusion]:
    """Fit the diffusion baselines on training samples, whose inputs were computed by `seen`.

    Returns
    -------
    dict
        ``atr``: the baseline with the ATR as volatility; ``forecast``: the baseline with the seasonal forecast, if the
        data have one. The weights of the forecast are fitted again on these samples.
    """
    fitted = {}
    for name, sigma in _sigmas(data).items():
        own = thin(train[np.isfinite(sigma[train])], SAMPLES)
        if len(own):
            fitted[name] = Diffusion.fit(
                task.reach,
                data.distance[own],
                sigma[own],
                data.minutes[own],
                outcome=data.outcome[own],
                levels=seen.levels(data.inputs[own]) if name == "forecast" else None,
            )
    return fitted


def predict_baselines(fitted: Mapping[str, Diffusion], data: Dataset, seen: SideInputs) -> dict[str, Floats]:
    """Predict samples with the baselines; samples without a forecast get the prediction of the ATR baseline."""
    sigmas, levels = _sigmas(data), seen.levels(data.inputs)
    predicted = {
        name: curve.predict(data.distance, sigmas[name], data.minutes, levels) for name, curve in fitted.items()
    }
    if "forecast" in predicted:
        predicted["forecast"] = np.where(np.isfinite(predicted["forecast"]), predicted["forecast"], predicted["atr"])
    return predicted


def evaluate(
    probability: Floats,
    baselines: Mapping[str, Floats],
    data: Dataset,
    kind: str,
    *,
    seed: int,
    history: Predictions | None = None,
) -> Evaluation:
    """Evaluate a model against the base rate, the majority class and the diffusion baselines.

    Parameters
    ----------
    probability : ndarray of float, shape (samples,)
    baselines : mapping of str to ndarray of float, shape (samples,)
        Output of `predict_baselines`.
    data : Dataset
        The evaluated samples; both outcomes occur.
    kind : str
        Kind of the model.
    seed : int
        Seed of the bootstrap.
    history : Predictions, optional
        Earlier predictions of the same model, which fill the first rolling windows.
    """
    predictions = Predictions(probability, data.outcome, data.time, data.end)
    whole = _compared(probability, baselines, data, seed)
    return Evaluation(
        samples=whole.samples,
        base_rate=whole.base_rate,
        majority_accuracy=whole.majority_accuracy,
        metrics=whole.metrics,
        baselines=whole.baselines,
        uplift=whole.uplift,
        payoff=payoff(probability, data, kind),
        reliability=reliability(probability, data.outcome),
        selective=selective(predictions, history),
        intervals=intervals(predictions, history),
        **{f"by_{name}": _slices(parts, probability, baselines, data, seed=seed) for name, parts in slices(data)},
    )


def _compared(probability: Floats, baselines: Mapping[str, Floats], data: Dataset, seed: int) -> BaselineComparison:
    base = float(data.outcome.mean())
    return BaselineComparison(
        samples=len(data),
        base_rate=base,
        majority_accuracy=max(base, 1.0 - base),
        metrics=scores(probability, data.outcome),
        baselines={f"diffusion_{name}": scores(baseline, data.outcome) for name, baseline in baselines.items()},
        uplift={
            f"over_{name}": estimate
            for name, estimate in uplifts(probability, baselines, data.outcome, data.time, seed=seed).items()
        },
    )


def _slices(
    parts: Mapping[str, NDArray[np.int64]],
    probability: Floats,
    baselines: Mapping[str, Floats],
    data: Dataset,
    *,
    seed: int,
) -> dict[str, BaselineComparison]:
    return {
        name: _compared(
            probability[own], {key: baseline[own] for key, baseline in baselines.items()}, data.only(own), seed
        )
        for name, own in parts.items()
        if len(own) >= FEWEST_SAMPLES and 0.0 < data.outcome[own].mean() < 1.0
    }


def _sigmas(data: Dataset) -> dict[str, Floats]:
    return {"atr": data.sigma_atr, "forecast": data.sigma_forecast}
