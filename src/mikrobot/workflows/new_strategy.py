"""Write the file of a new strategy from a template that works."""

import re
from importlib.resources import files
from pathlib import Path

from mikrobot.domain.errors import StoreError, StrategyError


def write(name: str, folder: Path) -> Path:
    """Write the template with the name of a class, and return its path.

    Raises
    ------
    StrategyError
        If the name is not that of a class, or the file exists.
    StoreError
        If the file cannot be written.

    Examples
    --------
    `Reversal` becomes ``reversal.py``, `MyRules` becomes ``my_rules.py``.
    """
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]{0,59}", name):
        raise StrategyError(f"{name!r} is not a name of a class: give letters and digits, as Reversal or MyRules")
    path = folder / f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower()}.py"
    template = files("mikrobot.templates").joinpath("strategy.py.txt").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template.replace("NAME", name))
    except FileExistsError:
        raise StrategyError(f"{path} exists already; choose another name, or move the file") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
    return path
