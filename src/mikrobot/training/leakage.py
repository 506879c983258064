"""Whether an input knows the future: three tests of each, over the baseline, on days held out.

*Too good*: no honest input adds much to what distance and volatility say. *Shifted labels*: what an
honest input adds now it still adds, in part, to the question asked when this one is answered; what
looks ahead adds nothing to that. *Time shuffle*: the same input taken from other days adds nothing at
all; what it seems to add is the noise that the other two must exceed.

Finds columns that hold what happens within the horizon, or much of it. A faint one, which adds no
more than honest inputs do, it cannot tell from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from mikrobot.domain.errors import LeakageError
from mikrobot.training.dataset import Dataset

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

TOO_GOOD = 0.2
"""Share of the baseline's wrong pairs (1 less its AUC) that one honest input does not put right."""

SUSPECT = 0.12
"""The same share, from which on the input must keep half of it when the labels are shifted. Beside a
baseline of the ATR alone, honest volatilities come to 0.10 on BTCUSDT 2024; beside the forecast to 0.02."""

SHUFFLES = 3
SAMPLES = 60_000
"""Samples that are looked at, in one stretch of time for each symbol."""

FEWEST_SAMPLES = 1000
"""Samples below which noise cannot be told from skill, and nothing is measured."""

_CELLS = 16
_PRIOR = 30.0
"""Samples' worth of trust that a cell is as the baseline says."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What one input adds to the baseline, each as a share of the baseline's wrong pairs.

    Attributes
    ----------
    name : str
    value : float
        To the question at the input's own time.
    shifted : float or None
        To the question that is asked when that one has been answered; None where the value is not suspect.
    shuffled : float or None
        The most that the input of other days adds.
    """

    name: str
    value: float
    shifted: float | None = None
    shuffled: float | None = None

    @property
    def verdict(self) -> str:
        """Say how it shows that the input looks ahead; empty if it does not."""
        if self.shifted is None or self.shuffled is None or self.value <= self.shuffled + SUSPECT:
            return ""
        if self.value > self.shuffled + TOO_GOOD:
            return f"which is too good: no honest input exceeds {TOO_GOOD:.0%}"
        if self.shifted < self.value / 2.0:
            return f"of which {max(self.shifted, 0.0):.0%} are left when the labels are shifted by their horizon"
        return ""


def check(data: Dataset, names: Sequence[str], baseline: Floats, seed: int) -> tuple[Gain, ...]:
    """Refuse a dataset with an input that knows the future.

    Parameters
    ----------
    data : Dataset
        Training samples.
    names : sequence of str
        Of the inputs.
    baseline : ndarray of float64, shape (samples,)
        What distance and volatility say; the best baseline there is.
    seed : int
        Of the shuffles.

    Returns
    -------
    tuple of Gain
        Of every input, the largest first; none of fewer than `FEWEST_SAMPLES`, or if both outcomes do not occur
        on even and on odd days.

    Raises
    ------
    LeakageError
        Naming the inputs that look ahead.
    """
    found = gains(data, names, baseline, seed)
    if guilty := [gain for gain in found if gain.verdict]:
        said = "; ".join(
            f"{gain.name} puts {gain.value:.0%} of the wrong pairs right, {gain.verdict}" for gain in guilty
        )
        raise LeakageError(
            f"{len(guilty)} of {len(names)} inputs of {', '.join(np.unique(data.symbol))} know the outcome: {said}; "
            "find where they read past the close of their bar, or leave them out"
        )
    return found


