"""Bar files: reading, refusal of invalid files, and reading only the needed row groups."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from mikrobot.domain.errors import BarError, UnknownSymbol
from mikrobot.market.names import symbol_of
from mikrobot.market.reading import Reading
from mikrobot.market.replay import ReplaySource, read_bars

START = datetime(2025, 1, 6, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SHARED = Path(__file__).parents[4] / "shared/data"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the shared market data are not on this machine")


@pytest.fixture
def table(bars):
    """A hundred M1 bars in the shared schema, with spreads."""
    return bars(100, start=START).rename(columns={"open_time": "ts", "taker_volume": "taker_buy_volume"})


@pytest.fixture
def write(tmp_path, table):
    """Return a function that changes the table and writes it to a Parquet file."""

    def into(change=lambda table: table, name="EURUSD_M1.parquet", rows=None):
        path = tmp_path / name
        change(table.copy()).to_parquet(path, row_group_size=rows, index=False)
        return path

    return into


def text(tmp_path, name, lines):
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


def expected(table):
    return table.rename(columns={"ts": "open_time", "taker_buy_volume": "taker_volume"})


# Parquet


def test_a_parquet_file_is_read_unchanged(write, table):
    symbol, bars = read_bars(write())
    assert symbol == "EURUSD"
    assert_frame_equal(bars, expected(table))


def test_history_is_the_same_however_the_file_is_cut_into_row_groups(write, table):
    for rows in (7, 50, 100):
        source = ReplaySource([write(rows=rows)])
        for first, last in ((0, 100), (13, 14), (6, 8), (33, 92)):
            bars = source.history("EURUSD", START + first * MINUTE, START + last * MINUTE)
            assert_frame_equal(bars, expected(table).iloc[first:last].reset_index(drop=True))


def test_opening_and_reading_touch_only_the_row_groups_they_need(write, monkeypatch):
    read = []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda f, n, **k: read.append(n) or original(f, n, **k))
    source = ReplaySource([write(rows=10)])
    assert source.span("EURUSD") == (START, START + 100 * MINUTE)
    assert read == []
    source.history("EURUSD", START + 25 * MINUTE, START + 41 * MINUTE)
    assert read == [2, 3, 4]
    source.history("EURUSD", START + 41 * MINUTE, START + 45 * MINUTE)
    assert read == [2, 3, 4]


def test_a_file_without_statistics_is_read_as_well(tmp_path, table):
    path = tmp_path / "EURUSD_M1.parquet"
    table.to_parquet(path, row_group_size=30, write_statistics=False)
    assert ReplaySource([path]).span("EURUSD") == (START, START + 100 * MINUTE)
    assert_frame_equal(read_bars(path)[1], expected(table))


def test_volume_that_is_zero_everywhere_is_unknown(write):
    _, bars = read_bars(write(lambda t: t.assign(volume=0.0)))
    assert bars["volume"].isna().all()
    _, bars = read_bars(write(lambda t: t.assign(volume=[0.0] * 99 + [1.0], taker_buy_volume=0.0)))
    assert bars["volume"].tolist() == [0.0] * 99 + [1.0]


def test_missing_volumes_trades_and_spread_are_unknown(write):
    _, bars = read_bars(write(lambda t: t[["ts", "open", "high", "low", "close"]]))
    assert bars[["volume", "spread", "trades", "taker_volume"]].isna().all(axis=None)


def test_trades_may_be_whole_numbers_and_what_takers_bought_may_exceed_the_volume_by_rounding(write):
    rounded = {"volume": 0.3, "taker_buy_volume": 0.1 + 0.2}
    _, bars = read_bars(write(lambda t: t.assign(trades=t["trades"].astype("int32"), **rounded)))
    assert bars["trades"].tolist() == list(range(100))
    assert bars["taker_volume"].tolist() == [0.3] * 100


def test_spread_comes_from_the_ask_and_a_crossed_quote_is_unknown(write):
    def quote(t):
        return t.drop(columns="spread").assign(ask_close=t["close"] + np.where(t.index == 4, -1e-5, 2e-5))

    _, bars = read_bars(write(quote))
    assert np.isnan(bars["spread"][4])
    assert bars["spread"].drop(4).to_numpy() == pytest.approx(2e-5)


def set_cell(row, column, value):
    def change(t):
        t.loc[row, column] = value
        return t

    return change


def swap(a, b):
    def change(t):
        return t.iloc[[*range(a), b, *range(a + 1, b), a, *range(b + 1, len(t))]]

    return change


def repeat(row):
    return lambda t: pd.concat([t.iloc[: row + 1], t.iloc[row:]])


REFUSED = {
    "missing columns": (lambda t: t.drop(columns=["high", "ts"]), r"missing columns ts, high; .* found open, low"),
    "negative trades": (set_cell(3, "trades", -2.0), r"row 3: -2.0 trades at 2025-01-06 00:03:00 UTC"),
    "more bought than traded": (
        set_cell(5, "taker_buy_volume", 1e4),
        r"row 5: taker volume 10000.0 of volume \d+.0 at 2025-01-06 00:05:00 UTC; expected 0 to the volume",
    ),
    "empty": (lambda t: t.iloc[:0], "the file is empty"),
    "unsorted": (swap(50, 70), r"EURUSD_M1.parquet, row 51: time 2025-01-06 00:51:00 UTC comes after .*01:10.*sort"),
    "repeated": (repeat(42), r"row 43: time 2025-01-06 00:42:00 UTC appears twice; drop"),
    "high below low": (set_cell(17, "low", 9.0), r"row 17: high < low at 2025-01-06 00:17:00 UTC \(open .*low 9.0"),
    "open outside": (set_cell(3, "open", 9.0), r"row 3: open or close is outside low to high at 2025-01-06 00:03"),
    "close outside": (set_cell(3, "close", 0.1), r"row 3: open or close is outside"),
    "negative price": (set_cell(5, "low", -1.0), r"row 5: a price is not positive at 2025-01-06 00:05:00 UTC .*low -1"),
    "zero price": (set_cell(5, "low", 0.0), r"row 5: a price is not positive"),
    "infinite price": (set_cell(99, "high", np.inf), r"row 99: a price is missing or not finite"),
    "missing price": (set_cell(99, "high", np.nan), r"row 99: a price is missing or not finite .*high nan"),
    "negative volume": (set_cell(8, "volume", -2.0), r"row 8: volume -2.0 at"),
    "missing time": (set_cell(8, "ts", pd.NaT), r"row 8: the time is missing"),
    "no timezone": (lambda t: t.assign(ts=t["ts"].dt.tz_localize(None)), r"ts has no timezone.*tz_localize"),
    "local time": (lambda t: t.assign(ts=t["ts"].dt.tz_convert("Europe/Berlin")), r"local time, Europe/Berlin; .*tz_c"),
    "text times": (lambda t: t.assign(ts=t["ts"].astype(str)), r"ts is .*string.*; expected the open time as a timest"),
    "text prices": (lambda t: t.assign(low=t["low"].astype(str)), r"column low is .*string.*; expected float64"),
    "off the minute": (set_cell(7, "ts", START + timedelta(minutes=7, seconds=2)), r"row 7: .*00:07:02 UTC is not on"),
    "hourly": (
        lambda t: t.assign(ts=START + (t["ts"] - START) * 60),
        r"expected M1 bars, but most are 60 minutes apart, H1",
    ),
}


@pytest.mark.parametrize("rows", [None, 21], ids=["one row group", "several"])
@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_a_broken_file_is_refused_with_its_name_and_row(write, change, message, rows):
    path = write(change, rows=rows)
    with pytest.raises(BarError, match=message) as refused:
        read_bars(path)
    assert "EURUSD_M1.parquet" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("rows", [None, 21], ids=["one row group", "several"])
def test_a_volume_in_half_floats_is_read(write, rows):
    _, bars = read_bars(write(lambda t: t.assign(volume=t["volume"].astype("float16")), rows=rows))
    _, plain = read_bars(write(rows=rows))
    np.testing.assert_allclose(bars["volume"], plain["volume"], rtol=1e-3)


def test_a_bad_row_outside_the_span_that_is_used_does_not_matter(write):
    source = ReplaySource([write(set_cell(17, "low", 9.0))])
    assert len(source.history("EURUSD", START + 18 * MINUTE, START + 30 * MINUTE)) == 12
    with pytest.raises(BarError, match="row 17"):
        source.history("EURUSD", START + 17 * MINUTE, START + 30 * MINUTE)


def test_a_file_that_is_not_parquet_is_refused(tmp_path):
    path = text(tmp_path, "EURUSD_M1.parquet", ["ts,open,high,low,close"])
    with pytest.raises(BarError, match=r"EURUSD_M1.parquet: not a readable Parquet file .*export it again"):
        ReplaySource([path])


def test_a_truncated_parquet_file_is_refused(write):
    path = write()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BarError, match="not a readable Parquet file"):
        ReplaySource([path])


def test_a_page_that_rotted_is_refused_when_it_is_read(write):
    path = write()
    content = bytearray(path.read_bytes())
    content[100:400] = bytes(300)
    path.write_bytes(content)
    with pytest.raises(BarError, match="not a readable Parquet file"):
        read_bars(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop(columns="high"),
        lambda table: table.iloc[:40],
        lambda table: table.astype({"close": "float32"}),
    ],
    ids=["another column", "fewer rows", "another type"],
)
def test_a_file_that_is_replaced_while_it_is_read_is_refused(write, change):
    source = ReplaySource([write()])
    write(change)
    with pytest.raises(BarError, match=r"EURUSD_M1.parquet: was changed while it was read; run the command again"):
        source.history("EURUSD", START, START + timedelta(days=1))


# Paths and names


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(BarError, match=r"none.parquet: no such file or folder"):
        ReplaySource([tmp_path / "none.parquet"])


def test_a_folder_gives_all_its_bar_files_and_each_once(write, tmp_path):
    euro, pound = write(), write(name="GBPUSD_M1.parquet")
    text(tmp_path, "notes.txt", ["not bars"])
    assert ReplaySource([tmp_path, euro, pound]).symbols() == ("EURUSD", "GBPUSD")


def test_a_folder_without_bar_files_is_refused(tmp_path):
    with pytest.raises(BarError, match="no bar file in this folder"):
        ReplaySource([tmp_path])


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("EURUSD_M1.parquet", "EURUSD"),
        ("eurusd_m1_tickvol_2020.parquet", "EURUSD"),
        ("DAT_ASCII_EURUSD_M1_201901.csv", "EURUSD"),
        ("EURUSD_M1_201801020000_202606050900.csv", "EURUSD"),
        ("FILUSDT_PERP_M1_with_trades_2023.parquet", "FILUSDT"),
        ("USDJPY.a-M1.csv", "USDJPY"),
    ],
)
def test_the_symbol_is_in_the_file_name(name, symbol):
    assert symbol_of(Path(name)) == symbol


def test_a_name_without_a_known_symbol_is_refused(write):
    with pytest.raises(UnknownSymbol, match=r"bars_M1.parquet: no symbol in the file name; name it like EURUSD"):
        ReplaySource([write(name="bars_M1.parquet")])


@pytest.mark.parametrize("name", ["EURUSD_30d.parquet", "EURUSD_24h_2020_H1.parquet", "EURUSD_H1.parquet"])
def test_the_content_decides_the_timeframe_and_not_the_name(write, name):
    assert ReplaySource([write(name=name)]).symbols() == ("EURUSD",)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("EURUSD.m_M1.csv", "EURUSD"),
        ("EURUSDm.csv", "EURUSD"),
        ("#EURUSD.csv", "EURUSD"),
        ("EUR_USD_2020.csv", "EURUSD"),
        ("BTC_USDT-1m.feather", "BTCUSDT"),
        ("BTCUSDT_UMCBL.csv", "BTCUSDT"),
    ],
)
def test_suffixes_and_prefixes_of_brokers_and_exchanges_are_understood(name, symbol):
    assert symbol_of(Path(name)) == symbol


def test_another_instrument_whose_name_begins_alike_is_not_taken_for_it():
    assert symbol_of(Path("EURUSDT_M1.parquet")) == "EURUSDT"


def test_two_symbols_in_a_name_are_refused():
    with pytest.raises(BarError, match="its name has the symbols BTCUSDT and ETHUSDT"):
        symbol_of(Path("BTCUSDT_ETHUSDT_M1.parquet"))


def test_a_column_of_symbols_names_the_file_and_must_agree_with_its_name(write):
    path = write(lambda t: t.assign(symbol="EUR/USD"), "bars.parquet")
    assert ReplaySource([path]).symbols() == ("EURUSD",)
    with pytest.raises(BarError, match="its column symbol has GBPUSD, but the file is for EURUSD"):
        ReplaySource([write(lambda t: t.assign(symbol="GBPUSD"))])
    with pytest.raises(BarError, match="row 50: column symbol has GBPUSD after EURUSD"):
        ReplaySource([write(lambda t: t.assign(symbol=["EURUSD"] * 50 + ["GBPUSD"] * 50))])


def test_the_symbol_can_be_given(write):
    path = write(name="bars.parquet")
    assert ReplaySource([path], Reading(symbol="GBPUSD")).symbols() == ("GBPUSD",)


def test_files_that_follow_each_other_are_one_history(write, table):
    late = write(lambda t: t.iloc[60:], "EURUSD_M1_b.parquet")
    early = write(lambda t: t.iloc[:60], "EURUSD_M1_a.parquet")
    source = ReplaySource([late, early])
    assert source.span("EURUSD") == (START, START + 100 * MINUTE)
    assert_frame_equal(source.history("EURUSD", START, START + 99 * MINUTE), expected(table).iloc[:99])


def test_files_that_overlap_are_refused(write):
    one, two = write(), write(lambda t: t.iloc[80:], "EURUSD_M1_again.parquet")
    with pytest.raises(
        BarError, match=r"both have EURUSD from 2025-01-06 01:20 to 2025-01-06 01:39 UTC; give only one"
    ):
        ReplaySource([one, two])


# MetaTrader 5

MT5_HEADER = "\t".join(
    f"<{name}>" for name in ("DATE", "TIME", "OPEN", "HIGH", "LOW", "CLOSE", "TICKVOL", "VOL", "SPREAD")
)


def mt5_lines(first, minutes, zone):
    times = pd.date_range(first, periods=minutes, freq="min", tz="UTC").tz_convert(zone)
    prices = "1.10000\t1.10020\t1.09990\t1.10010"
    return [MT5_HEADER, *(f"{t:%Y.%m.%d}\t{t:%H:%M:%S}\t{prices}\t{i + 1}\t0\t{i % 9}" for i, t in enumerate(times))]


@pytest.mark.parametrize("first", ["2025-01-06 08:00", "2025-07-07 08:00"])
def test_an_mt5_export_is_converted_from_server_time(tmp_path, first):
    path = text(tmp_path, "EURUSD_M1_20250106.csv", mt5_lines(first, 30, "Europe/Athens"))
    symbol, bars = read_bars(path)
    assert symbol == "EURUSD"
    assert list(bars["open_time"]) == list(pd.date_range(first, periods=30, freq="min", tz="UTC"))
    values = bars.iloc[3].drop("open_time")
    assert values[:6].tolist() == pytest.approx([1.1, 1.1002, 1.0999, 1.1001, 4, 0.00003])
    assert values[["trades", "taker_volume"]].isna().all()


def test_a_server_that_changes_on_new_york_dates_is_recognised_by_the_closed_weekend(tmp_path):
    last_hours = pd.Timestamp("2025-03-14 20:30", tz="UTC")  # Friday; summer in New York, winter in Athens
    local = last_hours.tz_convert("America/New_York").tz_localize(None) + pd.Timedelta(hours=7)
    path = text(tmp_path, "EURUSD_M1.csv", mt5_lines(local, 30, "UTC"))
    assert read_bars(path)[1]["open_time"].iloc[0] == last_hours


def test_a_server_in_another_zone_is_refused(tmp_path):
    path = text(tmp_path, "EURUSD_M1.csv", mt5_lines("2025-01-05 22:00", 90, "UTC"))
    with pytest.raises(BarError, match=r"EURUSD_M1.csv: .* it has bars of the weekend; name its clock with --clock"):
        read_bars(path)
    assert read_bars(path, Reading(clock="UTC"))[1]["open_time"].iloc[0] == pd.Timestamp("2025-01-05 22:00", tz="UTC")


def test_dates_on_which_the_usual_servers_differ_need_the_clock(tmp_path):
    path = text(tmp_path, "EURUSD_M1.csv", mt5_lines("2025-03-13 08:00", 30, "Europe/Athens"))
    with pytest.raises(BarError, match=r"EET and NY\+7 differ on these dates; name its clock with --clock"):
        read_bars(path)
    assert read_bars(path, Reading(clock="eet"))[1]["open_time"].iloc[0] == pd.Timestamp("2025-03-13 08:00", tz="UTC")


def test_a_clock_that_is_assumed_is_noted(tmp_path):
    path = text(tmp_path, "EURUSD_M1.csv", mt5_lines("2025-01-07 08:00", 30, "Europe/Athens"))
    (note,) = ReplaySource([path]).notes
    assert "read in EET" in note
    assert "--clock" in note
    assert ReplaySource([path], Reading(clock="EET")).notes == []


def test_crypto_of_a_server_needs_the_clock(tmp_path):
    path = text(tmp_path, "BTCUSDT_M1.csv", mt5_lines("2025-01-07 08:00", 30, "Europe/Athens"))
    with pytest.raises(BarError, match="nothing shows the clock of a market that never closes; name its clock"):
        read_bars(path)


def test_mt5_lines_that_break_the_schema_are_refused_with_their_number(tmp_path):
    lines = mt5_lines("2025-01-06 08:00", 30, "Europe/Athens")
    crossed = [*lines[:10], lines[10].replace("1.10020", "1.00000"), *lines[11:]]
    with pytest.raises(BarError, match=r"EURUSD_M1.csv, line 11: high < low"):
        read_bars(text(tmp_path, "EURUSD_M1.csv", crossed))
    with pytest.raises(BarError, match=r"EURUSD_M1.csv, line 6: time .* appears twice"):
        read_bars(text(tmp_path, "EURUSD_M1.csv", [*lines[:5], *lines[4:]]))
    with pytest.raises(BarError, match=r"EURUSD_M1.csv, line 6: time '2025-01-06 10:04:00'; expected the form"):
        read_bars(text(tmp_path, "EURUSD_M1.csv", [*lines[:5], lines[5].replace("2025.01.06", "2025-01-06")]))
    with pytest.raises(BarError, match=r"EURUSD_M1.csv, line 6: high is 'many'; expected a number"):
        read_bars(text(tmp_path, "EURUSD_M1.csv", [*lines[:5], lines[5].replace("1.10020", "many")]))
    with pytest.raises(BarError, match=r"EURUSD_M1.csv: the file has no bar"):
        read_bars(text(tmp_path, "EURUSD_M1.csv", lines[:1]))
    with pytest.raises(BarError, match=r"line 6: a second header, its bars go on in line 7"):
        read_bars(text(tmp_path, "EURUSD_M1.csv", [*lines[:5], lines[0], *lines[5:]]))
    with pytest.raises(BarError, match=r"line 9: high < low"):
        read_bars(text(tmp_path, "EURUSD_M1.csv", [*lines[:3], "", "", *lines[3:6], crossed[10], *lines[11:]]))
    with pytest.raises(BarError, match=r"line 2: open is '1,10000'; a decimal comma"):
        read_bars(text(tmp_path, "EURUSD_M1.csv", [line.replace("1.1", "1,1") for line in lines]))


def test_hourly_mt5_bars_are_refused(tmp_path):
    lines = mt5_lines("2025-01-06 08:00", 200, "Europe/Athens")
    with pytest.raises(BarError, match=r"expected M1 bars, but most are 60 minutes apart, H1"):
        read_bars(text(tmp_path, "EURUSD.csv", [lines[0], *lines[1::60]]))


@needs_shared
def test_server_time_of_a_real_export_agrees_with_other_quotes_of_that_hour(monkeypatch):
    from mikrobot.market import conversion

    monkeypatch.setattr(conversion, "check_timeframe", lambda *_: None)  # the real export at hand is hourly
    _, hourly = read_bars(SHARED / "payloads/mt5_export_EURUSD_H1_2018.csv")
    source = ReplaySource([SHARED / "fx/EURUSD_M1.parquet"])
    minutes = source.history("EURUSD", datetime(2018, 1, 2, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC))
    closes = minutes.groupby(minutes["open_time"].dt.floor("h"))["close"].last()
    both = pd.concat([closes, hourly.set_index("open_time")["close"]], axis=1).dropna().pct_change().dropna()
    assert len(both) > 6000
    assert both.corr().iloc[0, 1] > 0.99


# HistData


def histdata_lines(times, offset):
    local = times.tz_localize(None) + pd.Timedelta(hours=offset)
    return [f"{t:%Y%m%d %H%M%S};1.1;1.1002;1.0999;1.{1000 + i % 3};0" for i, t in enumerate(local)]


@pytest.mark.parametrize(
    ("first", "offset"),
    [
        ("2018-01-03 12:00", -5),
        ("2018-03-14 12:00", -4),  # 2018: New York's own summer time
        ("2018-10-31 12:00", -4),
        ("2019-03-13 12:00", -5),  # 2019: the European dates
        ("2019-04-01 12:00", -4),
        ("2019-10-30 12:00", -5),
    ],
)
def test_histdata_is_converted_by_the_clock_of_its_year(tmp_path, first, offset):
    times = pd.date_range(first, periods=20, freq="min", tz="UTC")
    path = text(tmp_path, "DAT_ASCII_EURUSD_M1_2019.csv", histdata_lines(times, offset))
    symbol, bars = read_bars(path)
    assert symbol == "EURUSD"
    assert list(bars["open_time"]) == list(times)
    assert bars[["volume", "spread", "trades", "taker_volume"]].isna().all(axis=None)


def test_the_hour_that_histdata_repeats_in_october_is_dropped_once(tmp_path):
    times = pd.date_range("2019-10-27 23:00", periods=180, freq="min", tz="UTC")
    lines = histdata_lines(times, -5)
    repeated = [*lines[:120], *lines[60:120], *lines[120:]]
    _, bars = read_bars(text(tmp_path, "DAT_ASCII_EURUSD_M1_2019.csv", repeated))
    assert list(bars["open_time"]) == list(times)
    changed = [*lines[:120], *(line.replace(";1.1;", ";1.1001;") for line in lines[60:120]), *lines[120:]]
    with pytest.raises(BarError, match=r"line 121: time 2019-10-28 00:00:00 UTC comes after"):
        read_bars(text(tmp_path, "DAT_ASCII_EURUSD_M1_2019.csv", changed))


def test_a_repeat_on_any_other_day_is_refused(tmp_path):
    lines = histdata_lines(pd.date_range("2019-10-22 12:00", periods=9, freq="min", tz="UTC"), -4)
    with pytest.raises(BarError, match=r"line 6: time 2019-10-22 12:04:00 UTC appears twice"):
        read_bars(text(tmp_path, "DAT_ASCII_EURUSD_M1_2019.csv", [*lines[:5], *lines[4:]]))


def test_an_hour_that_new_york_has_twice_is_refused(tmp_path):
    lines = ["20181104 013000;1.1;1.1;1.1;1.1;0"]
    with pytest.raises(BarError, match=r"line 1: the hour exists twice or not at all"):
        read_bars(text(tmp_path, "DAT_ASCII_EURUSD_M1_2018.csv", lines))


def test_text_of_another_kind_is_refused(tmp_path):
    path = text(tmp_path, "EURUSD_M1.csv", ["time,open,high,low,close", "2025-01-01,1,1,1,1"])
    with pytest.raises(
        BarError, match=r"line 2: its times have no offset from UTC; .* or name their clock with --clock"
    ):
        read_bars(path)
    path = text(tmp_path, "EURUSD_M1.csv", ["when,first,last", "2025-01-01,1,1"])
    with pytest.raises(
        BarError, match=r"no known format of bars: it begins with 'when,first,last'; save it as Parquet"
    ):
        read_bars(path)


def test_an_empty_text_file_is_refused(tmp_path):
    with pytest.raises(BarError, match="the file is empty"):
        read_bars(text(tmp_path, "EURUSD_M1.csv", [""]))


# Real files


@needs_shared
def test_every_real_bar_file_is_read_whole():
    with_volume = ("BTCUSDT_M1", "ETHUSDT_M1", "FILUSDT_PERP_M1_with_trades_2023", "EURUSD_M1_tickvol_2020")
    for path in sorted([*SHARED.glob("fx/*.parquet"), *SHARED.glob("crypto/*.parquet")]):
        _, bars = read_bars(path)
        assert len(bars) == pq.read_metadata(path).num_rows
        assert bars["volume"].notna().all() == (path.stem in with_volume)
        assert bars["spread"].notna().any() == ("bidask" in path.stem)
        assert bars["trades"].notna().all() == bars["taker_volume"].notna().all() == ("with_trades" in path.stem)


@needs_shared
def test_the_last_months_of_a_long_real_file_equal_a_plain_read():
    path = SHARED / "fx/EURUSD_M1.parquet"
    source = ReplaySource([path])
    _, last = source.span("EURUSD")
    start = last - timedelta(days=120)
    plain = pd.read_parquet(path).query("ts >= @start").reset_index(drop=True)
    bars = source.history("EURUSD", start, last)
    assert (bars["open_time"] == plain["ts"]).all()
    assert (bars[["open", "high", "low", "close"]] == plain[["open", "high", "low", "close"]]).all(axis=None)
