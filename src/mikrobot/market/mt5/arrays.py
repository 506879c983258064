"""Arrays of MetaTrader 5 by value: the bytes and the text of the type, never a pickle.

Reading an array over a bridge by pickle, as `rpyc.classic.obtain` does, would let the other side run code here.
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mikrobot.domain.errors import FeedError

Rows = NDArray[np.void]
"""Structured array, one row per bar or tick."""

RATES = ("time", "open", "high", "low", "close", "tick_volume", "spread", "real_volume")
"""Fields of `copy_rates`: the open time in seconds of the server's clock, bid prices, spread in points."""

TICKS = ("bid", "ask", "time_msc")
"""Fields of `copy_ticks` that are read: the prices, and the time in milliseconds of the server's clock."""

_FIELD = re.compile(r"\('(\w{1,30})', '([<=|]?[iuf][1248])'\)")


def by_value(what: str, array: Any, needed: tuple[str, ...] = RATES) -> Rows:
    """Return a copy of an array of bars or ticks, local or of another process.

    Parameters
    ----------
    what : str
        What was asked, for messages.
    array : ndarray, or a reference to one
        Only its methods `tobytes` and `dtype.descr` are used.
    needed : tuple of str
        Fields that it must have.

    Raises
    ------
    FeedError
        If it is no such array.
    """
    described = str(array.dtype.descr)
    content = array.tobytes()
    fields = _FIELD.findall(described)
    names = [name for name, _ in fields]
    if type(content) is not bytes or str(fields) != described or not set(needed) <= set(names):
        raise FeedError(f"{what}: the terminal sent rows of {described[:80]!r}; expected {', '.join(needed)}")
    row = np.dtype(fields)
    if len(content) % row.itemsize:
        raise FeedError(f"{what}: the terminal sent {len(content)} bytes; expected rows of {row.itemsize}")
    rows: Rows = np.frombuffer(content, dtype=row)
    return rows
