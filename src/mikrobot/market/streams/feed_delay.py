"""How long the messages of closed bars are on their way, by the stamps of the venue and our clock.

The two clocks may differ, so a delay is measured beyond the least of the last hour. Thread-safe.
"""

from collections import deque
from datetime import datetime
from threading import Lock

from mikrobot.domain.market import Bar

KEPT = 60
"""Newest messages of a symbol whose least delay is that of an idle network and of clocks that differ."""


class FeedDelay:
    """The delays of the messages of closed bars by symbol.

    >>> from datetime import UTC, timedelta
    >>> opened, delay = datetime(2025, 1, 6, tzinfo=UTC), FeedDelay()
    >>> for late in (0.2, 5.2):
    ...     bar, sent = Bar("BTCUSDT", opened, 1.0, 1.0, 1.0, 1.0), opened + timedelta(minutes=1)
    ...     delay.note(bar, sent, sent + timedelta(seconds=late))
    ...     opened += timedelta(minutes=1)
    >>> delay.of(bar)
    5.0
    """

    def __init__(self) -> None:
        self._delays: dict[str, deque[float]] = {}
        self._newest: dict[str, datetime] = {}
        self._lock = Lock()

    def note(self, bar: Bar, sent: datetime, received: datetime) -> None:
        """Note when the message of a bar was sent by the clock of the venue, and received by ours."""
        with self._lock:
            self._delays.setdefault(bar.symbol, deque(maxlen=KEPT)).append((received - sent).total_seconds())
            self._newest[bar.symbol] = bar.open_time

    def of(self, bar: Bar) -> float | None:
        """Return the seconds of a bar's message beyond the least; None if the newest message is not that of the bar."""
        with self._lock:
            if self._newest.get(bar.symbol) != bar.open_time:
                return None
            delays = self._delays[bar.symbol]
            return delays[-1] - min(delays)
