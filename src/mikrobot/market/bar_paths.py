"""The bar files under a path that somebody names; reads none of them, and imports no data frames."""

import os
from pathlib import Path

from mikrobot.domain.errors import BarError

SUFFIXES = (".parquet", ".csv")


def bar_files(path: Path) -> list[Path]:
    """Return a file itself, or the Parquet and CSV files of a folder by name.

    Raises
    ------
    BarError
        If there is nothing at the path, it cannot be read, or the folder has no such file.
    """
    if not os.path.exists(path):  # Path.exists raises for a folder that may not be entered
        raise BarError(f"{path}: no such file or folder; give a Parquet or CSV file of M1 bars, or a folder of them")
    if not os.access(path, os.R_OK):
        raise BarError(f"{path}: you may not read it; change its permissions")
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise BarError(f"{path}: no Parquet or CSV file in this folder")
    return files
