"""What was tried beside the models that are kept: news minutes, calibration by regime, the lead's moves.

Each is compared with the model without it, on the same samples of a span that models are calibrated
on: the spans that models are judged on are not looked at.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.models.bos import BosInputs
from mikrobot.models.calibration import Calibration
from mikrobot.settings import Settings
from mikrobot.training.dataset import Dataset
from mikrobot.training.evaluation import fit_baselines
from mikrobot.training.fitting import Fitted, answers, fit
from mikrobot.training.recipes import Recipe
from mikrobot.training.scores import calibration_error
from mikrobot.training.splits import Split
from mikrobot.training.uplift import uplift

Floats = NDArray[np.float64]

PUBLISHED = (8 * 60 + 30, 10 * 60, 14 * 60)
"""Minutes of a weekday in New York at which most figures of the United States come out, and the Fed speaks."""

FARTHEST = 60.0
"""Minutes from a publication beyond which it does not matter how far it is."""

LEAD = "lead_"
"""What the names of inputs that tell of the lead begin with."""

UNCHANGED = Calibration((0.0, 1.0), (0.0, 1.0))


@dataclass(frozen=True)
class WithNews(BosInputs):
    """The inputs of the break model, and after them the minutes since and until the nearest publications."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs, in order."""
        return (*BosInputs(self.swing, self.mode).names, "news_since", "news_until")


def news(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> dict[str, Any]:
    """Add the minutes since and until a publication to the inputs of a break model."""
    known = np.column_stack([data.inputs, *news_minutes(data.time)])
    inputs = WithNews(recipe.task.swing, recipe.task.mode)
    added = learned(replace(recipe, inputs=inputs), replace(data, inputs=known), split, settings)
    return compared(added, learned(recipe, data, split, settings), data.only(split.test), settings)


def lead(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> dict[str, Any]:
    """Hide what the inputs tell of the lead, and compare what is lost."""
    inputs = data.inputs.copy()
    inputs[:, [name.startswith(LEAD) for name in recipe.inputs.names]] = np.nan
    hidden = learned(recipe, replace(data, inputs=inputs), split, settings)
    return compared(learned(recipe, data, split, settings), hidden, data.only(split.test), settings)


def regimes(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> dict[str, Any]:
    """Calibrate each third of the forecast volatility by itself, and compare with one calibration for all."""
    fitted = _fitted(recipe, data, split, settings)
    raw = replace(fitted, calibration=UNCHANGED)
    watched, asked = (answers(recipe, raw, data, rows) for rows in (split.validation, split.test))
    edges = np.nanquantile(data.sigma_forecast[split.validation], (1 / 3, 2 / 3))
    seen, met = (np.searchsorted(edges, data.sigma_forecast[rows]) for rows in (split.validation, split.test))
    said = np.empty(len(split.test))
    for third in range(3):
        own = seen == third
        own_calibration = Calibration.fit(watched[own], data.outcome[split.validation][own])
        said[met == third] = own_calibration(asked[met == third])
    return compared(said, fitted.calibration(asked), data.only(split.test), settings)


def news_minutes(times: NDArray[np.datetime64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the minutes since the last publication and until the next, at most `FARTHEST`.

    Parameters
    ----------
    times : ndarray of datetime64[us], shape (samples,)
        UTC.

    >>> since, until = news_minutes(np.array(["2024-03-08T13:25", "2024-03-11T12:40", "2024-03-09T13:30"], "M8[us]"))
    >>> since.tolist(), until.tolist()
    ([60.0, 10.0, 60.0], [5.0, 60.0, 60.0])
    """
    local = pd.DatetimeIndex(times, tz="UTC").tz_convert("America/New_York")
    after = (local.hour * 60 + local.minute).to_numpy()[:, None] - np.array(PUBLISHED)
    after = np.where((local.dayofweek < 5)[:, None], after, np.inf)
    return _nearest(np.where(after >= 0, after, np.inf)), _nearest(np.where(after < 0, -after, np.inf))


def learned(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> Floats:
    """Learn, and return what is said about the last span, shape (samples of it,)."""
    return answers(recipe, _fitted(recipe, data, split, settings), data, split.test)


def compared(said: Floats, without: Floats, test: Dataset, settings: Settings) -> dict[str, Any]:
    """Return what a trial adds to the model without it, as `uplift`, and the calibration error of both."""
    return {
        **uplift(said, without, test.outcome, test.time, settings.seed),
        "ece": calibration_error(said, test.outcome),
        "ece_without": calibration_error(without, test.outcome),
    }


def _nearest(minutes: Floats) -> NDArray[np.float32]:
    nearest: Floats = np.min(minutes, axis=1)
    return np.minimum(nearest, FARTHEST).astype(np.float32)


def _fitted(recipe: Recipe, data: Dataset, split: Split, settings: Settings) -> Fitted:
    diffusion = fit_baselines(data, split.train, recipe.task)
    return fit(recipe, data, split, diffusion, settings, lambda stage, share: None)
