"""The inputs of one feature row, by plain Python code that is generated from their definition.

NumPy takes half a microsecond for an operation on one number, and a model has three hundred of them. Tracing the
definition once gives the same operations on Python floats, with which a row takes a fifth of the time. Both give the
same bits: each operation is one of IEEE 754, and logarithms stay NumPy's.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

Inputs = tuple[float, ...]

_BINARY = {np.add: "+", np.subtract: "-", np.multiply: "*", np.true_divide: "/", np.greater: ">"}
_CALLS = {np.log: "log", np.log1p: "log1p", np.sqrt: "sqrt", np.absolute: "abs", np.maximum: "maximum"}


class NoFloat(ArithmeticError):
    """The row needs an operation that Python refuses, as the logarithm of a negative number; NumPy gives NaN."""


def log(x: float) -> float:
    """Return NumPy's logarithm of a number above 0, or NaN of NaN."""
    if x > 0.0:
        return float(np.log(x))
    return _nan(x)


def log1p(x: float) -> float:
    """Return NumPy's logarithm of 1 + x for x above -1, or NaN of NaN."""
    if x > -1.0:
        return float(np.log1p(x))
    return _nan(x)


def sqrt(x: float) -> float:
    """Return the square root of a number from 0 on, or NaN of NaN."""
    if x >= 0.0:
        return math.sqrt(x)
    return _nan(x)


def maximum(x: float, y: float) -> float:
    """Return the larger number; NaN if one is NaN."""
    return x if x >= y or x != x else y


def _nan(x: float) -> float:
    if x == x:
        raise NoFloat
    return x


@dataclass(slots=True)
class _Code:
    """Statements of the generated function; equal expressions are computed once."""

    variables: dict[str, str]

    def variable(self, expression: str) -> "_Traced":
        """Return the variable of an expression."""
        return _Traced(self, self.variables.setdefault(expression, f"v{len(self.variables)}"))


class _Traced(NDArrayOperatorsMixin):
    """A column of a feature row while the definition of the inputs is traced."""

    def __init__(self, code: _Code, name: str) -> None:
        self.code, self.name = code, name

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> "_Traced":
        """Write a universal function of NumPy as an expression."""
        if method != "__call__" or options:
            raise TypeError(f"{ufunc.__name__}.{method} with {sorted(options)} has no form for one row")
        return self._of_one(ufunc, *operands)

    def __array_function__(self, function: Any, types: Any, operands: Sequence[Any], options: Any) -> Any:
        """Write the choice between two columns as an expression; the side of a row is known while tracing."""
        if function is not np.where or options:
            raise TypeError(f"{function.__name__} has no form for one row")
        condition, yes, no = operands
        if isinstance(condition, bool | np.bool_):
            return yes if condition else no
        return self.code.variable(f"{_name(yes)} if {_name(condition)} else {_name(no)}")

    def _of_one(self, ufunc: np.ufunc, *operands: Any) -> "_Traced":
        if ufunc is np.negative:
            return self.code.variable(f"-{_name(operands[0])}")
        if ufunc in _CALLS:
            return self.code.variable(f"{_CALLS[ufunc]}({', '.join(map(_name, operands))})")
        if ufunc is np.multiply and operands[0] is _UPWARDS:
            return operands[1]  # type: ignore[no-any-return]  # the other operand is this column
        if ufunc not in _BINARY:
            raise TypeError(f"{ufunc.__name__} has no form for one row")
        return self.code.variable(f"{_name(operands[0])} {_BINARY[ufunc]} {_name(operands[1])}")


_UPWARDS, _DOWNWARDS = 1.0, -1.0


def _name(operand: Any) -> str:
    if isinstance(operand, _Traced):
        return operand.name
    number = float(operand)
    return "nan" if math.isnan(number) else f"({number!r})"


@cache
def compiled(
    make: Callable[[Mapping[str, Any], Any], Mapping[str, Any]], columns: tuple[str, ...]
) -> Callable[[Sequence[float]], Inputs]:
    """Return a function of one row that gives its inputs upwards, and then downwards.

    Parameters
    ----------
    make : callable
        `SideInputs.make` of a definition.
    columns : tuple of str
        Columns of the row, in order.

    Returns
    -------
    callable
        Raises ArithmeticError if a row needs an operation that Python refuses, as a division by 0.

    Raises
    ------
    TypeError
        If the definition uses a function of NumPy that has no form for one row.
    """
    code = _Code({})
    x = {name: _Traced(code, f"x{number}") for number, name in enumerate(columns)}
    inputs = [_name(value) for side in (_UPWARDS, _DOWNWARDS) for value in make(x, side).values()]
    lines = [
        "def inputs_of(row):",
        f"    {', '.join(f'x{number}' for number in range(len(columns)))}, = row",
        *(f"    {name} = {expression}" for expression, name in code.variables.items()),
        f"    return ({', '.join(inputs)},)",
    ]
    names = {"nan": math.nan, "log": log, "log1p": log1p, "sqrt": sqrt, "maximum": maximum}
    exec("\n".join(lines), names)  # noqa: S102, the text is made of our own definition alone
    generated: Callable[[Sequence[float]], Inputs] = names["inputs_of"]  # type: ignore[assignment]  # made above
    return generated
