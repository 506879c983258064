from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from mikrobot.market.sessions import LONDON, NEW_YORK, TOKYO, is_open, offset_minutes, open_minutes


@pytest.mark.parametrize(
    ("time", "opened"),
    [
        ("2025-01-03 21:59", True),  # winter: Friday 16:59 in New York
        ("2025-01-03 22:00", False),
        ("2025-01-05 21:59", False),
        ("2025-01-05 22:00", True),
        ("2025-07-04 20:59", True),  # summer
        ("2025-07-04 21:00", False),
        ("2025-07-06 21:00", True),
        ("2025-03-09 21:00", True),  # the Sunday on which US summer time begins
        ("2025-03-07 21:30", True),  # the Friday before it
        ("2025-07-05 12:00", False),
    ],
)
def test_fx_trades_from_sunday_to_friday_17_new_york(time, opened):
    assert is_open("fx", pd.DatetimeIndex([time], tz="UTC")).tolist() == [opened]


def test_crypto_is_always_open():
    assert is_open("always", pd.date_range("2025-01-01", periods=14, freq="12h", tz="UTC")).all()


def test_open_minutes_of_every_day_of_a_year_agree_with_the_instants():
    for day in pd.date_range("2025-01-01", "2025-12-31", tz="UTC"):
        minutes = pd.date_range(day, periods=1440, freq="min")
        expected = np.flatnonzero(is_open("fx", minutes))
        assert open_minutes("fx", day.to_pydatetime()).tolist() == expected.tolist(), day


def test_offsets_follow_summer_time_of_each_centre():
    march = datetime(2025, 3, 20, tzinfo=UTC)  # summer in New York, winter in London
    assert [offset_minutes(zone, march) for zone in (NEW_YORK, LONDON, TOKYO)] == [-240, 0, 540]
