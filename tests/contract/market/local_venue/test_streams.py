"""The streams of the local venue, over real sockets."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import aiohttp
import numpy as np
import pytest

from mikrobot.market.local_venue import markets, server
from mikrobot.market.local_venue.opening import VenueOptions, open_venue
from mikrobot.runtime import uptime_s
from tests.contract.market.local_venue.books import Book, best_of, compare
from tests.venue_client import closed_klines, collect, run, running

START = datetime(2024, 3, 6, 12, tzinfo=UTC)
START_MS = int(START.timestamp()) * 1000
MINUTE_MS = 60_000
SPEED = 300.0
SPOT, USDM = "spot", "usdm"
PATHS = {SPOT: {"kline": "", "depth": ""}, USDM: {"kline": "/market", "depth": "/public"}}
REST = {SPOT: "/api/v3", USDM: "/fapi/v1"}


def options(coin_file, **changed):
    return VenueOptions(**{"data": [coin_file], "start": START, "speed": SPEED} | changed)


@pytest.mark.parametrize("market", [SPOT, USDM])
def test_closed_klines_equal_the_bars_and_forming_ones_come_before(coin_file, coin_bars, market):
    async def scenario():
        async with (
            running(options(coin_file)) as client,
            client.connect(f"{PATHS[market]['kline']}/ws/btcusdt@kline_1m") as socket,
        ):
            messages = await collect(socket, lambda messages: len(closed_klines(messages)) == 4)
        closed = closed_klines(messages)
        assert [kline["t"] for kline in closed] == [START_MS + n * MINUTE_MS for n in range(4)]
        bars = coin_bars[coin_bars["ts"] >= START].head(4)
        names = ["open", "high", "low", "close", "volume", "trades", "taker_buy_volume"]
        values = [[float(kline[key]) for key in "ohlcvnV"] for kline in closed]
        assert (np.array(values) == bars[names].to_numpy()).all()
        stamps = [message["E"] for message in messages]
        assert stamps == sorted(stamps)
        forming = [message for message in messages if not message["k"]["x"]]
        assert len(forming) > 4 * 20
        assert all(message["E"] % 2000 == 0 for message in forming)

    run(scenario())


@pytest.mark.parametrize("depth", ["depth", "depth@100ms"])
@pytest.mark.parametrize("market", [SPOT, USDM])
def test_a_book_joins_its_snapshot_and_equals_the_best_prices(coin_file, market, depth):
    async def scenario():
        path = f"{PATHS[market]['depth']}/stream?streams=btcusdt@bookTicker/btcusdt@{depth}"

        def newer(messages, than):
            return sum(1 for message in messages if message["data"]["u"] > than and "depth" in message["stream"])

        async with running(options(coin_file)) as client, client.connect(path) as socket:
            messages = await collect(socket, lambda messages: newer(messages, 0) == 5)
            snapshot = await client.get(f"{REST[market]}/depth", symbol="BTCUSDT", limit=100)
            last = snapshot["lastUpdateId"]
            messages += await collect(socket, lambda messages: newer(messages, last) == 40)
        assert compare(Book(market, snapshot), [message["data"] for message in messages]) >= 25

    run(scenario())


@pytest.mark.parametrize("depth", ["depth", "depth@100ms"])
@pytest.mark.parametrize("market", [SPOT, USDM])
def test_a_snapshot_between_two_changes_joins_the_second_wherever_it_is_taken(coin_file, market, depth):
    """A level that changes and changes back between two messages is in the second one: a snapshot may have it."""
    feed = open_venue(options(coin_file), uptime_s).feeds[market]["BTCUSDT"]
    diffs = [message.payload for message in feed.messages(f"btcusdt@{depth}", START_MS, START_MS + 2 * MINUTE_MS)]
    for now_ms in range(START_MS + 1000, START_MS + MINUTE_MS, 61):
        book = Book(market, feed.depth(1000, now_ms))
        diff = next(diff for diff in diffs if diff["E"] > now_ms and book.apply(diff))
        assert book.sides == Book(market, feed.depth(1000, diff["E"] - 1)).sides


def test_snapshots_of_futures_have_ids_that_no_update_covers(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client, client.connect("/public/ws/btcusdt@depth@100ms") as socket:
            diffs = await collect(socket, lambda messages: len(messages) == 40)
            snapshots = [await client.get("/fapi/v1/depth", symbol="BTCUSDT") for _ in range(30)]
        assert all(diff["pu"] == before["u"] < diff["U"] <= diff["u"] for before, diff in pairwise(diffs))
        assert any(diff["U"] != before["u"] + 1 for before, diff in pairwise(diffs))
        assert len({snapshot["lastUpdateId"] for snapshot in snapshots}) > 1

    run(scenario())


def test_trades_happen_at_the_best_price_and_within_its_size(coin_file):
    async def scenario():
        path = "/stream?streams=btcusdt@bookTicker/btcusdt@aggTrade"

        def trades(messages):
            return [message["data"] for message in messages if "aggTrade" in message["stream"]]

        async with running(options(coin_file)) as client, client.connect(path) as socket:
            messages = await collect(socket, lambda messages: len(trades(messages)) == 60)
        tickers, checked = [], 0
        for message in messages:
            if "bookTicker" in message["stream"]:
                tickers.append(best_of(message["data"]))
            elif len(tickers) > 1:
                trade = message["data"]
                side = 0 if trade["m"] else 2
                price, size = float(trade["p"]), float(trade["q"])
                # The update that the trade causes has the same time and comes before it.
                assert any(best[side] == price and best[side + 1] >= size for best in tickers[-2:])
                checked += 1
        assert checked > 50

    run(scenario())


def test_the_same_seed_sends_the_same_bytes_and_another_seed_others(coin_file):
    path = "/stream?streams=btcusdt@aggTrade/btcusdt@bookTicker/btcusdt@depth@100ms/btcusdt@kline_1m"

    async def minute(seed):
        async with running(options(coin_file, seed=seed)) as client, client.connect(path) as socket:
            texts, klines = [], 0
            while klines < 2:
                text = (await socket.receive()).data
                klines += '"x":true' in text
                if klines:
                    texts.append(text)
            return texts

    async def scenario():
        first = await minute(5)
        assert len(first) > 200
        assert await minute(5) == first
        other = await minute(6)
        assert other != first
        of_bar = [[json.loads(texts[0])["data"]["k"][key] for key in "tohlcvnV"] for texts in (first, other)]
        assert of_bar[0] == of_bar[1]

    run(scenario())


@pytest.mark.parametrize(
    ("path", "silent", "loud"),
    [
        ("/public", "btcusdt@kline_1m", "btcusdt@bookTicker"),
        ("/market", "btcusdt@depth@100ms", "btcusdt@kline_1m"),
        ("", "btcusdt@nothing", "btcusdt@aggTrade"),
        ("", "BTCUSDT@aggTrade", "btcusdt@aggTrade"),
        ("", "nopeusdt@aggTrade", "btcusdt@aggTrade"),
    ],
)
def test_a_stream_that_is_not_there_is_acknowledged_and_silent(coin_file, path, silent, loud):
    async def scenario():
        async with running(options(coin_file)) as client, client.connect(f"{path}/stream") as socket:
            await socket.send_json({"method": "SUBSCRIBE", "params": [silent, loud], "id": 1})
            messages = await collect(socket, lambda messages: len(messages) == 40)
        assert messages[0] == {"result": None, "id": 1}
        assert {message["stream"] for message in messages[1:]} == {loud}

    run(scenario())


def test_subscriptions_can_be_added_listed_and_ended(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client, client.connect("/ws/btcusdt@aggTrade") as socket:

            async def ask(method, number, **params):
                await socket.send_json({"method": method, "id": number, **params})
                while True:
                    answer = json.loads((await socket.receive()).data)
                    if answer.get("id", answer.get("code")) == number or "code" in answer:
                        return answer

            assert await ask("LIST_SUBSCRIPTIONS", 1) == {"result": ["btcusdt@aggTrade"], "id": 1}
            assert await ask("SUBSCRIBE", 2, params=["btcusdt@kline_1m"]) == {"result": None, "id": 2}
            assert await ask("UNSUBSCRIBE", "x", params=["btcusdt@aggTrade"]) == {"result": None, "id": "x"}
            assert (await ask("LIST_SUBSCRIPTIONS", 4))["result"] == ["btcusdt@kline_1m"]
            assert {message["e"] for message in await collect(socket, lambda messages: len(messages) == 9)} == {"kline"}
            assert (await ask("BUY", 5))["code"] == 2
            assert (await ask("SUBSCRIBE", 6, params="btcusdt@kline_1m"))["code"] == 2
            await socket.send_str("[" * 100_000)
            assert any(
                "code" in message for message in await collect(socket, lambda found: any("code" in m for m in found))
            )

    run(scenario())


def test_too_many_streams_are_refused(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client, client.connect("/market/ws") as socket:
            names = [f"coin{n}usdt@kline_1m" for n in range(201)]
            await socket.send_json({"method": "SUBSCRIBE", "params": names, "id": 1})
            assert "more than 200 streams" in json.loads((await socket.receive()).data)["msg"]
            await socket.send_json({"method": "SUBSCRIBE", "params": names[:200], "id": 2})
            assert json.loads((await socket.receive()).data) == {"result": None, "id": 2}

    run(scenario())


@pytest.mark.parametrize(("path", "most"), [("/ws", 5), ("/market/ws", 10)])
def test_a_client_that_sends_too_much_is_disconnected(coin_file, path, most):
    async def scenario():
        async with running(options(coin_file, speed=0.01)) as client, client.connect(path) as socket:
            answers = []
            for n in range(most + 1):
                await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": n})
                answers.append((await socket.receive()).type)
        assert answers == [aiohttp.WSMsgType.TEXT] * most + [aiohttp.WSMsgType.CLOSE]

    run(scenario())


def test_too_many_connection_attempts_are_refused(coin_file):
    async def scenario():
        async with running(options(coin_file, speed=0.01)) as client:
            for _ in range(300):
                status, _, _ = await client.answer("/ws")
                assert status == 400, "an attempt without the headers of a websocket"
            assert (await client.answer("/ws"))[0] == 429

    run(scenario())


def test_the_server_pings_and_ends_a_connection_without_a_pong(coin_file, monkeypatch):
    quick = replace(markets.SPOT, ping_s=0.05, pong_s=0.3)
    monkeypatch.setattr(server, "_PATHS", (("", quick, ""),))

    async def scenario():
        async with running(options(coin_file)) as client:
            async with client.connect("/ws", autoping=False) as socket:
                for _ in range(20):
                    message = await socket.receive()
                    assert message.type == aiohttp.WSMsgType.PING
                    await socket.pong(message.data)
            async with client.connect("/ws", autoping=False) as socket:
                kinds = []
                while not kinds or kinds[-1] == aiohttp.WSMsgType.PING:
                    kinds.append((await socket.receive()).type)
                assert len(kinds) > 2
                assert (kinds[-1], socket.close_code) == (aiohttp.WSMsgType.CLOSE, 1008)

    run(scenario())


def test_pings_of_a_client_are_answered(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client, client.connect("/ws") as socket:
            await socket.ping(b"17")
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
            assert (await socket.receive()).type == aiohttp.WSMsgType.TEXT

    run(scenario())


def test_streams_can_be_in_microseconds(coin_file):
    async def scenario():
        path = "/ws/btcusdt@kline_1m?timeUnit=MICROSECOND"
        async with running(options(coin_file)) as client, client.connect(path) as socket:
            (message,) = await collect(socket, lambda messages: len(messages) == 1)
        assert message["k"]["t"] == START_MS * 1000
        assert message["k"]["T"] == (START_MS + MINUTE_MS) * 1000 - 1

    run(scenario())


@pytest.mark.parametrize("market", [SPOT, USDM])
def test_a_hole_of_the_data_is_a_hole_of_the_market(coin_file, market):
    feed = open_venue(options(coin_file), uptime_s).feeds[market]["BTCUSDT"]
    since, until = (datetime(2024, 3, 4, hour, 38, tzinfo=UTC).timestamp() * 1000 for hour in (11, 13))
    span = int(since), int(until) + 4 * MINUTE_MS
    opens = {message.payload["k"]["t"] for message in feed.messages("btcusdt@kline_1m", *span) if message.closed}
    minutes = [(opened - span[0]) // MINUTE_MS for opened in sorted(opens)]
    assert minutes == [-1, 0, 1, 122]
    diffs = [message.payload for message in feed.messages("btcusdt@depth@100ms", *span)]
    assert max(after["E"] - before["E"] for before, after in pairwise(diffs)) >= 7_200_000
    for before, after in pairwise(diffs):
        assert (after["U"] == before["u"] + 1) if market == SPOT else (after["pu"] == before["u"])


def test_the_market_ends_with_the_data(coin_file, coin_bars):
    async def scenario():
        start = coin_bars["ts"].iloc[-1].to_pydatetime() - timedelta(minutes=2)
        async with running(options(coin_file, start=start, speed=600.0)) as client:
            async with client.connect("/ws/btcusdt@kline_1m") as socket:
                await collect(socket, lambda messages: len(closed_klines(messages)) == 3)
            while not (state := await client.control())["ended"]:
                pass
            end = start + timedelta(minutes=3)
            assert state["market_time"] == (end + timedelta(seconds=1)).isoformat()
            rows = await client.get("/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=1)
            assert rows[0][0] == int(end.timestamp()) * 1000 - MINUTE_MS

    run(scenario())
