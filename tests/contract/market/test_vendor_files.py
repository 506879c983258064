"""Vendors' files that could be read with other units, another symbol or clock: each is read right or refused."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import BarError
from mikrobot.market.bar_files import bar_files
from mikrobot.market.formats.registry import FORMATS, SHARED_PARQUET, TICK_FORMATS
from mikrobot.market.reading import Reading
from mikrobot.market.replay import ReplaySource, read_bars

MT5 = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
KLINES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
FIRST = pd.Timestamp("2025-01-07 10:00", tz="UTC")
TIMES = pd.date_range(FIRST, periods=30, freq="min")
PRICES = "1.0800,1.0810,1.0790,1.0805"


def text(path: Path, header: str, form: str, times: pd.DatetimeIndex = TIMES) -> Path:
    """Write a line for each time; `form` may have {iso}, {s}, {ms}, {day} and {clock}."""
    body = [
        form.format(
            iso=time.isoformat(), s=int(time.timestamp()), ms=int(time.timestamp() * 1000), time=time, prices=PRICES
        )
        for time in times
    ]
    path.write_text("\n".join((header, *body)) + "\n")
    return path


def refuses(path: Path, message: str, reading: Reading | None = None) -> None:
    with pytest.raises(BarError, match=message):
        read_bars(path, reading)


@pytest.mark.parametrize(
    ("symbol", "price", "points", "spread"),
    [
        ("US30", "38000.5", 25, 2.5),
        ("JP225", "36000", 8, 8.0),
        ("BTCUSDT", "93576.1", 180, 18.0),
        ("XAUUSD", "2030.15", 20, 0.20),
        ("USDJPY", "148.123", 9, 0.009),
        ("EURUSD", "1.42051", 8, 0.00008),
    ],
)
def test_points_are_counted_by_the_decimals_of_the_prices(
    symbol: str, price: str, points: int, spread: float, tmp_path: Path
) -> None:
    form = "{time:%Y.%m.%d}\t{time:%H:%M:%S}\t" + "\t".join([price] * 4) + f"\t5\t0\t{points}"
    _, bars = read_bars(text(tmp_path / f"{symbol}_M1.csv", MT5, form), Reading(clock="UTC"))
    np.testing.assert_allclose(bars["spread"], spread, rtol=1e-9)


@pytest.mark.parametrize(
    ("symbol", "price", "spread"),
    [("XAUUSD", 2650.25, 20.0), ("USDJPY", 150.123, 0.8), ("USDJPY", 150.123, 1.0), ("US30", 38000.1, 21.0)],
)
def test_a_spread_in_points_or_pips_is_refused_though_it_is_small(
    symbol: str, price: float, spread: float, tmp_path: Path
) -> None:
    form = "{iso}," + ",".join([str(price)] * 4) + f",{spread:g}"
    path = text(tmp_path / f"{symbol}.csv", "ts,open,high,low,close,spread", form)
    refuses(path, rf"the median spread is {spread:g} at .*, \d+ times the usual .*, so it is not in price units; multi")
    frame = pd.read_csv(path).assign(ts=TIMES)
    frame.to_parquet(tmp_path / f"{symbol}.parquet")
    refuses(tmp_path / f"{symbol}.parquet", r"so it is not in price units; multiply points by the last decimal")


def test_a_spread_of_a_bad_hour_is_kept(tmp_path: Path) -> None:
    form = "{iso},2650.25,2650.25,2650.25,2650.25,0.95"
    _, bars = read_bars(text(tmp_path / "XAUUSD.csv", "ts,open,high,low,close,spread", form))
    assert bars["spread"].median() == 0.95


def test_a_few_bars_with_a_wide_or_negative_spread_are_kept(tmp_path: Path) -> None:
    """A live replay reads a table bar by bar."""
    spread = np.full(len(TIMES), 0.2)
    spread[:2] = -0.1, 15.0
    frame = pd.DataFrame({"ts": TIMES, "open": 2030.15, "high": 2030.15, "low": 2030.15, "close": 2030.15})
    frame.assign(spread=spread).to_parquet(tmp_path / "XAUUSD.parquet")
    source = ReplaySource([tmp_path / "XAUUSD.parquet"])
    minute = pd.Timedelta(minutes=1)
    answers = [source.history("XAUUSD", time, time + minute)["spread"].iloc[0] for time in TIMES[:3]]
    np.testing.assert_equal(answers, [np.nan, 15.0, 0.2])


def test_a_wide_spread_of_a_server_is_kept(tmp_path: Path) -> None:
    """In the first minutes of a week."""
    form = "{time:%Y.%m.%d}\t{time:%H:%M:%S}\t" + "\t".join(["1.42051"] * 4) + "\t5\t0\t450"
    _, bars = read_bars(text(tmp_path / "EURUSD_M1.csv", MT5, form), Reading(clock="UTC"))
    np.testing.assert_allclose(bars["spread"], 0.0045, rtol=1e-9)


def test_bid_and_ask_that_are_exchanged_are_refused(tmp_path: Path) -> None:
    path = text(tmp_path / "EURUSD.csv", "ts,bid,ask", "{iso},1.08008,1.08000")
    refuses(path, "the median spread is -8e-05, so bid and ask are exchanged", Reading(ticks=True))


SYMBOLS = {
    "ccxt": ("timestamp,open,high,low,close,volume,symbol", "{ms},{prices},7,SYMBOL"),
    "copy_rates": ("time,open,high,low,close,tick_volume,spread,real_volume,symbol", "{s},{prices},7,8,0,SYMBOL"),
    "tradingview": ("time,symbol,open,high,low,close,Volume", "{s},SYMBOL,{prices},7"),
    "kaggle": ("datetime,ticker,open,high,low,close,volume", "{iso},SYMBOL,{prices},7"),
    "csv": ("ts,pair,open,high,low,close,volume", "{iso},SYMBOL,{prices},7"),
    "dukascopy": ("Gmt time,Open,High,Low,Close,Volume,Symbol", "{time:%d.%m.%Y %H:%M:%S}.000,{prices},7,SYMBOL"),
}


@pytest.mark.parametrize("name", sorted(SYMBOLS))
def test_a_column_with_the_symbol_is_compared_in_every_format(name: str, tmp_path: Path) -> None:
    header, form = SYMBOLS[name]
    utc = Reading(clock="UTC")
    good = text(tmp_path / "EURUSD.csv", header, form.replace("SYMBOL", "EUR/USD"))
    assert read_bars(good, utc)[0] == "EURUSD"
    other = text(tmp_path / "EURUSD_M1.csv", header, form.replace("SYMBOL", "GBPUSD"))
    refuses(other, "its column symbol has GBPUSD, but the file is for EURUSD", utc)
    lines = good.read_text().splitlines()
    both = tmp_path / "EURUSD_2.csv"
    both.write_text("\n".join([*lines[:16], *(line.replace("EUR/USD", "GBP/USD") for line in lines[16:])]))
    refuses(both, r"EURUSD_2.csv, line 17: column \w+ has GBP/USD after EUR/USD; give a file for each symbol", utc)


def test_a_table_of_freqtrade_with_two_symbols_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"date": TIMES, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 5.0})
    frame.assign(pair=["EUR/USD"] * 15 + ["GBP/USD"] * 15).to_feather(tmp_path / "EUR_USD-1m.feather")
    refuses(tmp_path / "EUR_USD-1m.feather", "row 15: column pair has GBP/USD after EUR/USD")


@pytest.mark.parametrize("name", ["pair", "symbol", "ticker"])
def test_a_table_of_the_shared_schema_with_two_symbols_is_refused(name: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"ts": TIMES, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0})
    frame.assign(**{name: ["EURUSD"] * 15 + ["GBPUSD"] * 15}).to_parquet(tmp_path / "EURUSD.parquet")
    refuses(tmp_path / "EURUSD.parquet", f"row 15: column {name} has GBPUSD after EURUSD")


def test_tickers_above_the_prices_of_yfinance_are_compared(tmp_path: Path) -> None:
    def stacked(name: str, *tickers: str) -> Path:
        columns = [column for column in ("Close", "High", "Low", "Open") for _ in tickers]
        head = [["Price", *columns], ["Ticker", *tickers * 4], ["Datetime", *[""] * len(columns)]]
        prices = ",".join(price for price in ("1.0805", "1.0810", "1.0790", "1.0800") for _ in tickers)
        return text(tmp_path / name, "\n".join(",".join(row) for row in head), "{time}," + prices)

    assert read_bars(stacked("EURUSD=X.csv", "EURUSD=X"))[0] == "EURUSD"
    assert read_bars(stacked("prices.csv", "EURUSD=X"))[0] == "EURUSD"
    assert read_bars(stacked("XAUUSD.csv", "GC=F"))[0] == "XAUUSD"
    refuses(stacked("EURUSD_b.csv", "GBPUSD=X"), "its column symbol has GBPUSD=X, but the file is for EURUSD")
    refuses(stacked("EURUSD_c.csv", "EURUSD=X", "GBPUSD=X"), "has bars of EURUSD=X and GBPUSD=X; give a file for each")


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("ts,open,high,low,close,close", "{iso},{prices},1.2"),
        ("timestamp,open,high,low,close,volume,close", "{ms},{prices},7,1.2"),
        ("time,open,high,low,close,tick_volume,close", "{s},{prices},7,1.2"),
        ("time,open,high,low,close,Volume,close", "{s},{prices},7,1.2"),
        ("Gmt time,Open,High,Low,Close,Close", "{time:%d.%m.%Y %H:%M:%S}.000,{prices},1.2"),
    ],
)
def test_a_price_that_is_there_twice_is_refused(header: str, form: str, tmp_path: Path) -> None:
    path = text(tmp_path / "EURUSD.csv", header, form)
    refuses(path, "several columns are named close; keep one of them", Reading(clock="UTC"))


def test_times_without_a_timezone_in_a_table_are_not_taken_for_utc(tmp_path: Path) -> None:
    path = tmp_path / "EURUSD.feather"
    frame = pd.DataFrame({"date": TIMES.tz_localize(None), "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0})
    frame.to_feather(path)
    refuses(path, "row 0: its times have no offset from UTC; .* or name their clock with --clock")
    assert read_bars(path, Reading(clock="EET"))[1]["open_time"].iloc[0] == FIRST - pd.Timedelta(hours=2)


@pytest.mark.parametrize("clock", [None, "EET"])
def test_an_offset_of_hours_is_one(clock: str | None, tmp_path: Path) -> None:
    path = text(tmp_path / "EURUSD.csv", "ts,open,high,low,close", "{time:%Y-%m-%d %H:%M:%S}+02,{prices}")
    assert read_bars(path, Reading(clock=clock))[1]["open_time"].iloc[0] == FIRST - pd.Timedelta(hours=2)


@pytest.mark.parametrize(("contract", "price"), [(100, 93_576.1), (10, 3.3)])
def test_contracts_of_futures_with_a_margin_in_coins_become_base_units(
    contract: int, price: float, tmp_path: Path
) -> None:
    base = 420 * contract / price
    form = f"{{ms}},{price},{price},{price},{price},420,{{ms}},{base:.8f},33,210,{base / 2:.8f},0"
    _, bars = read_bars(text(tmp_path / "BTCUSD_PERP-1m-2025-01.csv", KLINES, form))
    np.testing.assert_allclose(bars["volume"], base, rtol=1e-6)
    np.testing.assert_allclose(bars["taker_volume"], base / 2, rtol=1e-6)


def test_amounts_of_others_are_kept(tmp_path: Path) -> None:
    form = "{ms},3.2,3.2,3.2,3.2,420,{ms},1344.0,33,210,672.0,0"
    _, bars = read_bars(text(tmp_path / "DOTUSDT-1m-2025-01.csv", KLINES, form))
    assert (bars["volume"].iloc[0], bars["taker_volume"].iloc[0]) == (420, 210)


def test_aggregate_trades_in_contracts_are_refused(tmp_path: Path) -> None:
    header = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
    path = text(tmp_path / "BTCUSD_PERP-aggTrades-2025-01-07.csv", header, "7,93576.1,420,7,7,{ms},true")
    refuses(path, "amounts in contracts, .* give the trades with base_qty, or the klines", Reading(ticks=True))


def test_contracts_of_bybit_are_read_by_their_base_units(tmp_path: Path) -> None:
    header = "timestamp,symbol,side,size,price,grossValue,homeNotional,foreignNotional"
    path = text(tmp_path / "BTCUSD2025-01-07.csv", header, "{s}.25,BTCUSD,Buy,21000,42000.0,1,0.5,21000")
    assert read_bars(path, Reading(ticks=True))[1]["volume"].tolist() == [0.5] * len(TIMES)


@pytest.mark.parametrize("volumes", ["Volume USD,Volume BTC", "Volume BTC,Volume USD"])
def test_the_volume_in_the_coin_is_taken_wherever_it_stands(volumes: str, tmp_path: Path) -> None:
    amounts = ",".join("2" if name.endswith("BTC") else "187152" for name in volumes.split(","))
    head = f"https://www.CryptoDataDownload.com\nUnix,Date,Symbol,Open,High,Low,Close,{volumes}"
    path = text(tmp_path / "Bitfinex_BTCUSD_minute.csv", head, "{ms},{time:%Y-%m-%d},BTC/USD,9,9,9,9," + amounts)
    assert read_bars(path)[1]["volume"].tolist() == [2.0] * len(TIMES)


def test_volumes_of_a_coin_in_no_unit_that_is_known_are_unknown(tmp_path: Path) -> None:
    form = "{time:%d.%m.%Y %H:%M:%S}.000,{prices},0.0012"
    header = "Gmt time,Open,High,Low,Close,Volume"
    assert read_bars(text(tmp_path / "BTCUSDT_BID.csv", header, form))[1]["volume"].isna().all()
    assert read_bars(text(tmp_path / "EURUSD_BID.csv", header, form))[1]["volume"].iloc[0] == 0.0012


def test_bars_that_fill_a_weekend_are_left_out_with_a_warning(tmp_path: Path) -> None:
    """Dukascopy's export has them unless flats are filtered."""
    times = pd.date_range("2025-01-03 21:00", "2025-01-05 23:00", freq="min", inclusive="left", tz="UTC")
    is_open = (times < pd.Timestamp("2025-01-03 22:00", tz="UTC")) | (
        times >= pd.Timestamp("2025-01-05 22:00", tz="UTC")
    )
    path = tmp_path / "EURUSD_Candlestick_1_M_BID_03.01.2025-05.01.2025.csv"
    body = [
        f"{time:%d.%m.%Y %H:%M:%S}.000," + (f"{PRICES},120.5" if traded else "1.0805,1.0805,1.0805,1.0805,0")
        for time, traded in zip(times, is_open, strict=True)
    ]
    path.write_text("\n".join(("Gmt time,Open,High,Low,Close,Volume", *body)))
    source = ReplaySource([path])
    assert list(source.history("EURUSD", *source.span("EURUSD"))["open_time"]) == list(times[is_open])
    assert source.notes == [f"{path.name}, line 62: 2,880 flat bars without volume of a closed market left out"]


