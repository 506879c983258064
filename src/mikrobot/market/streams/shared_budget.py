"""Budgets that all processes of a state folder share: attempts to connect, and the weight of requests.

A venue counts both by the address of the machine, and blocks it for minutes to days when they are exceeded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from mikrobot.domain.errors import FeedError

LONGEST_REFUSAL = timedelta(days=3)
"""Longest ban: Binance spot API, "IP limits"."""


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

    Attributes
    ----------
    most : int
        May be changed, as when the venue names its limit.
    """

    def __init__(self, path: Path, most: int, within: timedelta) -> None:
        self.most = most
        self._path, self._within = path, within

    def take(self, now: datetime, amount: int = 1) -> float:
        """Spend an amount at `now` and return 0, or return the seconds until it may be spent.

        Raises
        ------
        FeedError
            If the file cannot be used.
        """
        with self._locked():
            refused = self._refused_until(now)
            if refused > now:
                return (refused - now).total_seconds()
            spent = self._spent(now)
            left = sum(size for _, size in spent) + amount - self.most
            if left <= 0 or not spent:
                self._write([*spent, (now, amount)])
                return 0.0
            return (_freed(spent, left) + self._within - now).total_seconds()

    def correct(self, now: datetime, counted: int, since: datetime) -> None:
        """Add what the venue has counted since a time beyond what was recorded, as by programs without this file.

        Raises
        ------
        FeedError
            If the file cannot be used.
        """
        with self._locked():
            spent = self._spent(now)
            missing = counted - sum(size for time, size in spent if time >= since)
            if missing > 0:
                self._write([*spent, (now, missing)])

    def refuse(self, until: datetime) -> None:
        """Allow nothing until a time, since the venue refuses.

        Raises
        ------
        FeedError
            If the file cannot be used.
        """
        with self._locked():
            self._refused.write_text(until.isoformat())

    @property
    def _refused(self) -> Path:
        return self._path.with_name(f"{self._path.name}.refused")

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

    def _write(self, spent: list[tuple[datetime, int]]) -> None:
        self._path.write_text("".join(f"{time.isoformat()} {size}\n" for time, size in spent))

    def _refused_until(self, now: datetime) -> datetime:
        """Return the time until which the venue refuses; one that no venue would name is that of another clock."""
        try:
            until = datetime.fromisoformat(self._refused.read_text())
        except (FileNotFoundError, ValueError):
            return now
        return until if until <= now + LONGEST_REFUSAL else now

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
