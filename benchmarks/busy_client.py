"""Receives the streams of a busy venue by websockets alone, for some seconds, and prints its processor time in ms."""

import asyncio
import json
import sys
from collections.abc import Callable
from time import process_time

from websockets.asyncio.client import connect

from benchmarks.busy_venue import BOOKS, KLINES, names
from mikrobot.runtime import SystemClock

LOADS: dict[str, Callable[[str], object]] = {"bytes": str.encode, "json": json.loads}


async def _receive(url: str, load: Callable[[str], object]) -> None:
    async with connect(url, compression=None, max_size=None, proxy=None) as socket:
        async for message in socket:
            load(message if isinstance(message, str) else message.decode())


async def _spent_ms(port: int, symbols: int, load: str, seconds: float) -> float:
    """Return the milliseconds of processor time for each second of all streams, on two sockets as the streamer has."""
    tasks = [
        asyncio.create_task(_receive(f"ws://127.0.0.1:{port}/stream?streams={streams}", LOADS[load]))
        for kinds in (KLINES, BOOKS)
        if (streams := "/".join(f"{symbol.lower()}@{kind}" for symbol in names(symbols) for kind in kinds))
    ]
    clock = SystemClock()
    await clock.wait(min(1.0, seconds))
    before, began = process_time(), clock.now()
    await clock.wait(seconds)
    spent = (process_time() - before) / (clock.now() - began).total_seconds()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return 1000 * spent


if __name__ == "__main__":
    port, symbols, load, seconds = sys.argv[1:]
    print(asyncio.run(_spent_ms(int(port), int(symbols), load, float(seconds))))
