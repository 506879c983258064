"""Benchmarks of `mikrobot run` from an empty state folder: seconds, and the memory of the whole stack.

Takes minutes. The peer is the target that this project has set itself; the limit is what the
services alone take, started on another empty folder.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil

from mikrobot.app import processes
from mikrobot.app.bench_stack import temporary_settings
from mikrobot.app.timing import Measurement, Unit
from mikrobot.domain.errors import ServiceError
from mikrobot.runtime import SystemClock
from mikrobot.settings import Settings
from mikrobot.store import embedded

FIRST_ORDER_S, REPLAY_S, MEMORY_MB = 120.0, 300.0, 3072.0
"""Targets: a first order of the simulated market, a replay of 24 hours, the memory of the stack."""

SAMPLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What a command printed and took: seconds, and MB of memory at its highest."""

    output: str
    seconds: float
    peak_mb: float


def measure(data: Sequence[Path] = ()) -> Iterator[Measurement]:
    """Run the loop on the simulated market, and on recorded bars if there are any."""
    idle = _idle()
    yield from _measured(idle, "simulated market", ("--source", "simulated"))
    if data:
        files = [argument for path in data for argument in ("--data", str(path.resolve()))]
        yield from _measured(idle, "replay", ("--source", "replay", *files))


def stack_mb(home: Path, *others: int) -> float:
    """Return the memory of every process of a stack and of others, with all their children, in MB.

    Memory that processes share is divided among them where the system tells (Linux); elsewhere
    it is left out.
    """
    recorded = [processes.find(name, home) for name in processes.recorded(home)]
    roots = [*others, *(process.pid for process in recorded if process is not None)]
    postgres = embedded.pid(home)
    family = {member for pid in (*roots, *([postgres] if postgres else [])) for member in _family(pid)}
    return sum(_mb(member) for member in family)


def _measured(idle: Watched, market: str, arguments: Sequence[str]) -> Iterator[Measurement]:
    with temporary_settings() as settings:
        run = _watched(settings, "run", "--once", "--json", *arguments)
    first = json.loads(run.output)["trading"]["seconds_to_first_order"]
    if first is not None:
        yield _measurement(f"run, {market}: first order", "s", first, FIRST_ORDER_S, idle.seconds)
    yield _measurement(f"run, {market}: 24 hours traded", "s", run.seconds, REPLAY_S, idle.seconds)
    yield _measurement(f"run, {market}: memory at its peak", "MB", run.peak_mb, MEMORY_MB, idle.peak_mb)


def _measurement(name: str, unit: Unit, ours: float, target: float, limit: float) -> Measurement:
    return Measurement(name, unit, ours, ours, "the target", target, "the services alone", limit)


def _idle() -> Watched:
    """Start the services alone; they must not outlive the measurement."""
    with temporary_settings() as settings:
        try:
            up = _watched(settings, "up")
            return Watched(up.output, up.seconds, stack_mb(settings.home))
        finally:
            _watched(settings, "down")


def _watched(settings: Settings, *arguments: str) -> Watched:
    """Run `mikrobot` to its end and look at the memory of all that it started, once a second.

    Raises
    ------
    ServiceError
        If it fails, with the last line it wrote.
    """
    started, peak = perf_counter(), 0.0
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = _start(settings, arguments, output, errors)
        try:
            while process.poll() is None:
                peak = max(peak, stack_mb(settings.home, process.pid))
                SystemClock().sleep(SAMPLE_SECONDS)
        finally:
            process.terminate()  # it stops what it has started
            process.wait()
        seconds = perf_counter() - started
        if process.returncode:
            errors.seek(0)
            said = errors.read().strip().splitlines() or ["it wrote nothing"]
            raise ServiceError(f"`mikrobot {' '.join(arguments)}` failed: {said[-1]}")
        output.seek(0)
        return Watched(output.read(), seconds, peak)


def _start(settings: Settings, arguments: Sequence[str], output: Any, errors: Any) -> subprocess.Popen[str]:
    """Start `mikrobot` as on a fresh machine: nothing compiled yet, no terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "mikrobot.app.cli", *arguments],
        env={**os.environ, **settings.environment(), "MIKROBOT_CACHE": str(settings.home / "cache")},
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
