"""Ending processes as `kill -9` does, for tests of what survives it."""

from contextlib import suppress

import psutil

from mikrobot.runtime import SystemClock, wait_until


def kill_9(head: psutil.Process, *, children: bool = True) -> None:
    """Kill a process and what it started, or its head alone; return once the killed are gone.

    A signal is on its way for a while: without the wait, the next start may find the dying process alive and do
    nothing.
    """
    family = [head, *(head.children(recursive=True) if children else [])]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_until(
        lambda: not any(map(alive, family)), f"{family} outlived a kill", SystemClock(), timeout_s=30, every_s=0.01
    )


def alive(process: psutil.Process) -> bool:
    """Tell whether a process runs; one that has ended and that nobody has reaped does not."""
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False
