"""Wall time and its failures: the clock, retry and the circuit breaker.

The only room that reads the time of day or sleeps; everything else is handed a clock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import ParamSpec, Protocol, TypeVar

import stamina

from mikrobot.domain.errors import ServiceError

P = ParamSpec("P")
R = TypeVar("R")


class Clock(Protocol):
    """What tells the time: the system's clock, or one that a replay moves."""

    def now(self) -> datetime:
        """Return the time, UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The time of day."""

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait that long in real time."""
        time.sleep(seconds)


@dataclass
class ManualClock:
    """A clock that stands still until it is moved: replays and tests."""

    time: datetime

    def now(self) -> datetime:
        """Return the time it was set to."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move on by that long at once."""
        self.time += timedelta(seconds=seconds)


def retry(
    *, on: type[Exception] | tuple[type[Exception], ...], attempts: int = 5, timeout_s: float = 30.0
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Repeat an idempotent call while it fails with `on`: exponential back-off with jitter.

    Parameters
    ----------
    on : exception type or tuple of them
        The only failures that are repeated; the last one is raised.
    attempts : int
    timeout_s : float
        Seconds after which no further attempt starts.
    """
    return stamina.retry(on=on, attempts=attempts, timeout=timeout_s, wait_initial=0.1, wait_max=5.0)


def wait_until(ready: Callable[[], bool], what: str, clock: Clock, *, timeout_s: float, every_s: float = 0.1) -> None:
    """Poll until `ready` answers True.

    Parameters
    ----------
    ready : callable
    what : str
        The complaint, as ``PostgreSQL did not answer``.
    clock : Clock
        Measures the wait as well as it sleeps.
    timeout_s, every_s : float
        Seconds altogether, and between two polls.

    Raises
    ------
    ServiceError
        If it did not within `timeout_s` seconds: the complaint and the time given.
    """
    deadline = clock.now() + timedelta(seconds=timeout_s)
    while not ready():
        if clock.now() >= deadline:
            raise ServiceError(f"{what} within {timeout_s:.0f} s")
        clock.sleep(every_s)


class BreakerOpen(ServiceError):
    """The breaker refuses the call: the service behind it failed too often."""


@dataclass
class Breaker:
    """Stop calling a service that keeps failing; threads may share one.

    Closed until `failures` calls in a row fail; then open, refusing every call, for `rest_s`
    seconds; then half open, admitting one probe at a time, until `successes` probes in a row
    succeed. One failed probe opens it again. A call that was admitted before the breaker opened
    and ends after it changes nothing.

    Attributes
    ----------
    name : str
        Named in the refusal.
    clock : Clock
    failures, successes : int
    rest_s : float
    """

    name: str
    clock: Clock
    failures: int = 5
    rest_s: float = 30.0
    successes: int = 3
    _failed: int = field(default=0, init=False)
    _succeeded: int = field(default=0, init=False)
    _opened: datetime | None = field(default=None, init=False)
    _probing: bool = field(default=False, init=False)
    _era: int = field(default=0, init=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half_open``."""
        opened = self._opened
        if opened is None:
            return "closed"
        return "open" if (self.clock.now() - opened).total_seconds() < self.rest_s else "half_open"

    def call(self, function: Callable[[], R]) -> R:
        """Call through the breaker.

        Raises
        ------
        BreakerOpen
            If it is open, or half open with a probe under way.
        """
        with self._lock:
            era = self._admit()
        succeeded = False
        try:
            result = function()
            succeeded = True
            return result
        finally:
            with self._lock:
                self._settle(era, succeeded=succeeded)

    def _admit(self) -> int:
        if self.state == "open":
            raise BreakerOpen(
                f"{self.name} keeps failing; it is tried again {self.rest_s:.0f} s after its last failure"
            )
        if self._probing:
            raise BreakerOpen(f"{self.name} kept failing and is being probed; try again when the probe has ended")
        self._probing = self._opened is not None
        return self._era

    def _settle(self, era: int, *, succeeded: bool) -> None:
        if era != self._era:
            return
        self._probing = False
        if succeeded:
            self._succeed()
        else:
            self._fail()

    def _fail(self) -> None:
        self._failed += 1
        self._succeeded = 0
        if self._opened is not None or self._failed >= self.failures:
            self._opened = self.clock.now()
            self._era += 1

    def _succeed(self) -> None:
        self._failed = 0
        if self._opened is None:
            return
        self._succeeded += 1
        if self._succeeded >= self.successes:
            self._opened, self._succeeded = None, 0
            self._era += 1
