"""The local venue that a run on it starts by itself, and its market time.

While bars are stored and models are trained, its market goes at real speed; it runs at `Settings.venue_speed` once the
run trades. While the stack is down it stands still. The supervisor restarts it, and it goes on at the market time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from mikrobot.live.steady_clock import MARKET, anchor_at, market_clock
from mikrobot.runtime import Clock, SystemClock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack, processes, service_table, wanted
from mikrobot.stack.service_table import VENUE


@contextmanager
def opened(settings: Settings, say: Callable[[str], None]) -> Iterator[Clock]:
    """Run the local venue within the block; yield its market time, which begins with the time of the machine.

    Raises
    ------
    ServiceError
        If its port is in use, or it does not start.
    """
    say(
        f"a venue on this machine stands for Binance: the market is SIMULATED, and runs at {settings.venue_speed:g} "
        "times real speed while it is traded"
    )
    try:
        start(settings, SystemClock().now(), rate=1.0)
        yield market_clock(settings, SystemClock())
    finally:
        local_stack.down(settings, [VENUE])


def start(settings: Settings, at: datetime, *, rate: float) -> None:
    """Start the venue, or start it again, at a market time and a rate; wait until it answers.

    Raises
    ------
    ServiceError
        As `opened`.
    """
    local_stack.down(settings, [VENUE])
    service = service_table.venue(settings)
    processes.require_port(service, settings.home, settings.host)
    anchor_at(at, settings.home, rate, name=MARKET)
    processes.start(service, settings.home, settings.host)
    wanted.want(settings, [VENUE])
    processes.await_ready(service, settings.home, SystemClock())


def accelerate(settings: Settings) -> None:
    """Let the market time run at the speed of the settings from now on.

    Raises
    ------
    ServiceError
        As `opened`.
    """
    start(settings, market_clock(settings, SystemClock()).now(), rate=settings.venue_speed)
