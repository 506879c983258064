"""Every format of bar files: body from the same bars, read back as these, in their time and their units."""

import gzip
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import BarError, UsageError
from mikrobot.market.formats.files import open_bar_file
from mikrobot.market.formats.registry import FORMATS, format_of
from mikrobot.market.reading import Reading, reading_of
from mikrobot.market.replay import ReplaySource, read_bars
from mikrobot.settings import Settings

START = "2025-01-03 20:00"
"""A Friday, two hours before the weekend, so that it shows the clock of a server."""

Write = Callable[[pd.DataFrame, Path], Path]


@pytest.fixture
def minutes() -> pd.DataFrame:
    """Two hours of a Friday and two of the Monday after it, prices of five decimals, spreads of a few points."""
    friday = pd.date_range(START, periods=120, freq="min", tz="UTC")
    sunday = pd.date_range("2025-01-05 22:00", periods=120, freq="min", tz="UTC")
    times = friday.append(sunday)
    rng = np.random.default_rng(7)
    close = np.round(1.03 + np.cumsum(rng.integers(-5, 6, len(times))) * 1e-5, 5)
    opened = np.concatenate(([1.03], close[:-1]))
    return pd.DataFrame(
        {
            "ts": times,
            "open": opened,
            "high": np.round(np.maximum(opened, close) + 1e-5, 5),
            "low": np.round(np.minimum(opened, close) - 1e-5, 5),
            "close": close,
            "volume": rng.integers(1, 200, len(times)),
            "points": rng.integers(1, 20, len(times)),
        }
    )


def lines(path: Path, written: list[str], encoding: str = "utf-8") -> Path:
    path.write_text("\r\n".join(written) + "\r\n", encoding=encoding)
    return path


def prices(row: pd.Series) -> str:
    return ",".join(f"{row[name]:.5f}" for name in ("open", "high", "low", "close"))


def rows(bars: pd.DataFrame, form: Callable[[pd.Series], str]) -> list[str]:
    return [form(row) for _, row in bars.iterrows()]


def ms(row: pd.Series) -> int:
    return int(row["ts"].timestamp() * 1000)


def athens(row: pd.Series) -> pd.Timestamp:
    return row["ts"].tz_convert("Europe/Athens")


def mt5(bars: pd.DataFrame, folder: Path) -> Path:
    header = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
    body = rows(
        bars,
        lambda row: f"{athens(row):%Y.%m.%d\t%H:%M:%S}\t{prices(row)}\t{row['volume']}\t0\t{row['points']}".replace(
            ",", "\t"
        ),
    )
    return lines(folder / "EURUSD_M1_2025.csv", [header, *body])


def mt4(bars: pd.DataFrame, folder: Path) -> Path:
    body = rows(bars, lambda row: f"{athens(row):%Y.%m.%d,%H:%M},{prices(row)},{row['volume']}")
    return lines(folder / "EURUSD1.csv", body)


def histdata(bars: pd.DataFrame, folder: Path) -> Path:
    def form(row: pd.Series) -> str:
        local = row["ts"] - pd.Timedelta(hours=5)
        return f"{local:%Y%m%d %H%M%S};{prices(row).replace(',', ';')};0"

    return lines(folder / "DAT_ASCII_EURUSD_M1_202501.csv", rows(bars, form))


def ninjatrader(bars: pd.DataFrame, folder: Path) -> Path:
    def form(row: pd.Series) -> str:
        end = row["ts"] + pd.Timedelta(minutes=1)
        return f"{end:%Y%m%d %H%M%S};{prices(row).replace(',', ';')};{row['volume']}"

    return lines(folder / "EURUSD.Last.txt", rows(bars, form))


def binance(bars: pd.DataFrame, folder: Path) -> Path:
    def form(row: pd.Series) -> str:
        us = ms(row) * 1000
        return f"{us},{prices(row)},{row['volume']}.0,{us + 59_999_999},0,7,0,0,0"

    return lines(folder / "EURUSD-1m-2025-01.csv", rows(bars, form))


