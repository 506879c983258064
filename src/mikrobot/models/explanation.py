"""Why a model said what it said of one row: what each input added to the log odds.

Of the boosted trees of a model, by their Shapley values; other members have none. Calibration keeps
the order of answers and is not explained.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from mikrobot.models.labels.samples import SIDES
from mikrobot.models.model import Model


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
        By input, the largest in size first; `start` and these add up to the log odds of the trees.
    """

    side: int
    start: float
    added: Mapping[str, float]


def explain(model: Model, booster: xgb.Booster, values: NDArray[np.float64]) -> list[Explanation]:
    """Explain the answers about both sides of a row.

    Parameters
    ----------
    model : Model
    booster : Booster
        Its boosted trees.
    values : ndarray of float64, shape (contract.columns,)
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
        explained.append(Explanation(side, walk + float(added[number, -1]), parts))
    return explained
