"""Ending processes as `kill -9` does, for tests of what survives it."""

from contextlib import suppress
from pathlib import Path
from random import Random

import psutil

from mikrobot.live import pid_records
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.store.postgres import bundled


def head_of(name: str, home: Path) -> psutil.Process | None:
    """Return the process of a service or live process that others are children of, if it runs."""
    if name != "postgres":
        return pid_records.find(name, home)
    number = bundled.pid(home)
    return None if number is None else psutil.Process(number)


def kill_some(names: tuple[str, ...], home: Path, rng: Random) -> str:
    """Kill one or more processes at once, each with its children, as its head alone, or as one of its children.

    Returns
    -------
    str
        The names with the way in which each was killed.
    """
    drawn = [(name, rng.choice(("tree", "head", "child"))) for name in rng.sample(names, rng.randint(1, len(names)))]
    heads = [(name, way, head) for name, way in drawn if (head := head_of(name, home)) is not None]
    assert heads, f"none of {', '.join(names)} runs"
    killed = []
    for name, way, head in heads:
        with suppress(psutil.NoSuchProcess):  # it ended with one that was killed before
            children = head.children(recursive=True)
            if way == "child" and children:
                kill_9(rng.choice(children), children=False)
            else:
                kill_9(head, children=way == "tree")
            killed.append(f"{name} ({way})")
    return ", ".join(killed)


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
