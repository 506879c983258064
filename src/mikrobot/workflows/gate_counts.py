"""Count the results of a quality gate over all frames that it checks."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import pandas as pd

from mikrobot.market.history import Checked


class Counted(Checked, Protocol):
    """A gate's result for one frame, with its counts; see `expectations.quality_gate.Checked`."""

    @property
    def expectations(self) -> int:
        """Number of expectations that were run."""

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the expectations that failed."""


Check = Callable[[pd.DataFrame], Counted]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class GateCounts:
    """The counts of one suite of the quality gate.

    Attributes
    ----------
    suite : str
    passed, failed : int
        Number of expectations by outcome.
    rows, quarantined : int
        Number of rows checked, and of bad rows among them.
    """

    suite: str
    passed: int = 0
    failed: int = 0
    rows: int = 0
    quarantined: int = 0

    def __add__(self, other: "GateCounts") -> "GateCounts":
        return GateCounts(
            self.suite,
            self.passed + other.passed,
            self.failed + other.failed,
            self.rows + other.rows,
            self.quarantined + other.quarantined,
        )


@dataclass(slots=True)
class Tally:
    """A gate that counts its results: call it in place of the gate.

    Attributes
    ----------
    suite : str
    gate : callable
        Takes a frame, returns a `Counted`.
    passed, failed : int
        Number of expectations so far, by outcome.
    rows, quarantined : int
        Number of rows checked so far, and of bad rows among them.
    """

    suite: str
    gate: Check
    passed: int = 0
    failed: int = 0
    rows: int = 0
    quarantined: int = 0

    def __call__(self, frame: pd.DataFrame) -> Counted:
        """Check a frame with the gate, and count the results."""
        checked = self.gate(frame)
        self.passed += checked.expectations - len(checked.failed)
        self.failed += len(checked.failed)
        self.rows += len(frame)
        self.quarantined += len(checked.bad)
        return checked

    def counts(self) -> GateCounts:
        """Return the counts so far."""
        return GateCounts(self.suite, self.passed, self.failed, self.rows, self.quarantined)


@dataclass(frozen=True, slots=True)
class Gated(Generic[Result]):
    """The result of a stage behind a quality gate.

    Attributes
    ----------
    result : Backfill or Materialized
    checks : GateCounts
    """

    result: Result
    checks: GateCounts


def by_suite(counts: Iterable[GateCounts]) -> tuple[GateCounts, ...]:
    """Sum the counts of each suite, in order of first appearance.

    >>> by_suite([GateCounts("bars", 1, 0, 10, 0), GateCounts("bars", 2, 1, 10, 3)])
    (GateCounts(suite='bars', passed=3, failed=1, rows=20, quarantined=3),)
    """
    sums: dict[str, GateCounts] = {}
    for count in counts:
        sums[count.suite] = sums.get(count.suite, GateCounts(count.suite)) + count
    return tuple(sums.values())
