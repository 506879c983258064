"""Makes observations of closed trades: the result of each, or of each market day, in R."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from statistics import median

from mikrobot.analytics.trades import r_multiple, risk
from mikrobot.domain.experiments import Observation
from mikrobot.domain.trading import Trade

_SATURDAY = 5


def by_trade(arm: str, trades: Sequence[Trade]) -> list[Observation]:
    """Make one observation of each trade, known at its exit."""
    results = zip(trades, results_in_r(trades), strict=True)
    return [Observation(arm, trade.order.id, trade.exit.filled_at, r) for trade, r in results]


def by_day(arm: str, trades: Sequence[Trade], days: Iterable[str], market: str) -> list[Observation]:
    """Make one observation of each market day, known at its end: 0 without a trade.

    Parameters
    ----------
    arm : str
    trades : sequence of Trade
        They belong to the UTC day of their exit.
    days : iterable of str
        As `market_days` gives them.
    market : str
        The source; the same day of another market is another unit.
    """
    totals: dict[str, float] = defaultdict(float)
    for trade, r in zip(trades, results_in_r(trades), strict=True):
        totals[f"{trade.exit.filled_at:%Y-%m-%d}"] += r
    return [Observation(arm, f"{market} {day}", _end(day), totals[day]) for day in sorted({*days, *totals})]


def market_days(start: datetime, end: datetime, *, weekends: bool) -> list[str]:
    """Return the UTC days that a span of trading touches, as 2025-06-30.

    >>> market_days(datetime(2025, 6, 27, 12, tzinfo=UTC), datetime(2025, 6, 30, 12, tzinfo=UTC), weekends=False)
    ['2025-06-27', '2025-06-30']
    """
    last = (end - timedelta(microseconds=1)).date()
    days = (start.date() + timedelta(days=n) for n in range((last - start.date()).days + 1))
    return [f"{day:%Y-%m-%d}" for day in days if weekends or day.weekday() < _SATURDAY]


def results_in_r(trades: Sequence[Trade]) -> list[float]:
    """Return the net result of each trade in R.

    A trade that a gap filled beyond its stop has no risk of its own; left out it would hide a
    loss, so it is measured by the median risk of the others. Without any it counts as 0.
    """
    usual = median([float(each) for each in map(risk, trades) if each is not None] or [0.0])
    found = []
    for trade in trades:
        own = r_multiple(trade)
        found.append(own if own is not None else float(trade.pnl) / usual if usual else 0.0)
    return found


def _end(day: str) -> datetime:
    return datetime.combine(datetime.fromisoformat(day), time.max, UTC)
