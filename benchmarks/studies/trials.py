"""What was tried on the break model: minutes around news, calibration by regime, the lead's moves.

Each is compared with the model without it, on the same samples of a span that models are calibrated
on: the spans that models are judged on are not looked at.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.calibration import Calibration
from mikrobot.settings import Settings
from mikrobot.training.dataset import Dataset
from mikrobot.training.evaluation import fit_baselines
from mikrobot.training.fitting import Fitted, answers, fit, uncalibrated
from mikrobot.training.recipes import Recipe
from mikrobot.training.scores import calibration_error
from mikrobot.training.splits import Split
from mikrobot.training.uplift import uplift

Floats = NDArray[np.float64]

NEWS, LEAD = "news_", "lead_"
"""What the names of inputs begin with that tell of publications, and of what the lead has just done."""


def added(recipe: Recipe, data: Dataset, split: Split, settings: Settings, *, prefix: str) -> dict[str, Any]:
    """Hide the inputs whose names begin so, and return what they add."""
    inputs = data.inputs.copy()
    inputs[:, [name.startswith(prefix) for name in recipe.inputs.names]] = np.nan
    without = learned(recipe, replace(data, inputs=inputs), split, settings)
    return compared(learned(recipe, data, split, settings), without, data.only(split.test), settings)


def regimes(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> dict[str, Any]:
    """Calibrate each third of the forecast volatility by itself, and compare with one calibration for all."""
    fitted = _fitted(recipe, data, split, settings)
    watched, asked = (uncalibrated(recipe, fitted, data, rows) for rows in (split.validation, split.test))
    edges = np.nanquantile(data.sigma_forecast[split.validation], (1 / 3, 2 / 3))
    seen, met = (np.searchsorted(edges, data.sigma_forecast[rows]) for rows in (split.validation, split.test))
    said = np.empty(len(split.test))
    for third in range(3):
        own = seen == third
        own_calibration = Calibration.fit(watched[own], data.outcome[split.validation][own])
        said[met == third] = own_calibration(asked[met == third])
    return compared(said, fitted.calibration(asked), data.only(split.test), settings)


def learned(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> Floats:
    """Learn, and return what is said about the last span, shape (samples of it,)."""
    return answers(recipe, _fitted(recipe, data, split, settings), data, split.test)


def compared(said: Floats, without: Floats, test: Dataset, settings: Settings) -> dict[str, Any]:
    """Return what a trial adds to the model without it, as `uplift`, and the calibration error of both."""
    return {
        **uplift(said, without, test.outcome, test.time, seed=settings.seed),
        "ece": calibration_error(said, test.outcome),
        "ece_without": calibration_error(without, test.outcome),
    }


def _fitted(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> Fitted:
    diffusion = fit_baselines(data, split.train, recipe.task, recipe.inputs)
    return fit(recipe, data, split, diffusion, settings=settings, progress=lambda stage, share: None)
