"""Fingerprints of compiled steps: a hash of the source of every function that they call.

Comments, docstrings and the location of a function do not change its fingerprint.
"""

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Iterable
from types import CodeType, FunctionType
from typing import Any

import numpy as np


def fingerprint(function: Any) -> str:
    """Return a hash of a function and of everything it refers to: functions, numbers, strings and tables.

    Parameters
    ----------
    function : plain or compiled function

    Returns
    -------
    str
        64 hex digits. Comments, docstrings, decorators and module names are not included.
    """
    return _fingerprint(getattr(function, "py_func", function), ())


def _fingerprint(function: FunctionType, callers: tuple[FunctionType, ...]) -> str:
    if function in callers:
        return f"recursion {len(callers) - callers.index(function)}"
    reached = _reached(function, (*callers, function))
    return hashlib.sha256("\n".join([_definition(function), *reached]).encode()).hexdigest()


def _reached(function: FunctionType, callers: tuple[FunctionType, ...]) -> Iterable[str]:
    for name in sorted(_names(function.__code__)):
        value = function.__globals__.get(name)
        value = getattr(value, "py_func", value)
        if isinstance(value, int | float | str | tuple):
            yield f"{name}={value!r}"
        elif isinstance(value, np.ndarray):
            yield f"{name}={value.tolist()!r}"
        elif isinstance(value, FunctionType):
            yield f"{name}={_fingerprint(value, callers)}"


def _names(code: CodeType) -> set[str]:
    nested = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, nested))


def _definition(function: FunctionType) -> str:
    """Return the source of a function without comments, decorators and docstring."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    if ast.get_docstring(definition) is not None:
        definition.body = definition.body[1:]
    return ast.unparse(definition)