def test_flat_bars_of_an_open_market_are_kept(tmp_path: Path) -> None:
    header = "Gmt time,Open,High,Low,Close,Volume"
    form = "{time:%d.%m.%Y %H:%M:%S}.000,1.08,1.08,1.08,1.08,0"
    assert len(read_bars(text(tmp_path / "EURUSD_BID.csv", header, form))[1]) == len(TIMES)


def test_the_layout_of_metatrader_without_volumes_is_of_no_vendor(tmp_path: Path) -> None:
    form = "{time:%Y.%m.%d},{time:%H:%M},{prices},0"
    times = TIMES + pd.Timedelta(hours=2)
    header = form.format(time=times[0] - pd.Timedelta(minutes=1), prices=PRICES)
    source = ReplaySource([text(tmp_path / "EURUSD1.csv", header, form, times)])
    assert source.first_open("EURUSD") == FIRST - pd.Timedelta(minutes=1)
    assert "give --clock if its server has another" in source.notes[0]


def test_hidden_files_of_a_folder_are_no_bars(tmp_path: Path) -> None:
    path = text(tmp_path / "EURUSD.csv", "ts,open,high,low,close", "{iso},{prices}")
    (tmp_path / "._EURUSD.csv").write_bytes(b"\x00\x05\x16\x07\x00")  # as macOS leaves them on other disks
    assert bar_files(tmp_path) == [path]


