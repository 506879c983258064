"""Wall time and its failures: the clock, retry and the circuit breaker.

The only room that reads the time of day or sleeps; everything else is handed a clock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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

    Raises
    ------
    ServiceError
        If it did not within `timeout_s` seconds; the message names `what`.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise ServiceError(f"{what} within {timeout_s:.0f} s")
        clock.sleep(every_s)


class BreakerOpen(ServiceError):
    """The breaker refuses the call: the service behind it failed too often."""


@dataclass
class Breaker:
    """Stop calling a service that keeps failing.

    Closed until `failures` calls in a row fail; then open, refusing every call, for `rest_s`
    seconds; then half open, admitting one probe at a time, until `successes` probes in a row
    succeed. One failed probe opens it again.

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

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half_open``."""
        if self._opened is None:
            return "closed"
        return "open" if self._resting() else "half_open"

    def call(self, function: Callable[[], R]) -> R:
        """Call through the breaker.

        Raises
        ------
        BreakerOpen
            If it is open, or half open with a probe under way.
        """
        if self.state == "open" or self._probing:
            raise BreakerOpen(
                f"{self.name} failed {self.failures} times in a row; it is tried again after {self.rest_s:.0f} s"
            )
        self._probing = self._opened is not None
        try:
            result = function()
        except Exception:
            self._fail()
            raise
        finally:
            self._probing = False
        self._succeed()
        return result

    def _resting(self) -> bool:
        assert self._opened is not None
        return (self.clock.now() - self._opened).total_seconds() < self.rest_s

    def _fail(self) -> None:
        self._failed += 1
        self._succeeded = 0
        if self._opened is not None or self._failed >= self.failures:
            self._opened = self.clock.now()

    def _succeed(self) -> None:
        self._failed = 0
        if self._opened is None:
            return
        self._succeeded += 1
        if self._succeeded >= self.successes:
            self._opened, self._succeeded = None, 0
