import inspect
import re

import pytest

from mikrobot.domain import errors
from mikrobot.domain.errors import MikrobotError, UsageError


def drawn_tree() -> dict[str, str | None]:
    """Return the parent of each class name, as drawn in the docstring."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        row = re.match(r"    ([│├└─ ]*)([A-Z]\w+)  ", line)
        if row:
            depth = len(row[1]) // 4
            parents[row[2]] = above[depth - 1] if depth else None
            above[depth:] = [row[2]]
    return parents


def real_tree() -> dict[str, str | None]:
    classes = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__]
    return {cls.__name__: None if cls is MikrobotError else cls.__base__.__name__ for cls in classes}


def test_the_tree_drawn_in_the_docstring_is_the_tree_of_the_classes() -> None:
    assert drawn_tree() == real_tree()


@pytest.mark.parametrize("name", sorted(real_tree()))
def test_wrong_use_exits_with_2_and_every_other_failure_with_1(name: str) -> None:
    error = getattr(errors, name)
    assert error.exit_code == (2 if issubclass(error, UsageError) else 1)
    assert error.__doc__
