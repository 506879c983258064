"""Trading sessions: the hours of the week in which a market trades, and its holidays, by name."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from mikrobot.domain.instruments.holidays import CLOSED, cme_holidays, fx_holidays

SessionName = Literal["fx", "cme", "always"]

NEW_YORK = ZoneInfo("America/New_York")
FRIDAY, SATURDAY, SUNDAY = 4, 5, 6

FIRST_YEAR, LAST_YEAR = 2000, 2100
"""Years whose holidays are known; bars of earlier ones are refused."""

_EPOCH, _MINUTE, _DAY = datetime(1970, 1, 1, tzinfo=UTC), timedelta(minutes=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Session:
    """A trading week with a closed weekend; minutes are those of the day in New York, summer time included.

    Attributes
    ----------
    name : str
    opens, closes : int
        Minute of Sunday at which the week opens, and minute of Friday at which it closes.
    holidays : function
        Yields the trading days of a year that end early or do not begin; see `holidays.fx_holidays`.
    pause : (int, int)
        First minute of the daily break and the minute after it; equal: there is no break.
    """

    name: SessionName
    opens: int
    closes: int
    holidays: Callable[[int], Iterator[tuple[date, int]]]
    pause: tuple[int, int] = (0, 0)

    def closed(self, weekday: Any, minute: Any) -> Any:
        """Return whether the market is closed in an ordinary week; `closures` has the holidays.

        Parameters
        ----------
        weekday : int, or ndarray of int
            Monday 0, in New York.
        minute : int, or ndarray of int
            Minute of the day in New York.

        Returns
        -------
        bool, or ndarray of bool

        >>> SESSIONS["fx"].closed(4, 17 * 60), SESSIONS["cme"].closed(2, 17 * 60 + 30)
        (True, True)
        """
        weekend = (weekday == SATURDAY) | ((weekday == FRIDAY) & (minute >= self.closes))
        before = (weekday == SUNDAY) & (minute < self.opens)
        return weekend | before | ((minute >= self.pause[0]) & (minute < self.pause[1]))


SESSIONS: dict[SessionName, Session | None] = {
    "fx": Session("fx", opens=17 * 60, closes=17 * 60, holidays=fx_holidays),
    "cme": Session("cme", opens=18 * 60, closes=17 * 60, holidays=cme_holidays, pause=(17 * 60, 18 * 60)),
    "always": None,
}
"""The sessions by name; None is a market that never closes.

Foreign exchange trades from Sunday to Friday 17:00 New York. CFDs on metals, indices and energy follow the Globex hours
of CME Group, which open an hour later and break for an hour each day (https://www.cmegroup.com/trading-hours.html).
"""


@cache
def closures(name: SessionName) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the spans in which holidays keep a market closed that would trade in an ordinary week.

    Returns
    -------
    starts, ends : tuple of int
        First minute of each span, and the one after its last, in minutes since 1970 UTC, by time.

    >>> [str(_EPOCH + bounds[0] * _MINUTE) for bounds in closures("fx")]  # 1 January 2000 was a Saturday
    ['2000-12-24 22:00:00+00:00', '2000-12-25 22:00:00+00:00']
    """
    session = SESSIONS[name]
    if session is None:
        return (), ()
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    days = {day: end for year in years for day, end in session.holidays(year)}
    spans = [_span(session, day, end) for day, end in sorted(days.items()) if day.weekday() < SATURDAY]
    return tuple(start for start, _ in spans), tuple(end for _, end in spans)


def on_holiday(name: SessionName, minute: int) -> bool:
    """Return whether a holiday keeps a market closed at a minute since 1970 UTC."""
    starts, ends = closures(name)
    place = bisect_right(starts, minute)
    return place > 0 and minute < ends[place - 1]


def between_holidays(name: SessionName, minute: int) -> tuple[int, int]:
    """Return the end of the last closure before an open minute since 1970 UTC, and the start of the next one."""
    starts, ends = closures(name)
    place = bisect_right(starts, minute)
    return ends[place - 1] if place else 0, starts[place] if place < len(starts) else 1 << 40


def _span(session: Session, day: date, end: int) -> tuple[int, int]:
    """Return the closed minutes of a trading day that ends early or does not begin."""
    if end == CLOSED:
        return _minute(day - _DAY, session.opens), _minute(day, session.closes)
    return _minute(day, end), _minute(day, session.closes)


def _minute(day: date, minute: int) -> int:
    return (datetime.combine(day, time(*divmod(minute, 60)), NEW_YORK) - _EPOCH) // _MINUTE
