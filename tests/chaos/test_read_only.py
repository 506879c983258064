"""A state folder on a disk that is mounted read-only: each command ends with one line, and nothing is left running."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mikrobot.runtime import SystemClock
from tests.chaos.short_replay import REPLAY, begun
from tests.killing import kill_9

CLOCK = SystemClock()


@contextmanager
def read_only(small: Any) -> Iterator[None]:
    """Make the disk read-only for whoever opens a file of it from now on, also while others have files open."""
    subprocess.run(["mount", "--bind", small.home, small.home], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", small.home], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", small.home], check=True)


def refusal(small: Any) -> str:
    return (
        f"error: the state folder {small.home} cannot be written (Read-only file system); "
        "make it writable, free some space, or set MIKROBOT_HOME to a folder that you can write"
    )


def run(small: Any, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; print its seconds."""
    begun = CLOCK.now()
    process = small.run(*arguments)
    print(f"{arguments[0]}: {(CLOCK.now() - begun).total_seconds():.0f} s, {process.returncode}, {process.stderr}")
    assert "Traceback" not in process.stderr + process.stdout
    return process


def require_refusals(small: Any, bars: Any) -> None:
    """Try to start something; nothing but one line remains of it."""
    for arguments in (("up",), (*REPLAY, "--data", bars)):
        process = run(small, *arguments)
        assert (process.returncode, process.stdout) == (1, "")
        assert process.stderr.splitlines()[-1] == refusal(small)


def test_an_empty_folder_is_refused_and_down_has_nothing_to_stop(small: Any, bar_files: Any) -> None:
    with read_only(small):
        require_refusals(small, bar_files["EURUSD"])
        status = run(small, "status")
        assert (status.returncode, status.stdout) == (1, "")
        assert len(status.stderr.splitlines()) == 1
        assert "(Read-only file system)" in status.stderr
        assert run(small, "down").stderr == "nothing was running\n"
    assert (list(small.home.iterdir()), small.left()) == ([], [])


def test_a_stack_whose_disk_becomes_read_only_is_shown_and_stopped(small: Any, bar_files: Any) -> None:
    assert small.run("up").returncode == 0
    with read_only(small):
        require_refusals(small, bar_files["EURUSD"])
        run(small, "status")
        assert run(small, "down").stderr.startswith("stopped supervisor, ")
        assert small.left() == []


def test_a_stack_that_was_killed_is_shown_as_down(small: Any, bar_files: Any) -> None:
    """As after a power cut: the clock of the stack has no anchor of this start of the machine."""
    assert small.run("up").returncode == 0
    for process in [*small.processes()]:
        kill_9(process, children=False)
    (small.home / "run" / "clock").unlink()
    with read_only(small):
        require_refusals(small, bar_files["EURUSD"])
        status = run(small, "status")
        assert status.returncode == 1
        assert "the supervisor does not run" in status.stdout
        assert run(small, "down").stderr == "nothing was running\n"
        assert small.left() == []


@pytest.mark.parametrize("stage", ["loop", pytest.param("worker", marks=pytest.mark.soak)])
def test_a_run_whose_disk_becomes_read_only_ends(small: Any, bar_files: Any, stage: str) -> None:
    process = begun(small, bar_files["EURUSD"], stage)
    with read_only(small):
        at = CLOCK.now()
        out, err = process.communicate(timeout=300)
        print(f"ended after {(CLOCK.now() - at).total_seconds():.0f} s")
        assert err.splitlines()[-1] == refusal(small)
        assert "Traceback" not in err
        assert (out, process.returncode, small.left()) == ("", 1, [])
