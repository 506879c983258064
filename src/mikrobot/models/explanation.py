"""Explanations of single predictions: the contribution of each input to the log odds.

The contributions of the inputs are the Shapley values of the model's boosted trees. Two further steps cover the
other members, which have no Shapley values, and the calibration with the rolling window. All steps add up to the
log odds of the model's probability, which is served where the version is a champion.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray
from scipy.special import expit, logit

from mikrobot.models.labels.samples import SIDES
from mikrobot.models.model import NEARLY, Model

MEMBERS, CALIBRATION = "other_members", "calibration"
"""Names of the last two steps: members that are no trees (0, except for rounding, where there are none), and the
calibration with known outcomes."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of one prediction, for one side of a row, in log odds.

    Attributes
    ----------
    side : int
        +1 upwards, -1 downwards.
    start : float
        Log odds of the diffusion baseline, from which boosting starts, plus the trees' mean correction.
    added : mapping of str to float
        Contribution of each input, the largest absolute value first; then `MEMBERS` and `CALIBRATION`. `start` and
        these add up to the log odds of the model's probability.
    """

    side: int
    start: float
    added: Mapping[str, float]

    @property
    def log_odds(self) -> float:
        """Log odds of the model's probability, the sum of all steps."""
        return self.start + sum(self.added.values())

    @property
    def probability(self) -> float:
        """The model's probability."""
        return float(expit(self.log_odds))


def explain(model: Model, booster: xgb.Booster, values: NDArray[np.float64]) -> list[Explanation]:
    """Explain the predictions for both sides of a row.

    Parameters
    ----------
    model : Model
    booster : Booster
        The model's boosted trees.
    values : ndarray of float64, shape (spec.columns,)
        Known at the close of the row's bar; NaN where missing.

    Returns
    -------
    list of Explanation
        One for each side that has a prediction.

    References
    ----------
    S. M. Lundberg et al., "From local explanations to global understanding with explainable AI for
    trees", Nature Machine Intelligence 2 (2020), 56-67.
    """
    inputs = model.inputs(np.repeat(values[None], 2, axis=0), SIDES)
    names = model.inputs.names
    added = booster.predict(xgb.DMatrix(inputs), pred_contribs=True)
    explanations = []
    for number, side in enumerate(SIDES.tolist()):
        if np.isnan(inputs[number, 0]):
            continue
        baseline = 0.0
        if model.start is not None:
            baseline = float(model.start(inputs[number : number + 1], model.inputs)[0])
        order = np.argsort(-np.abs(added[number, :-1]), kind="stable")
        parts = {names[at]: float(added[number, at]) for at in order}
        start = baseline + float(added[number, -1])
        raw, end = _log_odds(model, inputs[number : number + 1])
        last = {MEMBERS: raw - start - sum(parts.values()), CALIBRATION: end - raw}
        explanations.append(Explanation(side, start, parts | last))
    return explanations


def explain_baseline(model: Model, values: NDArray[np.float64]) -> list[Explanation]:
    """Explain the predictions of a diffusion baseline (`Model.diffusion`) for both sides of a row.

    Parameters
    ----------
    model : Model
    values : ndarray of float64, shape (spec.columns,)

    Returns
    -------
    list of Explanation
        One for each side that has a prediction, with the one step `CALIBRATION`.
    """
    inputs = model.inputs(np.repeat(values[None], 2, axis=0), SIDES)
    explanations = []
    for number, side in enumerate(SIDES.tolist()):
        if not np.isnan(inputs[number, 0]):
            raw, end = _log_odds(model, inputs[number : number + 1])
            explanations.append(Explanation(side, raw, {CALIBRATION: end - raw}))
    return explanations


def _log_odds(model: Model, inputs: NDArray[np.float32]) -> tuple[float, float]:
    """Return the log odds of one sample before calibration, and as served."""
    score = np.clip(model.uncalibrated(inputs), NEARLY, 1.0 - NEARLY)
    return float(logit(score)[0]), float(logit(model.score(inputs))[0])