def csv(bars: pd.DataFrame, folder: Path) -> Path:
    body = rows(bars, lambda row: f"{row['ts'].isoformat()},{prices(row)},{row['volume']},{row['points'] * 1e-5:.5f}")
    return lines(folder / "EURUSD_M1.csv", ["ts,open,high,low,close,volume,spread", *body])


def ccxt(bars: pd.DataFrame, folder: Path) -> Path:
    values = [[ms(row), *map(float, prices(row).split(",")), float(row["volume"])] for _, row in bars.iterrows()]
    path = folder / "EUR_USD-1m.json"
    path.write_text(json.dumps(values))
    return path


def cryptodatadownload(bars: pd.DataFrame, folder: Path) -> Path:
    body = rows(
        bars[::-1], lambda row: f"{ms(row)},{row['ts']:%Y-%m-%d %H:%M:%S},EUR/USD,{prices(row)},{row['volume']},1,9"
    )
    head = [
        "https://www.CryptoDataDownload.com",
        "Unix,Date,Symbol,Open,High,Low,Close,Volume EUR,Volume USD,tradecount",
    ]
    return lines(folder / "Binance_EURUSD_minute.csv", [*head, *body])


def dukascopy(bars: pd.DataFrame, folder: Path) -> Path:
    body = rows(bars, lambda row: f"{row['ts']:%d.%m.%Y %H:%M:%S}.000,{prices(row)},{row['volume']}")
    return lines(folder / "EURUSD_Candlestick_1_M_BID.csv", ["Gmt time,Open,High,Low,Close,Volume", *body])


def freqtrade(bars: pd.DataFrame, folder: Path) -> Path:
    path = folder / "EUR_USD-1m.feather"
    bars.rename(columns={"ts": "date"})[["date", "open", "high", "low", "close", "volume"]].to_feather(path)
    return path


def tradingview(bars: pd.DataFrame, folder: Path) -> Path:
    body = rows(bars, lambda row: f"{ms(row) // 1000},{prices(row)},{row['volume']},50.1")
    return lines(folder / "OANDA_EURUSD, 1.csv", ["time,open,high,low,close,Volume,RSI", *body])


def yfinance(bars: pd.DataFrame, folder: Path) -> Path:
    body = rows(bars, lambda row: f"{row['ts']},{prices(row)},{row['close']:.5f},0")
    return lines(folder / "EURUSD=X.csv", ["Datetime,Open,High,Low,Close,Adj Close,Volume", *body])


def copy_rates(bars: pd.DataFrame, folder: Path) -> Path:
    path = folder / "EURUSD_rates.parquet"
    local = [int(athens(row).tz_localize(None).timestamp()) for _, row in bars.iterrows()]
    named = {"volume": "tick_volume", "points": "spread"}
    bars.drop(columns="ts").rename(columns=named).assign(time=local, real_volume=0).to_parquet(path)
    return path


WRITERS: dict[str, Write] = {
    write.__name__: write
    for write in (
        mt5, mt4, histdata, ninjatrader, binance, csv, ccxt, cryptodatadownload, dukascopy, freqtrade, tradingview,
        yfinance, copy_rates,
    )
}  # fmt: skip

WITH_VOLUME = set(WRITERS) - {"histdata", "yfinance"}
WITH_SPREAD = {"mt5", "csv", "copy_rates"}


def reading(name: str) -> Reading:
    return Reading(format=name if name == "ninjatrader" else None)


def test_each_registered_format_has_a_writer_here() -> None:
    assert set(WRITERS) == set(FORMATS)


