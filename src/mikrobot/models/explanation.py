"""Why a model said what it said of one row: what each input added to the log odds.

Of the boosted trees of a model, by their Shapley values; other members have none. What these, the calibration
and the rolling window add follows as one step each, so that all end at the log odds of the served probability.
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
"""The last steps: members that are no trees (0 where there are none, but for rounding), and known outcomes."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One side of a row, in log odds.

    Attributes
    ----------
    side : int
        +1 upwards, -1 downwards.
    start : float
        What the walk says, where boosting began, and the trees' mean correction of it.
    added : mapping of str to float
        By input, the largest in size first; then `MEMBERS` and `CALIBRATION`. `start` and these add up to the log
        odds of the probability that is served.
    """

    side: int
    start: float
    added: Mapping[str, float]

    @property
    def log_odds(self) -> float:
        """Log odds of the served probability, the sum of all steps."""
        return self.start + sum(self.added.values())

    @property
    def probability(self) -> float:
        """The served probability."""
        return float(expit(self.log_odds))


def explain(model: Model, booster: xgb.Booster, values: NDArray[np.float64]) -> list[Explanation]:
    """Explain the answers about both sides of a row.

    Parameters
    ----------
    model : Model
    booster : Booster
        Its boosted trees.
    values : ndarray of float64, shape (spec.columns,)
        Known at the close of the row's bar; NaN where missing.

    Returns
    -------
    list of Explanation
        Of the sides on which there was something to predict.

    References
    ----------
    S. M. Lundberg et al., "From local explanations to global understanding with explainable AI for
    trees", Nature Machine Intelligence 2 (2020), 56-67.
    """
    inputs = model.inputs(np.repeat(values[None], 2, axis=0), SIDES)
    names = model.inputs.names
    added = booster.predict(xgb.DMatrix(inputs), pred_contribs=True)
    explained = []
    for number, side in enumerate(SIDES.tolist()):
        if np.isnan(inputs[number, 0]):
            continue
        walk = 0.0
        if model.start is not None:
            walk = float(model.start(inputs[number : number + 1], model.inputs)[0])
        order = np.argsort(-np.abs(added[number, :-1]), kind="stable")
        parts = {names[at]: float(added[number, at]) for at in order}
        start = walk + float(added[number, -1])
        raw, end = _log_odds(model, inputs[number : number + 1])
        last = {MEMBERS: raw - start - sum(parts.values()), CALIBRATION: end - raw}
        explained.append(Explanation(side, start, parts | last))
    return explained


def _log_odds(model: Model, inputs: NDArray[np.float32]) -> tuple[float, float]:
    """Return the log odds of one sample before the calibration, and as it is served."""
    score = np.clip(model.uncalibrated(inputs), NEARLY, 1.0 - NEARLY)
    return float(logit(score)[0]), float(logit(model.score(inputs))[0])
