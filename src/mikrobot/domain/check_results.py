"""The result of one check of a decision, and the two numbers that it compared."""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Relation = Literal["<", "<=", ">", ">="]

_HOLDS = {
    "<": lambda value, threshold: value < threshold,
    "<=": lambda value, threshold: value <= threshold,
    ">": lambda value, threshold: value > threshold,
    ">=": lambda value, threshold: value >= threshold,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The numbers behind a check; it passes if `value` `relation` `threshold` holds.

    Attributes
    ----------
    value : float or None
        None if it is missing; then the check cannot pass. Amounts of money are rounded to float64 here; the text of
        the check has them exactly.
    relation : "<", "<=", ">" or ">="
    threshold : float
    unit : str
        Of both, as ``lots`` or ``USD``.

    >>> Comparison(0.25, "<", 0.2, "of the stop").distance
    0.05
    """

    value: float | None
    relation: Relation
    threshold: float
    unit: str

    @property
    def holds(self) -> bool:
        """True if the check passes."""
        return self.value is not None and _HOLDS[self.relation](self.value, self.threshold)

    @property
    def distance(self) -> float | None:
        """By how much the value must move to reach the threshold: 0 if the check passes, None without a value.

        With ``<`` and ``>`` the value must move beyond the threshold, so that a refusal can have a distance of 0.
        """
        if self.holds:
            return 0.0
        return None if self.value is None else round(abs(self.value - self.threshold), 10)

    def to_json(self) -> list[Any]:
        """Return the fields in order, as plain JSON values."""
        return [self.value, self.relation, self.threshold, self.unit]

    def __str__(self) -> str:
        value = "none" if self.value is None else f"{self.value:g}"
        return f"{value} {self.relation} {self.threshold:g} {self.unit}".rstrip()


def compared(value: float | Decimal, relation: Relation, threshold: float | Decimal, unit: str) -> Comparison:
    """Return a comparison; a value that is no finite number is missing.

    >>> compared(math.nan, ">=", Decimal("0.55"), "probability").distance is None
    True
    """
    number = float(value)
    return Comparison(number if math.isfinite(number) else None, relation, float(threshold), unit)


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a decision.

    Attributes
    ----------
    name : str
    passed : bool
    text : str
        The values that were compared.
    compared : Comparison or None
        Its numbers, if it compares two.

    >>> str(Check("spread", False, "0.5 is 25% of the stop distance"))
    'spread refused: 0.5 is 25% of the stop distance'
    """

    name: str
    passed: bool
    text: str
    compared: Comparison | None = None

    def __str__(self) -> str:
        return f"{self.name} {'passed' if self.passed else 'refused'}: {self.text}"

    @property
    def value(self) -> float | None:
        """The value that was compared, None without one."""
        return None if self.compared is None else self.compared.value

    @property
    def threshold(self) -> float | None:
        """The threshold that it was compared with, None without one."""
        return None if self.compared is None else self.compared.threshold

    @property
    def distance(self) -> float | None:
        """The distance to passing in the unit of the value, None without numbers; see `Comparison.distance`."""
        return None if self.compared is None else self.compared.distance

    def to_json(self) -> dict[str, Any]:
        """Return the check as plain JSON values; the numbers are null where it compares none."""
        numbers = self.compared
        return {
            "name": self.name,
            "passed": self.passed,
            "value": self.value,
            "relation": None if numbers is None else numbers.relation,
            "threshold": self.threshold,
            "distance": self.distance,
            "unit": None if numbers is None else numbers.unit,
            "text": self.text,
        }


def parsed(reason: str, numbers: Comparison | None = None) -> Check | None:
    """Return the check that a recorded reason describes; None if it describes no check.

    >>> parsed("spread refused: 25% of the stop").name
    'spread'
    >>> parsed("answered by bos 7, learned from EURUSD") is None
    True
    """
    places = [(reason.find(f" {result}: "), result) for result in ("passed", "refused")]
    at, result = min((place for place in places if place[0] >= 0), default=(-1, ""))
    if at < 0:
        return None
    return Check(reason[:at], result == "passed", reason[at + len(result) + 3 :], numbers)
