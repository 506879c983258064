"""Detection of look-ahead bias: three tests of each input, over the baseline, on held-out days.

*Too good*: no honest input adds much to distance and volatility. *Shifted labels*: an honest input keeps
part of its gain for the next label after this one has ended; an input with look-ahead keeps nothing.
*Time shuffle*: the same input taken from other days adds nothing; its apparent gain is the noise that
the other two tests must exceed.

The tests find columns that contain most of what happens within the horizon. They cannot find a weak
leak whose gain is no larger than that of honest inputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from mikrobot.domain.errors import LeakageError
from mikrobot.training.dataset import Dataset
from mikrobot.training.scores import auc

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

TOO_GOOD = 0.2
"""Gain that no honest input exceeds, as a share of the baseline's wrongly ordered pairs (1 less its AUC)."""

SUSPECT = 0.12
"""Gain above which an input must keep half of it when the labels are shifted. Over a baseline with the ATR
alone, honest volatility inputs gain 0.10 on BTCUSDT 2024; over the forecast baseline they gain 0.02."""

SHUFFLES = 3
SAMPLES = 60_000
"""Maximum number of tested samples: one contiguous stretch of time per symbol."""

FEWEST_SAMPLES = 1000
"""Samples below which noise hides skill, and no gain is measured."""

_CELLS = 16
_PRIOR = 30.0
"""Weight of the baseline's prediction in each cell, in samples."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Gain of one input over the baseline, as a share of the baseline's wrongly ordered pairs.

    Attributes
    ----------
    name : str
    value : float
        Gain for the label at the input's own time.
    shifted : float or None
        Gain for the next label after that one has ended; None if the value is not suspect.
    shuffled : float or None
        Largest gain of the same input taken from other days; None if the value is not suspect.
    """

    name: str
    value: float
    shifted: float | None = None
    shuffled: float | None = None

    @property
    def verdict(self) -> str:
        """The evidence that the input looks ahead; empty if there is none."""
        if self.shifted is None or self.shuffled is None or self.value <= self.shuffled + SUSPECT:
            return ""
        if self.value > self.shuffled + TOO_GOOD:
            return f"which is too good: no honest input exceeds {TOO_GOOD:.0%}"
        if self.shifted < self.value / 2.0:
            return f"of which {max(self.shifted, 0.0):.0%} are left when the labels are shifted by their horizon"
        return ""


def check(data: Dataset, names: Sequence[str], baseline: Floats, seed: int) -> tuple[Gain, ...]:
    """Refuse a dataset with an input that contains future information.

    Parameters
    ----------
    data : Dataset
        Training samples.
    names : sequence of str
        Names of the inputs.
    baseline : ndarray of float64, shape (samples,)
        Probabilities of the best available diffusion baseline.
    seed : int
        Seed of the shuffles.

    Returns
    -------
    tuple of Gain
        Gain of every input, the largest first. Empty on fewer than `FEWEST_SAMPLES` samples, or unless both
        outcomes occur on even and on odd days.

    Raises
    ------
    LeakageError
        If an input looks ahead; the message names all of them.
    """
    measured = gains(data, names, baseline, seed)
    if leaking := [gain for gain in measured if gain.verdict]:
        evidence = "; ".join(
            f"{gain.name} puts {gain.value:.0%} of the wrong pairs right, {gain.verdict}" for gain in leaking
        )
        raise LeakageError(
            f"{len(leaking)} of {len(names)} inputs of {', '.join(np.unique(data.symbol))} contain the outcome: "
            f"{evidence}; find where they read past the close of their bar, or leave them out"
        )
    return measured


def gains(data: Dataset, names: Sequence[str], baseline: Floats, seed: int) -> tuple[Gain, ...]:
    """Measure the gain of every input; see `check`."""
    chosen = stretch(data.symbol)
    data, log_odds = data.only(chosen), logit(np.clip(baseline[chosen], 1e-6, 1 - 1e-6))
    now = _Labelled.of(log_odds, data.outcome, data.time)
    earlier, following = _following(data)
    later = _Labelled.of(log_odds[following], data.outcome[following], data.time[earlier])
    if now is None or later is None:
        return ()
    rng = np.random.default_rng(seed)
    shuffles = [_other_days(data, rng) for _ in range(SHUFFLES)]
    measured = []
    for number, name in enumerate(names):
        column = data.inputs[:, number]
        gain = Gain(name, now.gain(column))
        if gain.value > SUSPECT:
            shuffled = max(now.gain(column[rows]) for rows in shuffles)
            gain = replace(gain, shifted=later.gain(column[earlier]), shuffled=shuffled)
        measured.append(gain)
    return tuple(sorted(measured, key=lambda gain: gain.value, reverse=True))


