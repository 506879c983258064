"""A cache of what was used last."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A function of a key that remembers the values of the keys used last.

    Parameters
    ----------
    make : callable
        Compute the value of a key.
    kept : int
        Number of values that are remembered.

    >>> double = Recent(lambda n: 2 * n, 2)
    >>> double(4)
    8
    """

    def __init__(self, make: Callable[[K], V], kept: int) -> None:
        self._make = make
        self._kept = kept
        self._values: OrderedDict[K, V] = OrderedDict()

    def __call__(self, key: K) -> V:
        """Return the value of a key."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = self._make(key)
        if len(self._values) > self._kept:
            self._values.popitem(last=False)
        return value
