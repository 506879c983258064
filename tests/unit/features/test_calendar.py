"""Computed wall clocks compared with the time zone database, hour by hour."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from numba import njit

from mikrobot.features.kernel import calendar

CLOCKS = {
    "America/New_York": (calendar.new_york, 1987),
    "Europe/London": (calendar.london, 1996),
    "Asia/Tokyo": (calendar.tokyo, 1970),
}
CLOCK = pytest.mark.parametrize("zone", CLOCKS)


def seconds(year: int, *rest: int, zone: str = "UTC") -> int:
    return int(datetime(year, *rest, tzinfo=ZoneInfo(zone)).timestamp())


def hours(first: int, last: int) -> pd.DatetimeIndex:
    return pd.date_range(f"{first}-01-02", f"{last}-12-31", freq="h", tz="UTC")


def of_each(function, times: pd.DatetimeIndex) -> np.ndarray:
    @njit
    def apply(values):
        results = np.empty(len(values), np.int64)
        for i in range(len(values)):
            results[i] = function(values[i])
        return results

    return apply(unix(times))


def unix(times: pd.DatetimeIndex) -> np.ndarray:
    return times.as_unit("s").asi8


@CLOCK
def test_the_wall_clock_is_that_of_the_time_zone_database_every_hour(zone):
    clock, first = CLOCKS[zone]
    times = hours(first, 2036)
    expected = unix(times.tz_convert(zone).tz_localize(None))
    differing = times[of_each(clock, times) != expected]
    assert differing.empty, differing[:5]


@CLOCK
def test_the_last_second_before_a_change_is_still_on_the_old_clock(zone):
    clock, _ = CLOCKS[zone]
    for day in pd.date_range("2007-01-01", "2035-12-31", freq="D", tz="UTC"):
        if day.tz_convert(zone).utcoffset() == (day + timedelta(days=1)).tz_convert(zone).utcoffset():
            continue
        for time in unix(pd.date_range(day, periods=24, freq="h")):
            for instant in (int(time) - 1, int(time)):
                local = datetime.fromtimestamp(instant, ZoneInfo(zone)).replace(tzinfo=UTC)
                assert clock(instant) == local.timestamp()


def test_the_fx_day_begins_at_17_new_york_the_year_round():
    times = hours(2007, 2035)
    local = times.tz_convert("America/New_York").tz_localize(None)
    ends = (local.floor("D") + pd.to_timedelta((local.hour >= 17).astype(int), unit="D")).as_unit("s").asi8 // 86_400
    assert (of_each(calendar.fx_day, times) == ends).all()


@pytest.mark.parametrize(
    ("utc", "day"),
    [
        ((2025, 3, 7, 21, 59), 7),  # Friday, New York on winter time: 16:59
        ((2025, 3, 9, 20, 59), 9),  # Sunday of the change: 16:59 on summer time
        ((2025, 3, 9, 21, 0), 10),  # 17:00 belongs to Monday
        ((2025, 3, 10, 20, 59), 10),
        ((2025, 3, 10, 21, 0), 11),
    ],
)
def test_the_fx_day_across_a_change_of_the_clock(utc, day):
    assert calendar.fx_day(seconds(*utc)) == seconds(2025, 3, day) // 86_400
    assert calendar.session_day(seconds(*utc), 1) == calendar.fx_day(seconds(*utc))


def test_a_market_around_the_clock_has_the_day_of_utc():
    assert calendar.session_day(seconds(2025, 3, 9, 23, 59), 0) == seconds(2025, 3, 9) // 86_400
    assert calendar.session_day(seconds(2025, 3, 10), 0) == seconds(2025, 3, 10) // 86_400
    assert calendar.session_minute(seconds(2025, 3, 10, 7, 5), 0) == 7 * 60 + 5


@pytest.mark.parametrize("month", [1, 7])
def test_minutes_of_the_session_count_from_17_new_york(month):
    def at(hour: int, minute: int) -> int:
        return calendar.session_minute(seconds(2025, month, 8, hour, minute, zone="America/New_York"), 1)

    assert [at(17, 0), at(17, 1), at(0, 0), at(16, 59)] == [0, 1, 420, 1_439]


def test_the_week_begins_on_monday():
    monday = seconds(2025, 3, 10)
    assert calendar.week_minute(monday) == 0
    assert calendar.week_minute(monday - 60) == 10_079
    assert calendar.week_minute(seconds(2025, 3, 14, 17)) == 4 * 1440 + 17 * 60
    assert calendar.day_minute(seconds(2025, 3, 14, 17, 3)) == 17 * 60 + 3
