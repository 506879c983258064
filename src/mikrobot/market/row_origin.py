"""The origin of rows in a file or an answer, and the refusal of a row by it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.errors import BarError


class Numbers(Protocol):
    """Numbers of rows, by place or slice."""

    def __getitem__(self, row: Any, /) -> Any:
        """Return the number of a row, or those of a slice."""


@dataclass(frozen=True, slots=True)
class RowOrigin:
    """The origin of rows, for error messages that name one.

    Attributes
    ----------
    name : str
        File or symbol.
    numbers : sequence of int, or what is indexed like one
        The number of each row, as shown in the file.
    unit : str
        Unit of the numbers: "row" of a table, from 0, or "line" of a text file, from 1.
    """

    name: str
    numbers: Numbers
    unit: str = "row"

    def __call__(self, row: int) -> str:
        """Return the name of a row.

        >>> RowOrigin("EURUSD_M1.csv", range(2, 90), "line")(10)
        'EURUSD_M1.csv, line 12'
        """
        return f"{self.name}, {self.unit} {self.numbers[row]}"

    def part(self, rows: slice) -> "RowOrigin":
        """Return the origin of some of the rows."""
        return replace(self, numbers=self.numbers[rows])


def refuse_rows(bad: NDArray[np.bool_] | np.bool_, origin: RowOrigin, describe: Callable[[int], str]) -> None:
    """Refuse rows of which one is bad.

    Raises
    ------
    BarError
        With the first bad row and its description.
    """
    if bad.any():
        first = int(bad.argmax())
        raise BarError(f"{origin(first)}: {describe(first)}")
