"""Time of day, trading day and sessions as features. Uses time only, no prices."""

from math import pi

import numpy as np

from mikrobot.features.kernel.calendar import (
    HOUR,
    MINUTE,
    MINUTES_A_DAY,
    day_minute,
    london,
    new_york,
    session_day,
    session_minute,
    tokyo,
    week_minute,
)
from mikrobot.features.kernel.feature import Output, Quantity, feature
from mikrobot.features.kernel.parts import F8, I8, State, compiled, record

CIRCLE = Quantity("ratio", -1, 1)
FLAG = Quantity("flag", 0, 1)
NEARBY = Quantity("minutes", 0, 60)

TOKYO_OPENS, TOKYO_CLOSES = 9 * 60, 18 * 60
LONDON_OPENS, LONDON_CLOSES = 8 * 60, 17 * 60
NEW_YORK_OPENS, NEW_YORK_CLOSES = 8 * 60, 17 * 60
"""Office hours of the dealing desks, local minutes of the day, as brokers publish them
(https://sandb.forex/en/trading-sessions)."""

PUBLISHED = (8 * 60 + 30, 10 * 60, 14 * 60)
"""New York minutes of a weekday at which most US economic data and Fed statements are published
(https://www.bls.gov/schedule/, https://www.federalreserve.gov/monetarypolicy/fomccalendars.htm)."""

FARTHEST = 60
"""Maximum distance to a publication, in minutes."""

_SATURDAY = 5 * MINUTES_A_DAY

_ANGLES = 2.0 * pi * np.arange(MINUTES_A_DAY) / MINUTES_A_DAY
SINES, COSINES = np.round(np.sin(_ANGLES), 15), np.round(np.cos(_ANGLES), 15)
"""Sine and cosine of the angle of each minute of the day, midnight at 0; rounded to be equal on every machine."""

DESKS = record(tokyo=F8, london=F8, new_york=F8)
"""Dealing desks in office hours, 1 or 0; desks open and close on the hour."""


@feature(
    "minute",
    {
        "sin": Output(CIRCLE, "Sine of the time of day (UTC) at the close, midnight at angle 0"),
        "cos": Output(CIRCLE, "Cosine of the time of day (UTC) at the close, midnight at angle 0"),
    },
    warmup=lambda: 0,
    moves_with="the calendar",
)
def minute(time: int) -> tuple[float, float]:
    """Time of day at the close of an M1 bar, as a point on the circle.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.

    Returns
    -------
    sin, cos : ratio
    """
    of_day = (time // MINUTE + 1) % MINUTES_A_DAY
    return SINES[of_day], COSINES[of_day]


@feature(
    "news",
    {
        "since": Output(NEARBY, "Minutes since the last of 8:30, 10:00 and 14:00 New York on a weekday, at most 60"),
        "until": Output(NEARBY, "Minutes until the next of 8:30, 10:00 and 14:00 New York on a weekday, at most 60"),
    },
    state=lambda: {"hour": I8, "began": I8},
    warmup=lambda: 0,
    moves_with="the calendar",
)
def news(state: State, time: int) -> tuple[float, float]:
    """Minutes from the close of an M1 bar to the usual publication times of US economic data.

    The times are fixed times of day; actual publications and their content are not used.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.

    Returns
    -------
    since, until : 0 to 60 minutes
        ``since`` is 0 in the minute of the publication.
    """
    close = time + MINUTE
    if close // HOUR != state.hour:
        state.hour = close // HOUR
        state.began = week_minute(new_york(close // HOUR * HOUR))
    minute = state.began + close % HOUR // MINUTE
    since = until = FARTHEST
    for published in PUBLISHED:
        after = minute % MINUTES_A_DAY - published
        since = min(since, after) if after >= 0 else since
        until = min(until, -after) if after < 0 else until
    return (float(since), float(until)) if minute < _SATURDAY else (float(FARTHEST), float(FARTHEST))


@feature(
    "session",
    {
        "weekday": Output(Quantity("day", 0, 6), "Day of the week of the trading day, Monday 0"),
        "minutes": Output(
            Quantity("minutes", 1, MINUTES_A_DAY),
            "Minutes since the trading day opened (FX 17:00 New York, crypto 00:00 UTC)",
        ),
        "tokyo": Output(FLAG, "1 in Tokyo's office hours, 09:00 to 18:00 local time, Monday to Friday"),
        "london": Output(FLAG, "1 in London's office hours, 08:00 to 17:00 local time, Monday to Friday"),
        "new_york": Output(FLAG, "1 in New York's office hours, 08:00 to 17:00 local time, Monday to Friday"),
        "overlap": Output(FLAG, "1 while both London and New York are in office hours"),
    },
    state=lambda: {"closing": I8, "opening": I8, "weekday": F8, "passed": I8, "desks": DESKS},
    warmup=lambda: 0,
    moves_with="the calendar",
)
def session(state: State, time: int, fx: int) -> tuple[float, float, float, float, float, float]:
    """Position of a bar in the trading week, and the financial centres in office hours at its close.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    fx : int
        1 where the trading day is that of FX, 0 where it is the UTC day.

    Returns
    -------
    weekday : 0 (Monday) to 6
        Weekday of the bar's trading day; for FX, Sunday evening belongs to Monday.
    minutes : 1 to 1440
        Minutes from the opening of that day to the close of the bar, by the wall clock.
    tokyo, london, new_york, overlap : 0 or 1
        1 if the minute that begins at the close is in local office hours, including summer time.
        Holidays are not modelled.
    """
    opening, closing = time // HOUR, (time + MINUTE) // HOUR
    if opening != state.opening:
        state.opening = opening
        state.weekday = (session_day(time, fx) + 3) % 7
        state.passed = session_minute(opening * HOUR, fx) + 1
    if closing != state.closing:
        state.closing = closing
        _look_around(state.desks, time + MINUTE)
    desks = state.desks
    minutes = float(state.passed + time % HOUR // MINUTE)
    return state.weekday, minutes, desks.tokyo, desks.london, desks.new_york, desks.london * desks.new_york


@compiled
def _look_around(desks: State, time: int) -> None:
    """Store which desks are in office hours in the hour of a time."""
    desks.tokyo = _at_work(tokyo(time), TOKYO_OPENS, TOKYO_CLOSES)
    desks.london = _at_work(london(time), LONDON_OPENS, LONDON_CLOSES)
    desks.new_york = _at_work(new_york(time), NEW_YORK_OPENS, NEW_YORK_CLOSES)


@compiled
def _at_work(wall: int, opens: int, closes: int) -> float:
    """Return 1 if a wall clock shows office hours, ``closes`` excluded, else 0."""
    return 1.0 if opens <= day_minute(wall) < closes and week_minute(wall) < _SATURDAY else 0.0
