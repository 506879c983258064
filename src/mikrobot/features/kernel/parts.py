"""Reusable pieces of feature state: windows, sums and averages.

A piece is a record layout and the compiled functions that work on it. The initial state of every
piece is all zero bytes, so the state of a new symbol is ``np.zeros``. Independent of bars and
features.
"""

from collections.abc import Callable
from math import nan, sqrt
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])

Layout = np.dtype[Any]
State = Any
"""A piece of state: a view into the symbol's record, with fields as attributes."""

ROUNDING = 1e-14
"""Deviations below this share of a price are rounding errors, not price moves."""

F8: Layout = np.dtype(np.float64)
I8: Layout = np.dtype(np.int64)


def compiled(function: F) -> F:
    """Compile a function to machine code on its first call by compiled code.

    A typed wrapper of ``numba.njit``, which has no type annotations. ``function.py_func`` is the
    plain Python function; with ``NUMBA_DISABLE_JIT=1`` the function itself is.
    """
    return cast(F, njit(function, error_model="numpy"))


def inlined(function: F) -> F:
    """Compile a function into each of its callers.

    For functions that are called at every bar: a call costs more than the body of a small function,
    and reading several values just returned through memory stalls the processor.
    """
    return cast(F, njit(function, forceinline=True, error_model="numpy"))


def record(**fields: Layout) -> Layout:
    """Return the layout of an aligned record with named fields, readable by attribute.

    >>> record(value=F8, count=I8).itemsize
    16
    """
    return np.dtype((np.record, np.dtype(list(fields.items()), align=True)))


def window(length: int) -> Layout:
    """Return the layout of the last `length` values, stored twice so that they are always contiguous."""
    return record(values=np.dtype((np.float64, (2 * length,))), next=I8, count=I8)


def ring(length: int) -> Layout:
    """Return the layout of the last `length` values, of which only the displaced one is read."""
    return record(values=np.dtype((np.float64, (length,))), next=I8, count=I8)


def rolling(length: int) -> Layout:
    """Return the layout of a ring with its running sum."""
    return record(ring=ring(length), total=SUM)


def averaged(length: int) -> Layout:
    """Return the layout of a window with its running sum, for steps that also read the values."""
    return record(window=window(length), total=SUM)


SUM = record(value=F8, lost=F8)
"""A running sum and its accumulated rounding error."""

AVERAGE = record(value=F8, count=I8)
"""An exponential average and the number of its values."""


def extreme(length: int) -> Layout:
    """Return the layout of the largest of the last `length` values, updated in constant time on average."""
    return record(values=np.dtype((np.float64, (length,))), top=F8, next=I8, count=I8)


@compiled
def push(window: State, x: float) -> float:
    """Add `x` to the window and return the displaced value (0 while filling)."""
    slot, length = window.next, len(window.values) // 2
    displaced = window.values[slot]
    window.values[slot] = x
    window.values[slot + length] = x
    window.next = slot + 1 if slot + 1 < length else 0
    window.count += 1
    return float(displaced)


@compiled
def swap(ring: State, x: float) -> float:
    """Add `x` to the ring and return the displaced value (0 while filling)."""
    slot = ring.next
    displaced = ring.values[slot]
    ring.values[slot] = x
    ring.next = slot + 1 if slot + 1 < len(ring.values) else 0
    ring.count += 1
    return float(displaced)


@compiled
def full(window: State) -> bool:
    """Return True once the window is full."""
    return bool(2 * window.count >= len(window.values))


