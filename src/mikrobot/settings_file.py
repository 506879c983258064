"""The file of settings, and the words by which messages name a setting and its value.

Knows no single setting: `settings` has them.
"""

import os
import tomllib
from collections.abc import Container, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mikrobot.domain.errors import SettingsError

PREFIX = "MIKROBOT_"
"""Beginning of the variables that are settings."""

SHOWN = 80
"""Maximum length of a refused value in a message."""


def file_path() -> Path:
    """Return the path of the file of settings, which need not exist.

    Raises
    ------
    SettingsError
        If MIKROBOT_CONFIG names no file.
    """
    path = os.environ.get("MIKROBOT_CONFIG")
    if path and not os.path.isfile(path):
        raise SettingsError(f"MIKROBOT_CONFIG names {name_of(path)}, which is not a file; correct the path or unset it")
    return Path(path or "mikrobot.toml")


def read_file() -> dict[str, Any]:
    """Return the values of the file of settings by their keys; none without a file.

    Raises
    ------
    SettingsError
        If it cannot be read, or is not TOML.
    """
    path = file_path()
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except OSError as error:
        raise SettingsError(f"{path.absolute()} cannot be read ({error.strerror}); make it readable") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path.absolute()} is not TOML: {error}; correct or remove it") from error


def absolute(path: Path) -> Path:
    """Return an absolute path.

    Raises
    ------
    SettingsError
        If it cannot be a path.
    """
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(f"{name_of(str(path))} cannot be a path ({error}); give another one") from error


def origin(name: str, given: Container[str]) -> str:
    """Return the source of a setting in words: an argument, a variable, a key of the file, or the default.

    Parameters
    ----------
    name : str
    given : container of str
        Names of the settings that are arguments.
    """
    if name in given:
        return f"setting {name_of(name)}"
    for variable, value in os.environ.items():
        if value and variable.upper() == f"{PREFIX}{name.upper()}":
            return variable
    return f"{name_of(name)} in {file_path().absolute()}" if name in read_file() else f"the default of {name}"


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the name that is most like another one."""
    return get_close_matches(name[:SHOWN], sorted(names), n=1, cutoff=0.0)[0]


def shown(value: object) -> str:
    """Return a value for a message, on one line and not too long."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no integer of more than 4300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def name_of(text: str) -> str:
    """Return a name for a message, as `shown` does but without quotation marks."""
    return shown(text).strip("'\"")
