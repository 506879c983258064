"""What the live processes report to other processes: one file of the state folder for each subject.

A report counts while the process that wrote it runs. Nobody waits for one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from mikrobot.live import pid_records
from mikrobot.market.combined.merging import VenueStatus
from mikrobot.market.streams.connection import StreamStatus
from mikrobot.market.streams.live_book import BookStatus
from mikrobot.market.streams.recorder import RecordingStatus
from mikrobot.market.venue_clock import ClockOffset

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Report(Generic[T]):
    """A report.

    Attributes
    ----------
    name : str
        Of its file.
    process : str
        The process that writes it.
    kind : type
        Of its content.
    """

    name: str
    process: str
    kind: type[T]

    def write(self, content: T, home: Path) -> None:
        """Replace the report; a disk that cannot be written keeps the one before."""
        path = self._path(home)
        fresh = path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(content))
            fresh.replace(path)
        except OSError:  # the supervisor and `status` report the disk
            return

    def read(self, home: Path) -> T | None:
        """Return the last report of a process that runs; None without one."""
        if pid_records.find(self.process, home) is None:
            return None
        try:
            return msgspec.json.decode(self._path(home).read_bytes(), type=self.kind)
        except (OSError, msgspec.DecodeError):
            return None

    def forget(self, home: Path) -> None:
        """Remove the report, since this run has nothing to report."""
        self._path(home).unlink(missing_ok=True)

    def _path(self, home: Path) -> Path:
        return home / "run" / self.name


@dataclass(frozen=True, slots=True)
class SymbolData:
    """The data of a symbol at the last close that the worker has handled.

    Attributes
    ----------
    quality : float
        Score, 0 to 1.
    halted : bool
    close_time : float
        Close of the bar with this score, seconds since 1970 UTC.
    """

    quality: float
    halted: bool
    close_time: float


@dataclass(frozen=True, slots=True)
class MarketData:
    """The data of the symbols of a run."""

    source: str
    symbols: dict[str, SymbolData]


STREAMS = Report("streams", "streamer", tuple[StreamStatus, ...])
"""The connections to the streams of the source."""

BOOKS = Report("books", "streamer", tuple[BookStatus, ...])
"""The live order books."""

CLOCK = Report("venue-clock", "streamer", ClockOffset)
"""How far the clock of the venue is from ours."""

VENUES = Report("venues", "streamer", tuple[VenueStatus, ...])
"""The members of a combined source."""

RECORDING = Report("recording", "streamer", RecordingStatus)
"""How the recording of the session fares."""

DATA = Report("data_quality", "worker", MarketData)
"""The quality and the halts, which the prediction service serves as metrics; it opens no database."""
