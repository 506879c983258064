"""Recorded streams that the local venue sends again."""

import gzip
import json
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest

from mikrobot.domain.errors import FeedError, UsageError
from mikrobot.market.border import instant
from mikrobot.market.local_venue.opening import VenueOptions, open_venue
from mikrobot.market.recorded_streams import messages as messages_of
from mikrobot.runtime import uptime_s
from tests.contract.market.local_venue.books import Book, compare
from tests.contract.market.local_venue.recording import START_MS, recorded, recorded_session
from tests.venue_client import closed_klines, collect, run, running

SHARED = Path(__file__).parents[5] / "shared/data/orderbook"
PATHS = {"spot": "", "usdm": "/public"}
REST = {"spot": "/api/v3", "usdm": "/fapi/v1"}


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_the_recorded_messages_are_sent_again(coin_file, tmp_path, market):
    file = recorded(coin_file, market, tmp_path / "BTCUSDT.txt.gz")
    lines = [json.loads(line.partition(b" ")[2]) for line in gzip.decompress(file.read_bytes()).splitlines()]
    wanted = [line["data"] for line in lines if "bookTicker" in line.get("stream", "")]

    async def scenario():
        async with (
            running(VenueOptions(streams=[file], speed=200.0)) as client,
            client.connect(f"{PATHS[market]}/ws/btcusdt@bookTicker") as socket,
        ):
            messages = await collect(socket, lambda messages: len(messages) == 100)
        place = wanted.index(messages[0])
        assert messages == wanted[place : place + 100]

    run(scenario())


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_a_client_joins_the_book_of_a_recording_at_any_time(coin_file, tmp_path, market):
    file = recorded(coin_file, market, tmp_path / "BTCUSDT.txt.gz")
    run(book_is_exact(file, market, 200.0, 40))


async def book_is_exact(file, market, speed, diffs, begin=None):
    """Join the book of a recording and compare its best prices with the bookTicker after each diff."""
    path = f"{PATHS[market]}/stream?streams=btcusdt@bookTicker/btcusdt@depth@100ms"

    def newer(messages, than):
        return sum(1 for message in messages if message["data"]["u"] > than and "depth" in message["stream"])

    start = None if begin is None else instant(START_MS * 1000) + begin
    options = VenueOptions(streams=[file], speed=speed, start=start)
    async with running(options) as client, client.connect(path) as socket:
        messages = await collect(socket, lambda messages: newer(messages, 0) == 20)
        snapshot = await client.get(f"{REST[market]}/depth", symbol="BTCUSDT", limit=1000)
        messages += await collect(socket, lambda messages: newer(messages, snapshot["lastUpdateId"]) == diffs)
    assert compare(Book(market, snapshot), [message["data"] for message in messages]) >= diffs * 2 // 3


@pytest.mark.skipif(not SHARED.exists(), reason="the recordings are not on this machine")
@pytest.mark.parametrize(("name", "market"), [("spot_stream_20240808", "spot"), ("usdm_stream_20240808", "usdm")])
def test_the_recordings_of_binance_give_an_exact_book(tmp_path, name, market):
    beginning = tmp_path / "BTCUSDT.txt"
    with gzip.open(SHARED / f"BTCUSDT_{name}.txt.gz") as file:
        beginning.write_bytes(b"".join(islice(file, 12_000)))
    run(book_is_exact(beginning, market, 20.0, 100))


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_a_recorded_session_is_sent_again_with_the_books_and_klines_of_each_symbol(coin_file, tmp_path, market):
    folder = recorded_session(coin_file, market, tmp_path / "recorded")
    (path,) = folder.glob("*-klines1-*.gz")
    received = [json.loads(message) for _, message in messages_of(path, broken_off=True)]
    closed = closed_klines([message["data"] for message in received if message["stream"] == "ethusdt@kline_1m"])

    async def scenario():
        async with running(VenueOptions(streams=[folder], speed=60.0)) as client:
            path = {"spot": "/ws", "usdm": "/market/ws"}[market]
            async with client.connect(f"{path}/ethusdt@kline_1m") as socket:
                sent = await collect(socket, lambda messages: len(closed_klines(messages)) == 1)
            (kline,) = closed_klines(sent)
            assert kline in closed
            rows = await client.get(f"{REST[market]}/klines", symbol="ETHUSDT", interval="1m", limit=3)
            assert [kline[key] for key in "tohlcv"] in [row[:6] for row in rows]

    run(scenario())
    run(book_is_exact(folder, market, 30.0, 40))
    run(book_is_exact(folder, market, 30.0, 40, begin=timedelta(minutes=2)))


def test_klines_and_trades_follow_from_the_recorded_trades(coin_file, tmp_path):
    file = recorded(coin_file, "usdm", tmp_path / "BTCUSDT.txt.gz")

    async def scenario():
        async with running(VenueOptions(streams=[file], speed=600.0)) as client:
            async with client.connect("/market/ws/btcusdt@kline_1m") as socket:
                messages = await collect(socket, lambda messages: len(closed_klines(messages)) == 2)
            rows = await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", startTime=START_MS, limit=2)
            for kline, row in zip(closed_klines(messages), rows, strict=True):
                assert [kline[key] for key in "tohlcvTqnVQ"] == row[:-1]
                trades = await client.get(
                    "/fapi/v1/aggTrades", symbol="BTCUSDT", startTime=kline["t"], endTime=kline["T"], limit=1000
                )
                assert len(trades) == kline["n"]
                assert {trades[0]["p"], trades[-1]["p"]} == {kline["o"], kline["c"]}

    run(scenario())


def test_a_recording_without_a_snapshot_has_no_book(coin_file, tmp_path):
    file = recorded(coin_file, "spot", tmp_path / "BTCUSDT.txt.gz", 1, snapshot=False)

    async def scenario():
        async with running(VenueOptions(streams=[file])) as client:
            assert (await client.control())["origin"] == "recording"
            status, _, body = await client.answer("/api/v3/depth", symbol="BTCUSDT")
            assert (status, json.loads(body)["code"]) == (503, -1000)
            assert (await client.get("/fapi/v1/depth", symbol="BTCUSDT"))["code"] == -1121

    run(scenario())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no message of a stream"),
        (b"17 {}\n", r"line 1: b'\{\}\\n' is no message of a combined stream"),
        (b'17 {"stream": "btcusdt@trade", "data": {}}\nopen,high,low', "line 2: 'open,high,low'; expected"),
        (
            b'1 {"stream":"btcusdt@x","data":{}}\n2 {"stream":"ethusdt@x","data":{}}\n3 {"lastUpdateId":1}',
            "a snapshot that names no symbol, and BTCUSDT, ETHUSDT; give a recording of each",
        ),
    ],
)
def test_files_that_are_no_recordings_are_refused(tmp_path, content, complaint):
    file = tmp_path / "stream.txt"
    file.write_bytes(content)
    with pytest.raises(FeedError, match=complaint):
        open_venue(VenueOptions(streams=[file]), uptime_s)


def test_a_recording_that_breaks_off_is_refused(coin_file, tmp_path):
    file = recorded(coin_file, "spot", tmp_path / "BTCUSDT.txt.gz", 1)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(FeedError, match="cannot be read"):
        open_venue(VenueOptions(streams=[file]), uptime_s)


def test_bars_and_recordings_are_not_mixed(coin_file, tmp_path):
    file = recorded(coin_file, "spot", tmp_path / "BTCUSDT.txt.gz", 1)
    with pytest.raises(UsageError, match="give --stream without --data"):
        open_venue(VenueOptions(streams=[file], data=[coin_file]), uptime_s)
