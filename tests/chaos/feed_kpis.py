"""The indicators of a feed that was followed through faults: uptime, latency and stability of its connections.

The venue's own silence is counted apart: no client can receive what is not sent.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mikrobot.domain.market import Bar
from mikrobot.market.streams.connection import StreamStatus
from mikrobot.market.streams.watchdog import LEAST_S

MINUTE = timedelta(minutes=1)

HEARD = timedelta(seconds=LEAST_S)
"""Age of the newest message up to which a connection counts as live, whatever its state."""

FIELDS = ("open", "high", "low", "close", "volume", "trades", "taker_volume")


@dataclass
class Looks:
    """Looks at the connections of a feed, one a second of market time, after they have first connected or failed to.

    A connection is live in a look if its state is, and its newest message is not older than `HEARD`.

    Attributes
    ----------
    states : Counter of str
        How often each state was seen.
    live, total : int
        Looks in which a connection was live, and all.
    live_sending, total_sending : int
        The same of those in which the venue sent on all streams.
    outages_s : list of float
        Seconds of each time in which a connection was not live although the venue sent.
    """

    states: Counter[str] = field(default_factory=Counter)
    live: int = 0
    total: int = 0
    live_sending: int = 0
    total_sending: int = 0
    outages_s: list[float] = field(default_factory=list)
    _heard: dict[tuple[str, ...], tuple[int, datetime]] = field(default_factory=dict)
    _down: dict[tuple[str, ...], datetime] = field(default_factory=dict)

    def add(self, now: datetime, status: Sequence[StreamStatus], *, sends: bool) -> None:
        """Look at the connections; `sends`: the venue sends on all of their streams."""
        for one in status:
            if one.state == "connecting":
                continue
            live = self._is_heard(one, now) and one.state == "live"
            self.states[one.state] += 1
            self.total += 1
            self.live += live
            self.total_sending += sends
            self.live_sending += sends and live
            if sends and not live:
                self._down.setdefault(one.streams, now)
            elif (since := self._down.pop(one.streams, None)) is not None:
                self.outages_s.append((now - since).total_seconds())

    def _is_heard(self, status: StreamStatus, now: datetime) -> bool:
        messages, since = self._heard.get(status.streams, (0, now))
        if status.messages != messages:
            since = now
        self._heard[status.streams] = (status.messages, since)
        return now - since <= HEARD


@dataclass(frozen=True)
class Kpis:
    """The indicators of a feed.

    Attributes
    ----------
    uptime_pct : float
        Bars that were passed on before the next minute closed, as they are in truth, of all bars that closed after
        the feed began.
    late_s : tuple of float
        p50 and p99 of the market time from a close to its bars.
    late_ms : tuple of float
        The same in real time, in which the venue, the feed and the faults took place.
    live_pct, live_sending_pct : float
        Looks in which the connections were live, of all, and of those in which the venue sent.
    silent_pct : float
        Looks in which the venue did not send.
    outage_s : float
        Longest time in which a connection was not live although the venue sent.
    lost : int
        Sockets that were lost.
    """

    uptime_pct: float
    late_s: tuple[float, float]
    late_ms: tuple[float, float]
    live_pct: float
    live_sending_pct: float
    silent_pct: float
    outage_s: float
    lost: int

    def rows(self, run: str) -> list[str]:
        """Return the rows of docs/requirements.md; `run` names the soak."""
        p50, p99 = self.late_s
        real50, real99 = self.late_ms
        return [
            f"| data ingestion uptime | 99.9 % | {self.uptime_pct:.3f} % of the bars passed on right and before the "
            f"next minute closed ({run}) |",
            f"| closed bar to the feed, faults included | | {p50:.1f} / {p99:.1f} s of market time, {real50:.0f} / "
            f"{real99:.0f} ms of real time ({run}) |",
            f"| websocket connection stability | 99.5 % | live in {self.live_sending_pct:.2f} % of the looks, one a "
            f"second, in which the venue sent; it was silent in {self.silent_pct:.2f} %, and in all of them live in "
            f"{self.live_pct:.2f} %; {self.lost} sockets lost ({run}) |",
            f"| error recovery time | < 30 s | {self.outage_s:.0f} s of market time from the loss of the streams until "
            f"they are live, at most ({run}) |",
        ]


def kpis(
    bars: Sequence[tuple[datetime, Bar]], late_s: Sequence[float], truth: dict[str, list[Bar]], *, began: datetime,
    looks: Looks, lost: int, speed: float,
) -> Kpis:  # fmt: skip
    """Return the indicators of a feed.

    Parameters
    ----------
    bars : sequence of (datetime, Bar)
        Each bar with the close at which the feed yielded it.
    late_s : sequence of float
        Seconds of market time from each close to its bars.
    truth : dict of str to list of Bar
    began : datetime
        When the feed began; what had closed by then is history, and has no lateness.
    looks : Looks
    lost : int
        Sockets that were lost.
    speed : float
        Seconds of market time in one of real time.
    """
    due = {(bar.symbol, bar.open_time): bar for one in truth.values() for bar in one if bar.close_time > began}
    closes = dict.fromkeys(close for close, _ in bars)
    late = {close: seconds for close, seconds in zip(closes, late_s, strict=True) if close > began}
    good = sum(
        late[close] < MINUTE.total_seconds() and same(bar, due.get((bar.symbol, bar.open_time)))
        for close, bar in {(bar.symbol, bar.open_time): (close, bar) for close, bar in bars if close in late}.values()
    )
    ranked = sorted(late.values())
    middle, high = ranked[len(ranked) // 2], ranked[int(0.99 * len(ranked))]
    return Kpis(
        uptime_pct=100 * good / len(due),
        late_s=(middle, high),
        late_ms=(1000 * middle / speed, 1000 * high / speed),
        live_pct=100 * looks.live / looks.total,
        live_sending_pct=100 * looks.live_sending / looks.total_sending,
        silent_pct=100 * (1 - looks.total_sending / looks.total),
        outage_s=max(looks.outages_s, default=0.0),
        lost=lost,
    )


def same(bar: Bar, other: Bar | None) -> bool:
    """Return whether two bars have the same values."""
    return other is not None and all(getattr(bar, name) == getattr(other, name) for name in FIELDS)
