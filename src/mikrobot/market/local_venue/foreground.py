"""Serves a venue in the foreground, until Ctrl-C or SIGTERM."""

import asyncio
import signal
from collections.abc import Callable

from mikrobot.market.local_venue.server import LocalVenue, serving


def serve(venue: LocalVenue, port: int, announce: Callable[[int], None]) -> None:
    """Serve a venue until the process is asked to stop.

    Parameters
    ----------
    venue : LocalVenue
    port : int
        Port of loopback; 0 takes a free one.
    announce : callable
        Called with the port once requests are answered.

    Raises
    ------
    ServiceError
        If the port is taken.
    """
    asyncio.run(_serve(venue, port, announce))


async def _serve(venue: LocalVenue, port: int, announce: Callable[[int], None]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with serving(venue, port) as served:
        announce(served.port)
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait((stopping, served.broadcast), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if served.broadcast.done():
            served.broadcast.result()
