"""The recorder: what it writes can be read, also after a kill, on a full disk, and with another recorder."""

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mikrobot.market.recorded_streams import messages
from mikrobot.market.streams import recorder as recording
from mikrobot.market.streams.recorder import FILES, Recorder

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOON_NS = int(NOON.timestamp()) * 1_000_000_000


def lines(folder: Path) -> list[tuple[int, bytes]]:
    return [line for path in sorted(folder.glob(FILES)) for line in messages(path, broken_off=True)]


def test_each_message_is_a_line_with_its_time_in_a_file_of_its_channel_and_hour(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.put("klines1", NOON, b'{"stream":"a"}')
    recorder.put("klines1", NOON + timedelta(microseconds=7), b'{"stream":\n"b"}\n')
    recorder.put("klines2", NOON, b'{"stream":"c"}')
    recorder.put("klines1", NOON + timedelta(hours=1), b'{"stream":"d"}')
    recorder.close()
    assert {path.name: list(messages(path)) for path in tmp_path.iterdir()} == {
        "20260302T12-klines1-0001.gz": [
            (NOON_NS, b'{"stream":"a"}\n'),
            (NOON_NS + 7000, b'{"stream": "b"}\n'),
        ],
        "20260302T12-klines2-0001.gz": [(NOON_NS, b'{"stream":"c"}\n')],
        "20260302T13-klines1-0001.gz": [(NOON_NS + 3_600_000_000_000, b'{"stream":"d"}\n')],
    }
    assert recorder.status().messages == 4
    assert recorder.status().bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_a_later_recorder_leaves_the_files_of_the_one_before_alone(tmp_path: Path) -> None:
    for text in (b"first", b"second"):
        recorder = Recorder(tmp_path)
        recorder.put("klines1", NOON, text)
        recorder.close()
    assert [gzip.decompress(path.read_bytes()).split()[1] for path in sorted(tmp_path.iterdir())] == [
        b"first",
        b"second",
    ]


ENDLESS = """
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import sleep
from mikrobot.market.streams.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]))
for number in count():
    message = b'{"number": %d}' % number
    recorder.put(sys.argv[2], datetime(2026, 3, 2, 12, tzinfo=UTC), message, of_book=sys.argv[2] == "depth1")
    print(number, recorder.status().messages, flush=True)
    sleep(0.001)
"""


@pytest.mark.parametrize("channel", ["depth1", "klines1"])
def test_a_killed_recorder_loses_what_has_not_been_written_and_nothing_else(channel: str, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, tmp_path, channel], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    written = 0
    for line in process.stdout:
        written = int(line.split()[1])
        if written > 1500:
            break
    process.kill()
    process.communicate()
    numbers = [json.loads(message)["number"] for _, message in lines(tmp_path)]
    assert len(numbers) >= written
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_file_that_breaks_off_is_read_to_its_last_whole_line(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "20260302T12-klines1-0001.gz"
    whole = gzip.compress(b"".join(b'%d {"number": %d}\n' % (n, n) for n in range(200)))
    file.write_bytes(whole + gzip.compress(b'200 {"number": 200}\n')[:-cut])
    numbers = [json.loads(message)["number"] for _, message in messages(file, broken_off=True)]
    assert numbers[:200] == list(range(200))
    assert numbers[200:] in ([], [200])


FULL = """
import json, os, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from mikrobot.market.streams.recorder import Recorder
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
recorder = Recorder(Path(sys.argv[1]))
size = 0
while not recorder.status().stopped:
    recorder.put("klines1", datetime(2026, 3, 2, 12, tzinfo=UTC), os.urandom(500).hex().encode())
    recorder._over.wait(0.002)
recorder.put("klines1", datetime(2026, 3, 2, 12, tzinfo=UTC), b"too late")
recorder.close()
print(json.dumps([recorder.status().messages, recorder.status().stopped]))
"""


def test_a_disk_that_takes_no_more_ends_the_recording_and_leaves_whole_lines(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True)
    written, reason = json.loads(ended.stdout.splitlines()[-1])
    assert "20260302T12-klines1-0001.gz cannot be written (File too large)" in reason
    assert ended.stdout.count("recording_stopped") + ended.stderr.count("recording_stopped") == 1
    recorded = lines(tmp_path)
    assert len(recorded) == written
    assert all(len(message) == 1001 for _, message in recorded)


BOOKS_FULL = """
import json, os, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from mikrobot.market.streams.recorder import Recorder
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
recorder = Recorder(Path(sys.argv[1]))
noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
number = after = 0
while after < 20:
    recorder.put("klines1", noon, b"%d" % number)
    recorder.put("depth1", noon, os.urandom(500).hex().encode(), of_book=True)
    number, after = number + 1, after + bool(recorder.status().books_stopped)
    recorder._over.wait(0.002)
recorder.close()
print(json.dumps([number, recorder.status().stopped, recorder.status().books_stopped]))
"""


def test_a_disk_that_takes_no_more_messages_of_order_books_takes_the_bars_as_long_as_it_can(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", BOOKS_FULL, tmp_path], capture_output=True, text=True, check=True)
    number, stopped, reason = json.loads(ended.stdout.splitlines()[-1])
    assert stopped == ""
    assert "20260302T12-depth1-0001.gz cannot be written (File too large)" in reason
    bars = [message.strip() for _, message in messages(tmp_path / "20260302T12-klines1-0001.gz")]
    assert bars == [b"%d" % bar for bar in range(number)]


def test_order_books_leave_the_last_space_of_a_disk_to_the_bars(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(recording, "SPARE_BYTES", 10**18)
    recorder = Recorder(tmp_path)
    recorder.put("klines1", NOON, b"bar")
    recorder.put("depth1", NOON, b"change", of_book=True)
    recorder.close()
    status = recorder.status()
    assert (status.messages, status.stopped) == (1, "")
    assert status.books_stopped.endswith("MB left, which bars may need")
    assert lines(tmp_path) == [(NOON_NS, b"bar\n")]


def test_any_number_of_messages_of_order_books_takes_no_place_of_the_bars(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, queued=100)
    for number in range(5_000):
        recorder.put("depth1", NOON, b"%d" % number, of_book=True)
        if number % 50 == 0:
            recorder.put("klines1", NOON, b"%d" % number)
    recorder.close()
    status = recorder.status()
    assert status.books_left_out >= 1
    assert status.left_out == 0
    assert [int(message) for _, message in messages(tmp_path / "20260302T12-klines1-0001.gz")] == [*range(0, 5_000, 50)]


def test_a_queue_that_is_full_leaves_messages_out_and_counts_them(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, queued=10)
    for number in range(15):
        recorder.put("klines1", NOON, b"%d" % number)
    recorder.close()
    status = recorder.status()
    assert status.messages + status.left_out == 15
    assert status.left_out >= 1
    assert len(lines(tmp_path)) == status.messages
