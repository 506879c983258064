"""A probability with its bounds, and the outcomes that are plausible, from outcomes that were known before.

Both are made from counts on a grid of calibrated scores, so that a rolling window costs one subtraction.
Trains nothing and stores nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.bins import first_of_bins, sums_of_bins

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Sets = NDArray[np.int8]

GRID = 1000
"""Cells of equal width in which calibrated scores are counted."""

SAMPLES_PER_BIN = 100
MOST_BINS = 50
"""Bins of cells between which the bounds may rise, and samples of each at least: fewer would follow their noise."""

NONE, BREAKS, HOLDS, BOTH = range(4)
"""Prediction sets: the sum of `BREAKS` where true, and `HOLDS` where false, is plausible."""

SETS = ("none", "breaks", "holds", "both")
PREDICTED = ("abstain", "break", "hold", "abstain")
"""By set, in words: the set itself, and the prediction, which abstains unless one outcome alone is plausible."""

MISCOVERAGE = 0.1
"""Share of either outcome that may lie outside its prediction set."""

_STEP = 1e-9


@dataclass(frozen=True)
class Intervals:
    """Probabilities and bounds by inductive Venn-Abers prediction, sets by label-conditional conformal prediction.

    Attributes
    ----------
    scores : tuple of float
        Calibrated scores that increase; between them the bounds follow straight lines, beyond them they are level.
    low, high : tuple of float, one per score
        p0 and p1: the isotonic rate at the score, had one more sample there come out false, or true. If
        samples are exchangeable with those counted, one of the two is calibrated, whatever the model.
    holds, breaks : int
        Cells from the lowest on in which "true" is not in the prediction set, and from the highest down in
        which "false" is not. At most a share `miscoverage` of either outcome is outside its set.

    References
    ----------
    V. Vovk, I. Petej, V. Fedorova, "Large-scale probabilistic predictors with and without guarantees of
    validity" (2015), arXiv:1511.00213; V. Vovk, "Conditional validity of inductive conformal predictors"
    (2012), arXiv:1209.2673.
    """

    scores: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    holds: int
    breaks: int

    @classmethod
    def fit(cls, true: Counts, false: Counts, miscoverage: float = MISCOVERAGE) -> "Intervals":
        """Fit on counts of both outcomes, each of shape (`GRID`,).

        >>> nothing_known = Intervals.fit(np.zeros(GRID, int), np.zeros(GRID, int))
        >>> nothing_known.low, nothing_known.high
        ((0.0,), (1.0,))
        """
        count = true + false
        first = first_of_bins(count, MOST_BINS, SAMPLES_PER_BIN)
        hits, size, score = sums_of_bins(first, true, count, (np.arange(GRID) + 0.5) / GRID * count)
        scores, low, high = _merged(score / np.maximum(size, 1), *_venn_abers(hits, size), size)
        holds, breaks = (_cells_of_share(counts, miscoverage) for counts in (true, false[::-1]))
        return cls(scores, low, high, holds, breaks)

    @classmethod
    def of(cls, score: Floats, outcome: NDArray[np.bool_]) -> "Intervals":
        """Fit on calibrated scores whose outcomes are known; on none, the bounds are 0 and 1 and sets are both."""
        true, false = (np.bincount(cell(score[chosen]), minlength=GRID) for chosen in (outcome, ~outcome))
        return cls.fit(true, false)

    def __call__(self, score: Floats) -> tuple[Floats, Floats]:
        """Return the lower and the upper bound, p0 and p1, at each calibrated score; NaN at NaN."""
        scores, low, high = self._curves
        return np.asarray(np.interp(score, scores, low)), np.asarray(np.interp(score, scores, high))

    def probability(self, score: Floats) -> Floats:
        """Return the probability between the bounds at each calibrated score; NaN at NaN."""
        return between(*self(score))

    def sets(self, score: Floats) -> Sets:
        """Return `NONE`, `BREAKS`, `HOLDS` or `BOTH` for each calibrated score; none may be NaN."""
        own = cell(score)
        return (BREAKS * (own >= self.holds) + HOLDS * (own < GRID - self.breaks)).astype(np.int8)

    @cached_property
    def _curves(self) -> tuple[Floats, Floats, Floats]:
        return np.asarray(self.scores), np.asarray(self.low), np.asarray(self.high)


@dataclass(frozen=True, slots=True)
class Window:
    """Outcomes of a span by calibrated score, as they are kept with a version of a model.

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
    def of(cls, until: datetime, score: Floats, outcome: NDArray[np.bool_]) -> "Window":
        """Count calibrated scores whose outcomes are known."""
        counts = (np.bincount(cell(score[own]), minlength=GRID) for own in (outcome, ~outcome))
        return cls(until, *(tuple(count.tolist()) for count in counts))

    def intervals(self) -> Intervals:
        """Return the probabilities, bounds and sets that follow from the window."""
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


def between(low: Floats, high: Floats) -> Floats:
    """Return p1 / (1 - p0 + p1): of the probabilities from p0 to p1 the one that loses least log loss at worst.

    >>> between(np.array([0.2]), np.array([0.4])).round(4).tolist()
    [0.3333]
    """
    return np.asarray(high / (1.0 - low + high))


def cell(score: Floats) -> NDArray[np.int64]:
    """Return the cell of each calibrated score.

    >>> cell(np.array([0.0, 0.0004, 0.0015, 1.0])).tolist()
    [0, 0, 1, 999]
    """
    return np.minimum((score * GRID).astype(np.int64), GRID - 1)


def _venn_abers(true: Counts, size: Counts) -> tuple[Floats, Floats]:
    """Return the isotonic fit at every bin with one more false, and with one more true, sample in it.

    Isotonic regression at bin g is the largest, over starts a <= g, of the smallest mean, over ends
    b >= g, of the bins a to b; the extra sample is in all of those.
    """
    hits, sizes = (np.concatenate([[0], np.cumsum(counts)]) for counts in (true, size))
    within = [(total[None, 1:] - total[:-1, None]).astype(float) for total in (hits, sizes)]
    valid = np.arange(len(true))[None, :] >= np.arange(len(true))[:, None]
    bounds = []
    for extra in (0.0, 1.0):
        means = np.where(valid, (within[0] + extra) / np.where(valid, within[1] + 1.0, 1.0), np.inf)
        smallest = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
        bounds.append(np.where(valid, smallest, -np.inf).max(axis=0))
    return bounds[0], bounds[1]


def _merged(score: Floats, low: Floats, high: Floats, size: Counts) -> Iterator[tuple[float, ...]]:
    """Merge bins of the same bounds (equal but for rounding) into one knot; return its score and its bounds."""
    first = np.flatnonzero(np.r_[True, (np.diff(low) > _STEP) | (np.diff(high) > _STEP)])
    weight = np.maximum(size, 1)
    whole, *sums = sums_of_bins(first, weight, score * weight, low * weight, high * weight)
    return (tuple((each / whole).tolist()) for each in sums)


def _cells_of_share(counts: Counts, share: float) -> int:
    """Return how many cells from the first on hold at most this share of the samples, one more counted in."""
    allowed = np.floor(share * (counts.sum() + 1)) - 1
    return int(np.searchsorted(np.cumsum(counts), allowed, side="right"))
