"""What a compiled step is made of: the source of every function that it reaches, without its words.

Two definitions are equal when these texts are, so a hash of them is the version of a catalog.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterable
from types import CodeType, FunctionType
from typing import Any

import numpy as np


def definitions(roots: Iterable[Any]) -> dict[str, str]:
    """Return the source of functions and of all functions, numbers and tables they reach, by full name.

    Parameters
    ----------
    roots : iterable of functions, plain or compiled

    Returns
    -------
    dict of str to str
        Without comments, docstrings and decorators.
    """
    found: dict[str, str] = {}
    for root in roots:
        _gather(root, found)
    return found


def _gather(value: Any, found: dict[str, str]) -> None:
    """Add the source of a function, and of all functions, numbers and tuples of numbers it reaches by name."""
    function = getattr(value, "py_func", value)
    if not isinstance(function, FunctionType):
        return
    name = f"{function.__module__}.{function.__qualname__}"
    if name in found:
        return
    found[name] = _definition(function)
    for reached in sorted(_names(function.__code__)):
        target = function.__globals__.get(reached)
        if isinstance(target, int | float | str | tuple):
            found[f"{function.__module__}.{reached}"] = repr(target)
        elif isinstance(target, np.ndarray):
            found[f"{function.__module__}.{reached}"] = repr(target.tolist())
        else:
            _gather(target, found)


def _names(code: CodeType) -> set[str]:
    nested = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, nested))


def _definition(function: FunctionType) -> str:
    """Source of a function without comments, decorators and docstring."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    if ast.get_docstring(definition) is not None:
        definition.body = definition.body[1:]
    return ast.unparse(definition)
