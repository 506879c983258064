"""Leases of services that a command starts for itself: the last command that uses such a service stops it.

A lease is a read lock of ``home/run/<name>.users``, which ends with its process, however that ends. The file
``home/run/<name>.borrowed`` marks a service that was started for commands only; `mikrobot up` keeps it instead.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mikrobot.stack.processes import undisturbed

if TYPE_CHECKING:
    from filelock import ReadWriteLock


@contextmanager
def lease(name: str, home: Path, stop: Callable[[], object]) -> Iterator[None]:
    """Use a service within the block; afterwards stop it if it is borrowed and no other command uses it.

    Waits while another command stops the service.
    """
    from filelock import ReadWriteLock  # here, because it takes a tenth of a second

    (home / "run").mkdir(parents=True, exist_ok=True)
    users = ReadWriteLock(home / "run" / f"{name}.users", is_singleton=False)
    users.acquire_read()
    try:
        yield
    finally:
        with undisturbed():
            users.release()
            _stop_if_last(users, name, home, stop)
            users.close()


def borrow(name: str, home: Path) -> None:
    """Mark a service that is about to be started for commands only."""
    path = _mark(name, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def keep(names: Iterable[str], home: Path) -> None:
    """Let services run until `mikrobot down`, whoever started them; a disk that cannot be written keeps the marks."""
    for name in names:
        with suppress(OSError):
            _mark(name, home).unlink()


def is_borrowed(name: str, home: Path) -> bool:
    """Return True if the last command that uses the service stops it."""
    return _mark(name, home).exists()


def _mark(name: str, home: Path) -> Path:
    return home / "run" / f"{name}.borrowed"


def _stop_if_last(users: "ReadWriteLock", name: str, home: Path, stop: Callable[[], object]) -> None:
    from filelock import Timeout

    with suppress(Timeout), _alone(users):
        if is_borrowed(name, home):
            stop()
            keep([name], home)


@contextmanager
def _alone(users: "ReadWriteLock") -> Iterator[None]:
    """Lock the users of a service for writing; on a disk that cannot be written, without the lock: no command goes on.

    Raises
    ------
    Timeout
        If another command uses the service.
    """
    from filelock import Timeout

    try:
        users.acquire_write(blocking=False)
    except Timeout:
        raise
    except (OSError, sqlite3.Error):
        yield
        return
    try:
        yield
    finally:
        users.release()
