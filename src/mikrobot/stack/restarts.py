"""The restarts that a service may have: exponential back-off, and a budget that refills. Starts nothing."""

from collections import deque
from dataclasses import dataclass, field

RESTARTS = 5
"""Number of restarts of a service within `WINDOW_S`; after them it stays down until the budget has refilled."""

WINDOW_S = 600.0

FIRST_WAIT_S = 1.0
"""Seconds between the first restart and the second; every further wait is twice as long."""

STABLE_S = 20.0
"""Seconds after which a service that has been restarted and works has its whole budget again."""


@dataclass(slots=True)
class RestartBudget:
    """The restarts of one service. Times are seconds of a clock that is never set.

    >>> budget = RestartBudget()
    >>> budget.record(100.0)
    >>> budget.record(101.0)
    >>> budget.wait_s(101.5)
    1.5
    """

    _restarts: deque[float] = field(default_factory=deque)

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next restart may happen; the first one may happen immediately."""
        self._forget_old(now)
        if not self._restarts:
            return 0.0
        if self.is_spent(now):
            return self._restarts[0] + WINDOW_S - now
        pause = FIRST_WAIT_S * 2.0 ** (len(self._restarts) - 1)
        return float(max(self._restarts[-1] + pause - now, 0.0))

    def is_spent(self, now: float) -> bool:
        """Return True if the service stays down until its budget has refilled."""
        self._forget_old(now)
        return len(self._restarts) >= RESTARTS

    def record(self, now: float) -> None:
        """Count a restart."""
        self._restarts.append(now)

    def record_work(self, now: float) -> None:
        """Note that the service works: if its last restart is `STABLE_S` ago, its budget is refilled."""
        if self._restarts and now - self._restarts[-1] >= STABLE_S:
            self._restarts.clear()

    def _forget_old(self, now: float) -> None:
        while self._restarts and self._restarts[0] <= now - WINDOW_S:
            self._restarts.popleft()
