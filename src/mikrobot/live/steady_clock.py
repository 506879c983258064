"""The clock of the live processes: the time at which the stack was started, plus the time that has passed since.

Setting the clock of the machine changes nothing for it, so that trading neither stops nor trades minutes that have
not happened. All processes of a state folder share one anchor, the file ``home/run/clock``; it counts until the
machine is restarted, or until `forget`. Time in which the machine sleeps has passed too, where the system reports it.
An anchor may have a rate above 1, at which hours pass in minutes; only tests give the anchor of the stack one.

A local venue that a run has started has an anchor of its own, ``home/run/market``: the market time by which its
streams, time-outs and intervals count.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from mikrobot.runtime import Clock, SystemClock, boot_id, uptime_s
from mikrobot.settings import Settings

STACK, MARKET = "clock", "market"
"""Files of the anchors: of the live processes and the supervisor, and of the local venue of a run."""

TOLERANCE_S = 5.0
"""Largest difference to the clock of the machine that is no alarm."""


@dataclass(frozen=True, slots=True)
class SteadyClock:
    """A clock that nobody can set.

    Attributes
    ----------
    at_boot : datetime
        Its time at the start of the machine, UTC.
    rate : float
        Seconds that pass on it in one second of real time.
    """

    at_boot: datetime
    rate: float = 1.0

    def now(self) -> datetime:
        """Return the current time, UTC."""
        return self.at_boot + timedelta(seconds=uptime_s() * self.rate)

    def sleep(self, seconds: float) -> None:
        """Wait until that many seconds have passed on this clock."""
        SystemClock().sleep(seconds / self.rate)

    async def wait(self, seconds: float) -> None:
        """Wait as `sleep` does, while other tasks of the event loop go on."""
        await SystemClock().wait(seconds / self.rate)


def anchored(home: Path) -> SteadyClock:
    """Return the clock of a state folder; without an anchor, that of the machine becomes the anchor.

    Of processes that start at the same time, one sets the anchor for all.
    """
    clock = _read(home, STACK)
    if clock is not None:
        return clock
    from filelock import FileLock  # here, because it takes a tenth of a second

    path = _path(home, STACK).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        return _read(home, STACK) or anchor_at(SystemClock().now(), home)


def market_clock(settings: Settings, otherwise: Clock) -> Clock:
    """Return the clock of the market that settings trade: that of the local venue of a run, or another one.

    Parameters
    ----------
    settings : Settings
    otherwise : Clock
        Used where the settings name no local venue, or where it has never been started on this start of the machine.
    """
    return (_read(settings.home, MARKET) if settings.venue else None) or otherwise


def anchor_at(now: datetime, home: Path, rate: float = 1.0, *, name: str = STACK) -> SteadyClock:
    """Anchor a clock of a state folder: it is `now`, UTC, and advances at a rate."""
    at_boot = now - timedelta(seconds=uptime_s() * rate)
    path = _path(home, name)
    fresh = path.with_suffix(".new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    fresh.write_text(json.dumps({"boot": boot_id(), "at_boot": at_boot.isoformat(), "rate": rate}))
    fresh.replace(path)
    return SteadyClock(at_boot, rate)


def forget(home: Path) -> None:
    """Remove the anchor, unless the disk cannot be written: the next process trusts the clock of the machine."""
    with suppress(OSError):
        _path(home, STACK).unlink()


def set_by_s(steady: Clock, system: Clock) -> int:
    """Return by how many seconds the clock of the machine was set, negative if back; 0 up to `TOLERANCE_S`."""
    seconds = (system.now() - steady.now()).total_seconds()
    return round(seconds) if abs(seconds) > TOLERANCE_S else 0


def _read(home: Path, name: str) -> SteadyClock | None:
    """Return an anchored clock; None without an anchor of this start of the machine."""
    try:
        anchor = json.loads(_path(home, name).read_text())
        if anchor["boot"] == boot_id():
            return SteadyClock(datetime.fromisoformat(anchor["at_boot"]), anchor["rate"])
    except (OSError, ValueError, KeyError):
        pass
    return None


def _path(home: Path, name: str) -> Path:
    return home / "run" / name