def test_each_registered_format_is_in_the_document() -> None:
    text = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    assert {name for name in (*FORMATS, "parquet") if f"| `{name}` |" in text} == {*FORMATS, "parquet"}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_the_format_is_read_back(name: str, minutes: pd.DataFrame, tmp_path: Path) -> None:
    symbol, bars = read_bars(WRITERS[name](minutes, tmp_path), reading(name))
    assert symbol == "EURUSD"
    assert list(bars["open_time"]) == list(minutes["ts"])
    for column in ("open", "high", "low", "close"):
        np.testing.assert_allclose(bars[column], minutes[column], rtol=1e-12)
    expected = minutes["volume"] if name in WITH_VOLUME else np.full(len(minutes), np.nan)
    np.testing.assert_allclose(bars["volume"], expected)
    spread = minutes["points"] * 1e-5 if name in WITH_SPREAD else np.full(len(minutes), np.nan)
    np.testing.assert_allclose(bars["spread"], spread, rtol=1e-9)


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "ninjatrader"])
def test_the_format_is_recognised_by_the_content(name: str, minutes: pd.DataFrame, tmp_path: Path) -> None:
    assert format_of(open_bar_file(WRITERS[name](minutes, tmp_path))).name == name


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"freqtrade", "copy_rates"}))
@pytest.mark.parametrize("packing", ["gz", "zip", "utf-16"])
def test_packed_and_utf16_files_are_read(name: str, packing: str, minutes: pd.DataFrame, tmp_path: Path) -> None:
    plain = WRITERS[name](minutes, tmp_path)
    whole = read_bars(plain, reading(name))[1]
    packed = tmp_path / "packed" / plain.name
    packed.parent.mkdir()
    if packing == "gz":
        packed = packed.with_name(f"{plain.name}.gz")
        packed.write_bytes(gzip.compress(plain.read_bytes()))
    elif packing == "zip":
        packed = packed.with_suffix(".zip")
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(plain.name, plain.read_bytes())
    else:
        packed.write_bytes(plain.read_text(encoding="utf-8").encode("utf-16"))
    pd.testing.assert_frame_equal(read_bars(packed, reading(name))[1], whole)


@pytest.mark.parametrize("clock", ["EET", "NY+7", "UTC"])
@pytest.mark.parametrize("day", ["2025-01-03", "2025-03-14", "2025-07-04", "2025-10-31"])
def test_a_weekend_shows_the_clock_of_a_server(clock: str, day: str, tmp_path: Path) -> None:
    friday = pd.Timestamp(f"{day} 17:00", tz="America/New_York").tz_convert("UTC")
    sunday = pd.Timestamp(f"{pd.Timestamp(day) + pd.Timedelta(days=2):%Y-%m-%d} 17:00", tz="America/New_York")
    times = pd.date_range(friday - pd.Timedelta(minutes=90), friday, freq="min", inclusive="left").append(
        pd.date_range(sunday.tz_convert("UTC"), periods=90, freq="min")
    )
    zone, hours = {"EET": ("Europe/Athens", 0), "NY+7": ("America/New_York", 7), "UTC": ("UTC", 0)}[clock]
    local = times.tz_convert(zone).tz_localize(None) + pd.Timedelta(hours=hours)
    header = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
    path = lines(
        tmp_path / "EURUSD.csv",
        [header, *(f"{t:%Y.%m.%d\t%H:%M:%S}\t1.10001\t1.10001\t1.10001\t1.10001\t1\t0\t1" for t in local)],
    )
    source = ReplaySource([path])
    assert list(source.history("EURUSD", *source.span("EURUSD"))["open_time"]) == list(times)
    assert source.notes == []


def test_a_weekend_in_one_file_shows_the_clock_of_the_others(tmp_path: Path, minutes: pd.DataFrame) -> None:
    week = pd.Timedelta(days=70)  # in the middle of March, when the usual servers differ
    friday, monday = (
        minutes.iloc[:120].assign(ts=minutes["ts"] + week),
        minutes.iloc[120:].assign(ts=minutes["ts"] + week),
    )
    later = monday.assign(ts=monday["ts"] + pd.Timedelta(days=2))
    for name, part in (("a", pd.concat([friday, monday])), ("b", later)):
        (tmp_path / name).mkdir()
        mt5(part.assign(ts=part["ts"] - pd.Timedelta(hours=1)), tmp_path / name)  # summer time in New York
    source = ReplaySource([tmp_path / "a", tmp_path / "b"])
    assert source.span("EURUSD")[1] == later["ts"].iloc[-1] - pd.Timedelta(hours=1) + pd.Timedelta(minutes=1)


