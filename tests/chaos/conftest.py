"""State folders on disks of their own, which tests fill and make read-only."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def small(install, tmp_path: Path) -> Iterator[Any]:
    """An installation whose state folder is a disk of its own."""
    with install(tmp_path) as installation:
        installation.home.mkdir()
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2g,mode=700", "tmpfs", installation.home], check=False
        ).returncode:
            pytest.skip("mounting a disk needs root")
        try:
            yield installation
        finally:
            installation.stop()
            subprocess.run(["umount", "--lazy", installation.home], check=True)
