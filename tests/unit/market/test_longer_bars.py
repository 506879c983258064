"""Bars of five minutes and an hour that minutes make up, and their comparison with those of a venue."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mikrobot.domain.market import Timeframe
from mikrobot.market.longer_bars import aggregated, differing, gravity

START = datetime(2025, 1, 6, 10, 2, tzinfo=UTC)


def test_minutes_make_up_longer_bars_on_the_marks_of_the_clock(bars):
    frame = bars(12, start=START)
    first, second, third = aggregated("BTCUSDT", frame, Timeframe.M5)
    assert [bar.open_time.minute for bar in (first, second, third)] == [0, 5, 10]
    part = frame.iloc[3:8]
    assert (second.open, second.close) == (part["open"].iloc[0], part["close"].iloc[-1])
    assert (second.high, second.low) == (part["high"].max(), part["low"].min())
    assert second.volume == part["volume"].sum()
    assert second.trades == part["trades"].sum()
    assert second.close_time == second.open_time + timedelta(minutes=5)
    (hour,) = aggregated("BTCUSDT", frame, Timeframe.H1)
    assert (hour.open_time.minute, hour.volume) == (0, frame["volume"].sum())


def test_an_amount_that_is_unknown_in_a_minute_is_unknown_in_the_sum_and_not_compared(bars):
    frame = bars(5, start=START.replace(minute=0))
    (whole,) = aggregated("BTCUSDT", frame, Timeframe.M5)
    (part,) = aggregated("BTCUSDT", frame.assign(trades=[1.0, 2.0, np.nan, 4.0, 5.0]), Timeframe.M5)
    assert np.isnan(part.trades)
    assert differing(whole, part) == ()


@pytest.mark.parametrize(
    ("name", "gravely"),
    [("open", "price"), ("high", "price"), ("low", "price"), ("close", "price"),
     ("volume", "volume"), ("trades", "volume"), ("taker_volume", "volume")],
)  # fmt: skip
def test_every_value_is_compared(bars, name, gravely):
    (bar,) = aggregated("BTCUSDT", bars(5, start=START.replace(minute=0)), Timeframe.M5)
    fields = differing(bar, replace(bar, **{name: getattr(bar, name) * 1.0001}))
    assert fields == (name,)
    assert gravity(fields) == gravely
