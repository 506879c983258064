"""What was earned when: by month and week, and by hour and weekday."""

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
        As 2025-03, or the Monday of the week, as 2025-03-10.
    returned : float or None
        Change of the daily equity over that before the period, a fraction; None without a day of
        returns, as after the ruin of the account.
    trades, won : int
        Closed in it, by the time of exit.
    pnl : Decimal
        Their net results, account currency.
    best_day, worst_day : float or None
        Daily returns.
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
    """Divide daily returns and closed trades into months or weeks, in order of time.

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
    """Return the net results and the number of trades by weekday and hour of their entry, UTC.

    Returns
    -------
    (ndarray, ndarray)
        Shape (7, 24), Monday first: account currency, and counts.
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
