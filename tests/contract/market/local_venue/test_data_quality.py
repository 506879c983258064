"""Faults of the local venue as the quality score and the halts see them, over its real streams."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random

import httpx

from mikrobot.domain.market import Timeframe
from mikrobot.live.bar_quality import BarQuality
from mikrobot.live.halts import Halts
from mikrobot.live.longer_bar_check import LongerBarCheck
from mikrobot.live.published_bars import COMPARED, compare
from mikrobot.market.binance import BinanceSource
from mikrobot.market.binance_streams import BinanceStream, attempts_of
from mikrobot.market.feed import closes
from mikrobot.market.local_venue.opening import VenueOptions
from mikrobot.runtime import ManualClock
from mikrobot.store.bars import BarStore
from mikrobot.store.postgres.database import Pool
from tests.chaos.live_feed import market_clock, running_venue, write_bars
from tests.venue_client import run, running

SYMBOL = "BTCUSDT"
MINUTES, REVISED = 9, 2
SPEED = 30.0


def test_a_kline_that_the_venue_has_otherwise_later_halts_until_three_good_minutes(
    tmp_path: Path, pool: Pool
) -> None:  # fmt: skip
    """The kline of the third minute is sent with other values than REST has; each minute is compared with REST."""
    write_bars(tmp_path, [SYMBOL], 60, 5)
    store, halts, halted, scores = BarStore(pool), Halts(), list[bool](), list[float]()
    with running_venue(tmp_path, SPEED, 5) as url:
        clock = market_clock(url, SPEED, 0.0)
        source = BinanceSource([SYMBOL], f"{url}/api", clock, 10.0, name="binance-local")
        stream = BinanceStream(
            [SYMBOL], url.replace("http", "ws"), clock, attempts=attempts_of(tmp_path), rng=Random(5)
        )
        quality = BarQuality(source.name)
        start = clock.now().replace(second=0, microsecond=0)
        quality.follow(start, compares=True)
        store.upsert(source.name, SYMBOL, Timeframe.M1, source.history(SYMBOL, start - COMPARED, start))
        followed = closes(source, [SYMBOL], start, None, clock=clock, stream=stream)
        try:
            for number, (close_time, (bar,)) in enumerate(islice(followed, MINUTES)):
                score = quality.score(bar, close_time, stream.delay_s(bar))
                scores.append(score.score)
                assert store.append(source.name, bar, score)
                halts.judge(close_time, [score], [])
                halted.append(bool(halts.objection(SYMBOL)))
                for revised in (*stream.take_revised(), *compare(source, store, [SYMBOL], close_time, clock=clock)):
                    quality.note_revised(revised)
                if number == REVISED - 1:
                    httpx.post(f"{url}/_control", json={"fault": "revised_kline", "count": 1}).raise_for_status()
        finally:
            stream.close()
    low = scores.index(0.0)
    assert low > REVISED
    assert halted == [low <= number < low + 3 for number in range(MINUTES)]
    assert len(store.versions.revisions(source.name, [SYMBOL], start, end=start + timedelta(hours=1))) == 1


def test_longer_klines_that_the_minutes_do_not_make_up_are_found(coin_file: Path, pool: Pool) -> None:
    """At 12:00 an M5 and an H1 kline have closed; the fault changes the high of both."""
    noon = datetime(2024, 3, 6, 12, tzinfo=UTC)
    store = BarStore(pool)

    async def scenario() -> None:
        async with running(VenueOptions(data=[coin_file], start=noon + timedelta(seconds=20), speed=1.0)) as client:
            source = BinanceSource(
                [SYMBOL], f"{client.http}/api", ManualClock(noon + timedelta(seconds=20)), 10.0, name="binance-local"
            )
            minutes = await asyncio.to_thread(source.history, SYMBOL, noon - timedelta(hours=2), noon)
            store.upsert(source.name, SYMBOL, Timeframe.M1, minutes)
            check = LongerBarCheck.of(source, store, ManualClock(noon + timedelta(seconds=62)))
            assert check is not None

            def compared() -> list[tuple[str, tuple[str, ...]]]:
                return list(check.compare([SYMBOL], noon + timedelta(minutes=1)))

            assert await asyncio.to_thread(compared) == [(SYMBOL, ()), (SYMBOL, ())]
            await client.control(fault="longer_klines")
            assert await asyncio.to_thread(compared) == [(SYMBOL, ("high",)), (SYMBOL, ("high",))]

    run(scenario())
    kept = store.disagreements.disagreements("binance-local", [SYMBOL], noon - timedelta(hours=1), end=noon)
    assert list(kept["open_time"]) == [noon - timedelta(hours=1), noon - timedelta(minutes=5)]
