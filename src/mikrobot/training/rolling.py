"""Evaluation of selective prediction and intervals on a rolling window of days, as in live operation.

Before each UTC day, the confidence bands and intervals are fitted to the outcomes of the days before,
then applied to that day. Fixed bands drift. No outcome of the evaluated day is used.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mikrobot.models.conformal import BREAKS, GRID, HOLDS, MISCOVERAGE, Intervals, Sets, between, cell
from mikrobot.training.evaluation_figures import Band, BandFigures
from mikrobot.training.scores import calibration_error

Floats = NDArray[np.float64]
Outcomes = NDArray[np.bool_]
Times = NDArray[np.datetime64]

WINDOW_DAYS = 60
FEWEST_KNOWN = 2000
"""Outcomes in the window below which a day is left out."""

BANDS = ((0.80, 0.90), (0.85, 0.90), (0.90, 0.90))
"""Target precision, and target recall among covered samples, of each confidence band."""

MARGINS = (0.01, 0.01)
"""Margins by which the window must exceed the targets. They are the smallest tested margins that kept the targets in
the months before each evaluated span, on breaks by wick within 15 minutes."""

FEWEST_SAID = 100
"""Minimum number of "breaks" predictions in the window for a band to qualify."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predicted probabilities with their outcomes, in any order.

    Attributes
    ----------
    probability : ndarray of float64, shape (samples,)
    outcome : ndarray of bool, shape (samples,)
    time, end : ndarray of datetime64, shape (samples,)
        UTC; time of each prediction, and time when its outcome was known.
    """

    probability: Floats
    outcome: Outcomes
    time: Times
    end: Times


@dataclass(frozen=True, slots=True)
class Window:
    """One day to evaluate, with the outcomes known before it.

    Attributes
    ----------
    chosen : ndarray of int64
        Row numbers of the day's samples.
    true, false : ndarray of int64, shape (`GRID`,)
        Counts of the outcomes of the days before, by cell of probability.
    """

    chosen: NDArray[np.int64]
    true: NDArray[np.int64]
    false: NDArray[np.int64]


def windows(judged: Predictions, history: Predictions | None = None, days: int = WINDOW_DAYS) -> Iterator[Window]:
    """Yield each day of the predictions with the counts of its window.

    Parameters
    ----------
    judged : Predictions
    history : Predictions, optional
        Earlier predictions, which fill the first windows.
    days : int
        Length of the window.

    Yields
    ------
    Window
        Days with `FEWEST_KNOWN` outcomes or more before them.
    """
    counted = judged if history is None else _joined(history, judged)
    day, known_on = (times.astype("datetime64[D]").astype(np.int64) for times in (judged.time, counted.end))
    first = int(min(known_on.min(), day.min()))
    span = int(max(known_on.max(), day.max())) - first + 1
    at = (known_on - first) * GRID + cell(counted.probability)
    true, false = (
        np.concatenate(
            [np.zeros((1, GRID), np.int64), np.bincount(at[own], minlength=span * GRID).reshape(span, GRID).cumsum(0)]
        )
        for own in (counted.outcome, ~counted.outcome)
    )
    order = np.argsort(day, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(day[order])) + 1):
        until = int(day[own[0]]) - first
        since = max(0, until - days)
        window = Window(own, true[until] - true[since], false[until] - false[since])
        if window.true.sum() + window.false.sum() >= FEWEST_KNOWN:
            yield window


def selective(judged: Predictions, history: Predictions | None = None) -> tuple[BandFigures, ...]:
    """Evaluate selective prediction with confidence bands that are chosen on the window before each day.

    A band (low, high) predicts "breaks" from `high` upwards, "holds" below `low`, and abstains in between.
    Of the bands that exceed the targets by `MARGINS` in the window, the one with the highest coverage is chosen.

    Parameters
    ----------
    judged, history : Predictions

    Returns
    -------
    tuple of BandFigures
        One for each of `BANDS`.
    """
    tallies = [_Tally() for _ in BANDS]
    for window in windows(judged, history):
        probability, outcome = judged.probability[window.chosen], judged.outcome[window.chosen]
        for (precision, recall), tally in zip(BANDS, tallies, strict=True):
            low, high = band(window.true, window.false, precision + MARGINS[0], recall + MARGINS[1])
            tally.count(probability >= high, probability < low, outcome)
            if high < np.inf:
                tally.bounds.append((low, high))
    return tuple(tally.figures(*targets) for targets, tally in zip(BANDS, tallies, strict=True))


def band(
    true: NDArray[np.int64], false: NDArray[np.int64], precision: float, recall: float, *, fewest: int = FEWEST_SAID
) -> tuple[float, float]:
    """Find the band with the highest coverage that reaches this precision, and this recall among covered samples.

    Parameters
    ----------
    true, false : ndarray of int64, shape (`GRID`,)
    precision, recall : float
    fewest : int
        Minimum number of "breaks" predictions, at least 1.

    Returns
    -------
    low, high : float
        The widest band if several have the same coverage; minus and plus infinity if none qualifies.

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
    """Evaluate the intervals and prediction sets of the rolling window: coverage, width and decisions.

    Returns
    -------
    dict
        ``samples`` of days with enough outcomes in the window; ``promised``: nominal coverage; ``coverage``,
        ``coverage_true`` and ``coverage_false``: shares of all, of true and of false outcomes that lie in the
        prediction set; ``decided``: share of prediction sets with one outcome; ``accuracy`` among those;
        ``width``: mean of high less low; ``ece``: calibration error of the probabilities between the bounds.
        None where there was nothing to count.
    """
    parts = _applied(judged, history)
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


def prediction_sets(judged: Predictions) -> tuple[NDArray[np.int64], Sets]:
    """Return the row numbers of the predictions with enough outcomes before their day, in order, and their sets."""
    parts = _applied(judged, None)
    if not parts:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int8)
    chosen, sets = (np.concatenate([part[column] for part in parts]) for column in (0, 3))
    order = np.argsort(chosen)
    return chosen[order], sets[order]


def _applied(judged: Predictions, history: Predictions | None) -> list[tuple[NDArray[np.int64], Floats, Floats, Sets]]:
    """Return the row numbers, the bounds and the sets of each day by the window before it."""
    parts = []
    for window in windows(judged, history):
        fitted = Intervals.fit(window.true, window.false)
        probability = judged.probability[window.chosen]
        parts.append((window.chosen, *fitted(probability), fitted.sets(probability)))
    return parts


@dataclass
class _Tally:
    """Counts of a band's predictions and their outcomes over all days."""

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

    def figures(self, precision: float, recall: float) -> BandFigures:
        """Return the figures of the band with these targets."""
        low, high = map(float, np.median(self.bounds, axis=0)) if self.bounds else (None, None)
        covered = self.alarms + self.held
        return BandFigures(
            band=Band(precision, recall, low, high),
            samples=self.samples,
            coverage=_ratio(covered, self.samples),
            accuracy=_ratio(self.hits + self.held - self.lost, covered),
            precision=_ratio(self.hits, self.alarms),
            recall_covered=_ratio(self.hits, self.hits + self.lost),
            recall_all=_ratio(self.hits, self.events),
        )


def _joined(one: Predictions, other: Predictions) -> Predictions:
    columns = ("probability", "outcome", "time", "end")
    return Predictions(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in columns))


def _share(flags: Outcomes) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
