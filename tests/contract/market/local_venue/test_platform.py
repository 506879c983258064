"""The platform's own stream and order book, connected to the local venue."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from mikrobot.market.binance import BinanceSource
from mikrobot.market.binance_streams import BinanceStream, attempts_of
from mikrobot.market.local_venue.opening import VenueOptions
from mikrobot.runtime import SystemClock
from mikrobot.workflows.replay_book import replay
from tests.contract.market.local_venue.recording import recorded
from tests.venue_client import MarketTime, run, running

START = datetime(2024, 3, 6, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("fault", [None, "drop", "server_shutdown"])
def test_the_stream_and_the_source_read_the_bars_of_the_data(coin_file, coin_bars, tmp_path, fault):
    async def scenario():
        options = VenueOptions(data=[coin_file], start=START, speed=60.0)
        async with running(options) as client:
            clock = MarketTime(client.venue.clock)
            stream = BinanceStream(["BTCUSDT"], client.ws, clock, attempts=attempts_of(tmp_path), rng=Random(3))
            source = BinanceSource(["BTCUSDT"], f"{client.http}/api", clock, 10.0)
            try:
                if fault:
                    while not (await client.control(fault=fault))["connections"]:
                        pass
                closed, minutes = [], 0
                while len(closed) < 2:
                    opened = START + minutes * MINUTE
                    bars = await asyncio.to_thread(stream.minute, opened, ["BTCUSDT"], opened + 1.1 * MINUTE)
                    closed += bars.values()
                    minutes += 1
            finally:
                await asyncio.to_thread(stream.close)
            asked = await asyncio.to_thread(source.history, "BTCUSDT", START, START + minutes * MINUTE)
        bars = coin_bars[coin_bars["ts"] >= START].head(minutes)
        assert asked["close"].tolist() == bars["close"].tolist()
        for bar in closed:
            row = bars[bars["ts"] == bar.open_time].iloc[0]
            assert (bar.open, bar.high, bar.low, bar.close) == (row["open"], row["high"], row["low"], row["close"])
            assert (bar.volume, bar.trades) == (row["volume"], row["trades"])

    run(scenario())


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_the_order_book_of_the_platform_finds_no_gap_and_no_difference(coin_file, tmp_path, market):
    (book,) = replay([recorded(coin_file, market, tmp_path / "BTCUSDT.txt.gz", 10)], SystemClock())
    assert (book.gaps, book.crossed, book.state) == (0, 0, "live")
    assert book.ticker_equal == book.ticker_compared > 900
