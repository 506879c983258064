"""What is wrong with the standing stack, one line each: `status` and `doctor` show it and exit with 1.

Nothing is wrong with a stack that is not wanted, as after `mikrobot down`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from mikrobot.domain.instruments.registry import instrument
from mikrobot.domain.sources import is_live
from mikrobot.live import pid_records, steady_clock
from mikrobot.settings import Settings
from mikrobot.stack import supervision, wanted
from mikrobot.stack.schedules import Schedules
from mikrobot.stack.service_log import ServiceStatus
from mikrobot.stack.supervision import Report
from mikrobot.stack.wanted import LiveRun, Wanted

SILENCE = timedelta(minutes=3)
"""Longest time without a handled minute on an open market."""


def alarms(settings: Settings, services: Sequence[ServiceStatus], planned: Schedules | None) -> list[str]:
    """Return what is wrong, the most fundamental first.

    Parameters
    ----------
    services : sequence of ServiceStatus
    planned : Schedules or None
        None if Prefect does not answer.
    """
    current = wanted.read(settings.home)
    if not current.names:
        return []
    report = supervision.report(settings.home)
    return [
        *_supervisor(settings),
        *_dead(current, services, report),
        *_clock(report),
        *_silence(current.live, report, settings.home),
        *_scheduler(current, planned),
    ]


def _supervisor(settings: Settings) -> Iterator[str]:
    if not pid_records.supervised(settings.home):
        yield "the supervisor does not run, nothing restarts what dies: `mikrobot up` starts it again"


def _dead(current: Wanted, services: Sequence[ServiceStatus], report: Report) -> Iterator[str]:
    for service in services:
        if service.name not in current.names or service.ready:
            continue
        if service.name in report.kept_down:
            yield f"{service.name} keeps dying and stays down for now: {report.kept_down[service.name]}"
        elif service.pid is None:
            yield f"{service.name} does not run"
        else:
            yield f"{service.name} runs, but is not ready"


def _clock(report: Report) -> Iterator[str]:
    if seconds := report.clock_set_by_s:
        way = "forward" if seconds > 0 else "back"
        yield (
            f"the clock of this machine was set {way} by {abs(seconds)} s; trading goes on by the time that has really "
            "passed. Set it right, or restart with `mikrobot down` and `mikrobot up` if it is right now"
        )


def _silence(live: LiveRun | None, report: Report, home: Path) -> Iterator[str]:
    if live is None or report.silent_since is None:
        return
    clock = steady_clock.anchored(home)  # here, since an anchor is written where there is none
    silent = clock.now() - report.silent_since
    if silent > SILENCE and _open_since(live, clock.now() - SILENCE, clock.now()):
        yield (
            f"no minute was handled for {silent // timedelta(minutes=1)} minutes on an open market: "
            "read logs/streamer.log and logs/worker.log"
        )


def _open_since(live: LiveRun, start: datetime, now: datetime) -> bool:
    """Return True if a market of the run was open at both instants; recorded bars have no closed market."""
    from pandas import DatetimeIndex

    from mikrobot.market.sessions import is_open  # here, because it imports pandas

    times = DatetimeIndex([start, now])
    return not is_live(live.settings["source"]) or any(
        is_open(instrument(symbol).session, times).all() for symbol in live.settings["symbols"]
    )


def _scheduler(current: Wanted, planned: Schedules | None) -> Iterator[str]:
    if "flows" not in current.services:
        return
    if planned is None:
        yield "Prefect does not answer, no flow is scheduled: read logs/prefect.log"
    elif planned.unscheduled:
        yield f"Prefect schedules no run of {', '.join(planned.unscheduled)}: read logs/prefect.log"
