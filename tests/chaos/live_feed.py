"""Follow a local venue at many times real speed, with faults at random instants, and compare every bar with the truth.

``python -m tests.chaos.live_feed --minutes 1440 --symbols 20 --faults 100 --seed 1`` prints what happened; with
``--kpis``, the rows of docs/requirements.md about the feed.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import click
import httpx

from mikrobot.domain.instruments.registry import symbols as known_symbols
from mikrobot.domain.market import Bar, bars_of
from mikrobot.live.recording import RecordedSource, Recording
from mikrobot.live.steady_clock import SteadyClock
from mikrobot.market.binance import BinanceSource
from mikrobot.market.binance_streams import BinanceStream, attempts_of
from mikrobot.market.feed import Source, closes
from mikrobot.market.simulated import SimulatedSource
from mikrobot.market.streams.connection import StreamStatus
from mikrobot.runtime import ManualClock, SystemClock, uptime_s
from mikrobot.store.runs import Run, Segment
from tests.chaos.feed_kpis import Looks, kpis, same

MINUTE = timedelta(minutes=1)

FAULTS: dict[str, dict[str, Any]] = {
    "drop": {},
    "stall": {},
    "server_shutdown": {},
    "life_limit": {},
    "silent_stream": {"seconds": 90},
    "duplicate": {"seconds": 120},
    "reorder": {"seconds": 120},
    "late_kline": {"count": 3},
    "missing_kline": {"count": 3},
    "malformed_json": {"count": 3},
    "overflow": {"count": 1},
    "http_429": {"count": 2, "retry_after": 3},
    "http_429_bare": {"count": 1},
    "http_403": {"count": 2},
    "html": {"count": 2},
}
"""Faults that are drawn, with their terms; none of them changes what is true."""


@dataclass
class Followed:
    """What a feed has yielded, and how its streams fared.

    Attributes
    ----------
    bars : list of (datetime, Bar)
        Each bar with the close at which the feed yielded it, in that order.
    faults : Counter
        Faults that were requested, by name.
    status : list of StreamStatus
        Of the streams at the end.
    looks : Looks
        At the streams, one a second of market time.
    began : datetime
        When the feed began, by the clock of the client.
    late_s : list of float
        Seconds of market time from each close to its bars, by the clock of the client.
    """

    bars: list[tuple[datetime, Bar]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    status: list[StreamStatus] = field(default_factory=list)
    looks: Looks = field(default_factory=Looks)
    began: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    late_s: list[float] = field(default_factory=list)


def write_bars(folder: Path, symbols: Sequence[str], minutes: int, seed: int) -> None:
    """Write made-up bars of each symbol, an hour more before and after those minutes."""
    first = datetime(2025, 3, 3, tzinfo=UTC)
    for number, symbol in enumerate(symbols):
        source = SimulatedSource(["BTCUSDT"], seed + number, ManualClock(first + timedelta(days=30)))
        bars = source.history("BTCUSDT", first, first + timedelta(minutes=minutes + 120))
        bars = bars.rename(columns={"open_time": "ts", "taker_volume": "taker_buy_volume"})
        bars.to_parquet(folder / f"{symbol}_M1.parquet", index=False)


@contextmanager
def running_venue(folder: Path, speed: float, seed: int) -> Iterator[str]:
    """Run a venue of the bars of a folder, whose market begins an hour after them; yield its address."""
    command = [Path(sys.executable).with_name("mikrobot"), "venue", "--data", folder, "--port", "0"]
    command += ["--speed", speed, "--seed", seed, "--start", "2025-03-03 01:00:00"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = next(text for text in process.stdout if "http://" in text)
        yield line[line.index("http://") :].split()[0].rstrip("/,.;")
    finally:
        process.terminate()
        process.wait(30)


def market_clock(url: str, speed: float, ahead_s: float) -> SteadyClock:
    """Return a clock that is so many seconds ahead of the venue."""
    before = uptime_s()
    now_ms = httpx.get(f"{url}/api/v3/time").json()["serverTime"]
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return SteadyClock(now - timedelta(seconds=(before + uptime_s()) / 2 * speed - ahead_s), speed)


def follow(
    symbols: Sequence[str], minutes: int, faults: int, seed: int, *, speed: float = 60.0, ahead_s: float = 0.0,
    record: Path | None = None,
) -> tuple[Followed, dict[str, list[Bar]]]:  # fmt: skip
    """Follow symbols for so many minutes of market with so many faults; record the session into a folder.

    Returns
    -------
    (Followed, dict of str to list of Bar)
        What the feed has yielded, and the bars of each symbol by REST after all faults.
    """
    followed = Followed()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        write_bars(Path(folder), symbols, minutes, seed)
        url = stack.enter_context(running_venue(Path(folder), speed, seed))
        clock = market_clock(url, speed, ahead_s)
        followed.began = clock.now()
        start = clock.now().replace(second=0, microsecond=0) - 5 * MINUTE
        end = start + timedelta(minutes=minutes + 5)
        stream = BinanceStream(
            symbols, url.replace("http", "ws"), clock, attempts=attempts_of(Path(folder)), rng=Random(seed)
        )
        venue = BinanceSource(symbols, f"{url}/api", clock, 10.0, name="binance-local")
        venue.hurry()
        source: Source = venue
        recording = None
        if record is not None:
            segment = Segment(tuple(symbols), start, start, end)
            settings = {"segments": [segment.to_json()]}
            run = Run("followed", source.name, True, segment.symbols, start, end, start, settings)
            recording = Recording(record, run, Path(folder), clock)
            stack.callback(recording.close)
            stream.record(recording.take)
            source = RecordedSource(source, recording)
        over = Event()
        troubles = Thread(target=_trouble, args=(url, clock, Random(seed), faults, minutes, over, followed, stream))
        troubles.start()
        try:
            for close, bars in closes(source, symbols, start, None, clock=clock, stream=stream):
                followed.bars.extend((close, bar) for bar in bars)
                followed.late_s.append((clock.now() - close).total_seconds())
                if recording is not None:
                    recording.published(close, bars)
                if close >= end:
                    break
            followed.status = stream.status()
        finally:
            over.set()
            troubles.join()
            stream.close()
        httpx.delete(f"{url}/_control")
        truth = {symbol: bars_of(symbol, source.history(symbol, start, end)) for symbol in symbols}
    return followed, truth


def _trouble(
    url: str, clock: SteadyClock, rng: Random, faults: int, minutes: int, over: Event, followed: Followed,
    stream: BinanceStream,
) -> None:  # fmt: skip
    began = silent_until = clock.now()
    instants = sorted(rng.uniform(60, 60 * minutes - 60) for _ in range(faults))
    while not over.is_set():
        clock.sleep(1)
        now = clock.now()
        followed.looks.add(now, stream.status(), sends=now >= silent_until)
        while instants and (now - began).total_seconds() >= instants[0]:
            instants.pop(0)
            name = rng.choice(sorted(FAULTS))
            httpx.post(f"{url}/_control", content=json.dumps({"fault": name, **FAULTS[name]})).raise_for_status()
            followed.faults[name] += 1
            if name == "silent_stream":
                silent_until = clock.now() + timedelta(seconds=FAULTS[name]["seconds"])


def differences(followed: Followed, truth: dict[str, list[Bar]]) -> list[str]:
    """Return what is wrong with the bars that a feed has yielded, a line each."""
    wrong = [
        f"{bar.symbol} {bar.open_time}: yielded at {close}" for close, bar in followed.bars if close != bar.close_time
    ]
    for symbol, expected in truth.items():
        got = [bar for _, bar in followed.bars if bar.symbol == symbol]
        times, due = Counter(bar.open_time for bar in got), {bar.open_time: bar for bar in expected}
        wrong += [f"{symbol} {time}: yielded {count} times" for time, count in times.items() if count > 1]
        wrong += [f"{symbol} {time}: lost" for time in due if time not in times]
        wrong += [
            f"{symbol} {bar.open_time}: {bar} is not {due.get(bar.open_time)}"
            for bar in got
            if not same(bar, due.get(bar.open_time))
        ]
        if [bar.open_time for bar in got] != sorted(bar.open_time for bar in got):
            wrong.append(f"{symbol}: out of order")
    return wrong


def coins(count: int) -> list[str]:
    """Return so many symbols of the simulated venue."""
    return [symbol for symbol in known_symbols() if symbol.endswith("USDT")][:count]


@click.command()
@click.option("--minutes", default=1440)
@click.option("--symbols", default=20)
@click.option("--faults", default=100)
@click.option("--seed", default=1)
@click.option("--speed", default=60.0)
@click.option("--kpis", "only_kpis", is_flag=True, help="Print the rows of docs/requirements.md.")
def main(minutes: int, symbols: int, faults: int, seed: int, speed: float, *, only_kpis: bool) -> None:
    """Print what happened."""
    began = SystemClock().now()
    followed, truth = follow(coins(symbols), minutes, faults, seed, speed=speed)
    wrong = differences(followed, truth)
    if only_kpis:
        run = f"soak of {minutes:,} minutes, {symbols} symbols, {faults} faults, seed {seed}"
        indicators = kpis(
            followed.bars, followed.late_s, truth, began=followed.began, looks=followed.looks,
            lost=sum(status.losses for status in followed.status), speed=speed,
        )  # fmt: skip
        click.echo("\n".join(indicators.rows(run)))
        return
    seconds = (SystemClock().now() - began).total_seconds()
    click.echo(f"{len(followed.bars):,} bars of {symbols} symbols in {seconds:.0f} s; {len(wrong)} wrong")
    click.echo(f"faults: {', '.join(f'{name} {count}' for name, count in sorted(followed.faults.items()))}")
    states, total = followed.looks.states, followed.looks.total
    click.echo(f"states: {', '.join(f'{name} {100 * count / total:.1f} %' for name, count in states.most_common())}")
    for status in followed.status:
        click.echo(
            f"{status.messages:,} messages, {status.malformed} malformed, {status.opened} sockets, {status.losses} lost"
        )
    for line in wrong[:20]:
        click.echo(line)


if __name__ == "__main__":
    main()
