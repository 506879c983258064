"""Whatever a file holds, it is read or refused in one line that names it."""

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mikrobot.domain.errors import MikrobotError
from mikrobot.market.formats.registry import FORMATS, SHARED_PARQUET, TICK_FORMATS
from mikrobot.market.reading import Reading
from mikrobot.market.replay import read_bars

NAMES = ("ts", "open", "high", "low", "close", "volume", "spread", "ask_close", "trades", "taker_buy_volume", "symbol")
EXTRA = (
    "time", "date", "tick_volume", "real_volume", "Open", "note", "", "bid", "ask", "price", "amount",
    "side", "time_msc", "flags",
)  # fmt: skip
TYPES = (
    pa.float64(), pa.float32(), pa.float16(), pa.int64(), pa.int8(), pa.string(), pa.bool_(), pa.decimal128(12, 5),
    pa.timestamp("s", "UTC"), pa.timestamp("ms", "UTC"), pa.timestamp("us", "UTC"), pa.timestamp("ns", "UTC"),
    pa.timestamp("us"), pa.date32(), pa.struct([("open", pa.float64())]), pa.list_(pa.float64()), pa.null(),
    pa.dictionary(pa.int32(), pa.string()),
)  # fmt: skip
HEADERS = (
    "ts,open,high,low,close", "time,open,high,low,close,Volume", "timestamp,open,high,low,close,volume",
    "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>", "Gmt time,Open,High,Low,Close,Volume",
    "Datetime,Open,High,Low,Close,Adj Close,Volume",
    "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD,tradecount",
    "time,open,high,low,close,tick_volume,spread,real_volume", "Price,Close,High,Low,Open,Volume", "",
    "ts,bid,ask", "timestamp,symbol,side,size,price", "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>",
    "Gmt time,Ask,Bid,AskVolume,BidVolume", "timestamp,askPrice,bidPrice",
    "id,price,qty,quote_qty,time,is_buyer_maker",
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker", "sep=;",
    ",time,bid,ask,last,volume,time_msc,flags,volume_real", "ts,open,high,low,close,close",
    "time,symbol,open,high,low,close", "timestamp,open,high,low,close,volume,pair",
    "Price,Close,High,Low,Open\nTicker,EURUSD=X,EURUSD=X\nDatetime,,", "unix,date,symbol,open,high,low,close,Volume",
    "open_time,open,high,low,close,volume,close_time,quote_volume,trades,taker_volume,taker_quote_volume,ignore",
)  # fmt: skip
FIELDS = (
    "1.1", "1.10000", "1,1", "-1", "0", "nan", "inf", "", '"1.1"', "1e308", "2025.01.06",
    "2025-01-06T10:00:00Z", "10:00:00",
    "20250106 100000", "06.01.2025 10:00:00.000", "1736157600", "1736157600000",
    "1736157600000000", "1736157600.25", "20250106 100000123",
    "10:00:00.123", "true", "Buy", "EURUSD", "\x1f", "é", "x" * 300,
)  # fmt: skip
FORMAT_NAMES = st.one_of(st.none(), st.sampled_from(sorted((*FORMATS, *TICK_FORMATS, SHARED_PARQUET.name))))
LINES = (
    "20250106 100000;1.1;1.1;1.1;1.1;0", "20250106 100100;1.1;1.1;1.1;1.1;7", "2025.01.06,10:00,1.1,1.1,1.1,1.1,7",
    "1736157600000,1.1,1.1,1.1,1.1,7", "1736157600000,1,1,1,1,1,1736157659999,1,1,1,1,0", "[[1736157600000,1,1,1,1,1]]",
    "20250106 100000123,1.1,1.2,0", "7,2.5,3,4.5,1736157600000,True,True", "7,2.5,3,4,5,1736157600000000,true,true",
    '[[1736157600000, "7", null, "buy", 1.1, 2, 2.2]]',
    '[{"timestamp": 1736157600000, "side": "buy", "price": 1.1, "amount": 2}]',
)  # fmt: skip