def test_tables_in_archives_are_read_or_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"date": TIMES, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0})
    for name, column in (("freqtrade", "date"), ("shared", "ts")):
        frame.rename(columns={"date": column}).to_parquet(tmp_path / f"{name}.parquet")
        with zipfile.ZipFile(tmp_path / f"EURUSD_{name}.zip", "w") as archive:
            archive.write(tmp_path / f"{name}.parquet", "EURUSD.parquet")
    assert len(read_bars(tmp_path / "EURUSD_freqtrade.zip")[1]) == len(TIMES)
    refuses(tmp_path / "EURUSD_shared.zip", "a Parquet file of the shared schema in an archive; unpack it")


def test_bars_of_the_rest_interface_are_read_as_json(tmp_path: Path) -> None:
    rows = [[int(t.timestamp() * 1000), "9.1", "9.3", "9.0", "9.2", "7", 0, "64", 3, "1", "9", "0"] for t in TIMES]
    path = tmp_path / "BTCUSDT.json"
    path.write_text(json.dumps(rows))
    assert read_bars(path)[1]["volume"].tolist() == [7.0] * len(TIMES)


def test_a_message_names_the_file_and_one_line(tmp_path: Path) -> None:
    path = text(tmp_path / "EURUSD.csv", "ts,open,high,low,close", "{iso},{prices}")
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
    refuses(
        path, "^" + re.escape("EURUSD.csv, line 32: time 2025-01-07 10:29:00 UTC appears twice; drop one row") + "$"
    )


