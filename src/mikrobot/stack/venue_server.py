"""The local venue of a run: ``python -m mikrobot.stack.venue_server``.

Serves the simulated market at the market time of the state folder, also when it is started again in the middle of a
run. Reads the settings from the environment.
"""

import signal
import sys

from mikrobot import settings as configuration
from mikrobot import telemetry
from mikrobot.domain.errors import MikrobotError
from mikrobot.live.steady_clock import SteadyClock, market_clock
from mikrobot.market.local_venue.foreground import serve
from mikrobot.market.local_venue.opening import VenueOptions, open_venue
from mikrobot.runtime import SystemClock, uptime_s
from mikrobot.settings import Settings
from mikrobot.stack.service_table import VENUE

log = telemetry.logger(VENUE)


def main() -> int:
    """Serve until SIGTERM; return the exit code."""
    settings = configuration.load()
    telemetry.configure(settings.log_level)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until it serves
    try:
        venue = open_venue(options_of(settings), uptime_s)
        serve(venue, settings.venue_port, lambda port: log.info("serving", port=port, speed=venue.clock.speed))
    except KeyboardInterrupt:
        log.info("stopped")
    except MikrobotError as error:
        log.error("failed", reason=str(error))
        return error.exit_code
    return 0


def options_of(settings: Settings) -> VenueOptions:
    """Return the options of a venue whose market time is that of the state folder; without one, it begins now."""
    clock = market_clock(settings, SystemClock())
    speed = clock.rate if isinstance(clock, SteadyClock) else 1.0
    uptime, now = uptime_s(), clock.now()
    return VenueOptions(seed=settings.seed, speed=speed, start=now, began_s=uptime)


if __name__ == "__main__":
    sys.exit(main())
