"""Each fault of the local venue as a client sees it, by a rate and by the control address."""

import contextlib
import json
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import aiohttp
import pytest

from mikrobot.market.local_venue.faults import BURST, FAULTS, LATE_MS
from mikrobot.market.local_venue.generated_feed import KLINE_PERIOD_MS
from mikrobot.market.local_venue.opening import VenueOptions
from tests.venue_client import closed_klines, collect, run, running

START = datetime(2024, 3, 6, 12, tzinfo=UTC)
START_MS = int(START.timestamp()) * 1000
MINUTE_MS = 60_000
SPEED = 600.0
KLINES = "/ws/btcusdt@kline_1m"
DEPTH = "/ws/btcusdt@depth@100ms"
TRADES = "/ws/btcusdt@aggTrade"
SYMBOL = "BTCUSDT"


def options(coin_file, **changed):
    return VenueOptions(**{"data": [coin_file], "start": START, "speed": SPEED} | changed)


async def last_frame(socket):
    """Return what the connection ends with, after its messages."""
    while (message := await socket.receive()).type == aiohttp.WSMsgType.TEXT:
        pass
    return message


async def sees_drop(client):
    async with client.connect(TRADES) as socket:
        await collect(socket, bool)
        assert (await client.control(fault="drop"))["connections"] == 1
        message = await last_frame(socket)
        # An end without a close frame: the client has no code of the server.
        assert (message.type, socket.close_code) == (aiohttp.WSMsgType.CLOSED, 1006)


async def sees_stall(client):
    async with client.connect(TRADES) as socket, client.connect(TRADES) as other:
        await client.control(fault="stall", count=1)
        stalled = await moment(client)
        await collect(other, lambda messages: bool(messages) and messages[-1]["T"] > stalled + 2 * MINUTE_MS)
        arrived = await waiting(socket)
        assert all(message["T"] <= stalled for message in arrived)
        assert [one["number"] for one in (await client.control())["connections"]["open"]] == [1, 2]


async def waiting(socket):
    """Return the messages of a socket on which no more arrive."""
    messages = []
    with contextlib.suppress(TimeoutError):
        while True:
            messages.append(await socket.receive_json(timeout=0.05))
    return messages


async def moment(client):
    return (await client.get("/api/v3/time"))["serverTime"]


async def sees_server_shutdown(client):
    async with client.connect("/stream?streams=btcusdt@aggTrade") as socket:
        await client.control(fault="server_shutdown")
        (*_, last) = await collect(socket, lambda messages: "Shutdown" in str(messages[-1:]))
        assert (last["stream"], last["data"]["e"]) == ("!serverShutdown", "serverShutdown")
        assert last["data"]["E"] > START_MS
        assert (await last_frame(socket)).type == aiohttp.WSMsgType.CLOSE


async def sees_life_limit(client):
    async with client.connect(TRADES) as socket:
        await client.control(fault="life_limit")
        message = await last_frame(socket)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)


async def sees_silent_stream(client):
    await client.control(fault="silent_stream", stream="btcusdt@aggTrade")
    async with client.connect("/stream?streams=btcusdt@aggTrade/btcusdt@kline_1m") as socket:
        messages = await collect(socket, lambda messages: len(messages) == 40)
    assert {message["stream"] for message in messages} == {"btcusdt@kline_1m"}


async def sees_duplicate(client):
    async with client.connect(TRADES) as socket:
        await client.control(fault="duplicate", count=3)
        messages = await collect(socket, lambda messages: len(messages) - len(set(ids_of(messages))) == 3)
    assert ids_of(messages) == sorted(ids_of(messages))


def ids_of(messages):
    return [message["a"] for message in messages]


async def sees_reorder(client):
    async with client.connect(TRADES) as socket:
        await client.control(fault="reorder")
        messages = await collect(socket, lambda messages: ids_of(messages) != sorted(ids_of(messages)))
    ids = ids_of(messages)
    assert sorted(ids) == list(range(min(ids), min(ids) + len(ids)))


async def sees_id_gap(client):
    def gaps(diffs):
        return [after["U"] - before["u"] - 1 for before, after in pairwise(diffs)]

    async with client.connect(DEPTH) as socket:
        await collect(socket, bool)
        await client.control(fault="id_gap")
        diffs = await collect(socket, lambda messages: any(gaps(messages)))
        rest = await collect(socket, lambda messages: len(messages) == 60)
    assert sum(map(bool, gaps(diffs + rest))) == 1


async def sees_late_kline(client):
    async with client.connect(KLINES) as socket:
        await client.control(fault="late_kline")
        messages = await collect(socket, lambda messages: any(delays(messages)))
    assert max(delays(messages)) >= LATE_MS - KLINE_PERIOD_MS


