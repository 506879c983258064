"""Wall clocks of the financial centres and the trading day, computed from UTC seconds.

Compiled, without state or tables, so that a step can call it at every bar. Exact from 1987
(New York) and 1996 (London) until February 2100, if the summer-time rules do not change.
Holidays are not modelled.

Wall-clock seconds are seconds since 1970-01-01 00:00 on the local clock.

References
----------
15 U.S.C. 260a (New York: Uniform Time Act as amended in 1986 and 2005); Directive 2000/84/EC
and the Summer Time Order 2002, S.I. 2002/262 (London).
"""

from mikrobot.features.kernel.parts import compiled

MINUTE, HOUR, DAY = 60, 3_600, 86_400
MINUTES_A_DAY, MINUTES_A_WEEK = 1_440, 10_080

ROLL = 17 * HOUR
"""Second of the New York day at which one FX day ends and the next begins."""

_LEAP_CYCLE = 1_461
"""Days in four years that begin on 1 March, so that the leap day is the last day."""

_TO_MARCH_1968 = 671
"""Days from 1968-03-01 to 1970-01-01."""


@compiled
def new_york(time: int) -> int:
    """Return the wall clock of New York.

    Parameters
    ----------
    time : int
        Seconds since 1970 UTC.

    >>> from datetime import UTC, datetime
    >>> noon = int(datetime(2025, 7, 1, 12, tzinfo=UTC).timestamp())
    >>> (noon - new_york(noon)) // 3600
    4
    """
    year, since, sunday = _march_year(time)
    if year >= 2007:
        begins, ends = sunday + 7, sunday + 245  # second Sunday of March, first of November
    else:
        begins, ends = sunday + 28 + 7 * (sunday < 3), sunday + 238  # first of April, last of October
    summer = begins * DAY + 7 * HOUR <= since < ends * DAY + 6 * HOUR  # 02:00 on the clock that ends
    return time - 5 * HOUR + HOUR * summer


@compiled
def london(time: int) -> int:
    """Return the wall clock of London.

    Parameters
    ----------
    time : int
        Seconds since 1970 UTC.
    """
    _, since, sunday = _march_year(time)
    begins, ends = sunday + 21 + 7 * (sunday < 3), sunday + 238  # last Sundays of March and October
    summer = begins * DAY + HOUR <= since < ends * DAY + HOUR  # 01:00 UTC
    return time + HOUR * summer


@compiled
def tokyo(time: int) -> int:
    """Return the wall clock of Tokyo, which has no summer time."""
    return time + 9 * HOUR


@compiled
def fx_day(time: int) -> int:
    """Return the number of the FX day of a time: days since 1970 of the New York date on which it ends.

    An FX day begins at 17:00 New York inclusive; Sunday evening belongs to Monday.

    Parameters
    ----------
    time : int
        Seconds since 1970 UTC; for a bar its open.
    """
    return (new_york(time) + DAY - ROLL) // DAY


@compiled
def session_day(time: int, fx: int) -> int:
    """Return the number of the trading day of a time: the FX day, or the UTC day of other markets.

    Parameters
    ----------
    time : int
        Seconds since 1970 UTC; for a bar its open.
    fx : int
        1 for FX, 0 for a market that trades around the clock.
    """
    return fx_day(time) if fx == 1 else time // DAY


@compiled
def session_minute(time: int, fx: int) -> int:
    """Return the minutes since the trading day opened, 0 to 1439, by the wall clock."""
    since = new_york(time) + DAY - ROLL if fx == 1 else time
    return since % DAY // MINUTE


@compiled
def day_minute(wall: int) -> int:
    """Return the minute of the day of a wall clock, 0 to 1439."""
    return wall % DAY // MINUTE


@compiled
def week_minute(wall: int) -> int:
    """Return the minute of the week of a wall clock, 0 (Monday 00:00) to 10079."""
    return (wall + 3 * DAY) % (7 * DAY) // MINUTE  # 1970-01-01 was a Thursday


@compiled
def _march_year(time: int) -> tuple[int, int, int]:
    """Return the year from March to February of a time, and its position in it.

    The year number, the seconds since 1 March UTC, and the days from 1 March to its first Sunday.
    1 November is 245 days, whole weeks, after 1 March, so one Sunday determines all others.
    """
    days = time // DAY + _TO_MARCH_1968
    years = (4 * days + 3) // _LEAP_CYCLE
    first = _LEAP_CYCLE * years // 4 - _TO_MARCH_1968
    return 1968 + years, time - first * DAY, 6 - (first + 3) % 7
