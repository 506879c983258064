"""Volume features on hand-made bars, and at the start of the trading day."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from mikrobot.features.kernel.composition import Catalog
from mikrobot.features.library.habit import relative_volume
from mikrobot.features.library.indicators import atr
from mikrobot.features.library.volume import accumulation, money_flow, obv, obv_balance, volume_roc, vwap
from mikrobot.features.pipeline import FeaturePipeline

NAN = float("nan")
UNKNOWN = dict.fromkeys(("spread", "trades", "taker_volume"), NAN)
CATALOG = Catalog(
    atr(length=2),
    vwap(width=2.0, atr="atr_2"),
    obv(),
    accumulation(),
    obv_balance(length=3),
    money_flow(length=3),
    volume_roc(length=2),
    relative_volume(),
)
MIDNIGHT = datetime(2024, 1, 3, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")


def rows_of(bars: pd.DataFrame, symbol: str = "BTCUSDT") -> pd.DataFrame:
    rows = FeaturePipeline([symbol], CATALOG).frame(symbol, bars)
    return rows.rename(columns=lambda name: name.removeprefix("m1_"))


def test_the_vwap_weighs_the_typical_price_by_volume(draw):
    bars = draw([10, 13, 13], high=[10, 16, 13], low=[10, 13, 13], start=MIDNIGHT).assign(volume=[1.0, 3.0, 0.0])
    rows = rows_of(bars)  # typical prices 10, 14, 13
    assert rows["vwap"].tolist() == [10, 13, 13]
    deviation = np.sqrt(3)  # squares 9 * 1 and 1 * 3 over 4
    np.testing.assert_allclose(rows["vwap_upper"], [10, 13 + 2 * deviation, 13 + 2 * deviation])
    np.testing.assert_allclose(rows["vwap_lower"], [10, 13 - 2 * deviation, 13 - 2 * deviation])
    np.testing.assert_array_equal(rows["vwap_score"], [NAN, 0, 0])


def test_the_vwap_is_missing_until_something_is_traded(draw):
    rows = rows_of(draw([10, 11, 12], start=MIDNIGHT).assign(volume=[0.0, 0.0, 5.0]))
    np.testing.assert_array_equal(rows["vwap"], [NAN, NAN, 12])


@pytest.mark.parametrize(
    ("symbol", "opens"),
    [
        ("BTCUSDT", datetime(2025, 3, 10, tzinfo=UTC)),
        ("EURUSD", datetime(2025, 3, 6, 17, tzinfo=NEW_YORK)),  # 22:00 UTC, before the change of the clock
        ("EURUSD", datetime(2025, 3, 10, 17, tzinfo=NEW_YORK)),  # 21:00 UTC, after it
        ("EURUSD", datetime(2025, 10, 30, 17, tzinfo=NEW_YORK)),  # 21:00 UTC, London back on winter time
        ("EURUSD", datetime(2025, 11, 3, 17, tzinfo=NEW_YORK)),  # 22:00 UTC
    ],
)
@pytest.mark.parametrize("minutes_before", [1, 30])
def test_the_day_begins_with_the_first_bar_after_its_opening(draw, symbol, opens, minutes_before):
    first = opens.astimezone(UTC) - pd.Timedelta(minutes=minutes_before)
    minutes = [0, minutes_before, minutes_before + 1]
    bars = draw([10, 20, 22], start=first, minutes=minutes).assign(volume=[7.0, 1.0, 3.0])
    rows = rows_of(bars, symbol)
    np.testing.assert_array_equal(rows["vwap"], [NAN, 20, 21.5])
    np.testing.assert_array_equal(rows["obv"], [NAN, 1, 4])
    np.testing.assert_array_equal(rows["accumulation"], [NAN, 0, 0])


def test_a_day_joined_midway_is_left_out_and_one_joined_at_its_opening_is_not(draw):
    at_noon, at_midnight = (draw([10, 12], start=MIDNIGHT.replace(hour=hour)).assign(volume=1.0) for hour in (12, 0))
    assert rows_of(at_noon)[["vwap", "obv", "accumulation"]].isna().all(axis=None)
    assert rows_of(at_midnight)[["vwap", "obv", "accumulation"]].notna().all(axis=None)


def test_on_balance_volume_follows_the_close(draw):
    bars = draw([10, 11, 11, 9, 9.5], start=MIDNIGHT).assign(volume=[5.0, 2.0, 4.0, 1.0, 0.0])
    rows = rows_of(bars)
    assert rows["obv"].tolist() == [0, 2, 2, 1, 1]
    np.testing.assert_allclose(rows["obv_balance_3"], [NAN, NAN, NAN, 1 / 7, -1 / 5])


def test_accumulation_follows_the_place_of_the_close_in_its_bar(draw):
    bars = draw([12, 10, 11.5, 11], high=[12, 12, 12, 11], low=[10, 10, 10, 11], start=MIDNIGHT)
    rows = rows_of(bars.assign(volume=[1.0, 3.0, 4.0, 100.0]))  # places 1, -1, 0.5 and 0
    assert rows["accumulation"].tolist() == [1, -2, 0, 0]
    np.testing.assert_allclose(rows["money_flow_3"], [NAN, NAN, 0, -1 / 107])


def test_the_rate_of_change_is_zero_after_a_bar_without_trades(draw):
    rows = rows_of(draw([10] * 5).assign(volume=[2.0, 0.0, 3.0, 5.0, 0.0]))
    np.testing.assert_array_equal(rows["volume_roc_2"], [NAN, NAN, 50, 0, -100])


def test_what_is_left_of_a_huge_volume_is_nothing(draw):
    volume = [1e18, 0.1, 0.3, *[0.0] * 4, 1e-12, 0.0]
    rows = rows_of(draw([1, 2, 3, 4, 5, 6, 7, 6, 7]).assign(volume=volume))
    np.testing.assert_array_equal(rows["obv_balance_3"][5:], [NAN, NAN, -1, -1])


def days_of(symbol: str, volume: list[float], days: int = 8) -> pd.DataFrame:
    """Return features of days of bars at one price, with the given volume for each hour of New York time."""
    times = pd.date_range("2024-06-03", periods=days * 1440, freq="min", tz=NEW_YORK)
    bars = pd.DataFrame({"open_time": times.tz_convert("UTC"), **dict.fromkeys(("open", "high", "low", "close"), 1.0)})
    return rows_of(bars.assign(volume=np.array(volume)[times.hour], **UNKNOWN), symbol).assign(hour=times.hour)


def test_a_volume_that_is_usual_at_its_time_of_day_is_one():
    rows = days_of("BTCUSDT", [1.0 + hour for hour in range(24)])
    known_rows = rows.index[rows["relative_volume"].notna()]
    assert known_rows[0] == 6 * 1440
    np.testing.assert_allclose(rows["relative_volume"].iloc[6 * 1440 :], 1.0)


def test_a_market_that_trades_a_fifth_is_usual_again_a_day_later():
    times = pd.date_range("2024-06-03", periods=10 * 1440, freq="min", tz="UTC")
    bars = pd.DataFrame({"open_time": times, **dict.fromkeys(("open", "high", "low", "close"), 1.0)})
    volume = np.where(np.arange(len(times)) < 8 * 1440, 5.0, 1.0)
    relative = rows_of(bars.assign(volume=volume, **UNKNOWN))["relative_volume"]
    assert relative[8 * 1440 - 1] == pytest.approx(1.0)
    assert relative[8 * 1440] == pytest.approx(0.2)
    np.testing.assert_allclose(relative[9 * 1440 :], 1.0, rtol=0.5)


def test_hours_without_trades_every_day_are_missing_and_a_bar_without_trades_is_zero():
    volume = [0.0 if hour == 3 else 4.0 for hour in range(24)]
    rows = days_of("BTCUSDT", volume)
    late = rows.iloc[6 * 1440 :]
    assert late["relative_volume"][late["hour"] == 3].isna().all()
    np.testing.assert_allclose(late["relative_volume"][late["hour"] != 3], 1.0)
