"""Trading days on which a market stays closed or closes early, by the rules of its calendar.

A trading day is named by the date in New York on which it ends, at 17:00. Knows no single decision of an exchange, as a
day of mourning, and no change of a rule except the first year of a holiday.
"""

from collections.abc import Iterator
from datetime import date, timedelta

from dateutil.easter import easter

CLOSED = 0

_MONDAY, _THURSDAY, _SATURDAY, _SUNDAY = 0, 3, 5, 6
_NOON, _AFTER_NOON = 13 * 60, 13 * 60 + 15
_JUNETEENTH_SINCE = 2022


def fx_holidays(year: int) -> Iterator[tuple[date, int]]:
    """Yield the trading days on which foreign exchange is not traded: New Year's Day and Christmas Day.

    Returns
    -------
    iterator of (date, int)
        The day, and the minute in New York at which it ends; `CLOSED` if it does not begin.
    """
    yield date(year, 1, 1), CLOSED
    yield date(year, 12, 25), CLOSED


def cme_holidays(year: int) -> Iterator[tuple[date, int]]:
    """Yield the holidays and early closes of stock index futures on Globex, as `fx_holidays` does.

    Metals and energy close one or two hours later on days with an early close.

    References
    ----------
    https://www.cmegroup.com/trading-hours.html#holidays

    >>> dict(cme_holidays(2025))[date(2025, 4, 18)], dict(cme_holidays(2025))[date(2025, 11, 27)] // 60
    (0, 13)
    """
    new_year, thanksgiving = date(year, 1, 1), _nth(year, 11, _THURSDAY, 4)
    yield (new_year + timedelta(days=1) if new_year.weekday() == _SUNDAY else new_year), CLOSED
    yield _nth(year, 1, _MONDAY, 3), _NOON  # Martin Luther King Jr. Day
    yield _nth(year, 2, _MONDAY, 3), _NOON  # Presidents' Day
    yield easter(year) - timedelta(days=2), CLOSED  # Good Friday
    yield _nth(year, 6, _MONDAY, 1) - timedelta(days=7), _NOON  # Memorial Day, the last Monday of May
    if year >= _JUNETEENTH_SINCE:
        yield _observed(date(year, 6, 19)), _NOON
    yield _observed(date(year, 7, 4)), _NOON
    yield _nth(year, 9, _MONDAY, 1), _NOON  # Labor Day
    yield thanksgiving, _NOON
    yield thanksgiving + timedelta(days=1), _AFTER_NOON
    christmas = _observed(date(year, 12, 25))
    if christmas.day > 24:
        yield date(year, 12, 24), _AFTER_NOON
    yield christmas, CLOSED


def _nth(year: int, month: int, weekday: int, number: int) -> date:
    """Return the nth weekday of a month, the first being 1."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def _observed(day: date) -> date:
    """Return the weekday on which a holiday is observed: the Friday before a Saturday, the Monday after a Sunday."""
    return day + timedelta(days={_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0))
