"""The REST API of the local venue, over real sockets and with python-binance."""

import asyncio
import json
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from binance.client import Client
from binance.exceptions import BinanceAPIException

from mikrobot.market.binance import BinanceFutures, BinanceSource
from mikrobot.market.binance_instruments import entry_of
from mikrobot.market.local_venue.opening import VenueOptions
from mikrobot.runtime import ManualClock
from tests.venue_client import run, running

START = datetime(2024, 3, 6, 12, 0, 17, tzinfo=UTC)
MINUTE_MS = 60_000
MARKETS = [("/api/v3", 1000), ("/fapi/v1", 1500)]
SYMBOL = "BTCUSDT"


def options(coin_file, **changed):
    return VenueOptions(data=[coin_file], start=START, speed=1.0, **changed)


def milliseconds(frame):
    return frame["ts"].to_numpy("datetime64[ms]").astype(np.int64)


@pytest.mark.parametrize(("prefix", "most"), MARKETS)
def test_klines_equal_the_bars(coin_file, coin_bars, prefix, most):
    async def scenario():
        async with running(options(coin_file)) as client:
            rows, since = [], 0
            while page := await client.get(
                f"{prefix}/klines", symbol=SYMBOL, interval="1m", startTime=since, limit=most
            ):
                rows += page
                since = page[-1][0] + 1
        past = coin_bars[milliseconds(coin_bars) < int(START.timestamp()) // 60 * MINUTE_MS]
        closed = np.array([[float(row[i]) for i in (1, 2, 3, 4, 5, 8, 9)] for row in rows[: len(past)]])
        names = ["open", "high", "low", "close", "volume", "trades", "taker_buy_volume"]
        assert [row[0] for row in rows[: len(past)]] == milliseconds(past).tolist()
        assert (closed == past[names].to_numpy()).all()
        assert len(rows) == len(past) + 1, "the forming kline follows"
        assert all(row[6] == row[0] + MINUTE_MS - 1 for row in rows)

    run(scenario())


@pytest.mark.parametrize(("prefix", "most"), MARKETS)
def test_trades_aggregate_to_the_klines(coin_file, prefix, most):
    async def scenario():
        async with running(options(coin_file)) as client:
            since = int(START.timestamp()) * 1000 // MINUTE_MS * MINUTE_MS - 30 * MINUTE_MS
            klines = await client.get(f"{prefix}/klines", symbol=SYMBOL, interval="1m", startTime=since, limit=30)
            last = klines[-1][6]
            trades = await client.get(f"{prefix}/aggTrades", symbol=SYMBOL, startTime=since, endTime=last, limit=1000)
            while trades[-1]["T"] < last:
                rest = await client.get(f"{prefix}/aggTrades", symbol=SYMBOL, fromId=trades[-1]["a"] + 1, limit=1000)
                trades += [trade for trade in rest if trade["T"] <= last]
                if not rest or rest[-1]["T"] > last:
                    break
        assert all(after["a"] == before["a"] + 1 for before, after in pairwise(trades))
        assert all(after["f"] == before["l"] + 1 for before, after in pairwise(trades))
        for opened, o, h, low, c, volume, closes, value, count, taker, taker_value, _ in klines:
            mine = [trade for trade in trades if opened <= trade["T"] <= closes]
            prices = [float(trade["p"]) for trade in mine]
            if not mine:
                assert (volume, count) == (f"{0:.{len(volume) - 2}f}", 0)
                continue
            assert (prices[0], max(prices), min(prices), prices[-1]) == tuple(map(float, (o, h, low, c)))
            sizes = [(trade["q"], trade["p"], trade["m"]) for trade in mine]
            assert exact(size for size, _, _ in sizes) == exact([volume])
            assert exact(size for size, _, maker in sizes if not maker) == exact([taker])
            assert sum(trade["l"] - trade["f"] + 1 for trade in mine) == count
            assert worth(sizes) - worth(((value, "1", False),)) < 10**8, "cut to eight decimals"
            assert worth(item for item in sizes if not item[2]) - worth(((taker_value, "1", False),)) < 10**8

    run(scenario())


def exact(amounts):
    """Return the sum of amounts given as text, in units of 1e-8."""
    return sum(units(amount) for amount in amounts)


def units(text):
    whole, _, part = text.partition(".")
    return int(whole) * 10**8 + int(part.ljust(8, "0") or 0)


def worth(items):
    """Return the sum of sizes times prices, in units of 1e-16."""
    return sum(units(size) * units(price) for size, price, _ in items)


@pytest.mark.parametrize(("interval", "minutes"), [("5m", 5), ("1h", 60)])
@pytest.mark.parametrize(("prefix", "most"), MARKETS)
def test_longer_klines_are_those_that_the_minutes_make_up(coin_file, prefix, most, interval, minutes):
    async def scenario():
        now = int(START.timestamp()) // 60 * MINUTE_MS
        async with running(options(coin_file)) as client:
            window = {"symbol": SYMBOL, "startTime": now - 180 * MINUTE_MS, "endTime": now - 1}
            rows = await client.get(f"{prefix}/klines", interval="1m", **window)
            longer = await client.get(f"{prefix}/klines", interval=interval, **window)
            assert len(rows) == 180
            assert len(longer) == 180 // minutes
            for place, kline in enumerate(longer):
                part = rows[place * minutes : (place + 1) * minutes]
                assert (kline[0], kline[6]) == (part[0][0], part[-1][6])
                assert (kline[1], kline[4]) == (part[0][1], part[-1][4])
                assert (float(kline[2]), float(kline[3])) == (
                    max(float(row[2]) for row in part), min(float(row[3]) for row in part)
                )  # fmt: skip
                assert [exact([kline[i]]) for i in (5, 7, 9, 10)] == [
                    exact(row[i] for row in part) for i in (5, 7, 9, 10)
                ]
                assert kline[8] == sum(row[8] for row in part)

    run(scenario())


@pytest.mark.parametrize(("interval", "minutes"), [("5m", 5), ("1h", 60)])
def test_the_newest_longer_kline_forms(coin_file, interval, minutes):
    async def scenario():
        now = int(START.timestamp()) // 60 * MINUTE_MS
        async with running(options(coin_file)) as client:
            rows = await client.get("/api/v3/klines", symbol=SYMBOL, interval=interval, limit=3)
            opens = [(row[0] - now) // MINUTE_MS for row in rows]
            assert opens == [-2 * minutes, -minutes, 0]

    run(scenario())


def test_usdm_has_funding_every_eight_hours_on_the_last_price(coin_file):
    eight = datetime(2024, 3, 6, 8, tzinfo=UTC)

    async def scenario():
        due = int(eight.timestamp()) * 1000
        async with running(options(coin_file)) as client:
            rows = await client.get("/fapi/v1/fundingRate", symbol=SYMBOL, startTime=0, limit=1000)
            assert [row["fundingTime"] // MINUTE_MS * MINUTE_MS for row in rows[-2:]] == [due - 480 * MINUTE_MS, due]
            assert len(rows) == 2 * 3 + 1, "one at the first price of the data is missing"
            window = {"symbol": SYMBOL, "interval": "1m", "endTime": due - 1, "limit": 1}
            (kline,) = await client.get("/fapi/v1/klines", **window)
            assert float(rows[-1]["markPrice"]) == float(kline[4])
            assert all(abs(float(row["fundingRate"])) <= 0.0003 for row in rows)
            assert await client.get("/fapi/v1/fundingRate", startTime=due, endTime=due + 999) == rows[-1:]
            assert await client.get("/fapi/v1/fundingRate", symbol=SYMBOL, limit=3) == rows[-3:]
            status, _, _ = await client.answer("/api/v3/fundingRate", symbol=SYMBOL)
            assert status == 404
            refused = await client.get("/fapi/v1/fundingRate", symbol="GONEUSDT")
            assert refused["code"] == -1121

    run(scenario())


def test_the_source_of_usdm_reads_the_funding_of_its_symbols(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client:
            source = BinanceFutures(
                [SYMBOL], f"{client.http}/fapi", ManualClock(START), 20.0, name="binance-usdm-local"
            )
            first, last = START.replace(hour=0, minute=0, second=0), START.replace(hour=8, minute=0, second=0)
            rates = await asyncio.to_thread(source.funding, [SYMBOL], first, last)
            rows = await client.get("/fapi/v1/fundingRate", symbol=SYMBOL, limit=2)
            assert [(rate.at, f"{rate.rate:.8f}") for rate in rates] == [
                (first, rows[0]["fundingRate"]), (last, rows[1]["fundingRate"])
            ]  # fmt: skip
            assert [f"{rate.mark:f}" for rate in rates] == [row["markPrice"] for row in rows]
            assert await asyncio.to_thread(source.funding, ["ETHUSDT"], first, last) == []

    run(scenario())


@pytest.mark.parametrize(("prefix", "most"), MARKETS)
def test_windows_and_limits_are_those_of_binance(coin_file, prefix, most):
    async def scenario():
        async with running(options(coin_file)) as client:

            async def opens(**query):
                rows = await client.get(f"{prefix}/klines", symbol=SYMBOL, interval="1m", **query)
                return [(row[0] - now) // MINUTE_MS for row in rows]

            now = int(START.timestamp()) // 60 * MINUTE_MS
            assert await opens(limit=3) == [-2, -1, 0]
            assert await opens(limit=2, endTime=now - 1) == [-2, -1]
            assert await opens(limit=2, startTime=now - 5 * MINUTE_MS + 1) == [-4, -3]
            assert await opens(startTime=now - 2 * MINUTE_MS, endTime=now - MINUTE_MS) == [-2, -1]
            assert await opens(startTime=now + MINUTE_MS) == []
            assert await opens(startTime="9" * 20) == []
            assert await opens(endTime="9" * 20, limit=1) == [0]
            assert await client.get(f"{prefix}/aggTrades", symbol=SYMBOL, fromId="9" * 20) == []
            assert [row["a"] for row in await client.get(f"{prefix}/aggTrades", symbol=SYMBOL, fromId=0, limit=2)] == [
                1,
                2,
            ]
            assert len(await opens()) == 500
            assert await opens(startTime=1) == (await opens(startTime=1, limit=500))

    run(scenario())


REFUSED = [
    ("klines", {"symbol": "NOPEUSDT", "interval": "1m"}, -1121),
    ("depth", {"symbol": "NOPEUSDT"}, -1121),
    ("klines", {"symbol": "BTC USDT", "interval": "1m"}, -1100),
    ("klines", {"symbol": SYMBOL, "interval": "1m", "startTime": "soon"}, -1100),
    ("klines", {"symbol": SYMBOL, "interval": "1m", "limit": "0"}, -1130),
    ("klines", {"symbol": SYMBOL, "interval": "7m"}, -1120),
    ("klines", {"symbol": SYMBOL}, -1102),
    ("aggTrades", {"interval": "1m"}, -1102),
    ("aggTrades", {"symbol": SYMBOL, "fromId": 5, "startTime": 5}, -1128),
]


@pytest.mark.parametrize("prefix", ["/api/v3", "/fapi/v1"])
@pytest.mark.parametrize(("name", "query", "code"), REFUSED)
def test_wrong_requests_are_refused_as_by_binance(coin_file, prefix, name, query, code):
    async def scenario():
        async with running(options(coin_file)) as client:
            status, _, body = await client.answer(f"{prefix}/{name}", **query)
            assert (status, json.loads(body)["code"]) == (400, code)

    run(scenario())


def test_futures_refuse_limits_that_spot_cuts(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client:
            query = {"symbol": SYMBOL, "interval": "1m", "limit": 9999}
            assert len(await client.get("/api/v3/klines", **query)) == 1000
            assert (await client.get("/fapi/v1/klines", **query))["code"] == -1130
            for most in (0, 7, "9" * 20):
                assert (await client.get("/fapi/v1/depth", symbol=SYMBOL, limit=most))["code"] == -4021

    run(scenario())


@pytest.mark.parametrize("prefix", ["/api/v3", "/fapi/v1"])
def test_the_listing_gives_the_instrument(coin_file, prefix):
    async def scenario():
        async with running(options(coin_file)) as client:
            (listing,) = (await client.get(f"{prefix}/exchangeInfo"))["symbols"]
        read = entry_of(SYMBOL, listing).instrument
        assert (str(read.tick), str(read.size_step), str(read.min_notional)) == ("0.01", "0.00001", "5")
        names = {item["filterType"] for item in listing["filters"]}
        assert names == {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL" if prefix == "/api/v3" else "MIN_NOTIONAL"}

    run(scenario())


def test_a_listing_can_be_asked_for_by_symbols(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client:
            path = "/api/v3/exchangeInfo"
            assert len((await client.get(path, symbols='["BTCUSDT"]'))["symbols"]) == 1
            assert (await client.get(path, symbols='["BTCUSDT","NOPEUSDT"]'))["code"] == -1121
            assert (await client.get(path, symbols="BTCUSDT"))["code"] == -1100

    run(scenario())


def test_the_weight_is_counted_then_refused_then_banned(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client:
            used, statuses, waits = [], [], []
            for _ in range(24 + 11):
                status, headers, _ = await client.answer("/api/v3/depth", symbol=SYMBOL, limit=5000)
                used.append(int(headers["X-MBX-USED-WEIGHT-1M"]))
                statuses.append(status)
                waits.append(headers.get("Retry-After"))
            assert used[:24] == list(range(250, 6001, 250))
            assert statuses == [200] * 24 + [429] * 10 + [418]
            assert 0 < int(waits[24]) <= 60
            assert waits[-1] == "120"
            status, headers, _ = await client.answer("/fapi/v1/ping")
            assert (status, headers["X-MBX-USED-WEIGHT-1M"]) == (200, "1"), "futures count apart"

    run(scenario())


@pytest.mark.parametrize(
    ("path", "query", "weight"),
    [
        ("/api/v3/exchangeInfo", {}, 20),
        ("/api/v3/klines", {"symbol": SYMBOL, "interval": "1m", "limit": 1}, 2),
        ("/api/v3/depth", {"symbol": SYMBOL}, 5),
        ("/api/v3/depth", {"symbol": SYMBOL, "limit": 1000}, 50),
        ("/fapi/v1/klines", {"symbol": SYMBOL, "interval": "1m", "limit": 99}, 1),
        ("/fapi/v1/klines", {"symbol": SYMBOL, "interval": "1m", "limit": 1500}, 10),
        ("/fapi/v1/depth", {"symbol": SYMBOL, "limit": 1000}, 20),
    ],
)
def test_weights_are_those_of_binance(coin_file, path, query, weight):
    async def scenario():
        async with running(options(coin_file)) as client:
            _, headers, _ = await client.answer(path, **query)
            assert int(headers["X-MBX-USED-WEIGHT-1M"]) == weight

    run(scenario())


def test_microseconds_are_sent_when_asked_for(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client:
            query = {"symbol": SYMBOL, "interval": "1m", "limit": 2}
            (opened, *_), _ = await client.get("/api/v3/klines", **query)
            _, _, body = await client.answer("/api/v3/klines", headers={"X-MBX-TIME-UNIT": "MICROSECOND"}, **query)
            row = json.loads(body)[0]
            assert (row[0], row[6]) == (opened * 1000, (opened + MINUTE_MS) * 1000 - 1)

    run(scenario())


def test_the_source_of_the_platform_reads_it(coin_file, coin_bars):
    async def scenario():
        async with running(options(coin_file)) as client:
            source = BinanceSource([SYMBOL], f"{client.http}/api", ManualClock(START), 10.0)
            first, last = await asyncio.to_thread(source.span, SYMBOL)
            bars = await asyncio.to_thread(source.history, SYMBOL, first, last)
            listed = await asyncio.to_thread(source.instruments)
        past = coin_bars[coin_bars["ts"] < last]
        names = ["open", "high", "low", "close", "volume", "trades"]
        assert (bars[names].to_numpy() == past[names].to_numpy()).all()
        assert last == START.replace(second=0)
        assert listed[SYMBOL].origin == "venue"

    run(scenario())


def test_the_client_of_python_binance_reads_futures(coin_file):
    async def scenario():
        async with running(options(coin_file)) as client:
            futures = Client(ping=False)
            futures.FUTURES_URL = f"{client.http}/fapi"
            rows = await asyncio.to_thread(futures.futures_klines, symbol=SYMBOL, interval="1m", limit=5)
            book = await asyncio.to_thread(futures.futures_order_book, symbol=SYMBOL, limit=10)
            assert len(rows) == 5
            assert float(book["bids"][0][0]) < float(book["asks"][0][0])
            with pytest.raises(BinanceAPIException, match="Invalid symbol"):
                await asyncio.to_thread(futures.futures_klines, symbol="NOPEUSDT", interval="1m")

    run(scenario())


def test_a_restart_at_another_time_answers_the_same(coin_file):
    async def answers(start):
        async with running(options(coin_file) if start is None else VenueOptions(data=[coin_file], start=start)) as one:
            until = int(START.timestamp()) * 1000 - 3 * MINUTE_MS
            window = {"symbol": SYMBOL, "startTime": until - 5 * MINUTE_MS, "endTime": until}
            return [
                await one.get("/api/v3/aggTrades", **window, limit=1000),
                await one.get("/fapi/v1/klines", **window, interval="1m"),
            ]

    async def scenario():
        assert await answers(None) == await answers(datetime(2024, 3, 7, 3, tzinfo=UTC))

    run(scenario())
