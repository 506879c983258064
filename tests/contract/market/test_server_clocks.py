"""Exports of brokers' servers in three clocks, over whole years with every change of summer time, come back in UTC.

The bars are real where the shared data is on this machine, and generated ones in any case.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest

from mikrobot.domain.errors import BarError
from mikrobot.market.replay import ReplaySource
from tests.soak import SOAK

REAL = Path(__file__).parents[4] / "shared/data/fx/EURUSD_M1.parquet"
COLUMNS = ["open_time", "open", "high", "low", "close"]
CLOCKS = ("UTC", "EET", "NY+7")


def exported(bars: pd.DataFrame, clock: str, path: Path) -> Path:
    """Write bars as MetaTrader 5 exports them on a server with a clock: a zone, or one and hours."""
    servers = {"UTC": "UTC+0", "EET": "Europe/Athens+0", "NY+7": "America/New_York+7"}
    zone, hours = servers.get(clock, clock if "+" in clock else f"{clock}+0").split("+")
    local = bars["open_time"].dt.tz_convert(zone).dt.tz_localize(None) + pd.Timedelta(hours=int(hours))
    times = pa.array(local.to_numpy("datetime64[s]"))
    columns = {
        "<DATE>": pc.strftime(times, "%Y.%m.%d"),
        "<TIME>": pc.strftime(times, "%H:%M:%S"),
        **{f"<{name.upper()}>": pa.array(bars[name].to_numpy()) for name in COLUMNS[1:]},
        "<TICKVOL>": pa.array(np.full(len(bars), 7)),
        "<VOL>": pa.array(np.zeros(len(bars), dtype=np.int64)),
        "<SPREAD>": pa.array(np.full(len(bars), 8)),
    }
    path.parent.mkdir(exist_ok=True)
    csv.write_csv(pa.table(columns), path, csv.WriteOptions(delimiter="\t", quoting_style="none"))
    return path


def weeks(first: str, last: str) -> list[pd.DataFrame]:
    """Return bars of the first hour, the last hour and each midday of every trading week, a frame for each week."""
    frames = []
    for sunday in pd.date_range(first, last, freq="W-SUN"):
        opened = pd.Timestamp(f"{sunday:%Y-%m-%d} 17:00", tz="America/New_York").tz_convert("UTC")
        friday = pd.Timestamp(f"{sunday + pd.Timedelta(days=5):%Y-%m-%d} 16:00", tz="America/New_York")
        starts = [opened, *(opened + pd.Timedelta(hours=15 + 24 * day) for day in range(5)), friday.tz_convert("UTC")]
        times = pd.DatetimeIndex(np.concatenate([pd.date_range(start, periods=60, freq="min") for start in starts]))
        close = np.round(1.1 + 1e-5 * np.cumsum(np.random.default_rng(sunday.day).integers(-3, 4, len(times))), 5)
        prices = {"open": close, "high": np.round(close + 2e-5, 5), "low": np.round(close - 2e-5, 5), "close": close}
        frames.append(pd.DataFrame({"open_time": times.tz_localize("UTC") if times.tz is None else times, **prices}))
    return frames


def read(paths: list[Path]) -> tuple[pd.DataFrame, str]:
    source = ReplaySource(paths)
    return source.history("EURUSD", *source.span("EURUSD"))[COLUMNS], source.files[0].clock


def agrees(bars: pd.DataFrame, expected: pd.DataFrame) -> bool:
    same_times = np.array_equal(bars["open_time"].to_numpy("datetime64[us]"), expected["open_time"].to_numpy("M8[us]"))
    return same_times and np.array_equal(bars[COLUMNS[1:]].to_numpy(), expected[COLUMNS[1:]].to_numpy())


@pytest.mark.parametrize("clock", CLOCKS)
def test_generated_years_come_back_equal(clock: str, tmp_path: Path) -> None:
    bars = pd.concat(weeks("2016-01-03", "2024-12-29"), ignore_index=True)
    back, shown = read([exported(bars, clock, tmp_path / "EURUSD.csv")])
    assert shown == clock
    assert agrees(back, bars)


@pytest.mark.parametrize("clock", CLOCKS)
def test_each_weekend_of_two_years_shows_the_clock_by_itself(clock: str, tmp_path: Path) -> None:
    frames = weeks("2023-01-01", "2024-12-29")
    wrong = []
    for number, (week, following) in enumerate(pairwise(frames)):
        bars = pd.concat([week, following], ignore_index=True)
        back, _ = read([exported(bars, clock, tmp_path / str(number) / "EURUSD.csv")])
        if not agrees(back, bars):
            wrong.append(f"{week['open_time'].iloc[0]:%Y-%m-%d}")
    assert wrong == []


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("Europe/London", "Europe/London"),
        ("Europe/Moscow", "+03:00"),
        ("America/New_York", "America/New_York"),
    ],
)
def test_the_weekends_of_a_year_show_other_servers_too(zone: str, shown: str, tmp_path: Path) -> None:
    bars = pd.concat(weeks("2023-01-08", "2023-12-10"), ignore_index=True)
    back, clock = read([exported(bars, zone, tmp_path / "EURUSD.csv")])
    assert clock == shown
    assert agrees(back, bars)


@pytest.mark.parametrize("clock", ["America/New_York+6", "Asia/Dubai", "Australia/Sydney"])
def test_a_clock_of_no_known_server_is_refused(clock: str, tmp_path: Path) -> None:
    bars = pd.concat(weeks("2023-01-08", "2023-12-10"), ignore_index=True)
    with pytest.raises(BarError, match=r"EURUSD.csv: .* name its clock with --clock"):
        read([exported(bars, clock, tmp_path / "EURUSD.csv")])


def test_an_account_that_moved_to_another_server_is_refused(tmp_path: Path) -> None:
    before, after = weeks("2023-01-08", "2023-06-25"), weeks("2023-07-02", "2023-12-10")
    paths = [
        exported(pd.concat(part, ignore_index=True), clock, tmp_path / name / "EURUSD.csv")
        for name, part, clock in (("a", before, "EET"), ("b", after, "UTC"))
    ]
    with pytest.raises(BarError, match=r"of its \d+ weekends fit (EET|UTC), the first after .* clock, and the"):
        read(paths)


@pytest.mark.parametrize(("clock", "fits"), [("EET", True), ("UTC", False)])
def test_the_daily_break_of_a_metal_contradicts_a_clock(clock: str, fits: bool, tmp_path: Path) -> None:
    times = pd.date_range("2024-02-06 12:00", "2024-02-07 12:00", freq="min", tz="UTC")
    times = times[times.hour != 22]  # 17:00 to 18:00 New York
    bars = pd.DataFrame({"open_time": times, **dict.fromkeys(COLUMNS[1:], 2030.15)})
    source_of = exported(bars, clock, tmp_path / "XAUUSD.csv")
    if fits:
        assert ReplaySource([source_of]).first_open("XAUUSD") == times[0]
        return
    with pytest.raises(BarError, match=r"EET or NY\+7, it has bars of the daily break; name its clock with --clock"):
        ReplaySource([source_of])


def test_edges_that_fit_two_clocks_are_refused(tmp_path: Path) -> None:
    """An index that closes an hour early on Fridays opens in one clock and closes in another."""
    frames = weeks("2023-01-08", "2023-02-26")
    for week in frames:
        week.loc[week.index[-60:], "open_time"] -= pd.Timedelta(hours=1)
    bars = pd.concat(frames, ignore_index=True)
    with pytest.raises(BarError, match=r"its weekends fit \+01:00 .*and EET.*; name its clock with --clock"):
        read([exported(bars, "EET", tmp_path / "EURUSD.csv")])


@pytest.mark.skipif(not REAL.exists(), reason="the shared market data is not on this machine")
@pytest.mark.parametrize("clock", CLOCKS)
def test_real_years_come_back_equal(clock: str, tmp_path: Path) -> None:
    source = ReplaySource([REAL])
    first, last = source.span("EURUSD")
    bars = source.history("EURUSD", first if SOAK else pd.Timestamp("2018-06-01", tz="UTC"), last)
    years = bars["open_time"].dt.year
    paths = [exported(bars[years == year], clock, tmp_path / f"EURUSD_{year}.csv") for year in years.unique()]
    back, shown = read(paths)
    assert shown == clock
    assert agrees(back, bars)
