"""Budgets that all processes of a state folder share: attempts to connect, and the weight of requests.

A venue counts both by the address of the machine, and blocks it for minutes to days when they are exceeded.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from mikrobot.domain.errors import FeedError


class Budget(Protocol):
    """What may be spent within a time."""

    def take(self, now: datetime, amount: int = 1) -> float:
        """Spend an amount and return 0, or return the seconds until it may be spent."""


class SharedBudget:
    """The amounts that were spent, in a file.

    Parameters
    ----------
    path : Path
        The file; its folder is created.
    most : int
        Sum of the amounts within the time.
    within : timedelta
    """

    def __init__(self, path: Path, most: int, within: timedelta) -> None:
        self._path, self._most, self._within = path, most, within

    def take(self, now: datetime, amount: int = 1) -> float:
        """Spend an amount at `now` and return 0, or return the seconds until it may be spent.

        Raises
        ------
        FeedError
            If the file cannot be used.
        """
        with self._locked():
            spent = self._spent(now)
            left = sum(size for _, size in spent) + amount - self._most
            if left <= 0 or not spent:
                self._write([*spent, (now, amount)])
                return 0.0
            return (_freed(spent, left) + self._within - now).total_seconds()

    def correct(self, now: datetime, used: int) -> None:
        """Count as spent what the venue has counted at `now`: other programs of the machine ask too.

        Raises
        ------
        FeedError
            If the file cannot be used.
        """
        with self._locked():
            spent = self._spent(now)
            others = used - sum(size for _, size in spent)
            if others > 0:
                self._write([*spent, (now, others)])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock  # here, because it takes a tenth of a second

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock"):
                yield
        except OSError as error:
            raise FeedError(f"{self._path} cannot be written ({error.strerror}); free some space") from error

    def _spent(self, now: datetime) -> list[tuple[datetime, int]]:
        return sorted(entry for entry in self._read() if now - self._within < entry[0] <= now)

    def _write(self, spent: Sequence[tuple[datetime, int]]) -> None:
        self._path.write_text("".join(f"{time.isoformat()} {size}\n" for time, size in spent))

    def _read(self) -> list[tuple[datetime, int]]:
        spent: list[tuple[datetime, int]] = []
        for line in self._path.read_text().splitlines() if self._path.exists() else ():
            time, _, amount = line.partition(" ")
            try:
                spent.append((datetime.fromisoformat(time), int(amount)))
            except ValueError:  # half a line of a process that was killed
                continue
        return spent


def _freed(spent: list[tuple[datetime, int]], needed: int) -> datetime:
    """Return the time of the entry with whose end enough has been freed, the oldest first."""
    for time, amount in spent:
        needed -= amount
        if needed <= 0:
            return time
    return spent[-1][0]
