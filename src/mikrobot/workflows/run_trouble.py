"""Troubles that a run cannot get over, found while it is on its way: they end it at once, with their cause.

Left to itself, the loop would wait for minutes for what does not come back. Restarts nothing: the supervisor does.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from mikrobot.domain.errors import ServiceError, StoreError
from mikrobot.live import pid_records
from mikrobot.settings import Settings
from mikrobot.stack import processes, wanted

EVERY_S = 2.0
"""Seconds between two looks."""

STOP_S = 4.0
"""Seconds that the loop has to end."""

PREFECT_AWAY_S = 20.0
"""Seconds without Prefect after which a run ends; the supervisor restarts it sooner on a machine that has time."""

REMEDY = "the stored data is intact, run again, or `mikrobot run --resume` to continue a replay"


def trouble(settings: Settings) -> str:
    """Return the cause in one line: a disk that cannot be written, or a process that keeps dying; empty without one."""
    try:
        processes.require_room(settings.home)
    except StoreError as error:
        return str(error)
    return next((f"the {name} keeps dying: {why}" for name, why in pid_records.kept_down(settings.home).items()), "")


@contextmanager
def ending_on_trouble(settings: Settings) -> Iterator[list[str]]:
    """Stop the loop as soon as there is a trouble within the block; yield a list that then has its cause.

    The live processes end with the loop, which started them, so the supervisor must not start them again.
    """
    causes: list[str] = []
    over = Event()

    def look() -> None:
        away_s = 0.0
        while not over.wait(EVERY_S):
            away_s = 0.0 if processes.listening(settings.host, settings.prefect_port) else away_s + EVERY_S
            if cause := trouble(settings) or _prefect_gone(settings, away_s):
                causes.append(cause)
                with suppress(OSError, ServiceError):  # the disk may be the cause
                    wanted.drop(settings.home, wanted.LIVE)
                processes.stop("loop", settings.home, seconds=STOP_S)
                return

    thread = Thread(target=look, name="trouble")
    thread.start()
    try:
        yield causes
    finally:
        over.set()
        thread.join()


def _prefect_gone(settings: Settings, away_s: float) -> str:
    log = settings.home / "logs" / "prefect.log"
    if away_s < PREFECT_AWAY_S:
        return ""
    return f"prefect has ended and not answered again for {away_s:.0f} s (log: {log}); {REMEDY}"
