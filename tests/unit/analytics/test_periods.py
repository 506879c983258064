from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pytest

from mikrobot.analytics.periods import by_hour, periods
from mikrobot.domain.trading import Trade

Closed = Callable[..., Trade]


def returns() -> pd.Series:
    days = pd.to_datetime(["2024-04-29", "2024-04-30", "2024-05-01", "2024-05-06"], utc=True)
    return pd.Series([0.10, -0.05, 0.02, 0.01], days)


def test_no_month_after_the_ruin_has_a_return(closed: Closed) -> None:
    days = pd.date_range("2025-01-30", periods=4, freq="D", tz="UTC")
    late = closed("-5", datetime(2025, 2, 1, 9, tzinfo=UTC))
    january, february = periods(pd.Series([0.1, -1.2, 2.0, 0.5], days), [late], "month")
    assert january.returned == pytest.approx(1.1 * -0.2 - 1)
    assert (february.returned, february.best_day, february.worst_day) == (None, None, None)
    assert february.pnl == -5


def test_a_month_compounds_its_days() -> None:
    april, may = periods(returns(), [], "month")
    assert (april.name, may.name) == ("2024-04", "2024-05")
    assert april.returned == pytest.approx(1.1 * 0.95 - 1)
    assert may.returned == pytest.approx(1.02 * 1.01 - 1)
    assert (april.best_day, april.worst_day) == (0.10, -0.05)


def test_a_week_starts_on_monday_and_runs_over_the_end_of_a_month() -> None:
    first, second = periods(returns(), [], "week")
    assert (first.name, second.name) == ("2024-04-29", "2024-05-06")
    assert first.returned == pytest.approx(1.1 * 0.95 * 1.02 - 1)


def test_trades_are_counted_where_they_closed(closed: Closed) -> None:
    _, may = periods(returns(), [closed("10"), closed("-4.50")], "month")
    assert (may.trades, may.won, may.pnl) == (2, 1, Decimal("5.50"))


def test_months_compound_to_the_total_return() -> None:
    whole = (1 + returns()).prod()
    for span in ("month", "week"):
        product = 1.0
        for period in periods(returns(), [], span):
            product *= 1 + period.returned
        assert product == pytest.approx(whole)


def test_results_are_grouped_by_the_time_of_entry(closed: Closed) -> None:
    results, counts = by_hour([closed("10"), closed("-4.50")])
    assert results[0, 8] == pytest.approx(5.5)  # Monday, 8 o'clock
    assert counts[0, 8] == counts.sum() == 2
