"""Passwords of the database roles: one file of mode 0600 each, in ``home/secrets``."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


def password(home: Path, role: str) -> str:
    """Return the password of a role; generate it on first use.

    Any number of processes may call this at the same time: all get the same password.

    Raises
    ------
    OSError
        If the folder cannot be written, or the file cannot be read.
    """
    path = home / "secrets" / role
    if not path.exists():
        _make(path)
    return path.read_text().strip()


def _make(path: Path) -> None:
    """Write the password to a temporary file and link it to its name, so that readers never see a partial file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(dir=path.parent)
    try:
        with open(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24))
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        os.unlink(fresh)
