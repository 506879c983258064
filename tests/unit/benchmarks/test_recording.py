"""The study of the size of a recording counts the messages of order books, as they are written."""

import gzip
import json
from pathlib import Path

from benchmarks.studies import recording


def test_the_size_is_that_of_the_messages_of_books_packed_by_the_second(tmp_path: Path) -> None:
    lines = []
    for number in range(1_000):
        kind = ("depth@100ms", "bookTicker", "aggTrade")[number % 3]
        message = json.dumps({"stream": f"btcusdt@{kind}", "data": {"u": number}}).encode()
        lines.append(b"%d %s\n" % (number * 10_000_000, message))
    path = tmp_path / "stream.gz"
    path.write_bytes(gzip.compress(b"".join(lines)))
    volume = recording.volume(path)
    of_books = [line for line in lines if b"aggTrade" not in line]
    assert (volume.messages, volume.plain) == (len(of_books), sum(map(len, of_books)))
    assert len(gzip.compress(b"".join(of_books))) < volume.packed < volume.plain
    assert volume.seconds == 9.99
    header, _, row = recording.report([path])
    assert row.split("|")[1].strip() == "stream.gz"
    assert header.count("|") == row.count("|")