def gains(data: Dataset, names: Sequence[str], baseline: Floats, seed: int) -> tuple[Gain, ...]:
    """Measure what every input adds; see `check`."""
    chosen = _stretch(data)
    data, said = data.only(chosen), logit(np.clip(baseline[chosen], 1e-6, 1 - 1e-6))
    now = _Question.of(said, data.outcome, data.time)
    asked, answered = _next_asked(data)
    later = _Question.of(said[answered], data.outcome[answered], data.time[asked])
    if now is None or later is None:
        return ()
    rng = np.random.default_rng(seed)
    moved = [_other_days(data, rng) for _ in range(SHUFFLES)]
    found = []
    for number, name in enumerate(names):
        column = data.inputs[:, number]
        gain = Gain(name, now.gain(column))
        if gain.value > SUSPECT:
            shuffled = max(now.gain(column[elsewhere]) for elsewhere in moved)
            gain = replace(gain, shifted=later.gain(column[asked]), shuffled=shuffled)
        found.append(gain)
    return tuple(sorted(found, key=lambda gain: gain.value, reverse=True))


@dataclass(frozen=True, slots=True)
class _Question:
    """Outcomes with the baseline's log odds, in cells of it; learned on even days, judged on odd ones."""

    said: Floats
    outcome: NDArray[np.bool_]
    cell: Indices
    learned: NDArray[np.bool_]
    auc: float

    @classmethod
    def of(cls, said: Floats, outcome: NDArray[np.bool_], time: NDArray[np.datetime64]) -> "_Question | None":
        learned = time.astype("datetime64[D]").astype(np.int64) % 2 == 0
        if len(said) < FEWEST_SAMPLES or any(len(np.unique(outcome[half])) < 2 for half in (learned, ~learned)):
            return None
        auc = float(roc_auc_score(outcome[~learned], said[~learned]))
        return cls(said, outcome, _binned(said), learned, auc)

    def gain(self, column: NDArray[np.float32]) -> float:
        """Return the share of wrong pairs put right by correcting the log odds in cells of baseline and column."""
        cell = self.cell * (_CELLS + 1) + _binned(column)
        size = (_CELLS + 1) ** 2
        own = cell[self.learned]
        happened = np.bincount(own, self.outcome[self.learned], size)
        expected = np.bincount(own, 1.0 / (1.0 + np.exp(-self.said[self.learned])), size)
        counted = np.bincount(own, minlength=size)
        mean = np.divide(expected, counted, out=np.full(size, 0.5), where=counted > 0)
        rate = (happened + _PRIOR * mean) / (counted + _PRIOR)
        corrected = self.said + (logit(rate) - logit(mean))[cell]
        auc = float(roc_auc_score(self.outcome[~self.learned], corrected[~self.learned]))
        return (auc - self.auc) / (1.0 - self.auc)


def _binned(values: NDArray[np.floating]) -> Indices:
    """Return cells of equal size, the last one for missing values."""
    known = np.isfinite(values)
    cells = np.full(len(values), _CELLS)
    if known.any():
        edges = np.quantile(values[known], np.linspace(0, 1, _CELLS + 1)[1:-1])
        cells[known] = np.searchsorted(edges, values[known], side="right")
    return cells


def _stretch(data: Dataset) -> Indices:
    """Choose the first samples of every symbol, so that neighbours in time stay together."""
    symbols = np.unique(data.symbol)
    each = SAMPLES // len(symbols)
    return np.concatenate([np.flatnonzero(data.symbol == symbol)[:each] for symbol in symbols])


def _next_asked(data: Dataset) -> tuple[Indices, Indices]:
    """Pair each sample with the first of its symbol and side at or after its end."""
    pairs = []
    for symbol in np.unique(data.symbol):
        for side in (1, -1):
            own = np.flatnonzero((data.symbol == symbol) & (data.side == side))
            following = np.searchsorted(data.time[own], data.end[own])
            met = following < len(own)
            pairs.append((own[met], own[following[met]]))
    asked, answered = zip(*pairs, strict=True)
    return np.concatenate(asked), np.concatenate(answered)


def _other_days(data: Dataset, rng: np.random.Generator) -> Indices:
    """Return for each sample one of its symbol, at a random distance of a tenth of them or more."""
    moved = np.empty(len(data), np.int64)
    for symbol in np.unique(data.symbol):
        own = np.flatnonzero(data.symbol == symbol)
        moved[own] = np.roll(own, rng.integers(len(own) // 10, max(len(own) - len(own) // 10, 1) + 1))
    return moved
