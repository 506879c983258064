"""Trading sessions: market hours with their holidays, and local time in the financial centres."""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.domain.instruments.sessions import NEW_YORK, SESSIONS, SessionName, closures

LONDON = ZoneInfo("Europe/London")
TOKYO = ZoneInfo("Asia/Tokyo")

ROLL_MINUTE = 17 * 60
"""Minute of the New York day at which the FX day, and on Friday the week, ends."""

DAY_MINUTES = 1440
_SLACK = 5
_MOST_DAYS = 20_000
_EPOCH, _DAY = datetime(1970, 1, 1, tzinfo=UTC), timedelta(days=1)
_FIRST_OPEN = 3 * DAY_MINUTES + ROLL_MINUTE
"""Minutes from the start of 1970, a Thursday, to the first Sunday 17:00."""

WEEK_MINUTES = 5 * DAY_MINUTES
"""Minutes for which the foreign exchange market is open each week."""


def is_open(session: SessionName, times: pd.DatetimeIndex) -> NDArray[np.bool_]:
    """Return for each time whether the market is open.

    Parameters
    ----------
    session : str
        A name of `domain.instruments.sessions.SESSIONS`.
    times : pandas.DatetimeIndex
        With a timezone; for a bar its open time.

    Returns
    -------
    ndarray of bool, one per time

    >>> friday = pd.DatetimeIndex(["2025-01-03 21:59", "2025-01-03 22:00"], tz="UTC")
    >>> is_open("fx", friday).tolist()
    [True, False]
    """
    hours = SESSIONS[session]
    if hours is None:
        return np.ones(len(times), dtype=bool)
    local = times.tz_convert(NEW_YORK)
    weekday = np.asarray(local.dayofweek)
    minute = np.asarray(local.hour * 60 + local.minute)
    minutes = times.as_unit("s").asi8 // 60
    on_holiday = holiday_minutes(session, minutes + 1) > holiday_minutes(session, minutes)
    opened: NDArray[np.bool_] = ~(hours.closed(weekday, minute) | on_holiday)
    return opened


def holiday_minutes(session: SessionName, minutes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each minute since 1970 UTC the minutes before it in which holidays kept the market closed.

    >>> bounds = pd.DatetimeIndex(["2025-12-24 23:00", "2025-12-26"], tz="UTC").as_unit("s").asi8 // 60
    >>> np.diff(holiday_minutes("fx", bounds)).tolist()  # until 22:00 UTC on Christmas Day
    [1380]
    """
    starts, ends, before = _closures(session)
    place = np.searchsorted(starts, minutes, side="right") - 1
    inside = np.minimum(minutes, ends[place]) - starts[place]
    counted: NDArray[np.int64] = np.where(place < 0, 0, before[place] + inside)
    return counted


@cache
def _closures(session: SessionName) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return starts and ends of the closures, after an empty one, and the closed minutes before each start."""
    starts, ends = (np.array([0, *bounds], dtype=np.int64) for bounds in closures(session))
    return starts, ends, np.concatenate(([0], np.cumsum(ends - starts)[:-1]))


def week_minutes(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the minutes since the foreign exchange week opened, Sunday 17:00 New York, of times in microseconds.

    The market closes `WEEK_MINUTES` after it opened.

    >>> friday = pd.DatetimeIndex(["2025-01-03 21:59", "2025-01-03 22:00"], tz="UTC").as_unit("us")
    >>> week_minutes(friday.asi8).tolist()
    [7199, 7200]
    """
    minutes = times // 60_000_000
    days = minutes // DAY_MINUTES
    if len(days) and days.max() - days.min() < _MOST_DAYS:  # a table by day is looked up faster than days are sorted
        place, days = days - days.min(), np.arange(days.min(), days.max() + 1)
    else:
        days, place = np.unique(days, return_inverse=True)
    offsets = np.array([offset_minutes(NEW_YORK, _EPOCH + int(day) * _DAY) for day in days], dtype=np.int64)
    since: NDArray[np.int64] = (minutes + offsets[place] - _FIRST_OPEN) % (7 * DAY_MINUTES)
    return since


def in_weekend(times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each time, in microseconds, whether foreign exchange is closed, five minutes at both ends left out.

    Brokers send bars of a few minutes before the week opens and after it closes.
    """
    since = week_minutes(times)
    closed: NDArray[np.bool_] = (since >= WEEK_MINUTES + _SLACK) & (since < 7 * DAY_MINUTES - _SLACK)
    return closed


def offset_minutes(zone: ZoneInfo, day: datetime) -> int:
    """Return local time minus UTC, in minutes, at noon UTC of a day.

    One value is enough for a day, because summer time changes on Sunday mornings, when FX is closed.

    >>> offset_minutes(NEW_YORK, datetime(2025, 1, 6, tzinfo=UTC))
    -300
    """
    noon = day.astimezone(UTC).replace(hour=12)
    offset = noon.astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds() // 60)


def open_minutes(session: SessionName, day: datetime) -> NDArray[np.int64]:
    """Return the minutes of a UTC day (0 to 1439) at which bars of the market may open.

    >>> len(open_minutes("fx", datetime(2025, 1, 4, tzinfo=UTC)))  # a Saturday
    0
    """
    minutes, hours = np.arange(DAY_MINUTES), SESSIONS[session]
    if hours is None:
        return minutes
    local = minutes + offset_minutes(NEW_YORK, day)
    weekday = (day.weekday() + local // DAY_MINUTES) % 7
    first = int(day.timestamp()) // 60
    on_holiday = np.diff(holiday_minutes(session, np.arange(first, first + DAY_MINUTES + 1))) > 0
    opened: NDArray[np.int64] = minutes[~(hours.closed(weekday, local % DAY_MINUTES) | on_holiday)]
    return opened
