"""Every format of ticks and trades: a file made from known ones is aggregated to the bars of these."""

import gzip
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mikrobot.domain.errors import BarError, UsageError
from mikrobot.market.formats.files import open_bar_file
from mikrobot.market.formats.registry import FORMATS, TICK_FORMATS, format_of
from mikrobot.market.reading import Reading
from mikrobot.market.replay import ReplaySource, read_bars

Write = Callable[[pd.DataFrame, Path], Path]

SHARED = Path(__file__).parents[4] / "shared/data"
TICKS = Reading(ticks=True)


@pytest.fixture
def quotes() -> pd.DataFrame:
    """Quotes of the last hour of a Friday and the first of the Sunday after it, some minutes without any."""
    rng = np.random.default_rng(11)
    starts = pd.to_datetime(["2025-01-03 21:00", "2025-01-05 22:00"]).as_unit("ms").asi8
    minutes = (starts[:, None] + np.arange(60) * 60_000).ravel()
    used = np.sort(rng.choice(minutes[1:-1], 100, replace=False))
    used = np.unique(np.concatenate((minutes[[0, 59, 60]], used)))
    ms = np.sort(np.concatenate([used + rng.integers(0, 60_000, len(used)) for _ in range(5)]))
    bid = np.round(1.03 + np.cumsum(rng.integers(-2, 3, len(ms))) * 1e-5, 5)
    ask = np.round(bid + rng.integers(1, 9, len(ms)) * 1e-5, 5)
    return pd.DataFrame({"ts": pd.to_datetime(ms, unit="ms", utc=True), "bid": bid, "ask": ask})


