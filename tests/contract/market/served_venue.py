"""A local venue in a thread of its own, for tests that follow it with real sockets."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from mikrobot.market.local_venue.opening import VenueOptions, open_venue
from mikrobot.market.local_venue.server import LocalVenue, serving
from mikrobot.runtime import uptime_s


@contextmanager
def venue_of(options: VenueOptions) -> Iterator[tuple[LocalVenue, str]]:
    """Serve a venue; yield it with its address."""
    venue, ready, over, addresses = open_venue(options, uptime_s), Event(), asyncio.Event(), []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving(venue, 0) as served:
            addresses.append(f"127.0.0.1:{served.port}")
            ready.set()
            await over.wait()

    thread = Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield venue, addresses[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
