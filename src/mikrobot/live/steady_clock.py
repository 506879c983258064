"""The clock of the live processes: the time at which the stack was started, plus the time that has passed since.

Setting the clock of the machine changes nothing for it, so that trading neither stops nor trades minutes that have
not happened. All processes of a state folder share one anchor, the file ``home/run/clock``; it counts until the
machine is restarted, or until `forget`. Time in which the machine sleeps has passed too, where the system reports it.
An anchor may have a rate above 1, at which a test lets hours pass in minutes; no setting does that.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from mikrobot.runtime import Clock, SystemClock, boot_id, uptime_s

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
    """Return the clock of a state folder; without an anchor, that of the machine becomes the anchor."""
    try:
        anchor = json.loads(_path(home).read_text())
        if anchor["boot"] == boot_id():
            return SteadyClock(datetime.fromisoformat(anchor["at_boot"]), anchor["rate"])
    except (OSError, ValueError, KeyError):
        pass
    return anchor_at(SystemClock().now(), home)


def anchor_at(now: datetime, home: Path, rate: float = 1.0) -> SteadyClock:
    """Anchor the clock of a state folder: it is `now`, UTC, and advances at a rate."""
    at_boot = now - timedelta(seconds=uptime_s() * rate)
    fresh = _path(home).with_suffix(".new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    fresh.write_text(json.dumps({"boot": boot_id(), "at_boot": at_boot.isoformat(), "rate": rate}))
    fresh.replace(_path(home))
    return SteadyClock(at_boot, rate)


def forget(home: Path) -> None:
    """Remove the anchor, unless the disk cannot be written: the next process trusts the clock of the machine."""
    with suppress(OSError):
        _path(home).unlink()


def set_by_s(steady: Clock, system: Clock) -> int:
    """Return by how many seconds the clock of the machine was set, negative if back; 0 up to `TOLERANCE_S`."""
    seconds = (system.now() - steady.now()).total_seconds()
    return round(seconds) if abs(seconds) > TOLERANCE_S else 0


def _path(home: Path) -> Path:
    return home / "run" / "clock"
