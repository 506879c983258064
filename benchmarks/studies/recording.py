"""Study behind docs/live-market.md: the size of a recording of order books, by recorded streams of Binance.

::

    python -m benchmarks.studies.recording ../shared/data/orderbook/*.gz

Prints Markdown. The messages that a stack records of an order book, depth and best prices, are packed second by second
as its recorder does. A snapshot of 1,000 levels comes on top, once for each time the book is lost.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from mikrobot.market.binance_messages import stream_of
from mikrobot.market.recorded_streams import messages
from mikrobot.market.streams.recorder import line_of, packed

SECOND_NS = 1_000_000_000
KINDS = ("depth", "bookTicker")


@dataclass(frozen=True)
class Volume:
    """The messages of the order books of a file.

    Attributes
    ----------
    messages, plain, packed : int
        Messages, and their bytes as lines and as they are written.
    seconds : float
        From the first to the last.
    """

    messages: int
    plain: int
    packed: int
    seconds: float

    def per_hour(self, count: float) -> float:
        """Return a count of the file as one of an hour."""
        return count * 3600 / self.seconds


def volume(path: Path, kinds: Sequence[str] = KINDS) -> Volume:
    """Return the volume of the messages of some kinds of a recording."""
    received = [
        (received_ns, message)
        for received_ns, message in messages(path)
        if stream_of(message).partition("@")[2].partition("@")[0] in kinds
    ]
    if len(received) < 2:
        return Volume(len(received), 0, 0, 1.0)
    seconds = [
        [line_of(received_ns, message) for received_ns, message in second]
        for _, second in groupby(received, key=lambda entry: entry[0] // SECOND_NS)
    ]
    return Volume(
        len(received),
        sum(len(line) for second in seconds for line in second),
        sum(len(packed(second)) for second in seconds),
        (received[-1][0] - received[0][0]) / SECOND_NS,
    )


def report(paths: Iterable[Path]) -> Iterator[str]:
    """Yield the lines of the table, a row for each file."""
    yield "| recording | messages/s | lines, MB an hour | recorded, MB an hour | of these depth |"
    yield "|---|---:|---:|---:|---:|"
    for path in paths:
        both, depth = volume(path), volume(path, KINDS[:1])
        rate, plain, written = (both.per_hour(count) for count in (both.messages, both.plain, both.packed))
        yield (
            f"| {path.name} | {rate / 3600:.0f} | {plain / 1e6:.0f} | {written / 1e6:.0f} | "
            f"{depth.per_hour(depth.packed) / 1e6:.0f} |"
        )


def main() -> None:
    """Print the study of recorded streams."""
    parser = argparse.ArgumentParser(description="measure the size of a recording of order books")
    parser.add_argument("files", nargs="+", type=Path, help="recorded streams of one symbol each")
    for line in report(parser.parse_args().files):
        print(line, flush=True)


if __name__ == "__main__":
    main()
