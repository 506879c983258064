"""The wait before the next attempt to connect: it doubles, and begins again only after a time of good data."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

FIRST_S = 1.0
LONGEST_S = 60.0

GOOD = timedelta(seconds=60)
"""Time of good data after which the next attempt is made at once, and the wait then begins at `FIRST_S` again."""


@dataclass(slots=True)
class Backoff:
    """The waits of one connection.

    A venue that accepts a connection and closes it at once does not shorten the waits, since it sends no good data.
    """

    rng: Random
    attempts: int = 0
    _rested: bool = field(default=False, init=False)
    _good_since: datetime | None = field(default=None, init=False)

    def next_wait_s(self) -> float:
        """Return the seconds to wait before the next attempt: half of the doubled wait, and a random part.

        The first attempt after a time of good data does not wait.
        """
        self._good_since = None
        if self._rested:
            self._rested = False
            return 0.0
        longest = min(FIRST_S * 2.0**self.attempts, LONGEST_S)
        self.attempts += 1
        return longest * self.rng.uniform(0.5, 1.0)

    def good(self, now: datetime) -> None:
        """Record that the connection has sent data at `now`."""
        if self._good_since is None:
            self._good_since = now
        elif now - self._good_since >= GOOD:
            self.attempts = 0
            self._rested = True
