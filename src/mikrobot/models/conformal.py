"""Probability intervals (Venn-Abers) and prediction sets (conformal), fitted to earlier outcomes.

Both are fitted to counts on a grid of calibrated scores, so that a rolling window needs only one
subtraction. This module trains and stores nothing.
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
"""Maximum number of bins of the bounds; a bin has at least `SAMPLES_PER_BIN` samples to avoid overfitting."""

NONE, BREAKS, HOLDS, BOTH = range(4)
"""Prediction sets: the sum of `BREAKS`, if true is plausible, and `HOLDS`, if false is plausible."""

MISCOVERAGE = 0.1
"""Maximum share of either outcome outside its prediction set."""

_STEP = 1e-9


@dataclass(frozen=True, slots=True)
class OutcomeNames:
    """Names of the outcomes of a model in its answers.

    Attributes
    ----------
    true, false : str
        Names of the predicted outcome.
    sets_true, sets_false : str
        Names of the prediction sets that contain only that outcome.
    """

    true: str
    false: str
    sets_true: str
    sets_false: str

    @property
    def sets(self) -> tuple[str, str, str, str]:
        """Name of each prediction set, from `NONE` to `BOTH`."""
        return "none", self.sets_true, self.sets_false, "both"

    @property
    def predicted(self) -> tuple[str, str, str, str]:
        """Name of the prediction for each set; it abstains unless exactly one outcome is plausible."""
        return "abstain", self.true, self.false, "abstain"


BREAK_OR_HOLD = OutcomeNames("break", "hold", "breaks", "holds")


@dataclass(frozen=True)
class Intervals:
    """Probabilities and bounds by inductive Venn-Abers prediction, sets by label-conditional conformal prediction.

    Attributes
    ----------
    scores : tuple of float
        Increasing calibrated scores; the bounds are interpolated linearly between them and constant beyond them.
    low, high : tuple of float, one per score
        p0 and p1: the isotonic rate at the score with one additional false, or true, sample there. If new
        samples are exchangeable with the counted ones, one of the two is calibrated for any model.
    holds, breaks : int
        Number of cells from the lowest upwards whose prediction set excludes "true", and from the highest
        downwards whose set excludes "false". At most a share `miscoverage` of either outcome is outside its set.

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

        >>> empty = Intervals.fit(np.zeros(GRID, int), np.zeros(GRID, int))
        >>> empty.low, empty.high
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
        """Fit on calibrated scores with known outcomes; without any, bounds are 0 and 1 and sets are both."""
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
    """Counts of the outcomes of a span by calibrated score, as stored with a model version.

    Attributes
    ----------
    until : datetime
        UTC; time when the newest outcome was known.
    true, false : tuple of int, one per cell
    """

    until: datetime
    true: tuple[int, ...]
    false: tuple[int, ...]

    @classmethod
    def of(cls, until: datetime, score: Floats, outcome: NDArray[np.bool_]) -> "Window":
        """Count the outcomes of calibrated scores."""
        counts = (np.bincount(cell(score[own]), minlength=GRID) for own in (outcome, ~outcome))
        return cls(until, *(tuple(count.tolist()) for count in counts))

    def intervals(self) -> Intervals:
        """Fit the intervals to the window."""
        return Intervals.fit(np.array(self.true), np.array(self.false))

    def to_json(self) -> str:
        """Return the window as one line of JSON."""
        return json.dumps({"until": self.until.isoformat(), "true": self.true, "false": self.false})

    @classmethod
    def from_json(cls, text: str) -> "Window":
        """Parse the output of `to_json`.

        Raises
        ------
        ValueError
            If the text is not a window.
        """
        try:
            window = json.loads(text)
            counts = [tuple(map(int, window[name])) for name in ("true", "false")]
            until = datetime.fromisoformat(window["until"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected the window of a version, found {text[:60]!r}") from error
        if any(len(count) != GRID or min(count) < 0 for count in counts):
            raise ValueError(f"expected {GRID} counts of each outcome, found {[len(count) for count in counts]}")
        return cls(until, *counts)


def between(low: Floats, high: Floats) -> Floats:
    """Return p1 / (1 - p0 + p1): the probability between p0 and p1 that minimises the worst-case log loss.

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
    """Return the isotonic fit at every bin with one additional false, and with one additional true, sample in it.

    Isotonic regression at bin g is the maximum over starts a <= g of the minimum over ends b >= g of the
    mean of the bins a to b; the additional sample is in all of these ranges.
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
    """Merge bins of equal bounds (except for rounding) into one knot; return its score and its bounds."""
    first = np.flatnonzero(np.r_[True, (np.diff(low) > _STEP) | (np.diff(high) > _STEP)])
    weight = np.maximum(size, 1)
    whole, *sums = sums_of_bins(first, weight, score * weight, low * weight, high * weight)
    return (tuple((column / whole).tolist()) for column in sums)


def _cells_of_share(counts: Counts, share: float) -> int:
    """Return the number of cells from the first one that hold at most this share of the samples plus one."""
    allowed = np.floor(share * (counts.sum() + 1)) - 1
    return int(np.searchsorted(np.cumsum(counts), allowed, side="right"))
