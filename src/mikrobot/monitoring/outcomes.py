"""Predictions joined with their outcomes, once the horizon of each has passed.

A break that comes early makes its outcome certain before the end of the horizon, a level that holds does not. Outcomes
count from the end of the horizon alone, or breaks would be too many among the newest ones.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.labels.samples import Prices
from mikrobot.models.task import Task

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Predictions with their outcomes, in order of time; each of shape (predictions,).

    Attributes
    ----------
    minute : ndarray of int64
        Closes at which they were made, minutes since 1970 UTC; known `horizon` minutes later.
    side : ndarray of int8
        +1 for a break upwards, -1 for one downwards.
    probability : ndarray of float64
        Of a break.
    outcome : ndarray of bool
        The level broke.
    """

    minute: NDArray[np.int64]
    side: NDArray[np.int8]
    probability: Floats
    outcome: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.minute)

    def only(self, chosen: NDArray[np.bool_]) -> "Outcomes":
        """Return the predictions for which `chosen` is true."""
        return Outcomes(*(getattr(self, field.name)[chosen] for field in fields(self)))


def join(
    task: Task, prices: Prices, minute: NDArray[np.int64], up: NDArray[np.bool_], *, level: Floats, probability: Floats
) -> Outcomes:
    """Join predictions of one symbol with the outcomes that its bars show.

    Parameters
    ----------
    task : Task
        A task of breaks.
    prices : Prices
        All bars from the first prediction to the present.
    minute, up, level, probability : ndarray
        Predictions in order of time; of several for one close and side, the last one counts.

    Returns
    -------
    Outcomes
        Without those whose horizon has not passed, contains a session gap, or began without a level.
    """
    levels, chances = (np.full((len(prices), 2), np.nan) for _ in range(2))
    rows = np.searchsorted(prices.minute, minute)
    has_bar = np.isin(minute, prices.minute)
    own, column = rows[has_bar], np.where(up[has_bar], 0, 1)
    levels[own, column], chances[own, column] = level[has_bar], probability[has_bar]
    labels = task.label(prices, levels, np.ones(len(prices)))
    chance = chances[labels.row, (labels.side < 0).astype(np.int64)]
    predicted = np.isfinite(chance)
    row = labels.row[predicted]
    return Outcomes(prices.minute[row], labels.side[predicted], chance[predicted], labels.outcome[predicted])
