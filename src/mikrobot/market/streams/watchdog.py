"""The watchdog of one subscription: it is stale when it has been silent for much longer than usual."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

USUAL_S = {"kline": 2.0, "depth": 0.1, "bookTicker": 1.0, "aggTrade": 24.0}
"""Usual seconds between two messages of a stream, by its kind, on a market that is traded."""

PERIODS = 5.0
"""Usual times between two messages after which a silent stream is stale."""

LEAST_S = 5.0
"""Shortest silence that is stale, so that a slow network is none."""

LEAST_OF_TRADES_S = 60.0
"""Shortest silence of a stream of trades that is stale: trades come in bursts, with pauses between them."""

LONGEST_S = 120.0
"""Silence that is stale on the quietest market."""

_SHORTEST_S = 0.001

_WEIGHT = 0.05
"""Share of the newest time between two messages in the usual one."""


@dataclass(slots=True)
class Watchdog:
    """Watches one stream from its acknowledgement on.

    Attributes
    ----------
    stream : str
        Name of the stream, as ``btcusdt@kline_1m``.
    usual_s : float
        Mean seconds between two messages, the newest weighted most.
    messages : int
        Messages since the acknowledgement.
    """

    stream: str
    usual_s: float = 0.0
    messages: int = 0
    _least_s: float = field(default=LEAST_S, init=False)
    _last: datetime | None = field(default=None, init=False)
    _silent: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        kind = self.stream.split("@")[1].partition("_")[0] if "@" in self.stream else ""
        self.usual_s = self.usual_s or USUAL_S.get(kind, 1.0)
        self._least_s = LEAST_OF_TRADES_S if kind == "aggTrade" else LEAST_S

    def acknowledged(self, now: datetime) -> None:
        """Start to watch: the subscription was accepted at `now`; a stale stream stays stale until it sends."""
        self._silent = self.is_stale(now)
        self._last, self.messages = now, 0

    def received(self, now: datetime) -> None:
        """Record a message at `now`."""
        if self._last is not None and self.messages:
            self.usual_s += _WEIGHT * ((now - self._last).total_seconds() - self.usual_s)
        self._last, self._silent = now, False
        self.messages += 1

    @property
    def limit_s(self) -> float:
        """Seconds of silence after which the stream is stale."""
        return min(max(PERIODS * self.usual_s, self._least_s), LONGEST_S)

    def silent_s(self, now: datetime) -> float:
        """Return the seconds since the last message, or since the acknowledgement; 0 before it."""
        return 0.0 if self._last is None else (now - self._last).total_seconds()

    def is_stale(self, now: datetime) -> bool:
        """Return whether the stream has been silent for too long."""
        return self._silent or self.silent_s(now) > self.limit_s

    def fault(self, now: datetime) -> str:
        """Return what is wrong with a stale stream, in one line."""
        since = "the last message" if self.messages else "it was acknowledged"
        return f"{self.stream}: nothing for {self.silent_s(now):.0f} s since {since}"


def stale_of(watchdogs: Collection[Watchdog], now: datetime) -> tuple[str, float] | None:
    """Return what is wrong with the streams of a socket and the silence that is too long, in seconds; None if nothing.

    Together they send more often than each alone, so that a socket that sends nothing is noticed earlier.
    """
    for watchdog in watchdogs:
        if watchdog.is_stale(now):
            return watchdog.fault(now), watchdog.limit_s
    usual_s = 1 / sum(1 / max(watchdog.usual_s, _SHORTEST_S) for watchdog in watchdogs)
    limit_s = max(PERIODS * usual_s, LEAST_S)
    newest = min(watchdogs, key=lambda watchdog: watchdog.silent_s(now))
    if newest.silent_s(now) <= limit_s:
        return None
    return f"{newest.fault(now)}, nor on another stream", limit_s
