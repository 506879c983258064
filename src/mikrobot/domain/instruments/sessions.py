"""Trading sessions: the hours of the week in which a market trades, by name.

Holidays and early closes are not modelled; they belong to `Session`.
"""

from dataclasses import dataclass
from typing import Any, Literal

SessionName = Literal["fx", "cme", "always"]

FRIDAY, SATURDAY, SUNDAY = 4, 5, 6


@dataclass(frozen=True, slots=True)
class Session:
    """A trading week with a closed weekend; minutes are those of the day in New York, summer time included.

    Attributes
    ----------
    name : str
    opens, closes : int
        Minute of Sunday at which the week opens, and minute of Friday at which it closes.
    pause : (int, int)
        First minute of the daily break and the minute after it; equal: there is no break.
    """

    name: SessionName
    opens: int
    closes: int
    pause: tuple[int, int] = (0, 0)

    def closed(self, weekday: Any, minute: Any) -> Any:
        """Return whether the market is closed.

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
    "fx": Session("fx", opens=17 * 60, closes=17 * 60),
    "cme": Session("cme", opens=18 * 60, closes=17 * 60, pause=(17 * 60, 18 * 60)),
    "always": None,
}
"""The sessions by name; None is a market that never closes.

Foreign exchange trades from Sunday to Friday 17:00 New York. CFDs on metals, indices and energy follow the Globex hours
of CME Group, which open an hour later and break for an hour each day (https://www.cmegroup.com/trading-hours.html).
"""
