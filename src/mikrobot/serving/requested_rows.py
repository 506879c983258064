"""The feature rows of a request: their names and values are checked, and put in the column order of a spec.

Does not know the catalog of features, and predicts nothing.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from types import NoneType
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

LARGEST = float(np.finfo(np.float32).max)
"""Maximum magnitude of a value: models calculate with 32 bits, in which a larger one would count as missing."""

_PLAIN = frozenset({float, int, NoneType})
"""Types of values that NumPy converts as `_number` does."""


def row_of(spec: "ModelSpec", features: Mapping[str, float | None]) -> NDArray[np.float64]:
    """Return feature values in the column order of a spec, shape (spec.columns,); NaN where a value is missing.

    Raises
    ------
    FeatureMismatch
        As `Predictor.predict`.
    """
    if len(features) != len(spec.columns) or not all(map(features.__contains__, spec.columns)):
        check_names(_needs(spec), spec.columns, features)
    values = [features[name] for name in spec.columns]
    row = _converted(values) if _PLAIN.issuperset(map(type, values)) else None
    if row is not None:
        return row
    return np.array([_number(name, value) for name, value in zip(spec.columns, values, strict=True)])


def array_of(spec: "ModelSpec", columns: Sequence[str], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an array, whose columns are named by `columns`, in the column order of a spec.

    Raises
    ------
    FeatureMismatch
        As `Predictor.predict_many`.
    """
    check_names(_needs(spec), spec.columns, columns)
    check_sizes(columns, values)
    return in_order(spec, columns, values)


def rows_of(spec: "ModelSpec", columns: Sequence[str], rows: Sequence[Sequence[float | None]]) -> NDArray[np.float64]:
    """Return rows of values, given in the order of `columns`, as an array in the column order of a spec.

    Raises
    ------
    FeatureMismatch
        As `Predictor.predict_many`.
    """
    check_names(_needs(spec), spec.columns, columns)
    return in_order(spec, columns, _matrix(columns, rows))


def in_order(spec: "ModelSpec", columns: Sequence[str], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an array whose columns are named by `columns` in the column order of a spec."""
    position = {name: at for at, name in enumerate(columns)}
    return values[:, [position[name] for name in spec.columns]]


def check_sizes(columns: Sequence[str], values: NDArray[np.float64]) -> None:
    """Check that no value of an array, whose columns are named by `columns`, is infinite or too large for a model.

    Raises
    ------
    FeatureMismatch
        As `Predictor.predict_many`, for the first such value.
    """
    large = np.abs(values) > LARGEST  # False for NaN
    if large.any():
        row, column = np.argwhere(large)[0].tolist()
        _in_row(row, columns[column], float(values[row, column]))


def check_names(what: str, columns: Collection[str], given: Iterable[str]) -> None:
    """Check that names are exactly the expected columns, in any order.

    Parameters
    ----------
    what : str
        The model that needs the columns, as the start of the message.
    columns : collection of str
    given : iterable of str

    Raises
    ------
    FeatureMismatch
        If one is missing, unknown or given twice; the message lists up to `LISTED` of them.
    """
    counts = Counter(list(given))
    expected, unique = set(columns), counts.keys()
    complaints = []
    if missing := [name for name in columns if name not in unique]:
        complaints.append(f"missing {_listed(missing)}")
    if unknown := sorted(unique - expected):
        complaints.append(f"unknown {_listed(unknown)}")
    if repeated := sorted(name for name, count in counts.items() if count > 1):
        complaints.append(f"given twice {_listed(repeated)}")
    if complaints:
        raise FeatureMismatch(f"{what} {len(expected)} columns by name: {'; '.join(complaints)}")


def _needs(spec: "ModelSpec") -> str:
    return f"model {spec.name} version {spec.version} needs its"


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(name[:LONGEST] for name in names[:LISTED]) + rest


def _matrix(columns: Sequence[str], rows: Sequence[Sequence[float | None]]) -> NDArray[np.float64]:
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise FeatureMismatch(
                f"row {number} has {len(row)} values, expected one for each of {len(columns)} columns"
            )
    if _PLAIN.issuperset(chain.from_iterable(map(type, row) for row in rows)):
        values = _converted(rows)
        if values is not None:
            return values.reshape(len(rows), len(columns))
    values = np.empty((len(rows), len(columns)))
    for number, row in enumerate(rows):
        values[number] = [_in_row(number, name, value) for name, value in zip(columns, row, strict=True)]
    return values


def _converted(values: Sequence[object]) -> NDArray[np.float64] | None:
    """Return values of the types in `_PLAIN` as an array; None if one is too large."""
    try:
        converted = np.array(values, dtype=np.float64)  # converts None to NaN
    except OverflowError:
        return None
    return None if (np.abs(converted) > LARGEST).any() else converted


def _in_row(number: int, name: str, given: object) -> float:
    try:
        return _number(name, given)
    except FeatureMismatch as error:
        raise FeatureMismatch(f"row {number}: {error}") from error


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
    if abs(value) > LARGEST:
        raise FeatureMismatch(f"{name} is {value:g}, expected at most {LARGEST:.2g}, or null where it is missing")
    return value
