"""Observations of an experiment from closed trades: the result of each trade or market day, in R."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from statistics import median

from mikrobot.analytics.trades import r_multiple, risk
from mikrobot.domain.experiments import Observation
from mikrobot.domain.trading import Trade

_SATURDAY = 5


def by_trade(arm: str, trades: Sequence[Trade]) -> list[Observation]:
    """Return one observation per trade, available at its exit."""
    results = zip(trades, results_in_r(trades), strict=True)
    return [Observation(arm, trade.order.id, trade.exit.filled_at, r) for trade, r in results]


def by_day(arm: str, trades: Sequence[Trade], days: Iterable[str], market: str) -> list[Observation]:
    """Return one observation per market day, available at its end; 0 without a trade.

    Parameters
    ----------
    arm : str
    trades : sequence of Trade
        A trade belongs to the UTC day of its exit.
    days : iterable of str
        From `market_days`.
    market : str
        The data source; the same day on another source is a different unit.
    """
    totals: dict[str, float] = defaultdict(float)
    for trade, r in zip(trades, results_in_r(trades), strict=True):
        totals[f"{trade.exit.filled_at:%Y-%m-%d}"] += r
    return [Observation(arm, f"{market} {day}", _end(day), totals[day]) for day in sorted({*days, *totals})]


def market_days(start: datetime, end: datetime, *, weekends: bool) -> list[str]:
    """Return the UTC days of a trading span, such as 2025-06-30; partial days are included.

    >>> market_days(datetime(2025, 6, 27, 12, tzinfo=UTC), datetime(2025, 6, 30, 12, tzinfo=UTC), weekends=False)
    ['2025-06-27', '2025-06-30']
    """
    last = (end - timedelta(microseconds=1)).date()
    days = (start.date() + timedelta(days=n) for n in range((last - start.date()).days + 1))
    return [f"{day:%Y-%m-%d}" for day in days if weekends or day.weekday() < _SATURDAY]


def results_in_r(trades: Sequence[Trade]) -> list[float]:
    """Return the net result of each trade in R.

    A trade filled beyond its stop after a gap has no risk of its own. Leaving it out would hide a loss, so
    its result is divided by the median risk of the other trades. If no trade has a risk, it counts as 0.
    """
    usual = median([float(at_risk) for at_risk in map(risk, trades) if at_risk is not None] or [0.0])
    results = []
    for trade in trades:
        own = r_multiple(trade)
        results.append(own if own is not None else float(trade.pnl) / usual if usual else 0.0)
    return results


def _end(day: str) -> datetime:
    return datetime.combine(datetime.fromisoformat(day), time.max, UTC)
