"""Times a call of ours, a peer's and a physical limit in turn, in one run."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

Measurement = dict[str, Any]


def compared(
    name: str, unit: str, ours: Callable[[], Any], peer: tuple[str, Callable[[], Any]],
    limit: tuple[str, Callable[[], Any]], *, rounds: int, per: int = 1,
) -> Measurement:  # fmt: skip
    """Time three calls in turn, so that the machine's moods fall on all of them alike.

    Parameters
    ----------
    unit : "ms" or "us"
        Of one call divided by `per`.
    rounds : int
        Calls of each, after one that is not counted.
    per : int
        Items that one call works on.
    """
    calls = (ours, peer[1], limit[1])
    samples: tuple[list[float], ...] = ([], [], [])
    for number in range(rounds + 1):
        for call, kept in zip(calls, samples, strict=True):
            start = perf_counter()
            call()
            spent = (perf_counter() - start) / per
            if number:
                kept.append(spent * {"ms": 1e3, "us": 1e6}[unit])
    own, other, least = (sorted(kept) for kept in samples)
    return {
        "name": name,
        "ours": {"p50": _rank(own, 0.5), "p99": _rank(own, 0.99), "unit": unit},
        "peer": {"name": peer[0], "p50": _rank(other, 0.5), "unit": unit},
        "ratio": _rank(other, 0.5) / _rank(own, 0.5),
        "limit": {"name": limit[0], "p50": _rank(least, 0.5), "unit": unit},
    }


def _rank(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
