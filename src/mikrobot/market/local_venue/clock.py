"""The market time of the local venue, which runs at a multiple of real time. Waits for nothing."""

from collections.abc import Callable
from math import inf

MINUTE_MS = 60_000


class MarketClock:
    """A clock that begins at a market time and runs `speed` times as fast as real time.

    Parameters
    ----------
    elapsed_s : callable
        Seconds since a fixed instant, as `mikrobot.runtime.uptime_s`.
    start_ms : int
        Market time at which the clock begins, milliseconds since the epoch.
    speed : float
        Market seconds per real second.
    end_ms : int or None
        Market time at which it stops; None: never.
    began_s : float or None
        When it was `start_ms` there, by `elapsed_s`; None: now.

    >>> seconds = iter((10.0, 10.5, 99.0))
    >>> clock = MarketClock(lambda: next(seconds), 0, 60.0, 90_000)
    >>> clock.now_ms(), clock.now_ms()
    (30000, 90000)
    """

    def __init__(
        self, elapsed_s: Callable[[], float], start_ms: int, speed: float, end_ms: int | None = None,
        *, began_s: float | None = None,
    ) -> None:  # fmt: skip
        self.speed = speed
        self._elapsed_s = elapsed_s
        self._start_ms = start_ms
        self._end_ms: float = inf if end_ms is None else end_ms
        self._began_s = elapsed_s() if began_s is None else began_s

    def now_ms(self) -> int:
        """Return the market time, milliseconds since the epoch."""
        passed_ms = (self._elapsed_s() - self._began_s) * self.speed * 1000
        return int(min(self._start_ms + passed_ms, self._end_ms))

    def is_end(self, time_ms: int) -> bool:
        """Return True if the clock has stopped at a market time."""
        return time_ms >= self._end_ms
