"""Appends messages to compressed files of a folder, each with its time of receipt.

A line is ``receive_ns message``, as `mikrobot.market.recorded_streams` reads it. Each file has the messages of one
channel in one hour, as ``20261130T13-klines1-0001.gz``; the last number counts the recorders of the folder. What has
arrived is packed and written every second as a whole, so that a process that is killed loses a second at most, and the
file stays readable. Messages wait in bounded queues: whoever receives them never waits for the disk.

Messages of order books, which are most of them, give way to all others: they have a queue of their own, are written
last, and end first when the disk fills up.
"""

import gzip
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
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
"""Messages of each kind that wait at most; further ones are left out and counted."""

SPARE_BYTES = 200_000_000
"""Free space of the disk below which messages of order books are no longer recorded, so that the bars have it."""

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
    left_out, books_left_out : int
        Messages for which their queue had no place: those of bars, and those of order books.
    stopped : str
        Why nothing is recorded any more; empty while it is.
    books_stopped : str
        Why no messages of order books are recorded any more; empty while they are.
    """

    folder: str
    messages: int = 0
    bytes: int = 0
    left_out: int = 0
    stopped: str = ""
    books_left_out: int = 0
    books_stopped: str = ""


_Message = tuple[str, int, bytes]
"""Channel, time of receipt in nanoseconds, and message."""


@dataclass(slots=True)
class _Waiting:
    """The messages of one kind that wait to be written."""

    kind: str
    queue: Queue[_Message]
    left_out: int = 0
    stopped: str = ""

    def put(self, message: _Message, folder: Path) -> None:
        if self.stopped:
            return
        try:
            self.queue.put_nowait(message)
        except Full:
            if not self.left_out:
                reason = "the disk is too slow"
                log.error("messages_not_recorded", folder=str(folder), messages_of=self.kind, reason=reason)
            self.left_out += 1

    def take(self) -> list[_Message]:
        """Return all messages that wait now, in order."""
        taken: list[_Message] = []
        for _ in range(self.queue.qsize()):
            try:
                taken.append(self.queue.get_nowait())
            except Empty:
                break
        return taken

    def stop(self, reason: str) -> None:
        self.stopped = reason
        log.error("recording_stopped", messages_of=self.kind, reason=reason, remedy="free some space, then down and up")


class Recorder:
    """Writes what it is given, in a thread of its own. Thread-safe.

    Parameters
    ----------
    folder : Path
        Exists; no other process writes to it.
    queued : int
        Messages of bars, and as many of order books, that wait at most.
    """

    def __init__(self, folder: Path, queued: int = QUEUED) -> None:
        self._folder = folder
        self._number = 1 + max((_number(path) for path in folder.glob(FILES)), default=0)
        self._bars, self._books = (_Waiting(kind, Queue(queued)) for kind in ("bars", "order books"))
        self._messages = self._bytes = 0
        self._over = Event()
        self._thread = Thread(target=self._run, name="recorder")
        self._thread.start()

    def put(self, channel: str, received_at: datetime, message: bytes, *, of_book: bool = False) -> None:
        """Record a message.

        Parameters
        ----------
        channel : str
            Part of the name of the file: letters and digits.
        received_at : datetime
            UTC.
        message : bytes
            A message that may have line ends, which become spaces.
        of_book : bool
            A message of an order book, which gives way to others.
        """
        waiting = self._books if of_book else self._bars
        waiting.put((channel, epoch_us(received_at) * 1000, message), self._folder)

    def status(self) -> RecordingStatus:
        """Return the counts, and why the recording has stopped."""
        bars, books = self._bars, self._books
        return RecordingStatus(
            str(self._folder), self._messages, self._bytes, bars.left_out, bars.stopped, books.left_out, books.stopped
        )

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(WRITE_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        """Write all that waits, bars first; a disk that takes no more ends the recording, first of order books."""
        self._append(self._bars)
        if self._bars.stopped:
            self._books.stopped = self._books.stopped or self._bars.stopped
        elif not self._books.stopped and (reason := _full(self._folder)):
            self._books.stop(reason)
        self._append(self._books)

    def _append(self, waiting: _Waiting) -> None:
        """Write the messages of one kind that wait, a packed piece for each file."""
        pieces: defaultdict[Path, list[bytes]] = defaultdict(list)
        for channel, received_ns, message in waiting.take():
            pieces[self._path(channel, received_ns)].append(line_of(received_ns, message))
        for path, lines in pieces.items():
            if waiting.stopped:
                return
            try:
                self._bytes += append(path, packed(lines))
                self._messages += len(lines)
            except OSError as error:
                waiting.stop(f"{path} cannot be written ({error.strerror})")

    def _path(self, channel: str, received_ns: int) -> Path:
        hour = datetime.fromtimestamp(received_ns // 1_000_000_000, UTC)
        return self._folder / f"{hour:%Y%m%dT%H}-{channel}-{self._number:04}.gz"


def line_of(received_ns: int, message: bytes) -> bytes:
    r"""Return the line of a message.

    >>> line_of(17, b'{"a":\n1}\n')
    b'17 {"a": 1}\n'
    """
    return b"%d %s\n" % (received_ns, message.replace(b"\r", b" ").replace(b"\n", b" ").rstrip())


def packed(lines: Sequence[bytes]) -> bytes:
    """Return the lines of a second as they are written."""
    return gzip.compress(b"".join(lines), _LEVEL, mtime=0)


def _full(folder: Path) -> str:
    """Return why the disk of a folder has no place for messages of order books; empty if it has."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return f"{folder} cannot be written ({error.strerror})"
    return "" if free >= SPARE_BYTES else f"the disk of {folder} has {free / 1e6:,.0f} MB left, which bars may need"


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