@compiled
def held(window: State) -> NDArray[np.float64]:
    """Return a view of the values of a full window, oldest first."""
    oldest: int = window.next
    values: NDArray[np.float64] = window.values[oldest : oldest + len(window.values) // 2]
    return values


@compiled
def highest(window: State) -> float:
    """Return the largest value of a full window."""
    values = held(window)
    even = odd = float(values[len(values) - 1])
    for i in range(0, len(values) - 1, 2):  # two independent maxima, computed in parallel
        even = max(even, values[i])
        odd = max(odd, values[i + 1])
    return max(even, odd)


@compiled
def lowest(window: State) -> float:
    """Return the smallest value of a full window."""
    values = held(window)
    even = odd = float(values[len(values) - 1])
    for i in range(0, len(values) - 1, 2):
        even = min(even, values[i])
        odd = min(odd, values[i + 1])
    return min(even, odd)


@compiled
def largest(extreme: State, x: float) -> float:
    """Add `x` and return the largest of the last values, NaN until the window is full.

    Values are processed in blocks of the window length. The current block keeps its running maximum.
    The previous block stores maxima from its end, which give the maximum of its part in the window.

    References
    ----------
    M. van Herk, "A fast algorithm for local minimum and maximum filters on rectangular and
    octagonal kernels", Pattern Recognition Letters 13 (1992), 517-521.
    """
    values, slot = extreme.values, extreme.next
    extreme.top = x if slot == 0 else max(extreme.top, x)
    values[slot] = x
    extreme.count += 1
    if slot + 1 < len(values):
        extreme.next = slot + 1
        return max(extreme.top, float(values[slot + 1])) if extreme.count >= len(values) else nan
    extreme.next = 0
    for i in range(len(values) - 2, -1, -1):
        values[i] = max(values[i], values[i + 1])
    return float(extreme.top)


@compiled
def add(total: State, x: float) -> None:
    """Add `x` to a running sum and accumulate the rounding error, without a branch that could be mispredicted.

    References
    ----------
    D. E. Knuth, The Art of Computer Programming, volume 2 (1969), 4.2.2, theorem B: six
    operations compute the error of a sum.
    """
    value = total.value + x
    taken = value - total.value
    total.lost += (total.value - (value - taken)) + (x - taken)
    total.value = value


@compiled
def read(total: State) -> float:
    """Return the running sum, corrected by its rounding error."""
    return float(total.value + total.lost)


@compiled
def roll(rolling: State, x: float) -> float:
    """Add `x` to the ring and return the mean of its values, NaN until it is full."""
    length = len(rolling.ring.values)
    add(rolling.total, x)
    add(rolling.total, -swap(rolling.ring, x))
    return read(rolling.total) * (1.0 / length) if rolling.ring.count >= length else nan


@compiled
def average(averaged: State, x: float) -> float:
    """Add `x` to the window and return the mean of its values, NaN until it is full."""
    add(averaged.total, x)
    add(averaged.total, -push(averaged.window, x))
    length = len(averaged.window.values) // 2
    return read(averaged.total) * (1.0 / length) if full(averaged.window) else nan


@compiled
def mean(window: State) -> float:
    """Return the mean of a full window without a running sum, which is faster for a few values."""
    total = 0.0
    for x in held(window):
        total += x
    return total * (1.0 / len(held(window)))


@compiled
def deviation(window: State, centre: float) -> float:
    """Return the population standard deviation of a full window about `centre`."""
    values, length = held(window), len(window.values) // 2
    even, odd = 0.0, 0.0  # two independent sums, computed in parallel
    for i in range(0, length - 1, 2):
        even += (values[i] - centre) * (values[i] - centre)
        odd += (values[i + 1] - centre) * (values[i + 1] - centre)
    if length % 2 == 1:
        even += (values[length - 1] - centre) * (values[length - 1] - centre)
    return sqrt((even + odd) * (1.0 / length))


@compiled
def distance(window: State, centre: float) -> float:
    """Return the mean distance of the values of a full window from `centre`."""
    values, length = held(window), len(window.values) // 2
    even, odd = 0.0, 0.0
    for i in range(0, length - 1, 2):
        even += abs(values[i] - centre)
        odd += abs(values[i + 1] - centre)
    if length % 2 == 1:
        even += abs(values[length - 1] - centre)
    return (even + odd) * (1.0 / length)


@compiled
def approach(average: State, x: float, share: float) -> float:
    """Move an average towards `x` by `share`; the first 1/share values give their plain mean."""
    average.count += 1
    if average.count * share < 1.0:
        share = 1.0 / average.count
    average.value += share * (x - average.value)
    return float(average.value)


@compiled
def exponential(average: State, x: float, length: int) -> float:
    """Update an average of decay 2/(length + 1), seeded with the mean of its first `length` values.

    NaN until seeded. TA-Lib uses the same seed.
    """
    average.count += 1
    if average.count < length:
        average.value += x
        return nan
    if average.count == length:
        average.value = (average.value + x) / length
    else:
        average.value += (x - average.value) * (2.0 / (length + 1))
    return float(average.value)


@compiled
def wilder(average: State, x: float, length: int) -> float:
    """Update Wilder's average of decay 1/length, seeded like `exponential`."""
    average.count += 1
    if average.count < length:
        average.value += x
        return nan
    if average.count == length:
        average.value = (average.value + x) / length
    else:
        average.value += (x - average.value) * (1.0 / length)
    return float(average.value)