def stretch(symbol: NDArray[np.str_]) -> Indices:
    """Return the rows that `gains` tests, given the symbol of each: the first of every symbol, contiguous in time."""
    symbols = np.unique(symbol)
    per_symbol = SAMPLES // len(symbols)
    return np.concatenate([np.flatnonzero(symbol == own)[:per_symbol] for own in symbols])


@dataclass(frozen=True, slots=True)
class _Labelled:
    """Outcomes with the baseline's log odds and their cells; gains are fitted on even days, measured on odd days."""

    log_odds: Floats
    outcome: NDArray[np.bool_]
    cell: Indices
    fitted: NDArray[np.bool_]
    auc: float

    @classmethod
    def of(cls, log_odds: Floats, outcome: NDArray[np.bool_], time: NDArray[np.datetime64]) -> "_Labelled | None":
        fitted = time.astype("datetime64[D]").astype(np.int64) % 2 == 0
        if len(log_odds) < FEWEST_SAMPLES or any(len(np.unique(outcome[half])) < 2 for half in (fitted, ~fitted)):
            return None
        baseline = auc(log_odds[~fitted], outcome[~fitted])
        return cls(log_odds, outcome, _binned(log_odds), fitted, baseline)

    def gain(self, column: NDArray[np.float32]) -> float:
        """Return the share of wrong pairs put right by a correction of the log odds by cell of baseline and column."""
        cell = self.cell * (_CELLS + 1) + _binned(column)
        size = (_CELLS + 1) ** 2
        own = cell[self.fitted]
        observed = np.bincount(own, self.outcome[self.fitted], size)
        expected = np.bincount(own, 1.0 / (1.0 + np.exp(-self.log_odds[self.fitted])), size)
        counts = np.bincount(own, minlength=size)
        mean = np.divide(expected, counts, out=np.full(size, 0.5), where=counts > 0)
        rate = (observed + _PRIOR * mean) / (counts + _PRIOR)
        corrected = self.log_odds + (logit(rate) - logit(mean))[cell]
        return (auc(corrected[~self.fitted], self.outcome[~self.fitted]) - self.auc) / (1.0 - self.auc)


def _binned(values: NDArray[np.floating]) -> Indices:
    """Return the cell of each value: cells of equal size, and one more for missing values."""
    present = np.isfinite(values)
    cells = np.full(len(values), _CELLS)
    if present.any():
        edges = np.quantile(values[present], np.linspace(0, 1, _CELLS + 1)[1:-1])
        cells[present] = np.searchsorted(edges, values[present], side="right")
    return cells


def _following(data: Dataset) -> tuple[Indices, Indices]:
    """Pair each sample with the first one of its symbol and side at or after its end."""
    pairs = []
    for symbol in np.unique(data.symbol):
        for side in (1, -1):
            own = np.flatnonzero((data.symbol == symbol) & (data.side == side))
            place = np.searchsorted(data.time[own], data.end[own])
            exists = place < len(own)
            pairs.append((own[exists], own[place[exists]]))
    earlier, following = zip(*pairs, strict=True)
    return np.concatenate(earlier), np.concatenate(following)


def _other_days(data: Dataset, rng: np.random.Generator) -> Indices:
    """Return for each sample another one of its symbol, shifted by a random tenth or more of the symbol's samples."""
    shuffled = np.empty(len(data), np.int64)
    for symbol in np.unique(data.symbol):
        own = np.flatnonzero(data.symbol == symbol)
        shuffled[own] = np.roll(own, rng.integers(len(own) // 10, max(len(own) - len(own) // 10, 1) + 1))
    return shuffled
