"""A run does not end a session that trades the present in the same state folder."""

import os
from pathlib import Path

import pytest

from mikrobot.domain.errors import ServiceError
from mikrobot.live import pid_records
from mikrobot.settings import Settings
from mikrobot.stack import wanted
from mikrobot.workflows.run import require_no_session


@pytest.fixture
def trades(tmp_path: Path):
    """Return a function that records a session of a source whose worker runs."""

    def record(source: str, *, worker: bool = True) -> Path:
        wanted.want_live(Settings(home=tmp_path, source=source), "20260101-000000", 0)
        if worker:
            pid_records.record("worker", tmp_path, os.getpid())
        return tmp_path

    return record


@pytest.mark.parametrize("source", ["binance", "simulated", "binance-local"])
def test_a_run_next_to_a_session_in_the_present_is_refused_with_what_to_do(trades, source: str) -> None:
    with pytest.raises(
        ServiceError, match=r"run 20260101-000000 trades the present .*down. first, or set MIKROBOT_HOME"
    ):
        require_no_session(trades(source))


def test_a_finished_replay_a_stopped_session_and_an_empty_folder_stop_no_run(trades, tmp_path: Path) -> None:
    require_no_session(tmp_path)
    require_no_session(trades("replay"))
    pid_records.forget("worker", tmp_path)
    require_no_session(trades("simulated", worker=False))
