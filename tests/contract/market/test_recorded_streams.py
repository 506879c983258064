"""Streams recorded from Binance, replayed by `mikrobot book` into an order book that equals the venue's best prices."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mikrobot.cli.main import main
from mikrobot.domain.errors import FeedError
from mikrobot.domain.market_events import BookSnapshot, BookUpdate, Tick, Trade
from mikrobot.market.binance_messages import event

SHARED = Path(__file__).parents[4] / "shared/data"
RECORDINGS = SHARED / "orderbook"
SPOT = [RECORDINGS / f"BTCUSDT_spot_stream_{day}.txt.gz" for day in ("20240808", "20240809")]
FUTURES = RECORDINGS / "BTCUSDT_usdm_stream_20240808.txt.gz"

recorded = pytest.mark.skipif(not RECORDINGS.exists(), reason="the recorded streams are not on this machine")


def replayed(*files):
    result = CliRunner().invoke(main, ["book", *map(str, files), "--json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refused(*files, code=1):
    result = CliRunner().invoke(main, ["book", *map(str, files)])
    assert (result.exit_code, result.stdout) == (code, "")
    return result.stderr


def line(body, at=1):
    return f"{at} {json.dumps(body)}"


def depth(first, last, bids=(), asks=(), **more):
    data = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks, **more}
    return {"stream": "btcusdt@depth@100ms", "data": data}


def ticker(update_id, bid, ask):
    data = {"u": update_id, "s": "BTCUSDT", "b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1]}
    return {"stream": "btcusdt@bookTicker", "data": data}


SNAPSHOT = {"lastUpdateId": 10, "bids": [["100.00", "1.0"]], "asks": [["101.00", "2.0"]]}
SMALL = (
    SNAPSHOT,
    ticker(11, ("100.50", "3.0"), ("101.00", "2.0")),
    depth(11, 12, [["100.50", "3.0"]]),
    {"stream": "btcusdt@trade", "data": {"e": "trade", "s": "BTCUSDT", "t": 1, "T": 1, "p": "1", "q": "1", "m": True}},
    {"stream": "!serverShutdown", "data": {"e": "serverShutdown"}},
)


def write(path, bodies):
    path.write_text("\n".join(line(body, at) for at, body in enumerate(bodies, start=1)) + "\n")
    return path


# Recordings of the real streams


@recorded
def test_the_spot_book_equals_the_ticker_after_every_change_over_two_files():
    first, second = replayed(*SPOT)
    both = {name: first[name] + second[name] for name in first if isinstance(first[name], int)}
    assert (both["gaps"], both["crossed"]) == (0, 0)
    assert (both["events"], both["applied"]) == (6_495, 6_493)
    assert (both["ticker_equal"], both["ticker_compared"]) == (6_491, 6_493)
    assert (second["state"], second["reason"]) == ("live", "")


@recorded
def test_the_futures_book_equals_the_ticker_after_every_change():
    (book,) = replayed(FUTURES)
    assert (book["gaps"], book["crossed"], book["state"]) == (0, 0, "live")
    assert (book["ticker_equal"], book["ticker_compared"]) == (6_547, 6_547)


@recorded
def test_a_recording_without_its_snapshot_never_becomes_a_book():
    (book,) = replayed(SPOT[1])
    assert (book["applied"], book["state"], book["reason"]) == (0, "syncing", "no snapshot yet")


@recorded
def test_a_recording_that_lost_the_change_before_its_snapshot_is_refused(tmp_path):
    lines = gzip.decompress(SPOT[0].read_bytes()).splitlines(keepends=True)
    begin = next(number for number, text in enumerate(lines) if b'"lastUpdateId"' in text[:60])
    last_before = max(number for number in range(begin) if b"@depth" in lines[number][:60])
    changed = tmp_path / "changed.txt"
    changed.write_bytes(b"".join(lines[:last_before] + lines[last_before + 1 :]))
    (book,) = replayed(changed)
    assert (book["applied"], book["gaps"], book["state"]) == (0, 1, "lost")
    assert book["reason"].startswith("changes are missing between 50093239218 and ")


@recorded
@pytest.mark.parametrize("file", sorted(path.name for path in (SHARED / "payloads").glob("*_ws_*.jsonl")))
def test_each_recorded_message_is_an_event(file):
    kind = BookUpdate if "depth" in file else Tick if "bookTicker" in file else Trade
    for text in (SHARED / "payloads" / file).read_text().splitlines():
        body = json.loads(text)["message"]
        received = event(json.dumps({"stream": body["stream"], "data": body["data"]}).encode())
        assert isinstance(received, kind)
        assert received.symbol == "BTCUSDT"


# Files


@pytest.mark.parametrize("packed", [False, True])
def test_a_recording_is_replayed_packed_or_not(packed, tmp_path):
    path = write(tmp_path / "stream.txt", SMALL)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    (book,) = replayed(path)
    assert (book["symbol"], book["messages"], book["events"], book["applied"]) == ("BTCUSDT", 5, 1, 1)
    assert (book["ticker_equal"], book["ticker_compared"], book["state"]) == (1, 1, "live")


def test_the_table_shows_what_the_object_has(tmp_path):
    result = CliRunner().invoke(main, ["book", str(write(tmp_path / "stream.txt", SMALL))])
    assert result.exit_code == 0
    assert "1 of 1 changes" in result.stdout
    assert "live" in result.stdout


def test_the_table_of_a_recording_without_its_snapshot_has_no_trusted_range(tmp_path):
    shown = CliRunner().invoke(main, ["book", str(write(tmp_path / "a.txt", [depth(1, 2)]))])
    (row,) = [text.split() for text in shown.output.splitlines() if "trusted range" in text]
    assert row == ["trusted", "range", "none,", "a", "new", "snapshot", "is", "due"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no change of an order book in 0 messages; record the depth stream too"),
        (b"hello\n", "line 1: 'hello'; expected `receive_ns message`"),
        (b"1 {\n", "line 1: a message of Binance cannot be read"),
        (b'1 {"stream":"btcusdt@depth","data":{"s":"BTCUSDT"}}\n', "line 1: a message of Binance cannot be read"),
        (b"1 <html>403</html>\n", "line 1: a message of Binance cannot be read"),
        (b"\x1f\x8bbroken", "cannot be read"),
    ],
)
def test_a_file_that_is_no_recording_is_named_with_its_line(content, message, tmp_path):
    path = tmp_path / "stream.txt"
    path.write_bytes(content)
    assert message in refused(path)
    assert str(path) in refused(path)


def test_a_missing_file_is_named(tmp_path):
    assert "none.gz' does not exist" in refused(tmp_path / "none.gz", code=2)


# Several symbols, and recorded sessions


def of(symbol, body):
    """Return a message of another symbol."""
    return json.loads(json.dumps(body).replace("btcusdt", symbol.lower()).replace("BTCUSDT", symbol))


def taken(symbol, body):
    """Return a snapshot as a session records it."""
    return {"stream": f"{symbol.lower()}@depthSnapshot", "data": body}


MIXED = (
    depth(10, 11, [["100.00", "4.0"]]),
    of("ETHUSDT", depth(20, 21, [["50.00", "1.0"]])),
    taken("ETHUSDT", {"lastUpdateId": 20, "bids": [["49.00", "1.0"]], "asks": [["51.00", "1.0"]]}),
    taken("BTCUSDT", SNAPSHOT),
    of("ETHUSDT", ticker(22, ("50.00", "1.0"), ("51.00", "1.0"))),
    of("ETHUSDT", depth(22, 23, [["48.00", "1.0"]])),
    depth(12, 13),
)


def session(folder, *parts, numbers=("0001",)):
    """Write parts of a recorded session, each an hour of a recorder."""
    folder.mkdir()
    (folder / "recording.json").write_text("{}")
    for hour, (bodies, number) in enumerate(zip(parts, numbers * len(parts), strict=False)):
        lines = "".join(line(body, at) + "\n" for at, body in enumerate(bodies, start=1))
        (folder / f"20260302T{12 + hour}-depth1-{number}.gz").write_bytes(gzip.compress(lines.encode()))
    return folder


def test_several_symbols_in_a_file_are_named_unless_one_is_chosen(tmp_path):
    path = write(tmp_path / "stream.txt", MIXED)
    complaint = refused(path, code=2)
    assert f"{path} has the order books of BTCUSDT, ETHUSDT; choose one with --symbol" in complaint
    (book,) = replayed(path, "--symbol", "ethusdt")
    assert (book["symbol"], book["events"], book["applied"], book["state"]) == ("ETHUSDT", 2, 2, "live")
    assert (book["ticker_equal"], book["ticker_compared"]) == (1, 1)
    assert (book["sample"]["bid"], book["sample"]["ask"]) == (50.0, 51.0)
    (book,) = replayed(path, "--symbol", "BTCUSDT")
    assert (book["symbol"], book["sample"]["bid"], book["applied"]) == ("BTCUSDT", 100.0, 2)


def test_a_symbol_without_an_order_book_is_answered_with_those_that_have_one(tmp_path):
    path = write(tmp_path / "stream.txt", MIXED)
    complaint = refused(path, "--symbol", "ADAUSDT")
    assert f"{path}: no change of the order book of ADAUSDT; it has BTCUSDT, ETHUSDT" in complaint


def test_the_files_of_a_recorded_session_continue_one_book(tmp_path):
    folder = session(tmp_path / "recorded", MIXED, [of("ETHUSDT", depth(24, 25, [["50.00", "0.0"]]))])
    (folder / "20260302T12-klines1-0001.gz").write_bytes(gzip.compress(b'1 {"stream":"btcusdt@kline_1m","data":{}}\n'))
    first, second = replayed(folder, "--symbol", "ETHUSDT")
    assert (first["applied"], second["applied"], second["gaps"], second["state"]) == (2, 1, 0, "live")
    assert second["sample"]["bid"] == 49.0
    assert [Path(book["file"]).name for book in replayed(folder, "--symbol", "BTCUSDT")] == [
        "20260302T12-depth1-0001.gz"
    ]
    assert "choose one with --symbol" in refused(folder, code=2)


def test_a_session_that_was_killed_is_read_to_its_last_whole_line(tmp_path):
    folder = session(tmp_path / "recorded", MIXED)
    (path,) = folder.glob("*.gz")
    path.write_bytes(path.read_bytes() + gzip.compress(line(depth(14, 15), 9).encode())[:-9])
    (book,) = replayed(path, "--symbol", "BTCUSDT")
    assert (book["applied"], book["state"]) == (2, "live")


def test_a_folder_without_order_books_is_named(tmp_path):
    assert f"{tmp_path}: no change of an order book in 0 messages" in refused(tmp_path)


# Messages


def test_a_trade_that_the_buyer_took_is_bought():
    received = event(b'{"stream":"x@aggTrade","data":{"s":"BTCUSDT","a":7,"T":5,"p":"2.5","q":"0.10","m":false}}')
    assert received == Trade("BTCUSDT", 7, 5, 2.5, 0.1, True)


def test_other_messages_are_no_event():
    assert event(b'{"stream":"btcusdt@kline_1m","data":{"e":"kline"}}') is None


def test_a_snapshot_needs_no_stream():
    assert event(json.dumps(SNAPSHOT).encode()) == BookSnapshot(10, [(100.0, 1.0)], [(101.0, 2.0)])


@pytest.mark.parametrize(
    "message", [b"", b"[]", b"null", b'{"stream":7}', b'{"stream":"x@trade","data":{"s":"B"}}', b"\xff"]
)
def test_a_message_of_another_form_is_refused_with_its_beginning(message):
    with pytest.raises(FeedError, match="a message of Binance cannot be read"):
        event(message)