def check(path: Path, reading: Reading | None = None) -> None:
    try:
        symbol, bars = read_bars(path, reading)
    except MikrobotError as error:
        refused = str(error)
    else:
        refused = None
    if refused is not None:
        assert "\n" not in refused
        assert path.name.partition(".")[0] in refused
    else:
        assert symbol == "EURUSD"
        assert len(bars)
        assert bars["open_time"].is_monotonic_increasing
        assert (bars["low"] <= bars["high"]).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def values(kind: pa.DataType, count: int, draw: st.DrawFn) -> pa.Array:
    if pa.types.is_timestamp(kind):
        start = draw(st.sampled_from((1_736_157_600, 0, -(10**9), 4 * 10**9)))
        step = draw(st.sampled_from((60, 60, 60, 1, 0, -60, 300)))
        factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        return pa.array([(start + step * n) * factor for n in range(count)], pa.int64()).cast(kind)
    if pa.types.is_struct(kind):
        return pa.array([{"open": 1.0}] * count, kind)
    if pa.types.is_list(kind):
        return pa.array([[1.0]] * count, kind)
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        return pa.array([draw(st.sampled_from(("EURUSD", "GBPUSD", "", "1.1")))] * count).cast(kind)
    if pa.types.is_date(kind):
        return pa.array([datetime.date(2025, 1, 6)] * count, kind)
    if pa.types.is_null(kind):
        return pa.nulls(count)
    if pa.types.is_boolean(kind):
        return pa.array([True] * count, kind)
    given_ = draw(st.sampled_from((1.0, 1.0, 1.0, 0.0, -1.0, None)))
    return pa.array([given_] * count, pa.float64()).cast(kind, safe=False)


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, dict[str, object]]:
    count = draw(st.sampled_from((0, 1, 2, 5, 40)))
    quotes = [("ts", pa.timestamp("us", "UTC")), ("bid", pa.float64()), ("ask", pa.float64())]
    usual = [("ts", pa.timestamp("us", "UTC")), *((name, pa.float64()) for name in NAMES[1:5])]
    changed = draw(st.lists(st.tuples(st.sampled_from(NAMES + EXTRA), st.sampled_from(TYPES)), max_size=4))
    expected = draw(st.sampled_from((usual, usual, quotes)))
    columns = [(name, kind) for name, kind in expected if draw(st.booleans()) or not changed] + changed
    arrays = [values(kind, count, draw) for _, kind in columns]
    written = {"row_group_size": draw(st.sampled_from((1, 7, 100))), "write_statistics": draw(st.booleans())}
    return pa.table(arrays, names=[name for name, _ in columns]), written


@settings(deadline=None)
@given(tables(), st.booleans(), FORMAT_NAMES)
def test_any_parquet_table_is_read_or_refused_in_one_line(
    folder: Path, written_table: tuple[pa.Table, dict[str, object]], ticks: bool, named: str | None
) -> None:
    table, written = written_table
    path = folder / "EURUSD_M1.parquet"
    pq.write_table(table, path, **written)
    check(path, Reading(ticks=ticks, format=named))


@settings(deadline=None)
@given(
    st.sampled_from(HEADERS + LINES),
    st.lists(st.one_of(st.sampled_from(LINES), st.lists(st.sampled_from(FIELDS), min_size=1, max_size=12)), max_size=6),
    st.sampled_from((",", ";", "\t", "|")),
    st.sampled_from(("\n", "\r\n", "\r", "\n\n")),
    st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "latin-1")),
    st.sampled_from((None, "EET", "UTC")),
    st.booleans(),
    FORMAT_NAMES,
)
def test_any_text_is_read_or_refused_in_one_line(
    folder: Path,
    header: str,
    rows: list[str | list[str]],
    mark: str,
    end: str,
    encoding: str,
    clock: str | None,
    ticks: bool,
    named: str | None,
) -> None:
    written = [header, *(row if isinstance(row, str) else mark.join(row) for row in rows)]
    path = folder / "EURUSD_text.csv"
    path.write_bytes(end.join(written).encode(encoding, errors="replace"))
    check(path, Reading(clock=clock, ticks=ticks, format=named))


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from(("", "PAR1", "ARROW1", "\x1f\x8b", "PK\x03\x04", "[")))
def test_any_bytes_are_refused_in_one_line(folder: Path, content: bytes, start: str) -> None:
    path = folder / "EURUSD_bytes.csv"
    path.write_bytes(start.encode("latin-1") + content)
    check(path)
