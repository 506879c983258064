"""Results by month and week, and by weekday and hour."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mikrobot.analytics.returns import until_ruin
from mikrobot.domain.trading import Trade

Span = Literal["month", "week"]

_FREQUENCIES = {"month": "M", "week": "W-SUN"}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Period:
    """One month or week.

    Attributes
    ----------
    name : str
        Month, such as 2025-03, or Monday of the week, such as 2025-03-10.
    returned : float or None
        Return of the account over the period, a fraction; None without a daily return, for example
        after the ruin of the account.
    trades, won : int
        Trades closed in the period, and those with a positive result.
    pnl : Decimal
        Sum of their net results, account currency.
    best_day, worst_day : float or None
        Highest and lowest daily return.
    """

    name: str
    returned: float | None
    trades: int
    won: int
    pnl: Decimal
    best_day: float | None
    worst_day: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the period as plain JSON values, money as text."""
        return asdict(self) | {"pnl": str(self.pnl)}


def periods(returns: pd.Series, trades: Sequence[Trade], span: Span) -> tuple[Period, ...]:
    """Summarise daily returns and closed trades by month or week, in order of time.

    Parameters
    ----------
    returns : Series of float
        Daily, index midnight UTC.
    trades : sequence of Trade
    span : "month" or "week"
        A week runs from Monday to Sunday.
    """
    returns = until_ruin(returns)
    of_days = _labels(pd.DatetimeIndex(returns.index), span)
    of_trades = _labels(pd.DatetimeIndex([trade.exit.filled_at for trade in trades], tz="UTC"), span)
    closed: dict[str, list[Decimal]] = {}
    for name, trade in zip(of_trades, trades, strict=True):
        closed.setdefault(name, []).append(trade.pnl)
    days = {str(name): group.to_numpy() for name, group in returns.groupby(of_days)}
    return tuple(_period(name, days.get(name), closed.get(name, [])) for name in sorted(days.keys() | closed.keys()))


def by_hour(trades: Sequence[Trade]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the net result and the number of trades by weekday and hour of entry, UTC.

    Returns
    -------
    (ndarray, ndarray)
        Net results in account currency and trade counts, each of shape (7, 24), Monday first.
    """
    results, counts = np.zeros((7, 24)), np.zeros((7, 24), np.int64)
    for trade in trades:
        at = trade.entry.filled_at
        results[at.weekday(), at.hour] += float(trade.pnl)
        counts[at.weekday(), at.hour] += 1
    return results, counts


def _labels(times: pd.DatetimeIndex, span: Span) -> list[str]:
    starts = times.tz_localize(None).to_period(_FREQUENCIES[span]).start_time
    return [f"{start:%Y-%m}" if span == "month" else f"{start:%Y-%m-%d}" for start in starts]


def _period(name: str, days: NDArray[np.float64] | None, results: Sequence[Decimal]) -> Period:
    return Period(
        name=name,
        returned=None if days is None else float(np.prod(1 + days) - 1),
        trades=len(results),
        won=sum(result > 0 for result in results),
        pnl=sum(results, Decimal(0)),
        best_day=None if days is None else float(days.max()),
        worst_day=None if days is None else float(days.min()),
    )
