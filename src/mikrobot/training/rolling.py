"""Selective prediction and intervals as they would run live: chosen on a rolling window of days.

Before each UTC day, bands and intervals are chosen from what had become known in the days before,
then used on that day. Fixed bands drift. Nothing here looks at the day it judges.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.intervals import BREAKS, GRID, HOLDS, MISCOVERAGE, Intervals, between, cell
from mikrobot.training.scores import calibration_error

Floats = NDArray[np.float64]
Outcomes = NDArray[np.bool_]
Times = NDArray[np.datetime64]

WINDOW_DAYS = 60
FEWEST_KNOWN = 2000
"""Outcomes in the window below which a day is left out."""

BANDS = ((0.80, 0.90), (0.85, 0.90), (0.90, 0.90))
"""Precision, and recall among the covered, that are promised."""

MARGINS = (0.01, 0.01)
"""By how much the window must keep the promise: the least tried at which it was kept in the months before each judged
span, on breaks by wick within 15 minutes."""

FEWEST_SAID = 100
"""Times that a band says "breaks" in the window, below which it has shown nothing."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Probabilities with what came of them, in any order.

    Attributes
    ----------
    probability : ndarray of float64, shape (samples,)
    outcome : ndarray of bool, shape (samples,)
    time, end : ndarray of datetime64, shape (samples,)
        UTC; when each was made, and when its outcome was known.
    """

    probability: Floats
    outcome: Outcomes
    time: Times
    end: Times


@dataclass(frozen=True, slots=True)
class Window:
    """One day to judge, and what was known before it.

    Attributes
    ----------
    chosen : ndarray of int64
        Samples made on the day.
    true, false : ndarray of int64, shape (`GRID`,)
        Outcomes of the days before, by cell of probability.
    """

    chosen: NDArray[np.int64]
    true: NDArray[np.int64]
    false: NDArray[np.int64]


def windows(judged: Predictions, history: Predictions | None = None, days: int = WINDOW_DAYS) -> Iterator[Window]:
    """Go through the days of the predictions, each with the counts of its window.

    Parameters
    ----------
    judged : Predictions
    history : Predictions, optional
        Earlier ones, which fill the first windows.
    days : int
        Length of the window.

    Yields
    ------
    Window
        Days with `FEWEST_KNOWN` outcomes or more before them.
    """
    known = judged if history is None else _joined(history, judged)
    day, known_on = (times.astype("datetime64[D]").astype(np.int64) for times in (judged.time, known.end))
    first = int(min(known_on.min(), day.min()))
    span = int(max(known_on.max(), day.max())) - first + 1
    at = (known_on - first) * GRID + cell(known.probability)
    true, false = (
        np.concatenate(
            [np.zeros((1, GRID), np.int64), np.bincount(at[own], minlength=span * GRID).reshape(span, GRID).cumsum(0)]
        )
        for own in (known.outcome, ~known.outcome)
    )
    order = np.argsort(day, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(day[order])) + 1):
        until = int(day[own[0]]) - first
        since = max(0, until - days)
        found = Window(own, true[until] - true[since], false[until] - false[since])
        if found.true.sum() + found.false.sum() >= FEWEST_KNOWN:
            yield found


def selective(judged: Predictions, history: Predictions | None = None) -> list[dict[str, Any]]:
    """Predict only where the promise of each band was kept with a margin in the window before.

    A band (low, high) says "breaks" from `high` on, "holds" below `low`, and abstains between; of
    the bands that keep the promise it is the one that covers most.

    Parameters
    ----------
    judged, history : Predictions

    Returns
    -------
    list of dict
        For each of `BANDS`: ``band`` (what is promised, and the median ``low`` and ``high``, None if never
        chosen), ``samples`` of days with a full enough window, ``coverage`` of them, and ``accuracy``,
        ``precision``, ``recall_covered`` among the covered, ``recall_all`` against all events; None
        where there was nothing to count.
    """
    tallies = [_Tally() for _ in BANDS]
    for window in windows(judged, history):
        probability, outcome = judged.probability[window.chosen], judged.outcome[window.chosen]
        for (precision, recall), tally in zip(BANDS, tallies, strict=True):
            low, high = band(window.true, window.false, precision + MARGINS[0], recall + MARGINS[1])
            tally.count(probability >= high, probability < low, outcome)
            if high < np.inf:
                tally.bounds.append((low, high))
    return [
        {"band": {"precision": precision, "recall": recall, **tally.median()}, **tally.summary()}
        for (precision, recall), tally in zip(BANDS, tallies, strict=True)
    ]


def band(
    true: NDArray[np.int64], false: NDArray[np.int64], precision: float, recall: float, *, fewest: int = FEWEST_SAID
) -> tuple[float, float]:
    """Find the band that covers most of these counts with this precision, and recall among the covered.

    Parameters
    ----------
    true, false : ndarray of int64, shape (`GRID`,)
    precision, recall : float
    fewest : int
        Samples, at least 1, that the band must say "breaks" of.

    Returns
    -------
    low, high : float
        Of several that cover as much the one that leaves most room between; minus and plus infinity
        when there is none.

    >>> true, false = np.zeros((2, GRID), int)
    >>> true[[50, 750]], false[[50, 750]] = (1, 90), (99, 10)
    >>> band(true, false, precision=0.9, recall=0.9)
    (0.051, 0.75)
    """
    hits, misses = true[::-1].cumsum()[::-1], false[::-1].cumsum()[::-1]
    lost = np.concatenate([[0], true.cumsum()])
    kept = (hits + misses >= fewest) & (hits >= precision * (hits + misses))
    if not kept.any():
        return -np.inf, np.inf
    highs = np.flatnonzero(kept)
    allowed = hits[highs] * (1.0 / recall - 1.0)
    lows = np.minimum(np.searchsorted(lost, allowed, side="right") - 1, highs)
    sizes = np.concatenate([[0], (true + false).cumsum()])
    covered = hits[highs] + misses[highs] + sizes[lows]
    best = int(np.flatnonzero(covered == covered.max())[-1])
    low = int(np.searchsorted(sizes, sizes[lows[best]]))
    return low / GRID, float(highs[best] / GRID)


def intervals(judged: Predictions, history: Predictions | None = None) -> dict[str, float | None]:
    """Measure the intervals of the rolling window: do they cover, how wide are they, what do they decide.

    Returns
    -------
    dict
        ``samples`` of days with a full enough window; ``promised`` coverage; ``coverage``, ``coverage_true``
        and ``coverage_false``: shares of all, of true and of false outcomes that lie in the prediction set;
        ``decided``: share that leaves one outcome; ``accuracy`` among those; ``width``: mean of high less low;
        ``ece``: calibration error of the probabilities between the bounds. None where there was nothing to count.
    """
    parts = []
    for window in windows(judged, history):
        fitted = Intervals.fit(window.true, window.false)
        probability = judged.probability[window.chosen]
        parts.append((window.chosen, *fitted(probability), fitted.sets(probability)))
    if not parts:
        return {"samples": 0, "promised": 1.0 - MISCOVERAGE}
    chosen, low, high, sets = (np.concatenate(column) for column in zip(*parts, strict=True))
    outcome = judged.outcome[chosen]
    covered = np.where(outcome, sets & BREAKS, sets & HOLDS) > 0
    decided = (sets == BREAKS) | (sets == HOLDS)
    return {
        "samples": len(chosen),
        "promised": 1.0 - MISCOVERAGE,
        "coverage": _share(covered),
        "coverage_true": _share(covered[outcome]),
        "coverage_false": _share(covered[~outcome]),
        "decided": _share(decided),
        "accuracy": _share(covered[decided]),
        "width": float(np.mean(high - low)),
        "ece": calibration_error(between(low, high), outcome),
    }


@dataclass
class _Tally:
    """What a band said over the days, and what happened."""

    samples: int = 0
    events: int = 0
    hits: int = 0
    alarms: int = 0
    held: int = 0
    lost: int = 0
    bounds: list[tuple[float, float]] = field(default_factory=list)

    def count(self, breaks: Outcomes, holds: Outcomes, outcome: Outcomes) -> None:
        self.samples += len(outcome)
        self.events += int(outcome.sum())
        self.hits += int((breaks & outcome).sum())
        self.alarms += int(breaks.sum())
        self.held += int((holds & ~breaks).sum())
        self.lost += int((holds & ~breaks & outcome).sum())

    def median(self) -> dict[str, float | None]:
        if not self.bounds:
            return {"low": None, "high": None}
        low, high = np.median(self.bounds, axis=0)
        return {"low": float(low), "high": float(high)}

    def summary(self) -> dict[str, float | None]:
        covered = self.alarms + self.held
        return {
            "samples": self.samples,
            "coverage": _ratio(covered, self.samples),
            "accuracy": _ratio(self.hits + self.held - self.lost, covered),
            "precision": _ratio(self.hits, self.alarms),
            "recall_covered": _ratio(self.hits, self.hits + self.lost),
            "recall_all": _ratio(self.hits, self.events),
        }


def _joined(one: Predictions, other: Predictions) -> Predictions:
    columns = ("probability", "outcome", "time", "end")
    return Predictions(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in columns))


def _share(flags: Outcomes) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
