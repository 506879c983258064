"""Trials of changes to the break model: minutes around news, calibration by regime, moves of the lead symbol.

Each trial is compared with the model without the change, on the same samples of the validation span.
The test spans of the studies are not used.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.serialisation import plain
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
"""Name prefixes of the inputs about news publications, and of those about the lead symbol."""


def added(recipe: Recipe, data: Dataset, split: Split, settings: Settings, *, prefix: str) -> dict[str, Any]:
    """Return the uplift of the inputs with this name prefix over the model without them."""
    inputs = data.inputs.copy()
    inputs[:, [name.startswith(prefix) for name in recipe.inputs.names]] = np.nan
    without = learned(recipe, replace(data, inputs=inputs), split, settings)
    return compared(learned(recipe, data, split, settings), without, data.only(split.test), settings)


def regimes(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> dict[str, Any]:
    """Calibrate each third of the forecast volatility separately, and compare with one calibration for all."""
    fitted = _fitted(recipe, data, split, settings)
    validation, test = (uncalibrated(recipe, fitted, data, rows) for rows in (split.validation, split.test))
    edges = np.nanquantile(data.sigma_forecast[split.validation], (1 / 3, 2 / 3))
    validation_third, test_third = (
        np.searchsorted(edges, data.sigma_forecast[rows]) for rows in (split.validation, split.test)
    )
    predicted = np.empty(len(split.test))
    for third in range(3):
        own = validation_third == third
        calibration = Calibration.fit(validation[own], data.outcome[split.validation][own])
        predicted[test_third == third] = calibration(test[test_third == third])
    return compared(predicted, fitted.calibration(test), data.only(split.test), settings)


def learned(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> Floats:
    """Fit the model, and return its probabilities on the test span, shape (test samples,)."""
    return answers(recipe, _fitted(recipe, data, split, settings), data, split.test)


def compared(predicted: Floats, without: Floats, test: Dataset, settings: Settings) -> dict[str, Any]:
    """Return the uplift of a trial over the model without the change, and the calibration errors of both."""
    return {
        **plain(uplift(predicted, without, test.outcome, test.time, seed=settings.seed)),
        "ece": calibration_error(predicted, test.outcome),
        "ece_without": calibration_error(without, test.outcome),
    }


def _fitted(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> Fitted:
    diffusion = fit_baselines(data, split.train, recipe.task, recipe.inputs)
    return fit(recipe, data, split, diffusion, settings=settings, progress=lambda stage, share: None)
