"""Passwords of the database roles: one file of mode 0600 each, in ``home/secrets``."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from mikrobot.domain.errors import StoreError


def password(home: Path, role: str) -> str:
    """Return the password of a role; generate it on first use.

    Any number of processes may call this at the same time: all get the same password.

    Raises
    ------
    OSError
        If the folder cannot be written, or the file cannot be read.
    StoreError
        If the file is empty or no text, or that of the administrator is missing although the server has data.
    """
    path = home / "secrets" / role
    if not path.exists():
        if role == "postgres" and (home / "postgres" / "PG_VERSION").exists():
            raise StoreError(f"the password of the data in {home / 'postgres'} is missing: {_remedy(path)}")
        _make(path)
    secret = path.read_bytes().strip()
    if not secret or not secret.isascii():
        raise StoreError(f"the password file {path} is {'no text' if secret else 'empty'}: {_remedy(path)}")
    return secret.decode("ascii")


def _remedy(path: Path) -> str:
    """Return the remedy for a lost password: the administrator's cannot be made again, every other one can."""
    if path.name == "postgres":
        return f"restore {path} from a backup, or set MIKROBOT_HOME to a new folder"
    return "restore it from a backup, or delete it and run `mikrobot down` and `mikrobot up`, which make another"


def _make(path: Path) -> None:
    """Write the password to the disk in a temporary file and link it to its name, which no reader sees in part."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(dir=path.parent)
    try:
        with open(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        os.unlink(fresh)
    _flush_names(path.parent)


def _flush_names(folder: Path) -> None:
    """Write the names in a folder to the disk; Windows does so itself, and opens no folder."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
