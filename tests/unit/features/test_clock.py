"""Sessions and trading days at known times, and compared with the time zone database."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.market import BAR_COLUMNS
from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.clock import news, session
from mikrobot.features.pipeline import FeaturePipeline

SESSION = Catalog(session())
RELEASES = ((8, 30), (10, 0), (14, 0))
NEW_YORK, LONDON, TOKYO = (ZoneInfo(name) for name in ("America/New_York", "Europe/London", "Asia/Tokyo"))


def rows(symbol: str, open_time: pd.DatetimeIndex) -> pd.DataFrame:
    bars = pd.DataFrame({"open_time": open_time, **dict.fromkeys(("open", "high", "low", "close"), 1.0)})
    unknown = dict.fromkeys(set(BAR_COLUMNS) - set(bars), np.nan)
    frame = FeaturePipeline([symbol], SESSION).frame(symbol, bars.assign(**unknown))
    return frame.rename(columns=lambda name: name.removeprefix("m1_session_"))


def closing_at(symbol: str, year: int, month: int, day: int, hour: int, minute: int, zone: ZoneInfo) -> pd.Series:
    close = datetime(year, month, day, hour, minute, tzinfo=zone)
    opened = pd.DatetimeIndex([close - timedelta(minutes=1)]).tz_convert("UTC")
    return rows(symbol, opened).iloc[0]


@pytest.mark.parametrize(
    ("centre", "zone", "opens", "closes"),
    [("tokyo", TOKYO, 9, 18), ("london", LONDON, 8, 17), ("new_york", NEW_YORK, 8, 17)],
)
@pytest.mark.parametrize(
    "month", [1, 3, 7, 11]
)  # in March and November the centres change their clocks on different dates
def test_a_centre_is_at_work_in_its_local_office_hours(centre, zone, opens, closes, month):
    monday = {1: 13, 3: 17, 7: 14, 11: 3}[month]

    def at(day: int, hour: int, minute: int) -> float:
        return float(closing_at("EURUSD", 2025, month, day, hour, minute, zone)[centre])

    assert [at(monday, opens - 1, 59), at(monday, opens, 0)] == [0, 1]
    assert [at(monday, closes - 1, 59), at(monday, closes, 0)] == [1, 0]
    assert at(monday + 5, opens, 0) == 0


def test_london_and_new_york_overlap_an_hour_more_while_only_new_york_keeps_summer_time():
    day = pd.date_range("2025-03-17", "2025-03-17 23:59", freq="min", tz="UTC")
    assert rows("EURUSD", day)["overlap"].sum() == 5 * 60
    assert rows("EURUSD", day + pd.Timedelta(days=28))["overlap"].sum() == 4 * 60


def test_the_first_bar_after_17_new_york_is_minute_one_of_the_next_fx_day():
    last, first = (closing_at("EURUSD", 2025, 3, 11, 17, minute, NEW_YORK) for minute in (0, 1))
    assert (last["weekday"], last["minutes"]) == (1, 1440)
    assert (first["weekday"], first["minutes"]) == (2, 1)


def test_an_fx_sunday_is_monday_and_a_crypto_sunday_is_sunday():
    sunday = (2025, 3, 9, 18, 0, NEW_YORK)  # 22:00 UTC
    assert closing_at("EURUSD", *sunday)[["weekday", "minutes"]].tolist() == [0, 60]
    assert closing_at("BTCUSDT", *sunday)[["weekday", "minutes"]].tolist() == [6, 22 * 60]


@pytest.mark.parametrize("symbol", ["EURUSD", "BTCUSDT"])
def test_every_ten_minutes_of_two_years_equal_the_time_zone_database(symbol):
    opened = pd.date_range("2024-01-01", "2026-01-01", freq="10min", tz="UTC") + pd.Timedelta(minutes=9)
    features = rows(symbol, opened)
    day = (opened.tz_convert(NEW_YORK).tz_localize(None) + pd.Timedelta(hours=7)) if symbol == "EURUSD" else opened
    assert (features["weekday"] == day.dayofweek).all()
    assert (features["minutes"] == day.hour * 60 + day.minute + 1).all()
    close = opened + pd.Timedelta(minutes=1)
    for centre, zone, opens, closes in (
        ("tokyo", TOKYO, 9, 18),
        ("london", LONDON, 8, 17),
        ("new_york", NEW_YORK, 8, 17),
    ):
        local = close.tz_convert(zone)
        expected = (local.hour >= opens) & (local.hour < closes) & (local.dayofweek < 5)
        assert (features[centre] == expected).all(), centre
    assert (features["overlap"] == features["london"] * features["new_york"]).all()


def test_news_follows_the_clock_of_new_york_in_winter_in_summer_and_at_the_weekend():
    opened = pd.date_range("2025-02-27", "2025-03-18", freq="min", tz="UTC")  # the clock changes on 9 March
    bars = pd.DataFrame({"open_time": opened, **dict.fromkeys(("open", "high", "low", "close"), 1.0)})
    unknown = dict.fromkeys(set(BAR_COLUMNS) - set(bars), np.nan)
    features = FeaturePipeline(["EURUSD"], Catalog(news())).frame("EURUSD", bars.assign(**unknown))
    local = features["close_time"].dt.tz_convert(NEW_YORK)
    releases = [day + pd.Timedelta(hours=h, minutes=m) for day in local.dt.normalize().unique() for h, m in RELEASES]
    minutes = np.array([(local - at).dt.total_seconds() / 60 for at in releases if at.weekday() < 5])
    assert (
        features["m1_news_since"].tolist() == np.minimum(np.where(minutes >= 0, minutes, 60), 60).min(axis=0).tolist()
    )
    assert (
        features["m1_news_until"].tolist() == np.minimum(np.where(minutes < 0, -minutes, 60), 60).min(axis=0).tolist()
    )
    assert features["m1_news_since"].min() == 0
    assert features["m1_news_until"].min() == 1
