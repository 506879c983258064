"""Time of day, trading day and sessions as features. Time only, no prices."""

from math import cos, pi, sin

from mikrobot.features.calendar import (
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
from mikrobot.features.feature import Output, Quantity, feature
from mikrobot.features.parts import compiled

CIRCLE = Quantity("ratio", -1, 1)
FLAG = Quantity("flag", 0, 1)

TOKYO_OPENS, TOKYO_CLOSES = 9 * 60, 18 * 60
LONDON_OPENS, LONDON_CLOSES = 8 * 60, 17 * 60
NEW_YORK_OPENS, NEW_YORK_CLOSES = 8 * 60, 17 * 60
"""Office hours of the dealing desks, local minutes of the day, as brokers publish them
(https://sandb.forex/en/trading-sessions)."""

_SATURDAY = 5 * MINUTES_A_DAY


@feature(
    "minute",
    {
        "sin": Output(CIRCLE, "Sine of the time of day (UTC) at the close, midnight at angle 0"),
        "cos": Output(CIRCLE, "Cosine of the time of day (UTC) at the close, midnight at angle 0"),
    },
    warmup=lambda: 0,
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
    angle = 2.0 * pi * ((time // MINUTE + 1) % MINUTES_A_DAY) / MINUTES_A_DAY
    return sin(angle), cos(angle)


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
        "overlap": Output(FLAG, "1 while both London and New York keep office hours"),
    },
    warmup=lambda: 0,
)
def session(time: int, fx: int) -> tuple[float, float, float, float, float, float]:
    """Place of a bar in the trading week, and which financial centres are at work at its close.

    Parameters
    ----------
    time : int
        Open of the bar, seconds since 1970 UTC.
    fx : int
        1 where the trading day is that of FX, 0 where it is the UTC day.

    Returns
    -------
    weekday : 0 (Monday) to 6
        Of the trading day the bar belongs to: an FX Sunday evening is Monday's.
    minutes : 1 to 1440
        From the opening of that day to the close of the bar, by the wall clock.
    tokyo, london, new_york, overlap : 0 or 1
        Whether the minute that begins at the close lies in local office hours, summer time
        included; holidays are not known here.
    """
    close = time + MINUTE
    at_tokyo = _at_work(tokyo(close), TOKYO_OPENS, TOKYO_CLOSES)
    at_london = _at_work(london(close), LONDON_OPENS, LONDON_CLOSES)
    at_new_york = _at_work(new_york(close), NEW_YORK_OPENS, NEW_YORK_CLOSES)
    return (
        float((session_day(time, fx) + 3) % 7),
        float(session_minute(time, fx) + 1),
        at_tokyo,
        at_london,
        at_new_york,
        at_london * at_new_york,
    )


@compiled
def _at_work(wall: int, opens: int, closes: int) -> float:
    """1 while a wall clock shows office hours, ``closes`` itself excluded, else 0."""
    return 1.0 if opens <= day_minute(wall) < closes and week_minute(wall) < _SATURDAY else 0.0
