"""Benchmarks of `mikrobot run` from an empty state folder: seconds, and the memory of the whole stack.

Takes minutes. The peer is the target that this project has set itself; the limit is what the services
alone take, started by `mikrobot up` in the same measurement.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil

from benchmarks.temporary_stack import temporary_settings
from benchmarks.timing import Measurement, Unit, scaled
from mikrobot.domain.errors import ServiceError
from mikrobot.live import pid_records
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.stack import local_stack
from mikrobot.store.postgres import bundled

FIRST_ORDER_S, REPLAY_S, MEMORY_MB = 120.0, 300.0, 3072.0
"""Targets: a first order of the simulated market, a replay of 24 hours, the memory of the stack."""

HOURS, HISTORY_DAYS = 24, 120
"""Hours that are traded, and days before them to learn from."""

SAMPLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What a command printed and took: seconds, and MB of memory at its highest."""

    output: str
    seconds: float
    peak_mb: float


def measure(scale: float = 1.0, data: Sequence[Path] = ()) -> Iterator[Measurement]:
    """Run the loop on the simulated market, and on recorded bars if there are any.

    On a smaller scale the hours and the history are shorter, and what is compiled already is used.
    """
    yield from _measured("simulated market", scale, ("--source", "simulated"))
    if data:
        files = [argument for path in data for argument in ("--data", str(path.resolve()))]
        yield from _measured("replay", scale, ("--source", "replay", *files))


def stack_mb(home: Path, *others: int) -> float:
    """Return the memory of every process of a stack and of others, with all their children, in MB.

    Memory that processes share is divided among them where the system reports it (Linux); elsewhere
    it is left out.
    """
    recorded = [pid_records.find(name, home) for name in pid_records.recorded(home)]
    roots = [*others, *(process.pid for process in recorded if process is not None)]
    postgres = bundled.pid(home)
    family = {member for pid in (*roots, *([postgres] if postgres else [])) for member in _family(pid)}
    return sum(_mb(member) for member in family)


def _measured(market: str, scale: float, arguments: Sequence[str]) -> Iterator[Measurement]:
    hours, days = scaled(HOURS, scale), scaled(HISTORY_DAYS, scale, least=10)
    span = ("--hours", str(hours), "--history-days", str(days))
    services = _services_alone()
    with temporary_settings() as settings:
        cache = {"MIKROBOT_CACHE": str(settings.home / "cache")} if scale == 1.0 else {}
        run = _watched(settings, cache, "run", "--once", "--json", *arguments, *span)
    first = json.loads(run.output)["trading"]["seconds_to_first_order"]
    if first is not None:
        yield _measurement(f"run, {market}: first order", "s", first, FIRST_ORDER_S, limit=services.seconds)
    yield _measurement(f"run, {market}: {hours} hours traded", "s", run.seconds, REPLAY_S, limit=services.seconds)
    yield _measurement(f"run, {market}: memory at its peak", "MB", run.peak_mb, MEMORY_MB, limit=services.peak_mb)


def _services_alone() -> Watched:
    """Start every service in an empty state folder, and stop them again."""
    with temporary_settings() as settings:
        try:
            started = _watched(settings, {}, "up")
            return replace(started, peak_mb=max(started.peak_mb, stack_mb(settings.home)))
        finally:
            local_stack.down(settings)


def _measurement(name: str, unit: Unit, ours: float, target: float, *, limit: float) -> Measurement:
    return Measurement(name, unit, ours, ours, "the target", target, "the services alone", limit)


def _watched(settings: Settings, cache: Mapping[str, str], *arguments: str) -> Watched:
    """Run `mikrobot` to its end and look at the memory of all that it started, once a second.

    Raises
    ------
    ServiceError
        If it fails, with the last line it wrote.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = _start(settings, cache, arguments, output, errors=errors)
        try:
            taken = _sampled(settings.home, process)
        finally:
            process.terminate()  # it stops what it has started
            process.wait()
        if process.returncode:
            errors.seek(0)
            lines = errors.read().strip().splitlines() or ["it wrote nothing"]
            raise ServiceError(f"`mikrobot {' '.join(arguments)}` failed: {lines[-1]}")
        output.seek(0)
        return Watched(output.read(), *taken)


def _sampled(home: Path, process: subprocess.Popen[str]) -> tuple[float, float]:
    """Return the seconds and the highest MB of a command and of all that it starts."""
    started, peak = perf_counter(), 0.0
    while process.poll() is None:
        peak = max(peak, stack_mb(home, process.pid))
        SystemClock().sleep(SAMPLE_SECONDS)
    return perf_counter() - started, peak


def _start(
    settings: Settings, cache: Mapping[str, str], arguments: Sequence[str], output: Any, *, errors: Any
) -> subprocess.Popen[str]:
    """Start `mikrobot` as on a fresh machine: no terminal, and nothing compiled yet in a cache of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "mikrobot.cli.main", *arguments],
        env={**os.environ, **settings.environment(), **cache},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        text=True,
    )


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _mb(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        memory = process.memory_full_info()
        used: int = getattr(memory, "pss", memory.uss)
        return used / 2**20
    return 0.0
