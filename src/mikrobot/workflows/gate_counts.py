"""Count the results of a quality gate over all frames that it checks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

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

    def counts(self) -> dict[str, Any]:
        """Return suite, passed, failed, rows and quarantined."""
        names = ("suite", "passed", "failed", "rows", "quarantined")
        return {name: getattr(self, name) for name in names}


def by_suite(counts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sum the counts of each suite, in order of first appearance.

    >>> by_suite([{"suite": "bars", "rows": 1}, {"suite": "bars", "rows": 2}])
    [{'suite': 'bars', 'rows': 3}]
    """
    added: dict[str, dict[str, Any]] = {}
    for count in counts:
        suite = added.setdefault(count["suite"], {"suite": count["suite"]} | dict.fromkeys(count.keys() - {"suite"}, 0))
        for name in count.keys() - {"suite"}:
            suite[name] += count[name]
    return list(added.values())