def test_bars_of_the_ask_are_read_with_a_warning(tmp_path: Path) -> None:
    header, form = "Gmt time,Open,High,Low,Close,Volume", "{time:%d.%m.%Y %H:%M:%S}.000,{prices},7"
    for side, warned in (("ASK", True), ("BID", False)):
        source = ReplaySource([text(tmp_path / f"EURUSD_Candlestick_1_M_{side}_01.01.2025.csv", header, form)])
        assert any("bars of the ask by its name" in note for note in source.notes) is warned


def test_a_column_timestamp_may_have_times_with_an_offset(tmp_path: Path) -> None:
    header = "timestamp,open,high,low,close,volume"
    path = text(tmp_path / "BTCUSDT.csv", header, "{time:%Y-%m-%d %H:%M:%S}+00:00,{prices},7")
    assert read_bars(path)[1]["open_time"].iloc[0] == FIRST
    refuses(text(path, header, "{time:%Y-%m-%d %H:%M:%S},{prices},7"), "line 2: its times have no offset from UTC")


def test_the_name_in_an_archive_is_compared_with_that_of_the_archive(tmp_path: Path) -> None:
    klines = text(tmp_path / "ETHUSDT-1m-2025-01.csv", KLINES, "{ms},9,9,9,9,420,{ms},3780,33,210,1890,0")
    for name in ("klines.zip", "ETHUSDT.zip", "BTCUSDT.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.write(klines, klines.name)
    assert read_bars(tmp_path / "klines.zip")[0] == read_bars(tmp_path / "ETHUSDT.zip")[0] == "ETHUSDT"
    refuses(tmp_path / "BTCUSDT.zip", r"the file in it is ETHUSDT-1m-2025-01.csv, but it is named for BTCUSDT; rename")
    assert read_bars(tmp_path / "BTCUSDT.zip", Reading(symbol="BTCUSDT"))[0] == "BTCUSDT"


NAMED = sorted(set(FORMATS) | set(TICK_FORMATS) | {SHARED_PARQUET.name})
OTHERS = {
    "EURUSD.csv": b"<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\n2025.01.07\t10:00:00\t1.08\t1.08\t1.08\t1.08\n",
    "EURUSD_M1.csv": b"ts,open,high,low,close\n2025-01-07T10:00:00+00:00,1.08,1.08,1.08,1.08\n",
    "EURUSD_ticks.csv": b"ts,bid,ask\n2025-01-07T10:00:00+00:00,1.08,1.09\n",
    "EURUSD_words.csv": b"nothing of bars\nat all\n",
    "EURUSD.json": b"[[1, 2], [3]]",
}


@pytest.mark.parametrize("name", NAMED)
def test_a_format_of_another_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    for file, content in OTHERS.items():
        (tmp_path / file).write_bytes(content)
    pd.DataFrame({"when": TIMES, "price": 1.0}).to_parquet(tmp_path / "EURUSD.parquet")
    pd.DataFrame({"when": TIMES, "price": 1.0}).to_feather(tmp_path / "EURUSD.feather")
    for path in sorted(tmp_path.iterdir()):
        reading = Reading(clock="UTC", format=name, ticks=name in TICK_FORMATS)
        try:
            answer = read_bars(path, reading)[0]
        except BarError as error:
            answer = str(error)
        assert answer == "EURUSD" or (path.name in answer and "\n" not in answer)


def test_a_name_that_the_option_contradicts_is_read_with_a_warning(tmp_path: Path) -> None:
    path = text(tmp_path / "GBPUSD_M1.csv", "ts,open,high,low,close", "{iso},{prices}")
    source = ReplaySource([path], Reading(symbol="EURUSD"))
    assert source.symbols() == ("EURUSD",)
    assert source.notes == [
        "GBPUSD_M1.csv: named for GBPUSD, read as EURUSD by --symbol; leave it out if this is wrong"
    ]
    assert ReplaySource([path], Reading(symbol="GBPUSD")).notes == []
