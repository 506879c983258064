"""Bar files under a path given by the user. Reads no bar, and does not import pandas."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from mikrobot.domain.errors import BarError

MARK = "recording.json"
"""File of a recorded session that describes it: its source, its symbols, and whether its market is simulated."""

HISTORY = "history"
"""Folder of a recorded session with the bars of before."""

SUFFIXES = (".parquet", ".feather", ".csv", ".json", ".gz", ".zip")


def bar_files(path: Path) -> list[Path]:
    """Return the path itself if it is a file, or the bar files of a folder, sorted by name; hidden files are no bars.

    Of a recorded session, these are all files that it consists of.

    Raises
    ------
    BarError
        If the path does not exist or cannot be read, or the folder has no such file.
    """
    if not os.path.exists(path):  # Path.exists raises for a folder without permission
        raise BarError(f"{path}: no such file or folder; give a file of M1 bars, or a folder of them")
    if not os.access(path, os.R_OK):
        raise BarError(f"{path}: no permission to read it; change its permissions")
    if not path.is_dir():
        return [path]
    if (path / MARK).is_file():
        return sorted([path / MARK, *path.glob("*.gz"), *path.glob(f"{HISTORY}/*.parquet")])
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))
    if not files:
        raise BarError(f"{path}: no bar file in this folder ({', '.join(SUFFIXES)})")
    return files


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of every bar file under some paths, by its path.

    Raises
    ------
    BarError
        If a path does not exist or cannot be read, or a folder has no bar file.
    """
    return {str(file): _sha256(file) for path in paths for file in bar_files(path)}


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise BarError(f"{file}: cannot be read ({error.strerror}); check the file and its permissions") from error
