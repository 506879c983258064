"""The smallest change of one number with which a refused decision would have been approved.

Pure. Decides again for every number that it tries; assumes nothing about the checks.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["setting", "parameter", "input"]

_STEPS = 24
"""Distances from the present value that are tried in each direction, each twice the one before."""

_HALVINGS = 40
"""Bisections between the farthest refused and the nearest approved number."""

_DIGITS = 6
"""Significant digits of the reported number."""


@dataclass(frozen=True, slots=True)
class Knob:
    """A number that a decision is based on, and with which it can be decided again.

    Attributes
    ----------
    kind : "setting", "parameter" or "input"
    name : str
    value : float
        The present number, finite.
    low, high : float
        The range that is searched, finite; it contains the number.
    approves : callable
        Decides again with another number; returns True if that is approved.
    whole : bool
        Only whole numbers are tried.
    """

    kind: Kind
    name: str
    value: float
    low: float
    high: float
    approves: Callable[[float], bool]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one number with which the decision is approved, verified by deciding again.

    Attributes
    ----------
    kind, name
    value, needed : float
        The present number, and the nearest approved one that was found.
    """

    kind: Kind
    name: str
    value: float
    needed: float

    @property
    def relative(self) -> float:
        """The size of the change as a share of the present number; infinite if that is 0."""
        return abs(self.needed - self.value) / abs(self.value) if self.value else math.inf


def nearest(knobs: Iterable[Knob]) -> list[Change]:
    """Return the nearest change of each knob that has one, the relatively smallest first.

    >>> probability = Knob("input", "probability_up", 0.5, 0.0, 1.0, lambda value: value >= 0.55)
    >>> [(change.name, change.needed) for change in nearest([probability])]
    [('probability_up', 0.55)]
    """
    changes = [change for knob in knobs if (change := _nearest(knob)) is not None]
    return sorted(changes, key=lambda change: (change.relative, change.kind, change.name))


def _nearest(knob: Knob) -> Change | None:
    sides = [_towards(knob, bound) for bound in (knob.low, knob.high) if bound != knob.value]
    approved = [number for number in sides if number is not None]
    if not approved:
        return None
    return Change(knob.kind, knob.name, knob.value, min(approved, key=lambda number: abs(number - knob.value)))


def _towards(knob: Knob, bound: float) -> float | None:
    """Return the approved number nearest to the present one on the way to a bound, as far as the search finds it."""
    refused = knob.value
    for step in range(_STEPS, -1, -1):
        number = _number(knob, knob.value + (bound - knob.value) * 0.5**step)
        if number == refused:
            continue
        if knob.approves(number):
            return _between(knob, refused, number)
        refused = number
    return None


def _between(knob: Knob, refused: float, approved: float) -> float:
    for _ in range(_HALVINGS):
        middle = _number(knob, (refused + approved) / 2)
        if middle in (refused, approved):
            break
        if knob.approves(middle):
            approved = middle
        else:
            refused = middle
    return _short(knob, refused, approved)


def _short(knob: Knob, refused: float, approved: float) -> float:
    """Return an approved number of few digits, not nearer to the refused one; the exact one if there is none."""
    for digits in range(1, _DIGITS + 1):
        rounded = float(f"{approved:.{digits}g}")
        near = abs(rounded - approved) <= 1e-6 * max(abs(approved), abs(refused))
        if near and knob.low <= rounded <= knob.high and knob.approves(rounded):
            return rounded
    return approved


def _number(knob: Knob, number: float) -> float:
    return float(round(number)) if knob.whole else number
