"""Appends messages to compressed files of a folder, each with its time of receipt.

A line is ``receive_ns message``, as `mikrobot.market.recorded_streams` reads it. Each file has the messages of one
channel in one hour, as ``20261130T13-klines1-0001.gz``; the last number counts the recorders of the folder. What has
arrived is packed and written every second as a whole, so that a process that is killed loses a second at most, and the
file stays readable. Messages wait in a bounded queue: whoever receives them never waits for the disk.
"""

import gzip
import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread

from mikrobot.market.border import epoch_us
from mikrobot.telemetry import logger

log = logger("market")

WRITE_EVERY_S = 1.0
"""Seconds between two writes: what a process that is killed loses at most."""

QUEUED = 20_000
"""Messages that wait at most; further ones are left out and counted."""

FILES = "*T*-*-*.gz"
"""Pattern of the names of the files."""

_LEVEL = 6
"""Level of compression."""


@dataclass(frozen=True, slots=True)
class RecordingStatus:
    """How a recording fares.

    Attributes
    ----------
    folder : str
    messages, bytes : int
        Messages and packed bytes that were written.
    left_out : int
        Messages for which the queue had no place.
    stopped : str
        Why nothing is recorded any more; empty while it is.
    """

    folder: str
    messages: int = 0
    bytes: int = 0
    left_out: int = 0
    stopped: str = ""


class Recorder:
    """Writes what it is given, in a thread of its own. Thread-safe.

    Parameters
    ----------
    folder : Path
        Exists; no other process writes to it.
    queued : int
        Messages that wait at most.
    """

    def __init__(self, folder: Path, queued: int = QUEUED) -> None:
        self._folder = folder
        self._number = 1 + max((_number(path) for path in folder.glob(FILES)), default=0)
        self._queue: Queue[tuple[str, int, bytes]] = Queue(queued)
        self._messages = self._bytes = self._left_out = 0
        self._stopped = ""
        self._over = Event()
        self._thread = Thread(target=self._run, name="recorder")
        self._thread.start()

    def put(self, channel: str, received_at: datetime, message: bytes) -> None:
        """Record a message.

        Parameters
        ----------
        channel : str
            Part of the name of the file: letters and digits.
        received_at : datetime
            UTC.
        message : bytes
            A message that may have line ends, which become spaces.
        """
        if self._stopped:
            return
        try:
            self._queue.put_nowait((channel, epoch_us(received_at) * 1000, message))
        except Full:
            if not self._left_out:
                log.error("messages_not_recorded", folder=str(self._folder), reason="the disk is too slow")
            self._left_out += 1

    def status(self) -> RecordingStatus:
        """Return the counts, and why the recording has stopped."""
        return RecordingStatus(str(self._folder), self._messages, self._bytes, self._left_out, self._stopped)

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(WRITE_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        """Write all that waits, a packed piece for each file; a disk that takes no more ends the recording."""
        pieces: defaultdict[Path, list[bytes]] = defaultdict(list)
        for _ in range(self._queue.qsize()):
            try:
                channel, received_ns, message = self._queue.get_nowait()
            except Empty:
                break
            line = message.replace(b"\r", b" ").replace(b"\n", b" ").rstrip()
            pieces[self._path(channel, received_ns)].append(b"%d %s\n" % (received_ns, line))
        for path, lines in pieces.items():
            if self._stopped:
                return
            try:
                self._bytes += append(path, gzip.compress(b"".join(lines), _LEVEL, mtime=0))
                self._messages += len(lines)
            except OSError as error:
                self._stopped = f"{path} cannot be written ({error.strerror})"
                log.error("recording_stopped", reason=self._stopped, remedy="free some space, then down and up")

    def _path(self, channel: str, received_ns: int) -> Path:
        hour = datetime.fromtimestamp(received_ns // 1_000_000_000, UTC)
        return self._folder / f"{hour:%Y%m%dT%H}-{channel}-{self._number:04}.gz"


def append(path: Path, piece: bytes) -> int:
    """Append a piece to a file as a whole, or leave the file as it was; return its length.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with path.open("ab", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        written = 0
        try:
            while written < len(piece):
                written += file.write(piece[written:])
        except OSError:
            file.truncate(before)
            raise
    return written


def _number(path: Path) -> int:
    number = path.stem.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0
