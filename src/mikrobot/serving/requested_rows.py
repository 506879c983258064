"""The feature rows of a request: their names and values are checked, and put in the column order of a spec.

Does not know the catalog of features, and predicts nothing.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.errors import FeatureMismatch

if TYPE_CHECKING:
    from mikrobot.models.spec import ModelSpec

LISTED = 100
"""Maximum number of names in a message."""

LONGEST = 100
"""Maximum length of a name in a message."""


def row_of(spec: "ModelSpec", features: Mapping[str, float | None]) -> list[float]:
    """Return feature values in the column order of a spec.

    Raises
    ------
    FeatureMismatch
        As `Predictor.predict`.
    """
    _check_names(spec, features)
    return [_number(name, features[name]) for name in spec.columns]


def rows_of(spec: "ModelSpec", columns: Sequence[str], rows: Sequence[Sequence[float | None]]) -> NDArray[np.float64]:
    """Return rows of values, given in the order of `columns`, as an array in the column order of a spec.

    Raises
    ------
    FeatureMismatch
        As `Predictor.predict_many`.
    """
    _check_names(spec, columns)
    values = _matrix(columns, rows)
    position = {name: at for at, name in enumerate(columns)}
    return values[:, [position[name] for name in spec.columns]]


def _check_names(spec: "ModelSpec", given: Iterable[str]) -> None:
    counts = Counter(list(given))
    expected, unique = set(spec.columns), counts.keys()
    complaints = []
    if missing := [name for name in spec.columns if name not in unique]:
        complaints.append(f"missing {_listed(missing)}")
    if unknown := sorted(unique - expected):
        complaints.append(f"unknown {_listed(unknown)}")
    if repeated := sorted(name for name, count in counts.items() if count > 1):
        complaints.append(f"given twice {_listed(repeated)}")
    if complaints:
        raise FeatureMismatch(
            f"model {spec.name} version {spec.version} needs its {len(expected)} columns by name: "
            + "; ".join(complaints)
        )


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(name[:LONGEST] for name in names[:LISTED]) + rest


def _matrix(columns: Sequence[str], rows: Sequence[Sequence[float | None]]) -> NDArray[np.float64]:
    values = np.empty((len(rows), len(columns)))
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise FeatureMismatch(
                f"row {number} has {len(row)} values, expected one for each of {len(columns)} columns"
            )
        try:
            values[number] = [_number(name, value) for name, value in zip(columns, row, strict=True)]
        except FeatureMismatch as error:
            raise FeatureMismatch(f"row {number}: {error}") from error
    return values


def _number(name: str, given: object) -> float:
    if given is None:
        return math.nan
    if isinstance(given, bool) or not isinstance(given, (float, int, np.floating, np.integer)):
        raise FeatureMismatch(f"{name[:LONGEST]} is {given!r}, expected a number, or null where it is missing")
    try:
        value = float(given)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise FeatureMismatch(f"{name} is infinite, expected a finite number, or null where it is missing")
    return value
