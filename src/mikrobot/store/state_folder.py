"""The permissions of the state folder: its owner alone reads it.

Where root has another account run the bundled PostgreSQL, that account may pass through the folder, not list it.
"""

import stat
from pathlib import Path

from mikrobot.domain.errors import StoreError
from mikrobot.store.postgres.programs import runs_as_another_account

PRIVATE = 0o700
PASSABLE = 0o711

BEGUN = frozenset({"run", "run.lock", "logs", "lost+found"})
"""What a state folder may contain before it has passwords: what a command leaves that fails, and what a disk has."""


def make_private(home: Path) -> None:
    """Take the permissions of other accounts from the state folder.

    Raises
    ------
    StoreError
        If the folder is one that every account writes to, as /tmp, that others read and that has other files, as /, or
        that belongs to another account.
    """
    mode = home.stat().st_mode
    wanted = PASSABLE if runs_as_another_account(home / "postgres") else PRIVATE
    if mode & stat.S_ISVTX:
        raise StoreError(
            f"every account writes to {home}: set MIKROBOT_HOME to a folder of its own, as {home}/mikrobot"
        )
    if stat.S_IMODE(mode) & ~wanted:
        _require_own(home)
        try:
            home.chmod(wanted)
        except PermissionError as error:
            raise StoreError(
                f"other accounts can read the state folder {home}, which belongs to another one: "
                "set MIKROBOT_HOME to a folder of yours"
            ) from error


def _require_own(home: Path) -> None:
    """Check that a folder is a state folder, or becomes one, before others are kept out of it.

    Raises
    ------
    StoreError
        If it has no passwords of a stack, but other files.
    """
    names = sorted(path.name for path in home.iterdir())
    foreign = [name for name in names if name not in BEGUN]
    if foreign and "secrets" not in names:
        raise StoreError(
            f"{home} contains {foreign[0]}, which is not of this program, and other accounts can read it: "
            f"set MIKROBOT_HOME to a folder of its own, as {home / 'mikrobot'}"
        )
