"""Rotated logs: small in all, with every line and every error of a running process kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mikrobot.live import pid_records
from mikrobot.stack import log_rotation
from mikrobot.stack.log_rotation import KEPT, LARGEST_BYTES, MOVED_BYTES, TOTAL_BYTES, rotate
from mikrobot.stack.service_log import LogErrors, errors_of

LINE = b"2026-11-29T01:18:32.211304Z [info     ] minute_traded".ljust(999) + b"\n"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def fill(path: Path, size: int = LARGEST_BYTES + 1) -> None:
    with path.open("ab") as log:
        log.write(LINE * (size // len(LINE) + 1))


WRITER = """
import sys
number = 0
for count in sys.stdin:
    for _ in range(int(count)):
        print("line", number, "x" * 40, file=sys.stdout)
        number += 1
    sys.stdout.flush()
    print("written", file=sys.stderr, flush=True)
"""


def test_a_process_that_holds_its_log_goes_on_at_the_beginning_and_loses_no_line(logs: Path) -> None:
    path = logs / "worker.log"
    with path.open("ab") as output:
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE
        )
    assert writer.stdin is not None
    assert writer.stderr is not None
    with writer:
        for _ in range(3):
            writer.stdin.write(b"41000\n")
            writer.stdin.flush()
            writer.stderr.readline()
            rotate(logs)
            assert path.stat().st_size == 0
        writer.stdin.write(b"10\n")
        writer.stdin.close()
        writer.stderr.readline()
    parts = [logs / f"worker.log.{number}" for number in (3, 2, 1)]
    lines = b"".join(part.read_bytes() for part in (*parts, path)).decode().splitlines()
    assert [int(line.split()[1]) for line in lines] == list(range(3 * 41_000 + 10))
    assert len(path.read_text().splitlines()) == 10


def test_a_small_log_is_left_alone(logs: Path) -> None:
    fill(logs / "worker.log", 1_000)
    rotate(logs)
    assert [path.name for path in logs.iterdir()] == ["worker.log"]


def test_all_logs_stay_under_fifty_megabytes_and_the_newest_lines_stay(logs: Path) -> None:
    for minute in range(4):
        for service in range(12):
            with (logs / f"service{service}.log").open("ab") as log:
                log.write(f"minute {minute}\n".encode())
            fill(logs / f"service{service}.log", 800_000 + 300_000 * service)
        assert sum(path.stat().st_size for path in logs.iterdir()) < TOTAL_BYTES + 30_000_000
        rotate(logs)
        assert sum(path.stat().st_size for path in logs.iterdir()) < TOTAL_BYTES + 10_000
    assert len(list(logs.glob("service11.log.*"))) <= KEPT
    assert b"minute 3" in (logs / "service5.log.1").read_bytes() + (logs / "service5.log").read_bytes()


def test_of_a_log_that_grew_too_fast_the_last_whole_lines_are_kept(logs: Path) -> None:
    path = logs / "bento.log"
    path.write_bytes(b"first\n")
    fill(path, 5 * LARGEST_BYTES)
    with path.open("ab") as log:
        log.write(b"last\n")
    rotate(logs)
    part = (logs / "bento.log.1").read_bytes()
    assert len(part) <= MOVED_BYTES
    assert part.startswith(LINE)
    assert part.endswith(b"last\n")


def test_errors_in_moved_lines_stay_counted(logs: Path) -> None:
    path, home = logs / "mlflow.log", logs.parent
    path.write_text("ERROR: of an earlier process\n")
    pid_records.record("mlflow", home, os.getpid(), log_from=path.stat().st_size)
    for error in ("one", "two"):
        with path.open("a") as log:
            log.write(f"ERROR: {error}\n")
        fill(path)
        rotate(logs)
        assert path.stat().st_size == 0
    assert errors_of("mlflow", home) == LogErrors(2, "ERROR: two")
    with path.open("a") as log:
        log.write("ERROR: three\n")
    assert errors_of("mlflow", home) == LogErrors(3, "ERROR: three")
    pid_records.record("mlflow", home, os.getpid(), log_from=path.stat().st_size)
    assert errors_of("mlflow", home) == LogErrors()


def test_errors_of_postgres_stay_counted_until_it_starts_again(logs: Path) -> None:
    path, home = logs / "postgres.log", logs.parent
    started = "2026-11-29 01:15:26.053 UTC [8696] LOG:  starting PostgreSQL 18.6\n"
    error = "2026-11-29 01:18:29.230 UTC [11441] PANIC:  could not write to file\n"
    path.write_text(error + started + error)
    fill(path)
    rotate(logs)
    assert errors_of("postgres", home).count == 1
    path.write_text(error)
    assert errors_of("postgres", home).count == 2
    path.write_text(error + started)
    assert errors_of("postgres", home).count == 0


def test_a_log_that_cannot_be_rotated_leaves_the_others_their_turn(
    logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1, KEPT + 1):
        (logs / f"bento.log.{number}" / "folder").mkdir(parents=True)
    for name in ("bento", "worker"):
        fill(logs / f"{name}.log")
    rotate(logs)
    assert (logs / "worker.log").stat().st_size == 0
    assert (logs / "bento.log").stat().st_size > LARGEST_BYTES
    assert "log_not_rotated" in "".join(capsys.readouterr())


def test_a_folder_without_logs_is_no_error(tmp_path: Path) -> None:
    log_rotation.rotate(tmp_path / "nowhere")
