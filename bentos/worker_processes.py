"""Several processes that serve one port: a parent, which predicts nothing, starts a worker again when it has ended.

The parent opens the port, and the workers accept its connections in turn.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from threading import Event, Thread

from mikrobot.runtime import SystemClock
from mikrobot.serving.workers import Workers

CLOCK = SystemClock()

EVERY_S = 0.1
"""Interval of the parent's look at its workers."""

BACK_OFF_S = 1.0
"""Shortest time between two starts of the same worker."""

STOP_S = 20.0
"""Seconds that a worker has to answer its last requests."""


@dataclass(slots=True)
class WorkerProcesses:
    """The parent of the workers.

    Attributes
    ----------
    listening : socket
    count : int
    workers : Workers
    """

    listening: socket.socket
    count: int
    workers: Workers
    _children: dict[int, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    _started: dict[int, float] = field(default_factory=dict)

    def keep(self, arguments: list[str]) -> None:
        """Run the workers with these arguments until SIGTERM or SIGINT."""
        stop = Event()
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, lambda *_: stop.set())
        while not stop.is_set():
            for number in range(self.count):
                self._keep_one(number, arguments)
            stop.wait(EVERY_S)
        self._stop()

    def _keep_one(self, number: int, arguments: list[str]) -> None:
        child = self._children.get(number)
        if child is not None:
            if child.poll() is None:
                return
            print(f"worker {number}, process {child.pid}, ended with status {child.returncode}", file=sys.stderr)
            self.workers.forget(number)
            _forget_metrics(child.pid)
            del self._children[number]
        if time.monotonic() - self._started.get(number, -BACK_OFF_S) < BACK_OFF_S:
            return
        descriptor = self.listening.fileno()
        own = ["--worker", str(number), "--descriptor", str(descriptor)]
        self._started[number] = time.monotonic()
        self._children[number] = subprocess.Popen(
            [sys.executable, "-m", "bentos", *arguments, *own], pass_fds=[descriptor], stdin=subprocess.DEVNULL
        )

    def _stop(self) -> None:
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a socket that accepts connections to a port, for several processes."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(backlog)
    return listening


def end_with_parent() -> None:
    """End this worker, by SIGTERM, once its parent has ended: nobody would start it again."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            CLOCK.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, daemon=True).start()


def _forget_metrics(pid: int) -> None:
    """Remove the gauges of a worker that has ended; its counters remain part of the sums."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]  # it has no types
