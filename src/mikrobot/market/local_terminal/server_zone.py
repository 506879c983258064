"""Times of the server of a broker from UTC, by the name of its clock."""

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.errors import UsageError

Seconds = NDArray[np.int64]

CLOCKS = ("EET", "NY+7", "UTC")

_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")
_ZONES = {"EET": ("Europe/Athens", 0), "NY+7": ("America/New_York", 7 * 3600), "UTC": ("UTC", 0)}


class ServerZone:
    """A clock of a server.

    Parameters
    ----------
    name : str
        One of `CLOCKS`, or an offset as ``+03:00``.

    Raises
    ------
    UsageError
        If it is neither.

    >>> ServerZone("NY+7").local(np.array([1_741_504_000])) - 1_741_504_000  # summer time in New York only
    array([10800])
    """

    def __init__(self, name: str) -> None:
        offset = _OFFSET.fullmatch(name)
        if name not in _ZONES and offset is None:
            raise UsageError(f"unknown clock {name!r} of a server; give {', '.join(CLOCKS)}, or an offset as +03:00")
        self._zone, self._more = _ZONES.get(name, ("UTC", 0))
        if offset is not None:
            self._more = int(f"{offset[1]}1") * (int(offset[2]) * 3600 + int(offset[3]) * 60)

    def local(self, utc: Seconds) -> Seconds:
        """Convert seconds since the epoch to those of the server."""
        index = pd.DatetimeIndex(utc.astype("datetime64[s]")).tz_localize("UTC").tz_convert(self._zone)
        local: Seconds = index.tz_localize(None).to_numpy("datetime64[s]").astype(np.int64) + self._more
        return local