def test_seconds_are_aggregated_to_minutes(tmp_path: Path) -> None:
    times = pd.date_range("2025-01-06 10:00", periods=120, freq="s", tz="UTC")
    body = [f"{int(t.timestamp() * 1000)},1.0,{1.1 + i / 1000},{0.9},1.05,2" for i, t in enumerate(times)]
    _, bars = read_bars(lines(tmp_path / "BTCUSDT_1s.csv", ["timestamp,open,high,low,close,volume", *body]))
    assert bars["volume"].tolist() == [120, 120]
    assert bars["high"].tolist() == pytest.approx([1.159, 1.219])


def test_an_hour_that_a_zone_has_twice_is_read_in_the_order_of_the_rows(tmp_path: Path) -> None:
    times = pd.date_range("2024-10-26 22:00", periods=300, freq="min", tz="UTC")
    header = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
    local = times.tz_convert("Europe/Athens")
    body = [f"{t:%Y.%m.%d\t%H:%M:%S}\t1.10001\t1.10001\t1.10001\t1.10001\t1\t0\t1" for t in local]
    path = lines(tmp_path / "BTCUSDT.csv", [header, *body])
    assert list(read_bars(path, Reading(clock="EET"))[1]["open_time"]) == list(times)
    once = lines(tmp_path / "BTCUSDT_once.csv", [header, *dict.fromkeys(body)])
    source = ReplaySource([once], Reading(clock="EET"))
    assert len(source.history("BTCUSDT", *source.span("BTCUSDT"))) == 180
    assert "60 rows of an hour that exists twice left out" in source.notes[0]


def test_dukascopy_in_local_time_is_read_by_its_offsets(minutes: pd.DataFrame, tmp_path: Path) -> None:
    def form(row: pd.Series) -> str:
        return f"{athens(row):%d.%m.%Y %H:%M:%S}.000 GMT+0200,{prices(row)},{row['volume']}"

    path = lines(tmp_path / "EURUSD_BID.csv", ["Local time,Open,High,Low,Close,Volume", *rows(minutes, form)])
    assert list(read_bars(path)[1]["open_time"]) == list(minutes["ts"])
    bare = [line.replace(" GMT+0200", "") for line in path.read_text().splitlines()]
    with pytest.raises(BarError, match=r"line 2: local time .* without its offset; choose GMT in the export"):
        read_bars(lines(tmp_path / "EURUSD_bare.csv", bare))


def test_copy_rates_as_text_are_read(minutes: pd.DataFrame, tmp_path: Path) -> None:
    header = ",time,open,high,low,close,tick_volume,spread,real_volume"
    for name, stamp in (("dates", "{:%Y-%m-%d %H:%M:%S}"), ("epochs", "{:%s}")):
        body = [
            f"{place},{stamp.format(athens(row).tz_localize(None))},{prices(row)},{row['volume']},{row['points']},0"
            for place, (_, row) in enumerate(minutes.iterrows())
        ]
        _, bars = read_bars(lines(tmp_path / f"EURUSD_{name}.csv", [header, *body]))
        assert list(bars["open_time"]) == list(minutes["ts"])
        np.testing.assert_allclose(bars["spread"], minutes["points"] * 1e-5, rtol=1e-9)


def test_the_rounding_noise_of_a_price_is_no_finer_point(minutes: pd.DataFrame, tmp_path: Path) -> None:
    header = "time,open,high,low,close,tick_volume,spread,real_volume"
    body = [f"{athens(row).tz_localize(None):%s},{prices(row)},7,8,0" for _, row in minutes.iterrows()]
    body[3] = body[3].replace(f"{minutes['close'][3]:.5f},7", f"{minutes['close'][3]:.5f}000000002,7")
    assert "000000002" in body[3]
    _, bars = read_bars(lines(tmp_path / "EURUSD_noise.csv", [header, *body]))
    np.testing.assert_allclose(bars["spread"], 8e-5, rtol=1e-9)


