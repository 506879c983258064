"""Feast: its configuration, its online and offline store, and access to the feature rows in them.

Feast has typeguard check the types of its arguments at run time, for which typeguard parses and rewrites Feast's
classes: more than two thirds of the time that an import of Feast takes in every process. mypy checks our calls, so
this package, which has to be imported before Feast, switches the rewriting off.
"""

from typing import TypeVar

import typeguard

_T = TypeVar("_T")


def _unchanged(target: _T) -> _T:
    return target


typeguard.typechecked = _unchanged  # type: ignore[assignment]
