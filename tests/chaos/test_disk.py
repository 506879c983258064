"""A disk that fills up or can no longer be written: one line that names it, and nothing is left running."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mikrobot.domain.errors import StoreError
from mikrobot.runtime import SystemClock
from mikrobot.stack import processes
from tests.chaos.short_replay import begun

CLOCK = SystemClock()


def fill(disk: Path) -> None:
    """Write zeros until nothing more fits."""
    with suppress(OSError), (disk / "zeros").open("wb", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass


@pytest.mark.parametrize("stage", ["loop", pytest.param("worker", marks=pytest.mark.soak)])
def test_a_disk_that_fills_up_during_a_run_ends_it_with_one_line(small: Any, bar_files: Any, stage: str) -> None:
    run = begun(small, bar_files["EURUSD"], stage)
    fill(small.home)
    filled_at = CLOCK.now()
    out, err = run.communicate(timeout=300)
    print(f"ended after {(CLOCK.now() - filled_at).total_seconds():.0f} s")
    assert err.splitlines()[-1].startswith(
        f"error: the state folder {small.home} cannot be written (No space left on device)"
    ), err
    assert "Traceback" not in err
    assert (out, run.returncode, small.left()) == ("", 1, [])


def test_a_disk_with_a_few_free_pages_counts_as_full(small: Any) -> None:
    small.home.mkdir(exist_ok=True)
    processes.require_room(small.home)
    fill(small.home)
    os.truncate(small.home / "zeros", (small.home / "zeros").stat().st_size - (1 << 20))
    processes.require_writable(small.home)
    with pytest.raises(StoreError, match=r"cannot be written .No space left on device."):
        processes.require_room(small.home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder immutable")
def test_down_stops_a_stack_whose_folder_can_no_longer_be_written(install, tmp_path: Path, bar_files: Any) -> None:
    with install(tmp_path) as installation:
        run = begun(installation, bar_files["EURUSD"], "loop")
        run.kill()
        run.communicate()
        frozen = [installation.home, installation.home / "run", installation.home / "postgres.lock"]
        subprocess.run(["chattr", "+i", *frozen], check=True)
        try:
            process = installation.run("down")
        finally:
            subprocess.run(["chattr", "-i", *frozen], check=True)
        assert (process.returncode, process.stdout) == (0, "")
        assert process.stderr.startswith("stopped "), process.stderr
        assert len(process.stderr.splitlines()) == 1
        assert installation.left() == []
