"""What a run cannot get over ends its loop, with the cause."""

import os
import sys

import pytest

from mikrobot.live import pid_records
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.settings import Settings
from mikrobot.stack import processes, supervision, wanted
from mikrobot.stack.processes import Service
from mikrobot.stack.supervision import Report
from mikrobot.workflows import run_trouble
from mikrobot.workflows.run import _ending
from mikrobot.workflows.run_trouble import REMEDY, ending_on_trouble, trouble
from tests.ports import reserved_ports

SLEEP = (sys.executable, "-S", "-c", "import threading; threading.Event().wait()")


@pytest.fixture
def settings(tmp_path):
    """Settings of a folder in which a loop runs, and whose supervisor is this process."""
    settings = Settings(home=tmp_path)
    processes.start(Service("loop", SLEEP, {}), settings.home, settings.host)
    pid_records.record("supervisor", settings.home, os.getpid())
    yield settings
    processes.stop("loop", settings.home)


def keep_down(settings: Settings) -> None:
    supervision.write_report(Report({"prefect": "no such module (log: prefect.log)"}), settings.home)


def test_a_process_that_keeps_dying_is_a_trouble(settings):
    assert trouble(settings) == ""
    keep_down(settings)
    assert trouble(settings) == "the prefect keeps dying: no such module (log: prefect.log)"


def test_a_folder_that_cannot_be_written_is_a_trouble(tmp_path):
    (tmp_path / "file").touch()
    assert "cannot be written (File exists)" in trouble(Settings(home=tmp_path / "file"))


def test_a_trouble_ends_the_loop_and_its_cause_is_kept(settings):
    loop = pid_records.find("loop", settings.home)
    with ending_on_trouble(settings) as causes:
        keep_down(settings)
        wait_until(lambda: bool(causes) and not loop.is_running(), "it goes on", SystemClock(), timeout_s=60)
    assert causes == ["the prefect keeps dying: no such module (log: prefect.log)"]


def test_the_live_processes_that_end_with_the_loop_are_not_started_again(settings):
    wanted.want(settings, ["prefect"])
    wanted.want_live(settings, "r1", 0)
    loop = pid_records.find("loop", settings.home)
    with ending_on_trouble(settings):
        keep_down(settings)
        wait_until(lambda: not loop.is_running(), "it goes on", SystemClock(), timeout_s=60)
    assert wanted.read(settings.home).names == ("prefect",)


def test_prefect_that_does_not_come_back_ends_the_loop(settings, monkeypatch):
    """Nothing listens on the port of Prefect, or somebody does."""
    monkeypatch.setattr(run_trouble, "EVERY_S", 0.1)
    monkeypatch.setattr(run_trouble, "PREFECT_AWAY_S", 0.3)
    loop = pid_records.find("loop", settings.home)
    with reserved_ports(1) as (port,):
        away = settings.model_copy(update={"prefect_port": port})
        with ending_on_trouble(away) as causes:
            wait_until(lambda: bool(causes) and not loop.is_running(), "it goes on", SystemClock(), timeout_s=60)
    log = settings.home / "logs" / "prefect.log"
    assert causes == [f"prefect has ended and not answered again for 0 s (log: {log}); {REMEDY}"]


def test_a_loop_without_a_trouble_is_left_alone(settings):
    with ending_on_trouble(settings) as causes:
        pass
    assert causes == []
    assert pid_records.find("loop", settings.home) is not None


def test_a_loop_that_was_killed_is_named_so_and_not_by_the_last_line_of_its_log(settings):
    log = settings.home / "logs" / "loop.log"
    log.write_text("Created version '1' of model 'bos'\n")
    assert _ending(-9, settings) == (f"the loop was ended by SIGKILL; {REMEDY} (log: {log})")


def test_a_loop_that_failed_is_named_by_its_exception(settings):
    log = settings.home / "logs" / "loop.log"
    log.write_text("Traceback (most recent call last):\n    f()\n    ^^^\nOSError: No space left on device\n")
    assert _ending(1, settings) == f"the loop stopped: OSError: No space left on device (log: {log})"
