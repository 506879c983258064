"""The quality score of a closed bar, as it is computed, stored and read. Computes none."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

HALT_BELOW = 0.95
"""Score below which no position is opened."""


@dataclass(frozen=True, slots=True)
class QualityScore:
    """The quality of the data of one symbol at one close.

    Attributes
    ----------
    symbol : str
    close_time : datetime
        UTC; the score uses only what was known then.
    score : float
        0 to 1.
    parts : mapping of str to float
        The parts of the score by name, each 0 to 1; a part that does not apply is missing.
    """

    symbol: str
    close_time: datetime
    score: float
    parts: Mapping[str, float]

    def __str__(self) -> str:
        """Return the score with the parts that lower it, the lowest first.

        >>> from datetime import UTC
        >>> str(QualityScore("EURUSD", datetime(2025, 1, 6, tzinfo=UTC), 0.0, {"gap": 0.0, "spike": 1.0}))
        'data quality 0.00: gap 0.00'
        """
        low = sorted((value, name) for name, value in self.parts.items() if value < 1)
        listed = ", ".join(f"{name} {_shown(value)}" for value, name in low)
        return f"data quality {_shown(self.score)}" + (f": {listed}" if listed else "")


def _shown(value: float) -> str:
    """Return two digits, rounded down, so that a score below a bound is not shown as the bound."""
    return f"{int(value * 100) / 100:.2f}"