def delays(messages):
    """Return how long after its close each closed kline arrives, by the message before it; 0 if in time."""
    return [max(before["E"] - after["E"], 0) for before, after in pairwise(messages) if after["k"]["x"]]


async def sees_missing_kline(client):
    def missing(messages):
        opened = {message["k"]["t"] for message in messages}
        closed = {kline["t"] for kline in closed_klines(messages)}
        return {minute for minute in opened - closed if minute + 2 * MINUTE_MS in opened}

    async with client.connect(KLINES) as socket:
        await collect(socket, bool)
        await client.control(fault="missing_kline")
        assert len(missing(await collect(socket, missing))) == 1


async def sees_revised_kline(client):
    await client.control(fault="revised_kline")
    async with client.connect(KLINES) as socket:
        messages = await collect(socket, lambda messages: len(closed_klines(messages)) == 2)
    for kline, differs in zip(closed_klines(messages), (True, False), strict=True):
        query = {"symbol": SYMBOL, "interval": "1m", "startTime": kline["t"], "limit": 1}
        (row,) = await client.get("/api/v3/klines", **query)
        assert (row[8] != kline["n"]) == differs


async def sees_overflow(client):
    async with client.connect(TRADES) as socket:
        await client.control(fault="overflow")
        messages = await collect(socket, lambda messages: len(messages) - len(set(ids_of(messages))) == BURST - 1)
    assert max(Counter(ids_of(messages)).values()) == BURST


async def sees_malformed_json(client):
    await client.control(fault="malformed_json", stream="btcusdt@aggTrade")
    async with client.connect(TRADES) as socket:
        with pytest.raises(json.JSONDecodeError):
            await collect(socket, lambda _: False)
    await client.control(fault="malformed_json", symbol=SYMBOL)
    with pytest.raises(json.JSONDecodeError):
        await client.get("/api/v3/klines", symbol=SYMBOL, interval="1m")


async def sees_microseconds(client):
    await client.control(fault="microseconds", seconds=9_999_999)
    assert await moment(client) > START_MS * 1000
    async with client.connect(TRADES) as socket:
        (trade,) = await collect(socket, bool)
    assert trade["T"] > START_MS * 1000


async def sees_clock_skew(client):
    before = await moment(client)
    await client.control(fault="clock_skew", delay_ms=99_999_999)
    assert await moment(client) - before >= 99_999_999


async def sees_other_longer_klines(client):
    window = {"symbol": SYMBOL, "startTime": START_MS - 5 * MINUTE_MS, "limit": 5}
    before, minutes = [
        await client.get("/api/v3/klines", interval=interval, **window | {"endTime": START_MS - 1})
        for interval in ("5m", "1m")
    ]
    await client.control(fault="longer_klines")
    (changed,) = await client.get("/api/v3/klines", interval="5m", **window | {"endTime": START_MS - 1})
    assert float(changed[2]) > float(before[0][2]) == max(float(row[2]) for row in minutes)
    assert changed[3:] == before[0][3:]


async def sees_forming_rest(client):
    while True:
        now, (row,) = await moment(client), await client.get("/api/v3/klines", symbol=SYMBOL, interval="1m", limit=1)
        if row[0] + MINUTE_MS > now:
            return


def refusal(status, retry_after, content):
    async def sees(client, name):
        await client.control(fault=name)
        shown, headers, body = await client.answer("/api/v3/time")
        assert (shown, headers.get("Retry-After")) == (status, retry_after)
        assert content in body
        assert (await client.answer("/api/v3/time"))[0] == 200, "it happens once"
        await client.control(fault=name, retry_after=17)
        _, headers, _ = await client.answer("/api/v3/time")
        assert headers.get("Retry-After") == "17"

    return sees


SEEN = {
    "drop": sees_drop,
    "stall": sees_stall,
    "server_shutdown": sees_server_shutdown,
    "life_limit": sees_life_limit,
    "silent_stream": sees_silent_stream,
    "duplicate": sees_duplicate,
    "reorder": sees_reorder,
    "id_gap": sees_id_gap,
    "late_kline": sees_late_kline,
    "missing_kline": sees_missing_kline,
    "revised_kline": sees_revised_kline,
    "overflow": sees_overflow,
    "malformed_json": sees_malformed_json,
    "microseconds": sees_microseconds,
    "clock_skew": sees_clock_skew,
    "forming_rest": sees_forming_rest,
    "longer_klines": sees_other_longer_klines,
}
REFUSED = {
    "html": refusal(200, None, "<html>"),
    "http_403": refusal(403, None, "<html>"),
    "http_418": refusal(418, "120", "-1003"),
    "http_418_bare": refusal(418, None, "-1003"),
    "http_429": refusal(429, "10", "-1003"),
    "http_429_bare": refusal(429, None, "-1003"),
    "http_451": refusal(451, None, "<html>"),
}


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_client_sees_the_fault(coin_file, name):
    async def scenario():
        async with running(options(coin_file)) as client:
            await (SEEN[name](client) if name in SEEN else REFUSED[name](client, name))
            state = await client.control()
            assert state["applied"].get(name, 0) > 0 or name == "forming_rest"

    run(scenario())


