"""The entry point of a live process: its arguments, its log and its exit code."""

import signal
import sys
from collections.abc import Callable

import click

from mikrobot import settings as configuration
from mikrobot import telemetry
from mikrobot.domain.errors import MikrobotError
from mikrobot.live.steady_clock import anchored, market_clock
from mikrobot.runtime import Clock
from mikrobot.settings import Settings

Work = Callable[[Settings, str, int, Clock], None]


def live_process(name: str, work: Work) -> click.Command:
    """Build the command of a live process; the settings come from the environment.

    Its clock does not follow when the clock of the machine is set; on a local venue it is market time.
    SIGTERM ends it like Ctrl-C. An expected error is
    logged as one line and sets the exit code. With ``--held`` it waits, with everything imported, until a line arrives
    on its standard input, and ends if there will be none.

    Parameters
    ----------
    name : str
        Name of the process in its log.
    work : callable
        Takes the settings, the run's id, the number of its segment and a clock.
    """
    log = telemetry.logger(name)

    @click.command(name, help=f"The {name} of one segment of a recorded run.")
    @click.option("--run", "run_id", required=True)
    @click.option("--segment", type=int, required=True)
    @click.option("--held", is_flag=True, help="Wait for a line on standard input before the work.")
    def command(run_id: str, segment: int, *, held: bool) -> None:
        settings = configuration.load()
        telemetry.configure(settings.log_level)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            if held and not sys.stdin.readline():
                log.info("not_released", run=run_id)
                return
            work(settings, run_id, segment, market_clock(settings, anchored(settings.home)))
        except KeyboardInterrupt:
            log.info("stopped", run=run_id)
        except MikrobotError as error:
            log.error("failed", run=run_id, reason=str(error))
            raise SystemExit(error.exit_code) from error

    return command
