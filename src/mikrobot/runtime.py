"""Clocks, retries and the circuit breaker.

The only module that reads the system time or sleeps; all other code receives a clock.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import ParamSpec, Protocol, TypeVar

import stamina

from mikrobot.domain.errors import ServiceError

P = ParamSpec("P")
R = TypeVar("R")


def uptime_s() -> float:
    """Return the seconds since a fixed instant, mostly the start of the machine; setting the clock changes nothing.

    Includes the time in which the machine slept where the system counts it (Linux).
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def boot_id() -> str:
    """Return what identifies the current start of the machine; the same text on systems that do not name it."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else "this start"


class Clock(Protocol):
    """A source of the current time: the system clock, or one that a replay moves."""

    def now(self) -> datetime:
        """Return the current time, UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait for that many seconds."""

    async def wait(self, seconds: float) -> None:
        """Wait for that many seconds, while other tasks of the event loop go on."""


class SystemClock:
    """The system clock."""

    def now(self) -> datetime:
        """Return the current time, UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait for that many seconds of real time."""
        time.sleep(seconds)

    async def wait(self, seconds: float) -> None:
        """Wait for that many seconds of real time, while other tasks of the event loop go on."""
        await asyncio.sleep(seconds)


@dataclass
class ManualClock:
    """A clock that moves only in `sleep`, for replays and tests."""

    time: datetime

    def now(self) -> datetime:
        """Return the time of the clock, UTC."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move the clock forward by that many seconds without waiting."""
        self.time += timedelta(seconds=seconds)

    async def wait(self, seconds: float) -> None:
        """Move the clock forward by that many seconds; other tasks of the event loop take one step."""
        self.sleep(seconds)
        await asyncio.sleep(0)


def rate_of(clock: Clock) -> float:
    """Return the seconds that pass on a clock in one second of real time: 1, or more where a market runs faster."""
    return float(getattr(clock, "rate", 1.0))


def retry(
    *,
    on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool],
    attempts: int = 5,
    timeout_s: float = 30.0,
    rate: float = 1.0,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Retry an idempotent call that fails with `on`, with exponential back-off and jitter.

    Parameters
    ----------
    on : exception type, tuple of them, or callable
        The only errors that are retried, or what returns True for them; the last one is raised.
    attempts : int
    timeout_s : float
        Seconds after which no new attempt starts.
    rate : float
        Rate of the clock by which these seconds and the waits count; see `rate_of`.
    """
    return stamina.retry(
        on=on, attempts=attempts, timeout=timeout_s / rate, wait_initial=0.1 / rate, wait_max=5.0 / rate,
        wait_jitter=1.0 / rate,
    )  # fmt: skip


def wait_until(ready: Callable[[], bool], what: str, clock: Clock, *, timeout_s: float, every_s: float = 0.1) -> None:
    """Poll until `ready` returns True.

    Parameters
    ----------
    ready : callable
    what : str
        Start of the error message, as ``PostgreSQL did not answer``.
    clock : Clock
        Used to measure the wait and to sleep.
    timeout_s, every_s : float
        Seconds to wait in total, and between two polls.

    Raises
    ------
    ServiceError
        If `ready` does not return True within `timeout_s` seconds.
    """
    deadline = clock.now() + timedelta(seconds=timeout_s)
    while not ready():
        if clock.now() >= deadline:
            raise ServiceError(f"{what} within {timeout_s:.0f} s")
        clock.sleep(every_s)


class BreakerOpen(ServiceError):
    """The circuit breaker refuses the call, because the service failed too often."""


@dataclass
class Breaker:
    """A circuit breaker: stop calling a service that keeps failing. Thread-safe.

    It is closed until `failures` calls in a row fail. Then it is open and refuses every call for
    `rest_s` seconds. Then it is half open and admits one probe at a time, until `successes` probes
    in a row succeed; one failed probe opens it again. The result of a call that was admitted before
    the breaker opened is ignored.

    Attributes
    ----------
    name : str
        Name of the service in error messages.
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
        """State: ``closed``, ``open`` or ``half_open``."""
        opened = self._opened
        if opened is None:
            return "closed"
        return "open" if (self.clock.now() - opened).total_seconds() < self.rest_s else "half_open"

    def call(self, function: Callable[[], R]) -> R:
        """Call a function through the breaker and return its result.

        Raises
        ------
        BreakerOpen
            If the breaker is open, or half open with a probe in progress.
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
                f"{self.name} keeps failing; the next attempt is possible {self.rest_s:.0f} s after its last failure"
            )
        if self._probing:
            raise BreakerOpen(f"{self.name} kept failing and is being probed; try again after the probe")
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
