"""How sure a probability is: its bounds, and between which bounds to abstain.

Both are made from outcomes that were known before, by counts on a grid of probabilities, so that a
rolling window costs one subtraction.
"""

import json
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

GRID = 200
"""Cells of equal width in which probabilities are counted."""

BREAKS, HOLDS, ABSTAINS = 1, -1, 0
SAID = {BREAKS: "breaks", HOLDS: "holds", ABSTAINS: "abstains"}
"""In words, for whoever is answered."""

MISCOVERAGE = 0.1
"""Share of either outcome that may lie outside its prediction set."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Bounds by Venn-Abers prediction, and decisions by label-conditional conformal prediction.

    Attributes
    ----------
    low, high : tuple of float, one per cell
        The isotonic rate of the cell, had one more sample come out false, or true. If samples
        are exchangeable with those counted, one of the two is calibrated, whatever the model.
    holds, breaks : int
        Cells from the lowest on in which "true" is no longer in the prediction set, and from the highest
        down in which "false" is not; between them both are, and the model abstains. At most a share
        `miscoverage` of either outcome is outside its set.

    References
    ----------
    V. Vovk, I. Petej, "Venn-Abers predictors" (2012), arXiv:1211.0025; V. Vovk, "Conditional
    validity of inductive conformal predictors" (2012), arXiv:1209.2673.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    holds: int
    breaks: int

    @classmethod
    def fit(cls, true: Counts, false: Counts, miscoverage: float = MISCOVERAGE) -> "Intervals":
        """Fit on counts of both outcomes, each of shape (`GRID`,).

        >>> few = Intervals.fit(np.zeros(GRID, int), np.zeros(GRID, int))
        >>> few.low[0], few.high[0]
        (0.0, 1.0)
        """
        low, high = _venn_abers(true, true + false)
        return cls(
            low=tuple(low.tolist()),
            high=tuple(high.tolist()),
            holds=_cells_of_share(true, miscoverage),
            breaks=_cells_of_share(false[::-1], miscoverage),
        )

    @classmethod
    def of(cls, probability: Floats, outcome: NDArray[np.bool_]) -> "Intervals":
        """Fit on predictions whose outcomes are known; on none, every bound is 0 to 1 and it always abstains."""
        true, false = (np.bincount(cell(probability[chosen]), minlength=GRID) for chosen in (outcome, ~outcome))
        return cls.fit(true, false)

    def __call__(self, probability: Floats) -> tuple[Floats, Floats]:
        """Return the lower and the upper bound of each."""
        own = cell(probability)
        return np.asarray(self.low)[own], np.asarray(self.high)[own]

    def decide(self, probability: Floats) -> NDArray[np.int8]:
        """Return `BREAKS`, `HOLDS` or `ABSTAINS` for each."""
        # Where the sets of both outcomes are empty the model knows better than the window: the nearer one is said.
        own = cell(probability)
        breaks, holds = own >= GRID - self.breaks, own < self.holds
        both = breaks & holds
        return np.select([both & (probability < 0.5), breaks, holds], [HOLDS, BREAKS, HOLDS], ABSTAINS).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Window:
    """Outcomes of a span by what had been said, as they are kept with a version of a model.

    Attributes
    ----------
    until : datetime
        UTC; when the newest was known.
    true, false : tuple of int, one per cell
    """

    until: datetime
    true: tuple[int, ...]
    false: tuple[int, ...]

    @classmethod
    def of(cls, until: datetime, probability: Floats, outcome: NDArray[np.bool_]) -> "Window":
        """Count predictions whose outcomes are known."""
        counts = (np.bincount(cell(probability[own]), minlength=GRID) for own in (outcome, ~outcome))
        return cls(until, *(tuple(count.tolist()) for count in counts))

    def intervals(self) -> Intervals:
        """Return what the window says of every probability."""
        return Intervals.fit(np.array(self.true), np.array(self.false))

    def to_json(self) -> str:
        """Return the window as one line."""
        return json.dumps({"until": self.until.isoformat(), "true": self.true, "false": self.false})

    @classmethod
    def from_json(cls, text: str) -> "Window":
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            If it is none.
        """
        try:
            found = json.loads(text)
            counts = [tuple(map(int, found[name])) for name in ("true", "false")]
            until = datetime.fromisoformat(found["until"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected the window of a version, found {text[:60]!r}") from error
        if any(len(count) != GRID or min(count) < 0 for count in counts):
            raise ValueError(f"expected {GRID} counts of each outcome, found {[len(count) for count in counts]}")
        return cls(until, *counts)


def cell(probability: Floats) -> NDArray[np.int64]:
    """Return the cell of each probability.

    >>> cell(np.array([0.0, 0.004, 0.005, 1.0])).tolist()
    [0, 0, 1, 199]
    """
    return np.minimum((probability * GRID).astype(np.int64), GRID - 1)


def _venn_abers(true: Counts, all: Counts) -> tuple[Floats, Floats]:
    """Return the isotonic fit at every cell with one more false, and with one more true, sample in it.

    Isotonic regression at cell g is the largest, over starts a <= g, of the smallest mean, over ends
    b >= g, of the cells a to b; the extra sample is in all of those.
    """
    hits, sizes = (np.concatenate([[0], np.cumsum(counts)]) for counts in (true, all))
    within = [(total[None, 1:] - total[:-1, None]).astype(float) for total in (hits, sizes)]
    valid = np.arange(len(true))[None, :] >= np.arange(len(true))[:, None]
    bounds = []
    for extra in (0.0, 1.0):
        means = np.where(valid, (within[0] + extra) / np.where(valid, within[1] + 1.0, 1.0), np.inf)
        smallest = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
        bounds.append(np.where(valid, smallest, -np.inf).max(axis=0))
    return bounds[0], bounds[1]


def _cells_of_share(counts: Counts, share: float) -> int:
    """Return how many cells from the first on hold at most this share of the samples, one more counted in."""
    allowed = np.floor(share * (counts.sum() + 1)) - 1
    return int(np.searchsorted(np.cumsum(counts), allowed, side="right"))