@pytest.fixture
def trades(quotes: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(12)
    count = len(quotes)
    return pd.DataFrame(
        {
            "ts": quotes["ts"],
            "price": np.round(quotes["bid"] * 60_000, 2),
            "amount": np.round(rng.uniform(0.001, 3, count), 5),
            "side": rng.choice(["buy", "sell"], count),
            "last": 1000 + np.cumsum(rng.integers(1, 4, count)),
        }
    )


def bars_of_quotes(quotes: pd.DataFrame) -> pd.DataFrame:
    groups = quotes.groupby(quotes["ts"].dt.floor("min"))
    bars = groups["bid"].agg(["first", "max", "min", "last", "size"])
    spread = (groups["ask"].last() - groups["bid"].last()).to_numpy()
    return bars.set_axis(["open", "high", "low", "close", "volume"], axis=1).assign(spread=spread)


def bars_of_trades(trades: pd.DataFrame) -> pd.DataFrame:
    minute = trades["ts"].dt.floor("min")
    groups = trades.groupby(minute)
    bars = groups["price"].agg(["first", "max", "min", "last", "size"])
    taken = trades["amount"].where(trades["side"] == "buy", 0.0).groupby(minute).sum()
    return bars.set_axis(["open", "high", "low", "close", "trades"], axis=1).assign(
        volume=groups["amount"].sum(), taker_volume=taken
    )


def lines(path: Path, written: list[str]) -> Path:
    path.write_text("\r\n".join(written) + "\r\n")
    return path


def rows(ticks: pd.DataFrame, form: Callable[[pd.Series], str]) -> list[str]:
    return [form(row) for _, row in ticks.iterrows()]


def ms(row: pd.Series) -> int:
    return row["ts"].value // 1_000_000


def ticks(quotes: pd.DataFrame, folder: Path) -> Path:
    body = rows(quotes, lambda row: f"{row['ts'].isoformat()},{row['bid']:.5f},{row['ask']:.5f}")
    return lines(folder / "EURUSD_ticks.csv", ["ts,bid,ask", *body])


def mt5_ticks(quotes: pd.DataFrame, folder: Path) -> Path:
    """Write ticks as MetaTrader 5 does: a side that did not change is empty."""
    local = quotes["ts"].dt.tz_convert("Europe/Athens").dt.strftime("%Y.%m.%d\t%H:%M:%S.%f").str[:-3]
    sides = []
    for side in ("bid", "ask"):
        changed = quotes[side].diff() != 0
        sides.append([f"{price:.5f}" if new else "" for price, new in zip(quotes[side], changed, strict=True)])
    body = [f"{time}\t{bid}\t{ask}\t\t\t6" for time, bid, ask in zip(local, *sides, strict=True)]
    return lines(folder / "EURUSD_202501.csv", ["<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>", *body])


def copy_ticks(quotes: pd.DataFrame, folder: Path) -> Path:
    path = folder / "EURUSD_ticks.parquet"
    local = quotes["ts"].dt.tz_convert("Europe/Athens").dt.tz_localize(None).to_numpy("datetime64[ms]").view(np.int64)
    quotes[["bid", "ask"]].assign(
        time=local // 1000, last=0.0, volume=0, time_msc=local, flags=6, volume_real=0.0
    ).to_parquet(path)
    return path


def histdata_ticks(quotes: pd.DataFrame, folder: Path) -> Path:
    def form(row: pd.Series) -> str:
        local = row["ts"] - pd.Timedelta(hours=5)
        return f"{local:%Y%m%d %H%M%S}{local.microsecond // 1000:03d},{row['bid']:.6f},{row['ask']:.6f},0"

    return lines(folder / "DAT_ASCII_EURUSD_T_202501.csv", rows(quotes, form))


def dukascopy_ticks(quotes: pd.DataFrame, folder: Path) -> Path:
    def form(row: pd.Series) -> str:
        local = row["ts"].tz_convert("Europe/Athens")
        return f"{local:%Y.%m.%d %H:%M:%S}.{local.microsecond // 1000:03d},{row['ask']},{row['bid']},1.5,0.75"

    body = rows(quotes, form)
    return lines(folder / "EURUSD_Ticks_2025.01.03.csv", ["Time (EET),Ask,Bid,AskVolume,BidVolume ", *body])


def dukascopy_node(quotes: pd.DataFrame, folder: Path) -> Path:
    body = rows(quotes, lambda row: f"{ms(row)},{row['ask']},{row['bid']},1.5,0.75")
    return lines(folder / "eurusd-tick-bid-2025-01.csv", ["timestamp,askPrice,bidPrice,askVolume,bidVolume", *body])


def parquet(quotes: pd.DataFrame, folder: Path) -> Path:
    path = folder / "EURUSD_quotes.parquet"
    quotes.to_parquet(path)
    return path


def binance_trades(trades: pd.DataFrame, folder: Path) -> Path:
    """Write spot trades as data.binance.vision does since 2025: no header, microseconds."""

    def form(row: pd.Series) -> str:
        maker = str(row["side"] == "sell")
        return f"{row['last']},{row['price']:.8f},{row['amount']:.8f},1.5,{ms(row) * 1000},{maker},True"

    return lines(folder / "BTCUSDT-trades-2025-01-03.csv", rows(trades, form))


def binance_futures(trades: pd.DataFrame, folder: Path) -> Path:
    def form(row: pd.Series) -> str:
        return f"{row['last']},{row['price']},{row['amount']},1.5,{ms(row)},{str(row['side'] == 'sell').lower()}"

    head = "id,price,qty,quote_qty,time,is_buyer_maker"
    return lines(folder / "BTCUSDT-trades-2025-01.csv", [head, *rows(trades, form)])


def table_of_trades(trades: pd.DataFrame, folder: Path) -> Path:
    path = folder / "BTCUSDT_trades.parquet"
    trades.drop(columns="last").to_parquet(path)
    return path


def text_of_trades(trades: pd.DataFrame, folder: Path) -> Path:
    """Write trades as Bybit does: seconds with a fraction, the newest first, sides with capitals."""
    body = rows(
        trades[::-1],
        lambda row: (
            f"{ms(row) / 1000:.4f},BTCUSDT,{row['side'].title()},{row['amount']},{row['price']},ZeroMinusTick,x"
        ),
    )
    return lines(folder / "BTCUSDT2025-01-03.csv", ["timestamp,symbol,side,size,price,tickDirection,trdMatchID", *body])


def ccxt_trades(trades: pd.DataFrame, folder: Path) -> Path:
    """Write trades as ccxt returns them, with the exchange's own answer in each."""

    def form(row: pd.Series) -> dict[str, Any]:
        own = {"info": {"p": f"{row['price']:.8f}", "T": ms(row)}, "symbol": "BTC/USDT", "fee": None}
        return own | {"timestamp": ms(row), "side": row["side"], "price": row["price"], "amount": row["amount"]}

    path = folder / "trades_BTCUSDT.json"
    path.write_text(json.dumps(rows(trades, form), indent=1))
    return path


def freqtrade_trades(trades: pd.DataFrame, folder: Path) -> Path:
    """Write trades as freqtrade stores them: lists without names, packed."""

    def form(row: pd.Series) -> list[Any]:
        cost = row["price"] * row["amount"]
        return [ms(row), str(row["last"]), None, row["side"], row["price"], row["amount"], cost]

    path = folder / "BTC_USDT-trades.json.gz"
    path.write_bytes(gzip.compress(json.dumps(rows(trades, form)).encode()))
    return path


def require_equal(bars: pd.DataFrame, expected: pd.DataFrame, *names: str) -> None:
    """Compare times, prices and some other columns, to rounding."""
    assert list(bars["open_time"]) == list(expected.index)
    for name in ("open", "high", "low", "close", *names):
        np.testing.assert_allclose(bars[name], expected[name], rtol=1e-9, err_msg=name)


QUOTES: tuple[Write, ...] = (
    ticks, parquet, mt5_ticks, copy_ticks, histdata_ticks, dukascopy_ticks, dukascopy_node,
)  # fmt: skip
TRADES: tuple[Write, ...] = (
    binance_trades, binance_futures, table_of_trades, text_of_trades, ccxt_trades, freqtrade_trades,
)  # fmt: skip


def test_each_format_of_ticks_is_written_here_and_is_in_the_document(
    quotes: pd.DataFrame, trades: pd.DataFrame, tmp_path: Path
) -> None:
    written = [write(quotes, tmp_path) for write in QUOTES] + [write(trades, tmp_path) for write in TRADES]
    assert {format_of(open_bar_file(path), ticks=True).name for path in written} == set(TICK_FORMATS)
    text = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    assert {name for name in TICK_FORMATS if f"| `{name}` |" in text} == set(TICK_FORMATS)


@pytest.mark.parametrize("write", QUOTES)
def test_quotes_become_bars_of_the_bid_with_their_number_and_the_last_spread(
    write: Write, quotes: pd.DataFrame, tmp_path: Path
) -> None:
    symbol, bars = read_bars(write(quotes, tmp_path), TICKS)
    assert symbol == "EURUSD"
    require_equal(bars, bars_of_quotes(quotes), "volume", "spread")
    assert bars[["trades", "taker_volume"]].isna().all(axis=None)


@pytest.mark.parametrize("write", TRADES)
def test_trades_become_bars_with_their_volume_number_and_taker_volume(
    write: Write, trades: pd.DataFrame, tmp_path: Path
) -> None:
    symbol, bars = read_bars(write(trades, tmp_path), TICKS)
    assert symbol == "BTCUSDT"
    require_equal(bars, bars_of_trades(trades), "volume", "trades", "taker_volume")
    assert bars["spread"].isna().all()


@pytest.mark.parametrize("header", [True, False])
def test_aggregate_trades_count_the_trades_of_each_row(header: bool, trades: pd.DataFrame, tmp_path: Path) -> None:
    first = trades["last"].shift(1, fill_value=999) + 1
    body = [
        f"{place},{row['price']},{row['amount']},{first[place]},{row['last']},{ms(row)},{row['side'] == 'sell'},True"
        for place, row in trades.iterrows()
    ]
    names = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,is_best_match"
    plain = lines(tmp_path / "trades.csv", [names, *body] if header else body)
    path = tmp_path / "BTCUSDT-aggTrades-2025-01.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(plain, "BTCUSDT-aggTrades-2025-01.csv")
    _, bars = read_bars(path, TICKS)
    counts = (trades["last"] - first + 1).groupby(trades["ts"].dt.floor("min")).sum()
    assert bars["trades"].tolist() == counts.tolist()
    np.testing.assert_allclose(bars["taker_volume"], bars_of_trades(trades)["taker_volume"], rtol=1e-9)


def test_trades_without_a_side_have_no_taker_volume(trades: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT_trades.feather"
    trades[["ts", "price", "amount"]].to_feather(path)
    _, bars = read_bars(path, TICKS)
    assert bars["taker_volume"].isna().all()
    assert bars["trades"].tolist() == bars_of_trades(trades)["trades"].tolist()


def test_trades_of_an_exchange_in_metatrader_become_bars(trades: pd.DataFrame, tmp_path: Path) -> None:
    """Ticks of an exchange have the last price, its volume and the side as a flag, and may have no quote."""
    body = rows(
        trades,
        lambda row: (
            f"{row['ts']:%Y.%m.%d\t%H:%M:%S}.{row['ts'].microsecond // 1000:03d}\t\t\t{row['price']}\t{row['amount']}"
            f"\t{8 + 16 + (32 if row['side'] == 'buy' else 64)}"
        ),
    )
    path = lines(tmp_path / "BTCUSDT.csv", ["<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>", *body])
    _, bars = read_bars(path, Reading(ticks=True, clock="UTC"))
    expected = bars_of_trades(trades)
    for name in ("open", "high", "low", "close", "volume", "trades", "taker_volume"):
        np.testing.assert_allclose(bars[name], expected[name], rtol=1e-9, err_msg=name)


def test_ticks_of_crypto_have_no_volume(quotes: pd.DataFrame, tmp_path: Path) -> None:
    """The number of quotes is no amount of a coin."""
    path = tmp_path / "BTCUSDT.parquet"
    quotes.assign(bid=quotes["bid"] * 60_000, ask=quotes["ask"] * 60_000).to_parquet(path)
    assert read_bars(path, TICKS)[1]["volume"].isna().all()


def test_provenance_has_the_number_of_ticks(quotes: pd.DataFrame, tmp_path: Path) -> None:
    (file,) = ReplaySource([ticks(quotes, tmp_path)], TICKS).files
    assert (file.format, file.ticks, file.volume) == ("ticks", len(quotes), "ticks")


@pytest.mark.parametrize("write", QUOTES)
def test_ticks_without_the_option_are_refused_naming_it(write: Write, quotes: pd.DataFrame, tmp_path: Path) -> None:
    path = write(quotes, tmp_path)
    with pytest.raises(BarError, match=rf"{re.escape(path.name)}: holds ticks or trades .*; give --ticks"):
        read_bars(path)


@pytest.mark.parametrize("write", TRADES)
def test_trades_without_the_option_are_refused_naming_it(write: Write, trades: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(BarError, match=r"holds ticks or trades .*, not bars; give --ticks to aggregate them to M1"):
        read_bars(write(trades, tmp_path))


@pytest.mark.parametrize("name", ["EURUSD.parquet", "EURUSD.csv"])
def test_bars_with_the_option_are_refused_naming_it(name: str, quotes: pd.DataFrame, tmp_path: Path) -> None:
    bars, path = bars_of_quotes(quotes).reset_index(), tmp_path / name
    bars.to_parquet(path) if path.suffix == ".parquet" else bars.to_csv(path, index=False)
    with pytest.raises(BarError, match=rf"{name}: holds bars \(.*\), not ticks or trades; leave out --ticks"):
        read_bars(path, TICKS)


def test_a_format_of_bars_is_refused_for_ticks_and_the_other_way_round(quotes: pd.DataFrame, tmp_path: Path) -> None:
    path = ticks(quotes, tmp_path)
    with pytest.raises(BarError, match="leave out --ticks"):
        read_bars(path, Reading(format="mt5", ticks=True))
    with pytest.raises(BarError, match="give --ticks"):
        read_bars(path, Reading(format="ticks"))
    with pytest.raises(UsageError, match=rf"formats are parquet, {', '.join(FORMATS)}, {', '.join(TICK_FORMATS)}$"):
        read_bars(path, Reading(format="tick", ticks=True))


@pytest.mark.parametrize(
    ("header", "body", "message"),
    [
        (
            "ts,bid,ask",
            ["2025-01-06T10:00:00.5Z,1.1,1.2", "2025-01-06T10:00:00.4Z,1,1.2", "2025-01-06T10:01:00Z,1,1.2"],
            "line 3: its time comes before",
        ),
        ("ts,bid,ask", ["2025-01-06T10:01:00Z,1.1,1.2", "2025-01-06T10:00:00Z,1.1,1.2"] * 2, "sort the rows by time"),
        ("ts,bid,ask", ["2025-01-06T10:00:00Z,-1.1,1.2"], "line 2: bid -1.1; expected a positive number"),
        ("ts,bid,ask", ["2025-01-06T10:00:00Z,1.1,inf"], "line 2: ask inf; expected a positive number"),
        ("ts,bid,ask", ["2025-01-06T10:00:00Z,,1.1"], "no tick has a bid"),
        ("ts,bid,ask", ["2025-01-06T10:00:00,1.1,1.2"], "line 2: its times have no offset from UTC"),
        ("ts,bid,ask", ["1736157600000000000000,1.1,1.2"], "line 2: time"),
        ("ts,price,amount", ["2025-01-06T10:00:00Z,1.1,-2"], "line 2: amount -2.0; expected 0 or more"),
        ("ts,price,amount", ["2025-01-06T10:00:00Z,,2"], "line 2: price nan; expected a positive number"),
        ("ts,price,amount,side", ["2025-01-06T10:00:00Z,1,2,long"], "line 2: side 'long'; expected buy or sell"),
        ("ts,bid,offer", ["2025-01-06T10:00:00Z,1,2"], "no known format of ticks: it begins with 'ts,bid,offer'"),
        ("<DATE>\t<TIME>\t<BID>\t<ASK>", ["2025.01.06\t10:00:00,5\t1.1\t1.2"], "line 2: time '2025.01.06 10:00:00,5'"),
        ("20250106 100000000,1.1,1.2,0", ["20250106 100000x00,1.1,1.2,0"], "line 2: time '20250106 100000x00'"),
        ("1,2.5,3,4.5,1736157600000,True,True", ["2,2.5,-3,4.5,1736157600001,True,True"], "line 2: amount -3.0"),
    ],
)
def test_ticks_that_cannot_be_are_refused_with_their_line(
    header: str, body: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BarError, match=re.escape(message)):
        read_bars(lines(tmp_path / "EURUSD.csv", [header, *body]), TICKS)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared market data is not on this machine")
def test_real_quotes_become_the_real_bars() -> None:
    """Oanda's quotes give Oanda's bars, which another project aggregated."""
    _, bars = read_bars(SHARED / "ticks/EURUSD_ticks_oanda_201405.parquet", TICKS)
    _, published = read_bars(SHARED / "fx/EURUSD_M1_bidask_oanda_201405.parquet")
    columns = ["open_time", "open", "high", "low", "close"]
    pd.testing.assert_frame_equal(bars[columns], published[columns])
    np.testing.assert_allclose(bars["spread"], published["spread"], atol=1e-9)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared market data is not on this machine")
def test_real_trades_keep_their_volume(tmp_path: Path) -> None:
    path = SHARED / "ticks/XRPETH_trades_binance_201910.parquet"
    trades = pd.read_parquet(path)
    _, bars = read_bars(path, Reading(ticks=True, symbol="ETHUSDT"))
    assert bars["trades"].sum() == len(trades)
    assert bars["volume"].sum() == pytest.approx(trades["amount"].sum())
    assert bars["taker_volume"].sum() == pytest.approx(trades["amount"][trades["side"] == "buy"].sum())
    assert bars["open_time"].iloc[0] == trades["ts"].iloc[0].floor("min")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[[1735862400000, "7", null, "buy", 95000.5, 0.1, 9500.05], [1735862400000]]', "row 1: no trade"),
        ('[[1735862400000, "7", null, "buy", 95000.5, 0.1, 9500.05], 7]', "row 1: no trade"),
        ('[[1735862400000, "7", null, "sold", 95000.5, 0.1, 9500.05]]', "row 0: side 'sold'; expected buy or sell"),
        ('[[1735862400000, "7", null, "buy", {}, 0.1, 9500.05]]', "row 0: price is '{}'; expected a number"),
        ('[[1735862400000, "7", null, "buy", 95000.5, 0.1, 9500.05]', "not JSON to its end"),
        ('[{"timestamp": 1735862400000, "price": 95000.5, "side": "buy"}]', "row 0: amount is 'None'"),
    ],
)
def test_an_odd_trade_of_a_json_file_is_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades.json"
    path.write_text(content)
    with pytest.raises(BarError, match=re.escape(message)):
        read_bars(path, TICKS)