@pytest.mark.parametrize(
    ("stamps", "message"),
    [
        (
            ["2025-01-06T10:00:00+00:00", "2025-01-06T10:01:00"],
            "line 3: time '2025-01-06T10:01:00'; expected a form like",
        ),
        (["2025-01-06T10:00:00Z", "tomorrow Z"], "line 3: time 'tomorrow Z'; expected a form like"),
        (["-5", "0"], "line 2: time '-5'"),
    ],
)
def test_times_that_are_none_are_refused_with_their_line(stamps: list[str], message: str, tmp_path: Path) -> None:
    body = [f"{stamp},1.1,1.1,1.1,1.1" for stamp in stamps]
    with pytest.raises(BarError, match=re.escape(message)):
        read_bars(lines(tmp_path / "EURUSD.csv", ["ts,open,high,low,close", *body]))


def test_iso_times_that_arrow_does_not_read_are_read(tmp_path: Path) -> None:
    body = [f"2025-01-06 10:0{minute}:00+0000,1.1,1.1,1.1,1.1" for minute in range(3)]
    _, bars = read_bars(lines(tmp_path / "EURUSD.csv", ["ts,open,high,low,close", *body]))
    assert bars["open_time"].iloc[0] == pd.Timestamp("2025-01-06 10:00", tz="UTC")


def test_an_unknown_format_is_named_with_those_there_are(minutes: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no format 'mt6'; the formats are parquet, csv, mt5"):
        read_bars(csv(minutes, tmp_path), Reading(format="mt6"))


def test_a_parquet_format_of_another_file_is_refused(minutes: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(BarError, match=r"EURUSD_M1.csv: not a Parquet file; leave out --format"):
        read_bars(csv(minutes, tmp_path), Reading(format="parquet"))


def test_the_innermost_folder_with_a_clock_decides(minutes: pd.DataFrame, tmp_path: Path) -> None:
    inner = tmp_path / "brokers" / "one"
    inner.mkdir(parents=True)
    clocks = {tmp_path: "UTC", tmp_path / "brokers" / "one": "EET", tmp_path / "brokers": "Europe/London"}
    path = mt5(minutes, inner)
    source = ReplaySource([path], Reading(clock="NY+7", folder_clocks=clocks))
    assert source.first_open("EURUSD") == minutes["ts"].iloc[0]
    assert (source.files[0].clock, source.files[0].evidence) == ("EET", f"named by data_clocks for {inner}")


def test_files_of_one_symbol_may_have_several_clocks(minutes: pd.DataFrame, tmp_path: Path) -> None:
    week = pd.Timedelta(days=7)
    for name, part in (("eet", minutes), ("utc", minutes.assign(ts=minutes["ts"] + week + pd.Timedelta(hours=2)))):
        (tmp_path / name).mkdir()
        mt5(part, tmp_path / name)  # written in EET, so that hours are added to what shall be read as UTC
    source = ReplaySource([tmp_path / "eet", tmp_path / "utc"], Reading(folder_clocks={tmp_path / "utc": "+04:00"}))
    assert source.span("EURUSD") == (minutes["ts"].iloc[0], minutes["ts"].iloc[-1] + week + pd.Timedelta(minutes=1))
    assert [file.clock for file in source.files] == ["EET", "+04:00"]


def test_a_clock_of_a_folder_does_not_replace_that_of_a_vendor(minutes: pd.DataFrame, tmp_path: Path) -> None:
    source = ReplaySource([binance(minutes, tmp_path)], Reading(folder_clocks={tmp_path: "EET"}))
    assert source.first_open("EURUSD") == minutes["ts"].iloc[0]


def test_clocks_of_folders_are_checked_when_they_are_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"data_clocks, {tmp_path}: unknown clock 'EETT'; give UTC, EET"):
        reading_of(Settings(data_clocks={str(tmp_path): "EETT"}))
    with pytest.raises(UsageError, match=r"data_clocks has the clock of .*absent, which is no folder; correct"):
        reading_of(Settings(data_clocks={str(tmp_path / "absent"): "EET"}))
