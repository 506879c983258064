"""`mikrobot run --record` into a folder that cannot be recorded into: refused in one line, nothing started."""

import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

RUN = ("run", "--once", "--hours", 1, "--history-days", 2)


@pytest.fixture
def program(install, tmp_path: Path) -> Any:
    with install(tmp_path) as installation:
        yield installation


def test_a_folder_that_another_stack_records_into_is_refused_with_its_name(program: Any, tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    folder.mkdir()
    (folder / "recording.json").write_text(
        json.dumps({"home": "/home/ann/.mikrobot", "pid": 4711, "source": "binance"})
    )
    with FileLock(folder / ".lock"):
        refused = program.run(*RUN, "--source", "binance", "--record", folder)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"error: the stack of /home/ann/.mikrobot (pid 4711) records into {folder}; give another folder\n"
    )
    assert not program.home.exists()


def test_a_recording_of_another_source_is_not_mixed_with(program: Any, tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    folder.mkdir()
    (folder / "recording.json").write_text(json.dumps({"source": "binance"}))
    refused = program.run(*RUN, "--source", "simulated", "--record", folder)
    assert refused.returncode == 2
    assert f"{folder} has a recording of source binance, not of simulated; give another folder" in refused.stderr


def test_a_replay_has_nothing_to_record(program: Any, bar_files: dict[str, Path], tmp_path: Path) -> None:
    data = ("--data", bar_files["EURUSD"])
    refused = program.run(*RUN, "--source", "replay", *data, "--record", tmp_path / "recorded")
    assert refused.returncode == 2
    assert "a replay has nothing to record: leave --record out" in refused.stderr
    assert not (tmp_path / "recorded").exists()
