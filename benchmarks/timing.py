"""Times a call of ours, a peer's and a physical limit in turn, in one run.

Knows nothing of what it times.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

Unit = Literal["us", "ms", "s", "MB"]

_PER_SECOND = {"us": 1e6, "ms": 1e3, "s": 1.0}


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Timed:
    """One call to measure.

    Attributes
    ----------
    name : str
        What it does, for the table.
    call : callable
    prepare : callable
        Called before each call, outside of the timed part.
    """

    name: str
    call: Callable[[], Any]
    prepare: Callable[[], Any] = _nothing


@dataclass(frozen=True, slots=True)
class Measurement:
    """The result of one benchmark.

    Attributes
    ----------
    name : str
    unit : str
        Of every figure but the ratio.
    p50, p99 : float
        Of ours.
    peer, limit : str
        The comparisons: another way to do the same, and a bound that no way can beat.
    peer_p50, limit_p50 : float
    """

    name: str
    unit: Unit
    p50: float
    p99: float
    peer: str
    peer_p50: float
    limit: str
    limit_p50: float

    @property
    def ratio(self) -> float:
        """Peer over ours: above 1, ours is the faster."""
        return self.peer_p50 / self.p50

    def to_json(self) -> dict[str, Any]:
        """Return the measurement as plain JSON values."""
        return {
            "name": self.name,
            "ours": {"p50": self.p50, "p99": self.p99, "unit": self.unit},
            "peer": {"name": self.peer, "p50": self.peer_p50, "unit": self.unit},
            "ratio": self.ratio,
            "limit": {"name": self.limit, "p50": self.limit_p50, "unit": self.unit},
        }


def compared(
    name: str,
    unit: Unit,
    ours: Callable[[], Any] | Timed,
    peer: Timed,
    *,
    limit: Timed,
    rounds: int,
    per: int = 1,
    uncounted: int = 1,
) -> Measurement:
    """Time three calls in turn, so that the machine's moods fall on all of them alike.

    Parameters
    ----------
    name : str
    unit : "us", "ms" or "s"
        Of one call divided by `per`.
    ours, peer, limit : callable or Timed
    rounds : int
        Calls of each that count.
    per : int
        Items that one call works on; p99 is then one of calls, not of items.
    uncounted : int
        Calls of each before those.
    """
    own = ours if isinstance(ours, Timed) else Timed(name, ours)
    scale = _PER_SECOND[unit] / per
    rows = [[_seconds(timed) * scale for timed in (own, peer, limit)] for _ in range(uncounted + rounds)][uncounted:]
    own_times, peer_times, limit_times = (sorted(times) for times in zip(*rows, strict=True))
    return Measurement(
        name,
        unit,
        p50=rank(own_times, 0.50),
        p99=rank(own_times, 0.99),
        peer=peer.name,
        peer_p50=rank(peer_times, 0.50),
        limit=limit.name,
        limit_p50=rank(limit_times, 0.50),
    )


def scaled(count: int, scale: float, least: int = 1) -> int:
    """Return a share of a number of repetitions or of data, at least `least`.

    >>> scaled(300, 1.0), scaled(300, 0.1), scaled(300, 0.001)
    (300, 30, 1)
    """
    return max(least, round(count * scale))


def rank(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed (nearest rank).

    >>> rank([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _seconds(timed: Timed) -> float:
    timed.prepare()
    start = perf_counter()
    timed.call()
    return perf_counter() - start
