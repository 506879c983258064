"""Daily, weekly and total loss limits, at which an account may not open new positions.

A daily or weekly loss is measured from the equity at the start of the UTC day or week (Monday).
Profits never trigger a limit. Does not close anything.
"""

from collections.abc import Mapping

from mikrobot.paper import margin
from mikrobot.paper.account import Account
from mikrobot.paper.book import Market
from mikrobot.paper.conversion import Rates

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
_MONDAY = 4 * DAY_MS
"""The first Monday of 1970, 5 January, in milliseconds since 1970."""


def day(ts: int) -> int:
    """Return the number of the UTC day of an instant."""
    return ts // DAY_MS


def next_day(ts: int) -> int:
    """Return the first UTC midnight after an instant.

    >>> next_day(1_710_115_200_000) - 1_710_115_200_000 == DAY_MS
    True
    """
    return (ts // DAY_MS + 1) * DAY_MS


def week(ts: int) -> int:
    """Return the number of the UTC week, from Monday, of an instant.

    >>> week(1_710_115_200_000) - week(1_710_115_199_999)  # Monday 2024-03-11 00:00 UTC
    1
    """
    return (ts - _MONDAY) // WEEK_MS


def mark_periods(account: Account, markets: Mapping[str, Market], rates: Rates, ts: int) -> None:
    """Record the equity at the start of a new day and of a new week, once each."""
    rules = account.profile.limits
    if account.profile.cash or not (rules.daily_loss_pct or rules.weekly_loss_pct):
        return
    for kind, number in (("day", day), ("week", week)):
        if kind not in account.marked or number(account.marked[kind]) != number(ts):
            account.note(ts, kind, str(margin.equity(account, markets, rates, ts)))


def breach(account: Account, equity: int) -> str:
    """Return the loss limit that an equity in minor units has reached, or an empty string."""
    limits = account.profile.limits
    paid_in = account.paid_in
    for name, percent, start in (
        ("daily", limits.daily_loss_pct, account.marks.get("day", paid_in)),
        ("weekly", limits.weekly_loss_pct, account.marks.get("week", paid_in)),
        ("total", limits.total_loss_pct, paid_in),
    ):
        if percent and (start - equity) * 100 >= percent * start:
            return f"{name} loss limit of {percent} % reached"
    return ""
