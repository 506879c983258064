"""Benchmark of the streamer with many symbols: its processor time while their streams arrive at real speed.

The venue, the streamer and PostgreSQL have a process of their own each; this one stands in for the worker.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any

import psutil

from benchmarks.busy_venue import names
from benchmarks.temporary_stack import temporary_database
from benchmarks.timing import Measurement, rank, scaled
from mikrobot.domain.instruments import registry
from mikrobot.live import pid_records, wiring
from mikrobot.live.session import record_of
from mikrobot.market.binance_instruments import entry_of
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.stack import processes, service_table
from mikrobot.store.postgres import database
from mikrobot.store.postgres.database import Pool
from mikrobot.store.runs import Runs, Segment

SYMBOLS = 100
MINUTES = 3
MINUTE_S = 60.0

LEAST_S = 5.0
"""Shortest time of a round: processor time is counted in hundredths of a second."""

RECEIVED_S = 20.0
"""Seconds that the peer and the limit receive."""

SOURCE = "binance-local"


def measure(scale: float = 1.0) -> Iterator[Measurement]:
    """Measure the processor time of the streamer for each second of the streams, over whole minutes."""
    count, seconds = scaled(SYMBOLS, scale, least=2), max(MINUTE_S * scale, LEAST_S)
    start = SystemClock().now().replace(second=0, microsecond=0) - timedelta(minutes=1)
    with temporary_database() as settings, _venue(count) as port:
        limit, peer = (_received(port, count, load, RECEIVED_S * scale) for load in ("bytes", "json"))
        traded = _settings(settings, port, count)
        ordered = sorted(_spent(traded, start, seconds=seconds, rounds=scaled(MINUTES, scale)))
    yield Measurement(
        f"streamer, {count} symbols as busy as recordings, a second", "ms",
        p50=rank(ordered, 0.50), p99=rank(ordered, 0.99),
        peer="websockets and json", peer_p50=peer, limit="websockets", limit_p50=limit,
    )  # fmt: skip


def _settings(settings: Settings, port: int, count: int) -> Settings:
    """Return the settings of a stack that trades the symbols of a venue."""
    addresses = {"binance_url": f"http://127.0.0.1:{port}/api", "binance_stream_url": f"ws://127.0.0.1:{port}"}
    return settings.model_copy(update={"source": SOURCE, "symbols": tuple(names(count)), **addresses})


def _spent(settings: Settings, start: datetime, *, seconds: float, rounds: int) -> list[float]:
    """Return the milliseconds of processor time of a streamer in each second, the mean of each round."""
    with database.open_pool(settings) as pool, _streaming(settings, pool, start) as process:
        SystemClock().sleep(2.5 * seconds)  # in which the books are fetched, as fast as the request weight allows
        return [_processor_ms(process, seconds) for _ in range(rounds)]


@contextmanager
def _streaming(settings: Settings, pool: Pool, start: datetime) -> Iterator[psutil.Process]:
    """Run a streamer, and handle its minutes as a worker does."""
    clock, runs = SystemClock(), Runs(pool)
    registry.use_venue({symbol: entry_of(symbol, _listing(symbol)) for symbol in settings.symbols})
    segment = Segment(settings.symbols, start, start, start)
    run = record_of("bench", settings, wiring.open_source(settings, clock), (segment,), started_at=start)
    runs.begin(run)
    over = Event()
    worker = Thread(target=_handle, args=(runs, run.id, start, over))
    _, streamer = service_table.live_processes(settings, run.id, segment.number)
    worker.start()
    try:
        processes.start(streamer, settings.home, settings.host)
        processes.await_ready(streamer, settings.home, clock)
        process = pid_records.find(streamer.name, settings.home)
        assert process is not None
        yield process
    finally:
        over.set()
        processes.stop(streamer.name, settings.home)
        worker.join()


def _handle(runs: Runs, run_id: str, handled: datetime, over: Event) -> None:
    """Announce each minute as handled that the streamer has announced."""
    while not over.is_set():
        reached = runs.wait(run_id, "streamer", handled, timeout_s=0.5, segment=0)
        if reached is not None:
            runs.advance(run_id, "worker", reached)
            handled = reached


def _processor_ms(process: psutil.Process, seconds: float) -> float:
    """Return the milliseconds of processor time that a process takes in each of the coming seconds, their mean."""
    clock = SystemClock()
    before, began = process.cpu_times(), clock.now()
    clock.sleep(seconds)
    after, passed = process.cpu_times(), (clock.now() - began).total_seconds()
    return 1000 * (after.user + after.system - before.user - before.system) / passed


def _received(port: int, symbols: int, load: str, seconds: float) -> float:
    """Return the milliseconds of processor time a second that websockets takes to receive the same."""
    command = [sys.executable, "-m", "benchmarks.busy_client", port, symbols, load, seconds]
    return float(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)


def _listing(symbol: str) -> dict[str, Any]:
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "stepSize": "0.00001", "minQty": "0.00001"},
        {"filterType": "NOTIONAL", "minNotional": "5"},
    ]
    coin = symbol.removesuffix("USDT")
    return {"symbol": symbol, "status": "TRADING", "baseAsset": coin, "quoteAsset": "USDT", "filters": filters}


@contextmanager
def _venue(symbols: int) -> Iterator[int]:
    """Run the venue; yield its port."""
    command = [sys.executable, "-m", "benchmarks.busy_venue", str(symbols)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate()
