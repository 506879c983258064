"""Holidays by rule, compared with published calendars and with real bars."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.instruments.holidays import cme_holidays, fx_holidays
from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.instruments.sessions import FIRST_YEAR, LAST_YEAR, closures
from mikrobot.market.sessions import is_open, open_minutes
from mikrobot.paper.contracts import listed

EARLY, AFTER_NOON = 13 * 60, 13 * 60 + 15
MINUTE_MS = 60_000

CME_2021 = {
    (1, 1): 0, (1, 18): EARLY, (2, 15): EARLY, (4, 2): 0, (5, 31): EARLY, (7, 5): EARLY, (9, 6): EARLY,
    (11, 25): EARLY, (11, 26): AFTER_NOON, (12, 24): 0,
}  # fmt: skip
CME_2024 = {
    (1, 1): 0, (1, 15): EARLY, (2, 19): EARLY, (3, 29): 0, (5, 27): EARLY, (6, 19): EARLY, (7, 4): EARLY,
    (9, 2): EARLY, (11, 28): EARLY, (11, 29): AFTER_NOON, (12, 24): AFTER_NOON, (12, 25): 0,
}  # fmt: skip


@pytest.mark.parametrize(("year", "published"), [(2021, CME_2021), (2024, CME_2024)])
def test_the_days_are_those_that_the_exchange_published(year, published):
    assert {(day.month, day.day): end for day, end in cme_holidays(year)} == published


def test_new_year_on_a_sunday_is_observed_on_monday_and_on_a_saturday_not_at_all():
    assert (date(2023, 1, 2), 0) in list(cme_holidays(2023))
    assert not any(day.weekday() < 5 and day.month in (1, 12) and day.day in (1, 31) for day, _ in cme_holidays(2022))


@pytest.mark.parametrize(
    ("time", "opened"),
    [
        ("2024-12-24 21:59", True),
        ("2024-12-24 22:00", False),  # 17:00 in New York: the trading day of Christmas would begin
        ("2024-12-25 21:59", False),
        ("2024-12-25 22:00", True),
        ("2024-12-31 22:00", False),
        ("2025-01-01 22:00", True),
    ],
)
def test_foreign_exchange_is_closed_for_the_trading_day_of_a_holiday(time, opened):
    assert is_open("fx", pd.DatetimeIndex([time], tz="UTC")).tolist() == [opened]


def test_gold_closes_early_on_thanksgiving_and_opens_again_in_the_evening():
    times = pd.DatetimeIndex(["2024-11-28 17:59", "2024-11-28 18:00", "2024-11-28 22:59", "2024-11-28 23:00"], tz="UTC")
    assert is_open(instrument("XAUUSD").session, times).tolist() == [True, False, False, True]


@pytest.mark.parametrize("symbol", ["EURUSD", "US500", "BTCUSDT"])
def test_the_exchange_opens_and_closes_a_contract_with_its_session(symbol):
    contract, session = listed(instrument(symbol)), instrument(symbol).session
    for start in ("2024-12-20", "2025-03-07", "2025-06-30"):
        times = pd.date_range(start, periods=14 * 1440, freq="min", tz="UTC")
        opened = is_open(session, times)
        milliseconds = times.as_unit("ms").asi8
        assert [contract.is_open(at) for at in milliseconds.tolist()] == opened.tolist()
        for at in milliseconds[opened][::997].tolist():
            first, end = contract.open_span(at)
            assert first <= at < end
            inside = (milliseconds >= first) & (milliseconds < end)
            assert opened[inside].all()


def test_open_minutes_of_a_day_agree_with_the_instants_on_holidays():
    for day in pd.date_range("2024-12-20", "2025-01-10", tz="UTC"):
        expected = np.flatnonzero(is_open("cme", pd.date_range(day, periods=1440, freq="min")))
        assert open_minutes("cme", day.to_pydatetime()).tolist() == expected.tolist(), day


@pytest.mark.parametrize("session", ["always", "cme", "fx"])
def test_closures_are_in_order_and_apart(session):
    starts, ends = closures(session)
    assert list(starts) == sorted(starts)
    assert all(start < end for start, end in zip(starts, ends, strict=True))
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))


def test_every_weekday_holiday_of_foreign_exchange_closes_one_trading_day():
    days = [day for year in range(FIRST_YEAR, LAST_YEAR + 1) for day, _ in fx_holidays(year) if day.weekday() < 5]
    starts, ends = closures("fx")
    assert len(starts) == len(days)
    assert {end - start for start, end in zip(starts, ends, strict=True)} == {timedelta(days=1) // timedelta(minutes=1)}
