"""The coverage of prediction sets: the share of outcomes in their set, with its error by blocks of one horizon."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.conformal import BREAKS, HOLDS, MISCOVERAGE, Sets
from mikrobot.monitoring.skill import FEWEST_BLOCKS, Estimate, block_mean


@dataclass(frozen=True, slots=True)
class Coverage:
    """The coverage of prediction sets whose outcomes are known.

    Attributes
    ----------
    predictions : int
    blocks : int
        Effective sample size: blocks of one horizon with a prediction.
    promised : float
        Share of either outcome that its set contains, at least.
    all : Estimate
        Share of the outcomes in their set.
    true, false : Estimate or None
        The same of each outcome; None where it did not occur.
    decided : Estimate
        Share of sets with one outcome; the others abstain.
    """

    predictions: int
    blocks: int
    promised: float
    all: Estimate
    true: Estimate | None
    false: Estimate | None
    decided: Estimate

    def to_json(self) -> dict[str, Any]:
        """Return every figure as plain JSON values, each estimate with its 95 % interval."""
        estimates = {name: getattr(self, name) for name in ("all", "true", "false", "decided")}
        return asdict(self) | {name: None if one is None else one.to_json() for name, one in estimates.items()}


def coverage(sets: Sets, outcome: NDArray[np.bool_], minute: NDArray[np.int64], horizon: int) -> Coverage | None:
    """Return the coverage of prediction sets; None with fewer than `FEWEST_BLOCKS` blocks.

    Parameters
    ----------
    sets : ndarray of int8, shape (predictions,)
        See `models.conformal`.
    outcome : ndarray of bool, shape (predictions,)
    minute : ndarray of int64, shape (predictions,)
        Closes at which they were made.
    horizon : int
        Minutes until an outcome is known.
    """
    blocks = len(np.unique(minute // horizon))
    if blocks < FEWEST_BLOCKS:
        return None
    inside = (np.where(outcome, sets & BREAKS, sets & HOLDS) > 0).astype(np.float64)
    true, false = (block_mean(inside[own], minute[own], horizon) if own.any() else None for own in (outcome, ~outcome))
    decided = ((sets == BREAKS) | (sets == HOLDS)).astype(np.float64)
    return Coverage(
        predictions=len(outcome),
        blocks=blocks,
        promised=1.0 - MISCOVERAGE,
        all=block_mean(inside, minute, horizon),
        true=true,
        false=false,
        decided=block_mean(decided, minute, horizon),
    )
