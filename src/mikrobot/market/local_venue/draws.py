"""Random numbers that are a pure function of a key and counters, so that every answer can be computed again.

The mixing function is that of SplitMix64: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014. Has no state.
"""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key_of(*parts: object) -> int:
    """Return a key of 63 bits for a list of names and numbers.

    >>> key_of(7, "BTCUSDT") == key_of(7, "BTCUSDT") != key_of(7, "ETHUSDT")
    True
    """
    return int.from_bytes(blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest(), "big") >> 1


def share_of(*parts: object) -> float:
    """Return a number in [0, 1) for a list of names and numbers.

    >>> 0 <= share_of(7, "drop", 3) < 1
    True
    """
    return (key_of(*parts) >> 10) / 2**53


def draw(key: int, bound: int | Integers, *counters: Integers) -> Integers:
    """Return integers in [0, bound) of the shape of the counters, broadcast against each other.

    Parameters
    ----------
    key : int
    bound : int or ndarray of int64
        At least 1.
    *counters : ndarray of int64
        At least one.

    >>> bool((draw(1, 10, np.arange(5)) == draw(1, 10, np.arange(5))).all())
    True
    """
    state = np.full(1, key, np.uint64)
    for counter in counters:
        state = _mixed(state ^ (counter.astype(np.uint64) * _GOLDEN))
    return (state >> np.uint64(11)).astype(np.int64) % bound


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state + _GOLDEN
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