@pytest.mark.parametrize(
    ("name", "path"),
    [("drop", TRADES), ("id_gap", DEPTH), ("missing_kline", KLINES), ("overflow", TRADES), ("malformed_json", TRADES)],
)
def test_a_rate_makes_a_fault_happen_by_itself(coin_file, name, path):
    async def scenario():
        async with running(options(coin_file, rates={name: 0.3})) as client, client.connect(path) as socket:
            while not (await client.control())["applied"].get(name):
                if (await socket.receive()).type != aiohttp.WSMsgType.TEXT:
                    break
            assert (await client.control())["applied"][name] > 0

    run(scenario())


def test_rates_hit_the_same_messages_for_the_same_seed(coin_file):
    async def ids(seed):
        async with (
            running(options(coin_file, rates={"duplicate": 0.2}, seed=seed)) as client,
            client.connect(TRADES) as socket,
        ):
            messages = await collect(
                socket, lambda messages: bool(messages) and messages[-1]["T"] > START_MS + 5 * MINUTE_MS
            )
        wanted = range(START_MS + 3 * MINUTE_MS, START_MS + 4 * MINUTE_MS)
        return [message["a"] for message in messages if message["T"] in wanted]

    async def scenario():
        first = await ids(3)
        assert len(set(first)) < len(first)
        assert await ids(3) == first

    run(scenario())


def test_without_the_forming_kline_rest_answers_with_closed_ones_only(coin_file):
    async def scenario():
        async with running(
            options(coin_file, speed=0.01, start=START.replace(second=30), rates={"forming_rest": 0.0})
        ) as client:
            (row,) = await client.get("/api/v3/klines", symbol=SYMBOL, interval="1m", limit=1)
            assert row[0] == START_MS - MINUTE_MS

    run(scenario())


def test_all_connections_can_be_dropped_at_once_or_those_of_a_stream(coin_file):
    async def scenario():
        async with (
            running(options(coin_file)) as client,
            client.connect(TRADES),
            client.connect(TRADES),
            client.connect(KLINES),
        ):
            await client.get("/api/v3/ping")
            assert (await client.control(fault="stall", stream="btcusdt@kline_1m"))["connections"] == 1
            assert (await client.control(fault="drop", symbol="ETHUSDT"))["connections"] == 0
            assert (await client.control(fault="drop"))["connections"] == 3

    run(scenario())


def test_a_requested_fault_ends_with_its_time_or_when_it_is_cleared(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client:
            await client.control(fault="http_403", seconds=300)
            assert (await client.answer("/api/v3/ping"))[0] == 403
            while (await client.answer("/api/v3/ping"))[0] == 403:
                pass
            assert (await client.control())["active"] == []
            await client.control(fault="html", count=99)
            assert [item["fault"] for item in (await client.control())["active"]] == ["html"]
            async with client._session.delete(f"{client.http}/_control"):
                assert (await client.answer("/api/v3/ping"))[2] == "{}"

    run(scenario())


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ({"fault": "fire"}, "with one of drop, stall"),
        ({"fault": "drop", "when": 5}, "when is not a key of a request"),
        ({"fault": "drop", "count": "5"}, "count is '5'; expected a whole number"),
        ({"fault": "drop", "stream": 5}, "stream is 5; expected a text"),
    ],
)
def test_wrong_requests_to_the_control_address_are_refused(coin_file, wanted, complaint):
    async def scenario():
        async with running(options(coin_file)) as client:
            assert complaint in (await client.control(**wanted))["error"]

    run(scenario())


def test_a_client_that_does_not_read_is_disconnected(coin_file):
    async def scenario():
        async with running(options(coin_file, rates={"overflow": 1.0})) as client, client.connect(TRADES):
            await client.get("/api/v3/ping")
            while (await client.control())["connections"]["open"]:
                pass

    run(scenario())


def test_a_web_page_cannot_control_the_venue(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client:
            status, _, _ = await client.answer("/_control", headers={"Origin": "https://example.com"})
            assert status == 403

    run(scenario())


def test_the_state_counts_what_has_been_sent(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client:
            async with client.connect(TRADES) as socket:
                await collect(socket, lambda messages: len(messages) == 50)
                (one,) = (await client.control())["connections"]["open"]
                assert (one["market"], one["streams"]) == ("spot", ["btcusdt@aggTrade"])
            await client.get("/api/v3/ping")
            state = await client.control()
            assert state["origin"] == "bars"
            assert (state["connections"]["opened"], state["requests"]) == (1, 1)
            assert state["messages"] >= 50

    run(scenario())
