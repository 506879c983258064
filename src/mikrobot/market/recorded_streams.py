"""Recorded streams of a venue: a line for each message, ``receive_ns message``, packed by gzip or not.

They are files of any recorder, or those of a folder that `mikrobot run --record` has written.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from mikrobot.domain.errors import FeedError
from mikrobot.market.bar_files import MARK
from mikrobot.market.streams.recorder import FILES

DEPTH, KLINES = "depth", "klines"
"""Channels of the sockets of order books, and of those of klines and trades, each with the number of the socket."""


def files_of(folder: Path, *channels: str) -> list[Path]:
    """Return the files of a recorded session with these channels, or all, by their recorder, then by their hour."""
    files = [path for path in folder.glob(FILES) if not channels or _channel(path) in channels]
    return sorted(files, key=lambda path: (path.stem.rpartition("-")[2], path.name))


def is_of_session(path: Path) -> bool:
    """Return whether a file belongs to a recorded session, whose last lines a kill may have cut off."""
    return (path.parent / MARK).is_file()


def messages(path: Path, *, broken_off: bool = False) -> Iterator[tuple[int, bytes]]:
    """Yield the messages of a file in the order they were received.

    Parameters
    ----------
    path : Path
    broken_off : bool
        Read a file that breaks off, as of a process that was killed, up to its last whole line.

    Yields
    ------
    (int, bytes)
        Time of receipt, nanoseconds since the epoch, and the message as it was received.

    Raises
    ------
    FeedError
        If the file cannot be read, or with the first line that is no message.
    """
    try:
        packed = path.open("rb").read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if broken_off and not line.endswith(b"\n"):
                    return
                stamp, _, message = line.partition(b" ")
                if not stamp.isdigit() or not message:
                    text = line[:60].decode("utf-8", "replace").rstrip()
                    raise FeedError(
                        f"{path}, line {number}: {text!r}; expected `receive_ns message`, as 17231612 {{...}}"
                    )
                yield int(stamp), message
    except (OSError, EOFError, zlib.error) as error:
        if broken_off and isinstance(error, EOFError):
            return
        reason = getattr(error, "strerror", None) or str(error)
        raise FeedError(f"{path} cannot be read ({reason}); give a recording of streams, packed or not") from error


def _channel(path: Path) -> str:
    """Return the channel of a file of a recorded session, without the number of its socket.

    >>> _channel(Path("20261130T13-depth12-0001.gz")), _channel(Path("20261130T13-published-0001.gz"))
    ('depth', 'published')
    """
    return path.stem.split("-")[1].rstrip("0123456789")
